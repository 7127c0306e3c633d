package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// timeout bounds one test run, which takes seconds, or a minute, on a machine that has nothing else to do. A mutant that only shows by running
// out of it is not killed.
const timeout = 30 * time.Minute

// laboratory runs tests with one file replaced.
type laboratory struct{ root, dir string }

// moduleRoot is where go.mod stands.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// healthy demands that every test that is to kill a mutant is there and passes without one, with the cases that the mutants meet
// first. A package's tests run together.
func (l *laboratory) healthy(ctx context.Context, mutants []mutant, jobs int) error {
	tests := map[string][]string{}
	var packages []string
	for _, m := range mutants {
		if len(tests[m.pkg]) == 0 {
			packages = append(packages, m.pkg)
		}
		if !slices.Contains(tests[m.pkg], m.test) {
			tests[m.pkg] = append(tests[m.pkg], m.test)
		}
	}
	faults := make([]error, len(packages))
	each(jobs, len(packages), func(i int) {
		pkg := packages[i]
		out, err := l.test(ctx, pkg, tests[pkg], 1, "-v")
		if err != nil {
			faults[i] = fmt.Errorf("%s doesn't pass without a mutant: %w\n%s", pkg, err, out)
			return
		}
		for _, pattern := range tests[pkg] {
			if !ran(out, pattern) {
				faults[i] = errors.Join(faults[i], fmt.Errorf("%s has no test %s", pkg, pattern))
			}
		}
	})
	return errors.Join(faults...)
}

// ran says whether the output of go test -v shows a test that the pattern matches.
func ran(out, pattern string) bool {
	return regexp.MustCompile(`(?m)^=== RUN +` + strings.Join(levels(pattern), "/") + `(/|$)`).MatchString(out)
}

// levels are the parts of a pattern, each for a whole name.
func levels(pattern string) []string {
	parts := strings.Split(pattern, "/")
	for i, part := range parts {
		parts[i] = "(" + part + ")"
	}
	return parts
}

// plant runs the test with the mutant.
func (l *laboratory) plant(ctx context.Context, number int, m mutant) verdict {
	content, err := mutate(l.root, m)
	if err != nil {
		return verdict{why: err.Error()}
	}
	overlay, err := l.overlay(number, m.file, content)
	if err != nil {
		return verdict{why: err.Error()}
	}
	return until(func(attempt int) (string, bool) {
		out, err := l.test(ctx, m.pkg, []string{m.test}, attempt, "-failfast", "-overlay="+overlay)
		return judge(out, err, m)
	})
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

// test runs some tests of one package. Tests that draw their cases draw those that belong to the attempt's number.
func (l *laboratory) test(ctx context.Context, pkg string, patterns []string, attempt int, flags ...string) (string, error) {
	whole := make([]string, len(patterns))
	for i, pattern := range patterns {
		parts := levels(pattern)
		for j, part := range parts {
			parts[j] = "^" + part + "$"
		}
		whole[i] = strings.Join(parts, "/")
	}
	args := append([]string{"test", "-count=1", "-vet=off", "-timeout=" + timeout.String(), "-run", strings.Join(whole, "|")}, flags...)
	args = append(args, "./"+pkg)
	if drawsCases(l.root, pkg) {
		// A failing case is neither kept in the tree, where it would be tried first the next time, nor made small.
		args = append(args, fmt.Sprintf("-rapid.seed=%d", attempt), "-rapid.nofailfile", "-rapid.shrinktime=1ms")
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
