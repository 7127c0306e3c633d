package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestListIsCurrent finds the place of every mutant in the source, and its test in the tests, without running any.
func TestListIsCurrent(t *testing.T) {
	const least = 25
	root := filepath.Join("..", "..")
	names := map[string]bool{}
	for _, m := range list() {
		if names[m.name] {
			t.Errorf("two mutants are called %s", m.name)
		}
		names[m.name] = true
		content, err := mutate(root, m)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if strings.Contains(content, m.old) && !strings.Contains(m.new, m.old) {
			t.Errorf("%s: the bug isn't planted", m.name)
		}
		if !tested(t, root, m) {
			t.Errorf("%s: %s has no test %s", m.name, m.pkg, m.test)
		}
	}
	if len(names) < least {
		t.Errorf("only %d mutants", len(names))
	}
}

// tested says whether the package has a test that the pattern matches.
func tested(t *testing.T, root string, m mutant) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(m.pkg), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(m.test, "/")
	declared := regexp.MustCompile(`(?m)^func (` + first + `)\(`)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if declared.Match(content) {
			return true
		}
	}
	return false
}

// TestVerdict: only an assertion that fails kills.
func TestVerdict(t *testing.T) {
	failed := &exec.ExitError{}
	for _, c := range []struct {
		out    string
		err    error
		killed bool
	}{
		{"--- FAIL: TestX (0.00s)\nFAIL", failed, true},
		{"ok", nil, false},
		{"panic: test timed out after 2m\n--- FAIL: TestX", failed, false},
		{"signal: killed", failed, false},
		{"", errors.New("go: not found"), false},
	} {
		got, again := judge(c.out, c.err, mutant{})
		if (got == "") != c.killed || again != (c.err == nil) {
			t.Errorf("%q: %q, again %v", c.out, got, again)
		}
	}
}

// TestSurvivorIsTriedAgain: three times, and only while other cases might kill it.
func TestSurvivorIsTriedAgain(t *testing.T) {
	for _, c := range []struct {
		killedAt int // 0 for never
		again    bool
		want     verdict
	}{
		{1, true, verdict{why: "", attempts: 1}},
		{3, true, verdict{why: "", attempts: 3}},
		{4, true, verdict{why: "lives", attempts: 3}},
		{0, true, verdict{why: "lives", attempts: 3}},
		{2, false, verdict{why: "lives", attempts: 1}},
	} {
		got := until(func(attempt int) (string, bool) {
			if attempt == c.killedAt {
				return "", false
			}
			return "lives", c.again
		})
		if got != c.want {
			t.Errorf("killed at %d: %+v, want %+v", c.killedAt, got, c.want)
		}
	}
}

// TestRanFindsTheName: a test that is not there can't hide behind others of its package.
func TestRanFindsTheName(t *testing.T) {
	out := "=== RUN   TestA\n=== RUN   TestB/hybrid/x\n--- PASS: TestA\n"
	for pattern, want := range map[string]bool{
		"TestA": true, "TestA|TestC": true, "TestB/hybrid/x": true, "TestB/hyb.*": true, "TestB/hybrid": true, "TestC": false, "TestB/grr": false, "TestB/hyb": false, "Test": false,
	} {
		if ran(out, pattern) != want {
			t.Errorf("%s: %v", pattern, !want)
		}
	}
}

func TestMutateNeedsOnePlace(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte("a b b"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := mutate(dir, mutant{file: "x.go", old: "a", new: "c"}); err != nil || got != "c b b" {
		t.Errorf("%q, %v", got, err)
	}
	for _, old := range []string{"b", "z"} {
		if _, err := mutate(dir, mutant{file: "x.go", old: old}); err == nil {
			t.Errorf("%q stands once", old)
		}
	}
}
