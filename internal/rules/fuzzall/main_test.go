package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestEveryTargetIsCounted finds the targets in the source, so that a new one is counted, and a lost one missed, before any has run.
func TestEveryTargetIsCounted(t *testing.T) {
	found := 0
	root := filepath.Join("..", "..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				found++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found != known {
		t.Errorf("the tests have %d fuzz targets, fuzzall counts on %d", found, known)
	}
}

func TestTargetsOf(t *testing.T) {
	found, count := targetsOf("FuzzA\nFuzzB\nok  \texample.org/x\t0.1s\n?   \texample.org/y\t[no test files]\nok  \texample.org/z\t0.1s\nFuzzC\nok  \texample.org/w\t0.1s\n")
	want := []fuzzed{{"example.org/x", []string{"FuzzA", "FuzzB"}}, {"example.org/w", []string{"FuzzC"}}}
	if count != 3 || !reflect.DeepEqual(found, want) {
		t.Errorf("%d, %v", count, found)
	}
}
