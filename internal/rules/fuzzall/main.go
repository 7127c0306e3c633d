// Command fuzzall runs every fuzz target of the module for a while each, and fails when one fails or when there are
// fewer targets than there should be.
//
//	go run ./internal/rules/fuzzall -time 10s
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// leastTargets is how many fuzz targets there are at least: one for every decoder and parser.
const leastTargets = 6

func main() {
	each := flag.Duration("time", 10*time.Second, "how long each target runs")
	flag.Parse()
	if err := run(context.Background(), *each); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, each time.Duration) error {
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
			for _, target := range waiting {
				if err := fuzz(ctx, words[1], target, each); err != nil {
					return err
				}
				count++
			}
			waiting = nil
		}
	}
	if count < leastTargets {
		return fmt.Errorf("%d targets ran, want at least %d", count, leastTargets)
	}
	fmt.Printf("fuzz: %d targets passed\n", count)
	return nil
}

func fuzz(ctx context.Context, pkg, target string, each time.Duration) error {
	fmt.Printf("fuzz: %s %s\n", pkg, target)
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+target+"$", "-fuzztime", each.String(), pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", pkg, target, err, out)
	}
	return nil
}
