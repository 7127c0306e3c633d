// Command fuzzall runs every fuzz target of the module for a while each, and fails when one fails or when there are
// more or fewer targets than it knows of.
//
//	go run ./internal/rules/fuzzall -time 10s
//
// With -plain the targets are built as ordinary tests, and run two at a time: without the counters that guide the search, but also without
// compiling every dependency once more. That is the form for a machine with an empty build cache.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// known is how many fuzz targets there are: one for every decoder and parser.
const known = 46

// atOnce is how many targets run at the same time, sharing the processors, where none is built with the counters.
const atOnce = 2

// minimise bounds the tries at shortening one interesting input, which otherwise take all the time of a target.
const minimise = "20x"

func main() {
	each := flag.Duration("time", 10*time.Second, "how long each target runs")
	plain := flag.Bool("plain", false, "build without the counters that guide the search")
	flag.Parse()
	if err := run(context.Background(), *each, *plain); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, each time.Duration, plain bool) error {
	out, err := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", "./...").Output()
	if err != nil {
		return fmt.Errorf("list targets: %w", err)
	}
	dir, err := os.MkdirTemp("", "fuzz")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	found, count := targetsOf(string(out))
	if count != known {
		return fmt.Errorf("there are %d targets, not %d: count a new one in internal/rules/fuzzall, and never lose one", count, known)
	}
	add, workers := guided, 1 // the testing package uses all processors by itself
	if plain {
		add, workers = unguided, atOnce
	}
	var targets []target
	for _, p := range found {
		of, err := add(ctx, dir, p.pkg, p.targets, each)
		if err != nil {
			return err
		}
		targets = append(targets, of...)
	}
	if err := all(ctx, targets, workers); err != nil {
		return err
	}
	fmt.Printf("fuzz: %d targets passed, %s each\n", len(targets), each)
	return nil
}

// fuzzed is a package and the names of its targets.
type fuzzed struct {
	pkg     string
	targets []string
}

// targetsOf reads what go test -list prints: the packages that have targets, and how many there are in all.
func targetsOf(listed string) (found []fuzzed, count int) {
	var waiting []string
	for line := range strings.Lines(listed) {
		words := strings.Fields(line)
		switch {
		case len(words) == 1 && strings.HasPrefix(words[0], "Fuzz"):
			waiting = append(waiting, words[0])
		case len(words) >= 2 && words[0] == "ok" && len(waiting) > 0:
			found, count = append(found, fuzzed{words[1], waiting}), count+len(waiting)
			waiting = nil
		}
	}
	return found, count
}

// target is how one target is run.
type target struct {
	dir  string
	args []string
}

// all runs the targets, so many at the same time, and stops at the first that fails.
func all(ctx context.Context, targets []target, workers int) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan target)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for t := range next {
				if err := fuzz(ctx, t.dir, t.args...); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, t := range targets {
		next <- t
	}
	close(next)
	running.Wait()
	return context.Cause(ctx)
}

func guided(_ context.Context, _, pkg string, names []string, each time.Duration) (out []target, _ error) {
	for _, name := range names {
		out = append(out, target{args: []string{
			"go", "test", "-run", "^$", "-fuzz", "^" + name + "$", "-fuzztime", each.String(), "-fuzzminimizetime", minimise, pkg,
		}})
	}
	return out, nil
}

func unguided(ctx context.Context, dir, pkg string, names []string, each time.Duration) (out []target, _ error) {
	program := filepath.Join(dir, strings.ReplaceAll(pkg, "/", "-")+".test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, pkg).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	home, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", pkg, err)
	}
	for _, name := range names {
		out = append(out, target{dir: strings.TrimSpace(string(home)), args: []string{
			program, "-test.run", "^$", "-test.fuzz", "^" + name + "$", "-test.fuzztime", each.String(), "-test.fuzzminimizetime", minimise,
			"-test.fuzzcachedir", filepath.Join(dir, "found"), "-test.parallel", strconv.Itoa(max(1, runtime.GOMAXPROCS(0)/atOnce)),
		}})
	}
	return out, nil
}

// attempts is how often a target is run whose time was up at an unlucky moment: the testing package then says so as a
// failure, without an input that fails.
const attempts = 3

func fuzz(ctx context.Context, dir string, args ...string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	line := strings.Join(args, " ")
	fmt.Println("fuzz:", line)
	var err error
	for range attempts {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = dir
		var out []byte
		out, err = cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		err = fmt.Errorf("%s: %w\n%s", line, err, out)
		if !strings.Contains(string(out), "context deadline exceeded") || strings.Contains(string(out), "Failing input") {
			return err
		}
	}
	return err
}
