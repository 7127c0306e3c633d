package mechanisms_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// TestDocumentNamesEveryMechanism holds the table of docs/privacy.md against the code: every mechanism stands in it, with a proof, a
// test and a certificate that are there.
func TestDocumentNamesEveryMechanism(t *testing.T) {
	read := func(path string) string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	_, section, _ := strings.Cut(read(filepath.Join("..", "..", "docs", "privacy.md")), "\n## Mechanisms\n")
	section, _, _ = strings.Cut(section, "\n## ")
	row := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|(.*)\\| \\[proof\\]\\(([^)]*)\\) \\| `(Test[A-Za-z]+)` \\| \\[`Certificate`\\]\\(([^)]*)\\) \\|$")
	var got []string
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		name, purpose, proof, test, exact := m[1], m[2], filepath.Join("..", "..", "docs", m[3]), m[4], filepath.Join("..", "..", "docs", m[5])
		got = append(got, name)
		draft := strings.Contains(read(proof), "\nStatus: draft.")
		if draft != strings.Contains(purpose, "draft") {
			t.Errorf("%s: the proof is a draft: %v, the table says otherwise", name, draft)
		}
		if slices.Contains(mechanisms.OptIns(), name) != strings.Contains(purpose, "opt-in") {
			t.Errorf("%s: the table is wrong about an opt-in", name)
		}
		if !strings.Contains(read(exact), "Certificate() (") {
			t.Errorf("%s: no certificate in %s", name, exact)
		}
		tests, err := filepath.Glob(filepath.Join(filepath.Dir(proof), "*_test.go"))
		if err != nil || !slices.ContainsFunc(tests, func(path string) bool { return strings.Contains(read(path), "func "+test+"(") }) {
			t.Errorf("%s: no %s beside the proof", name, test)
		}
	}
	want := slices.Concat(mechanisms.Names(), mechanisms.CategoricalNames(), mechanisms.OptIns(), []string{"memo"})
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the table has %v, want %v", got, want)
	}
}
