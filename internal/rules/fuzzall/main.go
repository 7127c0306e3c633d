// Command fuzzall runs every fuzz target of the module for a while each, and fails when one fails or when there are
// fewer targets than there should be.
//
//	go run ./internal/rules/fuzzall -time 10s
//
// With -plain the targets are built as ordinary tests: without the counters that guide the search, but also without
// compiling every dependency once more. That is the form for a machine with an empty build cache.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// leastTargets is how many fuzz targets there are at least: one for every decoder and parser.
const leastTargets = 36

// minimise bounds the tries at shortening one interesting input, which otherwise take all the time of a target.
const minimise = "20x"

func main() {
	each := flag.Duration("time", 10*time.Second, "how long each target runs")
	plain := flag.Bool("plain", false, "build without the counters that guide the search")
	flag.Parse()
	how := guided
	if *plain {
		how = unguided
	}
	if err := run(context.Background(), *each, how); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// fuzzer runs some targets of one package for a while each.
type fuzzer func(ctx context.Context, pkg string, targets []string, each time.Duration) error

func run(ctx context.Context, each time.Duration, how fuzzer) error {
	out, err := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", "./...").Output()
	if err != nil {
		return fmt.Errorf("list targets: %w", err)
	}
	count := 0
	var waiting []string
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 1 && strings.HasPrefix(words[0], "Fuzz"):
			waiting = append(waiting, words[0])
		case len(words) >= 2 && words[0] == "ok":
			if err := how(ctx, words[1], waiting, each); err != nil {
				return err
			}
			count += len(waiting)
			waiting = nil
		}
	}
	if count < leastTargets {
		return fmt.Errorf("%d targets ran, want at least %d", count, leastTargets)
	}
	fmt.Printf("fuzz: %d targets passed\n", count)
	return nil
}

func guided(ctx context.Context, pkg string, targets []string, each time.Duration) error {
	for _, target := range targets {
		err := fuzz(ctx, "", "go", "test", "-run", "^$", "-fuzz", "^"+target+"$", "-fuzztime", each.String(), "-fuzzminimizetime", minimise, pkg)
		if err != nil {
			return err
		}
	}
	return nil
}

func unguided(ctx context.Context, pkg string, targets []string, each time.Duration) error {
	if len(targets) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "fuzz")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "fuzz.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, pkg).CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	home, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return fmt.Errorf("find %s: %w", pkg, err)
	}
	for _, target := range targets {
		err := fuzz(ctx, strings.TrimSpace(string(home)), program, "-test.run", "^$", "-test.fuzz", "^"+target+"$",
			"-test.fuzztime", each.String(), "-test.fuzzminimizetime", minimise, "-test.fuzzcachedir", dir)
		if err != nil {
			return err
		}
	}
	return nil
}

// attempts is how often a target is run whose time was up at an unlucky moment: the testing package then says so as a
// failure, without an input that fails.
const attempts = 3

func fuzz(ctx context.Context, dir string, args ...string) error {
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
