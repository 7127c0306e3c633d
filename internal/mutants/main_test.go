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
		{"# pkg\nx.go:1: undefined\nFAIL pkg [build failed]", failed, false},
		{"panic: test timed out after 2m\n--- FAIL: TestX", failed, false},
		{"signal: killed", failed, false},
		{"", errors.New("go: not found"), false},
	} {
		if got := verdict(c.out, c.err, mutant{}); (got == "") != c.killed {
			t.Errorf("%q: %q", c.out, got)
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
