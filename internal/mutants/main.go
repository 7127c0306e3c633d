// Command mutants plants known bugs in a copy of the tree, one after another, and demands that a named layer of the
// tests kills each: a certificate, a distribution test, a law of the ledger, an oracle of the estimators. A bug that
// survives is a hole in the tests and ends the program with 1; so does a bug whose place in the source can't be found
// any more, or that doesn't compile.
//
// Nothing in the tree is touched: the go command is told to read one file from elsewhere (-overlay). It runs in CI and
// by hand, and must never be part of a product.
//
//	go run ./internal/mutants            # all of them
//	go run ./internal/mutants -run piece # those with such a name
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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
	return slices.Concat(mechanisms(), categories(), devices(), estimators(), engines())
}

// timeout bounds one test run. A mutant that only shows by running out of it is not killed.
const timeout = 2 * time.Minute

func main() {
	pattern := flag.String("run", "", "plant only mutants whose name matches this expression")
	jobs := flag.Int("jobs", 2, "test runs at a time")
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
	mutants := slices.DeleteFunc(list(), func(m mutant) bool { return !wanted.MatchString(m.name) })
	if len(mutants) == 0 {
		return errors.New("no mutant has such a name")
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "quadrat-mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	l := &laboratory{root: root, dir: dir}
	began := time.Now()
	if err := l.healthy(ctx, mutants, jobs); err != nil {
		return err
	}
	fmt.Printf("the tests pass without a mutant (%.0f s)\n\n", time.Since(began).Seconds())
	verdicts := make([]string, len(mutants))
	each(jobs, len(mutants), func(i int) {
		verdicts[i] = l.plant(ctx, i, mutants[i])
		if verdicts[i] == "" {
			fmt.Printf("killed    %-12s  %s\n", mutants[i].layer, mutants[i].name)
			return
		}
		fmt.Printf("SURVIVES  %-12s  %s\n          %s: %s\n", mutants[i].layer, mutants[i].name, mutants[i].file, verdicts[i])
	})
	survivors := 0
	for _, v := range verdicts {
		if v != "" {
			survivors++
		}
	}
	fmt.Printf("\n%d mutants, %d killed, %d not (%.0f s)\n", len(mutants), len(mutants)-survivors, survivors, time.Since(began).Seconds())
	if survivors > 0 {
		return fmt.Errorf("%d of %d mutants are not killed", survivors, len(mutants))
	}
	return ctx.Err()
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

// moduleRoot is where go.mod stands.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// laboratory runs tests with one file replaced.
type laboratory struct{ root, dir string }

// healthy demands that every test that is to kill a mutant passes without one.
func (l *laboratory) healthy(ctx context.Context, mutants []mutant, jobs int) error {
	seen := map[[2]string]bool{}
	var tests [][2]string
	for _, m := range mutants {
		if t := [2]string{m.pkg, m.test}; !seen[t] {
			seen[t] = true
			tests = append(tests, t)
		}
	}
	slices.SortFunc(tests, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	faults := make([]error, len(tests))
	each(jobs, len(tests), func(i int) {
		out, err := l.test(ctx, tests[i][0], tests[i][1])
		switch {
		case err != nil:
			faults[i] = fmt.Errorf("%s -run %s doesn't pass without a mutant: %w\n%s", tests[i][0], tests[i][1], err, out)
		case strings.Contains(out, "no tests to run"):
			faults[i] = fmt.Errorf("%s has no test %s", tests[i][0], tests[i][1])
		}
	})
	return errors.Join(faults...)
}

// plant runs the test with the mutant and says why it is not killed; "" when it is.
func (l *laboratory) plant(ctx context.Context, number int, m mutant) string {
	content, err := mutate(l.root, m)
	if err != nil {
		return err.Error()
	}
	overlay, err := l.overlay(number, m.file, content)
	if err != nil {
		return err.Error()
	}
	out, err := l.test(ctx, m.pkg, m.test, "-overlay="+overlay)
	return verdict(out, err, m)
}

// verdict says why a mutant is not killed by a test run; "" when it is.
func verdict(out string, err error, m mutant) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return fmt.Sprintf("%s -run %s passes", m.pkg, m.test)
	case !errors.As(err, &exit):
		return err.Error()
	case strings.Contains(out, "[build failed]"), strings.Contains(out, "[setup failed]"):
		return "doesn't compile:\n" + out
	case strings.Contains(out, "test timed out"), !strings.Contains(out, "--- FAIL: "):
		return "no assertion fails:\n" + out
	}
	return ""
}

// mutate returns the file with the bug in it.
func mutate(root string, m mutant) (string, error) {
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(content), m.old); n != 1 {
		return "", fmt.Errorf("the list is stale: the text to replace stands %d times in the file", n)
	}
	return strings.Replace(string(content), m.old, m.new, 1), nil
}

// overlay writes a file and the JSON that puts it in the place of another.
func (l *laboratory) overlay(number int, file, content string) (string, error) {
	mutated := filepath.Join(l.dir, fmt.Sprintf("%03d.go", number))
	if err := os.WriteFile(mutated, []byte(content), 0o600); err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(l.root, filepath.FromSlash(file)): mutated},
	})
	if err != nil {
		return "", err
	}
	path := filepath.Join(l.dir, fmt.Sprintf("%03d.json", number))
	return path, os.WriteFile(path, b, 0o600)
}

// test runs one test of one package.
func (l *laboratory) test(ctx context.Context, pkg, pattern string, flags ...string) (string, error) {
	levels := strings.Split(pattern, "/")
	for i, level := range levels {
		levels[i] = "^(" + level + ")$"
	}
	args := append([]string{"test", "-vet=off", "-timeout=" + timeout.String(), "-run", strings.Join(levels, "/")}, flags...)
	args = append(args, "./"+pkg)
	if drawsCases(l.root, pkg) {
		// Or it would keep the failing case in the tree, and try it first the next time.
		args = append(args, "-rapid.nofailfile")
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = l.root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// drawsCases says whether a package's tests use rapid.
func drawsCases(root, pkg string) bool {
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(files, func(file string) bool {
		content, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(content), `"pgregory.net/rapid"`)
	})
}
