// Command mutants plants known bugs in a copy of the tree, one after another, and demands that a named layer of the
// tests kills each: a certificate, a distribution test, a law of the ledger, an oracle of the estimators. A bug that
// survives is a hole in the tests and ends the program with 1; so does a bug whose place in the source can't be found
// any more, or that doesn't compile.
//
// Tests that draw their cases draw the same ones each time. A survivor is tried twice more with other cases: a kill
// then counts, and the line says which attempt it took.
//
// The bugs that lie in one function each, which is nearly all, are compiled into the tests together, and each run of a test is told which
// of them to have. Nothing in the tree is touched: the go command is told to read some files from elsewhere (-overlay). It runs in CI and by
// hand, and must never be part of a product.
//
//	go run ./internal/mutants            # all of them
//	go run ./internal/mutants -run piece # those with such a name
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"
)

// mutant is one bug.
type mutant struct {
	name  string // what is wrong
	layer layer  // which kind of test sees it
	file  string // from the module's root
	old   string // stands in the file exactly once
	new   string
	pkg   string // whose test kills it
	test  string // that test, as a pattern for -run
}

// layer is a kind of test.
type layer string

// The layers, from the one that proves to the one that needs a whole system.
const (
	certificate  layer = "certificate"  // exact rationals from the integers that are used
	enumeration  layer = "enumeration"  // every entry of a small matrix, or every word of a cell
	distribution layer = "distribution" // draws against the exact law
	formula      layer = "formula"      // a closed form against sums, or an outside reference
	law          layer = "law"          // random operations against the law that they must keep
	fault        layer = "fault"        // a broken source, a cut wire, a full or restored disk
	design       layer = "design"       // panels against what a sampling design promises
	counting     layer = "counting"     // what the engine counts, once and from whom
	endToEnd     layer = "end to end"   // what the stored reports of a whole system give away
)

// list returns all mutants.
func list() []mutant {
	return slices.Concat(mechanisms(), categories(), devices(), memories(), estimators(), engines(), gateways(), releases(), storages(), clusters(), crowds(), questions(),
		tables(), exports())
}

// attempts is how often a test may run before its mutant counts as a survivor.
const attempts = 3

func main() {
	pattern := flag.String("run", "", "plant only mutants whose name matches this expression")
	jobs := flag.Int("jobs", 1+runtime.GOMAXPROCS(0), "test runs at a time; some of them wait")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *pattern, max(1, *jobs))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, pattern string, jobs int) error {
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	var mutants []numbered
	for i, m := range list() {
		if wanted.MatchString(m.name) {
			mutants = append(mutants, numbered{m, i + 1})
		}
	}
	if len(mutants) == 0 {
		return errors.New("no mutant has such a name")
	}
	l, err := open(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	began := time.Now()
	if err := l.build(ctx, mutants); err != nil {
		return err
	}
	fmt.Printf("%d programs are built with %d mutants to choose from (%s)\n", len(l.programs), len(mutants)-len(l.alone)-len(l.verdicts), l.since(began))
	if err := l.healthy(ctx, mutants, jobs); err != nil {
		return err
	}
	fmt.Printf("the tests pass without a mutant (%s)\n\n", l.since(began))
	verdicts := make([]verdict, len(mutants))
	each(jobs, len(mutants), func(i int) {
		verdicts[i] = l.plant(ctx, mutants[i])
		fmt.Println(verdicts[i].line(mutants[i].mutant))
	})
	survivors := 0
	for _, v := range verdicts {
		if v.why != "" {
			survivors++
		}
	}
	fmt.Printf("\n%d passed, %d failed (%s)\n", len(mutants)-survivors, survivors, l.since(began))
	if survivors > 0 {
		return fmt.Errorf("%d of %d mutants are not killed", survivors, len(mutants))
	}
	return ctx.Err()
}

// since tells the time since then, and what the processors have worked.
func (l *laboratory) since(began time.Time) string {
	return fmt.Sprintf("%.0f s, %.0f s of a processor", time.Since(began).Seconds(), time.Duration(l.used.Load()).Seconds())
}

// each calls f for 0…n-1, so many at a time.
func each(jobs, n int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, jobs)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
