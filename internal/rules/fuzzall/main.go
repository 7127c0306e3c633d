// Command fuzzall runs every fuzz target of the module for a while each, and fails when one fails or when there are
// more or fewer targets than it knows of.
//
//	go run ./internal/rules/fuzzall -time 10s
//
// The tests of a package are built once for all its targets. Counters that guide the search are built into the packages of this module
// alone: those of others, which are most, stay as they are in the build cache.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// known is how many fuzz targets there are: one for every decoder and parser.
const known = 46

// minimise bounds the tries at shortening one interesting input, which otherwise take all the time of a target.
const minimise = "20x"

func main() {
	each := flag.Duration("time", 10*time.Second, "how long each target runs")
	jobs := flag.Int("jobs", runtime.GOMAXPROCS(0), "targets at a time")
	flag.Parse()
	if err := run(context.Background(), *each, max(1, *jobs)); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, each time.Duration, jobs int) error {
	found, err := list(ctx)
	if err != nil {
		return fmt.Errorf("list targets: %w", err)
	}
	count := 0
	for _, p := range found {
		count += len(p.targets)
	}
	if count != known {
		return fmt.Errorf("there are %d targets, not %d: count a new one in internal/rules/fuzzall, and never lose one", count, known)
	}
	dir, err := os.MkdirTemp("", "fuzz")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var targets []target
	for i, p := range found {
		program := filepath.Join(dir, strconv.Itoa(i)+".test")
		if err := build(ctx, program, p); err != nil {
			return err
		}
		for _, name := range p.targets {
			targets = append(targets, target{name, p.Dir, []string{
				program, "-test.run", "^$", "-test.fuzz", "^" + name + "$", "-test.fuzztime", each.String(), "-test.fuzzminimizetime", minimise,
				"-test.fuzzcachedir", filepath.Join(dir, "found", strconv.Itoa(i)), "-test.parallel", strconv.Itoa(max(1, runtime.GOMAXPROCS(0)/jobs)),
			}})
		}
	}
	if err := all(ctx, targets, jobs); err != nil {
		return err
	}
	fmt.Printf("fuzz: %d targets passed, %s each\n", len(targets), each)
	return nil
}

// fuzzed is a package that has targets.
type fuzzed struct {
	ImportPath, Dir           string
	TestGoFiles, XTestGoFiles []string
	Module                    struct{ Path string }
	targets                   []string
}

// list finds the targets in the source: to ask each package's tests for them, all would have to be built.
func list(ctx context.Context) (found []fuzzed, _ error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles,Module", "./...").Output()
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p fuzzed
		if err := d.Decode(&p); err != nil {
			return nil, err
		}
		for _, file := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			names, err := targetsOf(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			p.targets = append(p.targets, names...)
		}
		if len(p.targets) > 0 {
			found = append(found, p)
		}
	}
	return found, nil
}

// targetsOf returns the names of the targets of a file.
func targetsOf(path string) (names []string, _ error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}

// build makes the tests of a package into a program.
func build(ctx context.Context, program string, p fuzzed) error {
	counted := "-gcflags=" + p.Module.Path + "/...=-d=libfuzzer" // what go test -fuzz gives to all packages
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", counted, "-o", program, p.ImportPath).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", p.ImportPath, err, out)
	}
	return nil
}

// target is how one target is run.
type target struct {
	name, dir string
	args      []string
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
				if err := t.fuzz(ctx); err != nil {
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

// attempts is how often a target is run whose time was up at an unlucky moment: the testing package then says so as a
// failure, without an input that fails.
const attempts = 3

// fuzz runs the target, and prints how far it came.
func (t target) fuzz(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var err error
	for range attempts {
		cmd := exec.CommandContext(ctx, t.args[0], t.args[1:]...)
		cmd.Dir = t.dir
		var out []byte
		out, err = cmd.CombinedOutput()
		if err == nil {
			came, guided := progress(string(out))
			if came == "" || !guided {
				return fmt.Errorf("%s: no search, or none with a guide:\n%s", t.name, out)
			}
			fmt.Printf("fuzz: %-32s %s\n", t.name, came)
			return nil
		}
		err = fmt.Errorf("%s: %w\n%s", strings.Join(t.args, " "), err, out)
		if !strings.Contains(string(out), "context deadline exceeded") || strings.Contains(string(out), "Failing input") {
			return err
		}
	}
	return err
}

// progress is the last thing that a search says of itself, and whether counters guided it. A program that has no such target, or was built
// without counters, is content to say so and to end well.
func progress(out string) (came string, guided bool) {
	for line := range strings.Lines(out) {
		if said, ok := strings.CutPrefix(line, "fuzz: elapsed: "); ok && strings.Contains(said, "execs: ") {
			came = strings.TrimSpace(said)
		}
	}
	return came, !strings.Contains(out, "not built with coverage instrumentation")
}
