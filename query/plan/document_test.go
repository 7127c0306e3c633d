package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/query/plan"
)

// uses are the mechanisms that docs/privacy.md names, each with what it says they are for.
func uses(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "privacy.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Mechanisms\n")
	section, _, _ = strings.Cut(section, "\n## ")
	out := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(section, -1) {
		out[row[1]] = row[2]
	}
	return out
}

// TestDocumentSaysWhatPlansUse plans every statistic over a grid of ε and numbers of categories: the mechanism that comes out stands in
// the table of docs/privacy.md as one for this statistic, none that is for the library only ever comes out, and all others do.
func TestDocumentSaysWhatPlansUse(t *testing.T) {
	document := uses(t)
	found := map[string]bool{}
	check := func(statistic, word, price string, highest int) {
		t.Helper()
		text := fmt.Sprintf("SELECT %s FROM sense.temperature SAMPLE ALL WINDOW 1h PRIVACY LOCAL EPSILON %s BETWEEN 0 AND %d", statistic, price, highest)
		for _, known := range [][]string{nil, mechanisms.Announced()} {
			options := plan.Options{Ref: "k7f3q2", Revision: 1, Mechanisms: known}
			rev, err := plan.Build(prepared(t, text, nil), fleet("asia", "air", 5000), options)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				return
			}
			for _, s := range rev.GetPlan().GetStatistics() {
				found[s.GetMechanism()] = true
				if use := document[s.GetMechanism()]; !strings.Contains(use, word) || strings.Contains(use, "library") {
					t.Errorf("%s is answered by %s, which the document has for %q", text, s.GetMechanism(), use)
				}
			}
		}
	}
	for _, epsilon := range []string{"0.1", "0.61", "0.62", "1", "4", "8"} {
		price := epsilon + " PER 1h"
		for statistic, word := range map[string]string{
			"mean(temperature)": "means", "total(temperature)": "totals", "ratio(temperature, humidity)": "ratios",
			"proportion(temperature > 3)": "proportions", "count(temperature > 3)": "counts", "median(temperature)": "median",
			"quantile(temperature, 0.9)": "quantile", "distribution(temperature)": "distribution",
		} {
			check(statistic, word, price, 40)
		}
		if epsilon > "0.61" {
			check("variance(temperature)", "variances", price, 40)
		}
		for _, categories := range []int{2, 64, 65, 200, 1024} {
			check("frequency(temperature)", "frequency", price, categories-1)
			check(fmt.Sprintf("histogram(temperature, %d)", categories), "histogram", price, 40)
		}
		check("frequency(temperature)", "PER VALUE", epsilon+" PER VALUE", 7)
	}
	for name, use := range document {
		if strings.Contains(use, "library") == found[name] {
			t.Errorf("%s is for %q, and plans use it: %v", name, use, found[name])
		}
	}
}
