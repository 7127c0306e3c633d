package study

import (
	"strings"
	"testing"
)

// thin is the part of the study that runs with every `go test`: the same cells, seeds and numbers as in the whole.
func thin() Config {
	return Config{
		Designs: []string{"stratified, neyman", byHouses, byBrewer},
		Sizes:   []int{100}, Epsilons: []float64{0, 1},
	}
}

// thinCells and thinPromised are how many cells the thin study has, and of how many theory promises something.
const (
	thinCells    = 83
	thinPromised = 76
)

func TestThinStudy(t *testing.T) {
	check(t, thin(), thinCells, thinPromised)
}

// check runs a study, prints its table, and fails where a promise is broken or cells are missing.
func check(t *testing.T, c Config, cells, promised int) []Result {
	t.Helper()
	results, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := Print(&text, results); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	kept := 0
	for _, r := range results {
		if r.Promise.Kind != Nothing {
			kept++
		}
		if broken := r.Broken(); broken != "" {
			t.Errorf("%s, %s, ε = %s, n = %d %s: %.2f %%, %.2f %% refused",
				r.Design, r.Estimator, noiseName(r.Epsilon), r.Size, broken, 100*r.Coverage, 100*r.Refused)
		}
	}
	t.Logf("%d cells, %d of them promised", len(results), kept)
	if len(results) < cells || kept < promised {
		t.Errorf("%d cells and %d promises, where there were %d and %d", len(results), kept, cells, promised)
	}
	return results
}

// Rates that leave the band break a promise, and only a promise.
func TestPromisesCanBreak(t *testing.T) {
	for _, c := range []struct {
		result Result
		want   string
	}{
		{Result{Coverage: 0.95, Promise: Promise{Kind: Nominal}}, ""},
		{Result{Coverage: 0.93, Promise: Promise{Kind: Nominal}}, "covers too little"},
		{Result{Coverage: 0.97, Promise: Promise{Kind: Nominal}}, "covers too much"},
		{Result{Coverage: 0.97, Promise: Promise{Kind: AtLeast}}, ""},
		{Result{Coverage: 0.93, Promise: Promise{Kind: AtLeast}}, "covers too little"},
		{Result{Coverage: 0.94, Refused: 0.01, Promise: Promise{Kind: AtLeast}}, "refuses too often"},
		{Result{Coverage: 0.5}, ""},
	} {
		if got := c.result.Broken(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.result, got, c.want)
		}
	}
}
