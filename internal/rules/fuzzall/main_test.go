package main

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryTargetIsCounted finds the targets in the source, so that a new one is counted, and a lost one missed, before any has run: those
// of all files, whatever they are built for, and those that are run.
func TestEveryTargetIsCounted(t *testing.T) {
	found := 0
	root := filepath.Join("..", "..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		names, err := targetsOf(path)
		found += len(names)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found != known {
		t.Errorf("the tests have %d fuzz targets, fuzzall counts on %d", found, known)
	}
	t.Chdir(root)
	listed, err := list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range listed {
		found -= len(p.targets)
	}
	if found != 0 {
		t.Errorf("%d fuzz targets are in files that aren't built", found)
	}
}

// TestProgress: a search that did not happen, or without a guide, is none that passed.
func TestProgress(t *testing.T) {
	for _, c := range []struct {
		out, came string
		guided    bool
	}{
		{"fuzz: elapsed: 0s, execs: 12 (0/sec)\nfuzz: elapsed: 3s, execs: 90 (26/sec), new interesting: 1 (total: 2)\nPASS\n", "3s, execs: 90 (26/sec), new interesting: 1 (total: 2)", true},
		{"testing: warning: no fuzz tests to fuzz\nPASS\n", "", true},
		{"fuzz: elapsed: 0s, gathering baseline coverage: 0/4 completed\nPASS\n", "", true},
		{"warning: the test binary was not built with coverage instrumentation, so fuzzing will run without coverage guidance\nfuzz: elapsed: 3s, execs: 9 (3/sec)\n", "3s, execs: 9 (3/sec)", false},
	} {
		if came, guided := progress(c.out); came != c.came || guided != c.guided {
			t.Errorf("%q: %q, guided %v", c.out, came, guided)
		}
	}
}
