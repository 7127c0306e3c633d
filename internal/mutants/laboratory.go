package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// timeout bounds one test run, which takes seconds, or a minute, on a machine that has nothing else to do. A mutant that only shows by running
// out of it is not killed.
const timeout = 30 * time.Minute

// laboratory runs tests of programs that have bugs.
type laboratory struct {
	root, dir string
	programs  map[string]string // of each package the tests, with all bugs of which a schema can be made
	alone     map[int]bool      // the mutants that need a program of their own
	verdicts  map[int]verdict   // of the mutants that can't be planted at all
	used      atomic.Int64      // processor time of all builds and tests, as a time.Duration
}

// run runs a command in a folder, and tells what it printed and the processor time that it took.
func (l *laboratory) run(ctx context.Context, folder string, env []string, name string, args ...string) (string, time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	var used time.Duration
	if cmd.ProcessState != nil {
		used = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	l.used.Add(int64(used))
	return string(out), used, err
}

// goEnv asks the go command for one of its settings.
func goEnv(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", name).Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// healthy demands that every test that is to kill a mutant is there and passes without one, with the cases that the mutants meet
// first. A package's tests run together, in the program that the mutants are chosen in.
func (l *laboratory) healthy(ctx context.Context, mutants []numbered, jobs int) error {
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
		out, _, err := l.test(ctx, l.programs[pkg], pkg, tests[pkg], 1, 0, "-test.v")
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
func (l *laboratory) plant(ctx context.Context, m numbered) verdict {
	if v, ok := l.verdicts[m.number]; ok {
		return v
	}
	program := l.programs[m.pkg]
	if l.alone[m.number] {
		out, err := l.buildAlone(ctx, m)
		if err != nil {
			return verdict{why: err.Error()}
		}
		defer func() { _ = os.Remove(out) }()
		program = out
	}
	var all time.Duration
	v := until(func(attempt int) (string, bool) {
		out, used, err := l.test(ctx, program, m.pkg, []string{m.test}, attempt, m.number, "-test.failfast")
		all += used
		return judge(out, err, m.mutant)
	})
	v.used = all
	return v
}

// original returns the file that a bug is to be in. Its place must be found there once.
func original(root string, m mutant) (string, error) {
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(content), m.old); n != 1 {
		return "", fmt.Errorf("the list is stale: the text to replace stands %d times in the file", n)
	}
	return string(content), nil
}

// mutate returns the file with the bug in it.
func mutate(root string, m mutant) (string, error) {
	content, err := original(root, m)
	return strings.Replace(content, m.old, m.new, 1), err
}

// test runs some tests of one package, with the mutant of a number or, for 0, with none. Tests that draw their cases draw those that belong
// to the attempt's number.
func (l *laboratory) test(ctx context.Context, program, pkg string, patterns []string, attempt, number int, flags ...string) (string, time.Duration, error) {
	whole := make([]string, len(patterns))
	for i, pattern := range patterns {
		parts := levels(pattern)
		for j, part := range parts {
			parts[j] = "^" + part + "$"
		}
		whole[i] = strings.Join(parts, "/")
	}
	args := append([]string{"-test.paniconexit0", "-test.timeout=" + timeout.String(), "-test.run", strings.Join(whole, "|")}, flags...)
	if drawsCases(l.root, pkg) {
		// A failing case is neither kept in the tree, where it would be tried first the next time, nor made small.
		args = append(args, fmt.Sprintf("-rapid.seed=%d", attempt), "-rapid.nofailfile", "-rapid.shrinktime=1ms")
	}
	env := fmt.Sprintf("%s=%d", variable, number)
	return l.run(ctx, filepath.Join(l.root, filepath.FromSlash(pkg)), []string{env}, program, args...)
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
