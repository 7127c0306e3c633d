//go:build study

package study

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/coverage.md anew")

// allCells and allPromised are how many cells the whole study has, and of how many theory promises something.
const (
	allCells    = 1383
	allPromised = 1043
)

// The whole study, and the page of the docs that lists what isn't promised with the coverage that was measured here.
func TestStudy(t *testing.T) {
	results := check(t, Config{}, allCells, allPromised)
	page := filepath.Join("..", "..", "docs", "coverage.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var tables strings.Builder
	if err := Unpromised(&tables, results); err != nil {
		t.Fatal(err)
	}
	head, old, _ := strings.Cut(string(text), "## Not promised")
	if want := tables.String(); "## Not promised"+old != want {
		if !*update {
			t.Fatal("docs/coverage.md doesn't list what was measured; go test -tags study ./internal/study -update writes it")
		}
		if err := os.WriteFile(page, []byte(head+want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
