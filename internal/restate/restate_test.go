package restate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/restate"
	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/coordinate"
)

const confidence = 0.95

func window(t *testing.T, a restate.Asked, rows ...restate.Row) *restate.Window {
	t.Helper()
	w, err := restate.NewWindow(a, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		r.Inside = true
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// same tells whether two estimates are one to rounding.
func same(a, b survey.Estimate) bool {
	for _, pair := range [][2]float64{
		{a.Value, b.Value},
		{a.StdError, b.StdError},
		{a.Low, b.Low},
		{a.High, b.High},
		{a.VarianceSampling, b.VarianceSampling},
		{a.VariancePrivacy, b.VariancePrivacy},
		{a.DegreesOfFreedom, b.DegreesOfFreedom},
	} {
		if !(math.Abs(pair[0]-pair[1]) <= 1e-12*max(1, math.Abs(pair[1]))) {
			return false
		}
	}
	return true
}

// Rows of devices become the strata that survey.Mean takes, and those of other cells keep their place in the design.
func TestCellsKeepTheirPlace(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var rows []restate.Row
	whole, north := make([]survey.Sample, 2), make([]survey.Sample, 2)
	for h := range whole {
		name := fmt.Sprintf("s%d", h)
		s := survey.Sample{Stratum: name, Population: int64(60 + 40*h), Panel: 20, Responses: 20}
		whole[h], north[h] = s, s
		for i := range 20 {
			r := restate.Row{Device: fmt.Sprint(h, i), Stratum: name, Cell: `{"x":"south"}`, Population: s.Population, Score: random.NormFloat64(), Noise: 2}
			if i%3 == 0 {
				r.Cell = `{"x":"north"}`
				north[h].Domain.Add(r.Score, r.Noise)
			}
			whole[h].Domain.Add(r.Score, r.Noise)
			rows = append(rows, r)
		}
	}
	w := window(t, restate.Asked{Kind: "mean", Mechanism: "hybrid"}, rows...)
	for domain, strata := range map[string][]survey.Sample{restate.AllCells: whole, `{"x":"north"}`: north} {
		want, err := survey.Mean(strata, confidence)
		got := w.Answers(domain, confidence)
		if err != nil || len(got) != 1 || got[0].Err != nil || !same(got[0].Estimate, want) {
			t.Errorf("%s: %+v, want %+v, %v", domain, got, want, err)
		}
	}
	if cells := w.Cells(); len(cells) != 2 || cells[0] != `{"x":"north"}` {
		t.Errorf("cells %v", cells)
	}
}

// A gateway's counts stand for its units, with the noise of a count once, beside sets of devices that are clusters of their own.
func TestCountsOfGatewaysStandForTheirUnits(t *testing.T) {
	how := survey.Subset{Categories: 3, Size: 1, Include: 0.8}
	sample := survey.ClusterSample{Stratum: "(all)", Population: 100, Clusters: 40}
	var rows []restate.Row
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 10 {
		row := restate.Row{Device: fmt.Sprint("d", i), Stratum: "(all)", Cell: "{}", Population: 100, Clusters: 40}
		c := survey.Cluster{Size: 1, Responses: 1}
		if i%2 == 0 {
			c, row.ClusterSize, row.Cluster, row.Units, row.Noise = survey.Cluster{Size: 4, Responses: 3, Pooled: true}, 4, fmt.Sprint("g", i), 3, 2.5
			counts := []int64{random.Int64N(5) - 1, random.Int64N(4), random.Int64N(3)}
			row.Counts = strings.ReplaceAll(fmt.Sprint(counts), " ", ",")
			r := survey.Released{Units: 3, Counts: []float64{float64(counts[0]), float64(counts[1]), float64(counts[2])}, Noise: 2.5}
			c.Domain = r.Bin(1)
		} else {
			row.ClusterSize, row.Cluster, row.Said = 1, "(missing)", 1<<random.IntN(3)
			var s survey.Support
			s.Add(row.Said, 3, false)
			c.Domain = s.Bin(how.Pure(), 1)
		}
		rows, sample.Due = append(rows, row), append(sample.Due, c)
	}
	w := window(t, restate.Asked{Kind: "histogram", Low: 0, High: 3, Mechanism: "subset", Epsilon: 1, Categories: 3, Size: 1, Include: 0.8}, rows...)
	want, err := survey.ClusterShare([]survey.ClusterSample{sample}, how.Pure(), confidence)
	got := w.Answers(restate.AllCells, confidence)
	if err != nil || len(got) != 3 || got[1].Err != nil || !same(got[1].Estimate, want) {
		t.Errorf("%+v, want %+v, %v", got, want, err)
	}
	if got[1].Bin.Low != 1 || got[1].Bin.High != 2 || got[1].Bin.Consistent == nil {
		t.Errorf("category %+v", got[1].Bin)
	}
}

// A gateway's sum stands in its row as the mean of its units, with the noise of that mean.
func TestSumsOfGatewaysStandForTheirUnits(t *testing.T) {
	sample := survey.ClusterSample{Stratum: "(all)", Population: 60, Clusters: 20}
	var rows []restate.Row
	for i := range 6 {
		units, sum, noise := int64(1+i%3), float64(20+7*i), 4.5
		n := float64(units)
		rows = append(rows, restate.Row{
			Device: fmt.Sprint("d", i), Stratum: "(all)", Cell: "{}", Population: 60, Clusters: 20, ClusterSize: 3, Cluster: fmt.Sprint("g", i),
			Units: units, Score: sum / n, Noise: noise / (n * n),
		})
		sample.Due = append(sample.Due, survey.Cluster{Size: 3, Responses: units, Pooled: true, Domain: survey.Sum(units, sum, noise)})
	}
	w := window(t, restate.Asked{Kind: "total"}, rows...)
	want, err := survey.ClusterTotal([]survey.ClusterSample{sample}, confidence)
	if got := w.Answers(restate.AllCells, confidence); err != nil || got[0].Err != nil || !same(got[0].Estimate, want) {
		t.Errorf("%+v, want %+v, %v", got, want, err)
	}
}

// Only who answered in both windows, in the same stratum and cell, is matched.
func TestChangeMatchesDevices(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	before, now := survey.Sample{Stratum: "s", Population: 50}, survey.Sample{Stratum: "s", Population: 50}
	var both coordinate.Overlap
	var first, second []restate.Row
	for i := range 30 {
		level := random.NormFloat64()
		a := restate.Row{Device: fmt.Sprint(i), Stratum: "s", Cell: "{}", Population: 50, Score: level + 0.1*random.NormFloat64(), Noise: 0.01}
		b := a
		b.Score = level + 1 + 0.1*random.NormFloat64()
		if i == 7 {
			b.Cell = `{"x":"elsewhere"}`
		}
		if i%5 != 0 {
			first = append(first, a)
			before.Domain.Add(a.Score, a.Noise)
		}
		if i%4 != 0 {
			second = append(second, b)
			now.Domain.Add(b.Score, b.Noise)
		}
		if i%5 != 0 && i%4 != 0 && i != 7 {
			both.Common++
			both.Domain.Add(a.Score, b.Score)
		}
	}
	for _, s := range []*survey.Sample{&before, &now} {
		s.Panel, s.Responses = s.Domain.Count, s.Domain.Count
	}
	want, err := coordinate.Between(coordinate.Mean, []survey.Sample{before}, []survey.Sample{now}, []coordinate.Overlap{both}, confidence)
	if err != nil {
		t.Fatal(err)
	}
	asked := restate.Asked{Kind: "mean", Mechanism: "hybrid"}
	got, err := restate.Change(window(t, asked, first...), window(t, asked, second...), restate.AllCells, confidence)
	if err != nil || math.Abs(got.StdError-want.StdError) > 1e-12 || math.Abs(got.Value-want.Value) > 1e-12 || got.Common != want.Common {
		t.Errorf("%+v, want %+v, %v", got, want, err)
	}
	if _, err := restate.Change(window(t, restate.Asked{Kind: "variance"}), window(t, restate.Asked{Kind: "variance"}), restate.AllCells, confidence); err == nil {
		t.Error("a variance has a change")
	}
}

// Without noise the shape of a distribution and the shares of codes are the weighted shares themselves.
func TestSharesWithoutNoise(t *testing.T) {
	for _, kind := range []string{"histogram", "distribution"} {
		var rows []restate.Row
		for i := range 40 {
			row := restate.Row{Device: fmt.Sprint(i), Stratum: "a", Cell: "{}", Population: 100, Said: uint64(i % 4)}
			if i >= 20 {
				row.Stratum, row.Population, row.Said = "b", 300, 69
			}
			rows = append(rows, row)
		}
		w := window(t, restate.Asked{Kind: kind, Low: 0, High: 35, Mechanism: "none", Categories: 70, Include: 1}, rows...)
		got := w.Answers(restate.AllCells, confidence)
		for v, want := range map[int]float64{0: 0.0625, 3: 0.0625, 4: 0, 69: 0.75} {
			if a := got[v]; a.Err != nil || a.Shape != (kind == "distribution") || a.Bin.Consistent == nil || math.Abs(*a.Bin.Consistent-want) > 1e-12 ||
				!a.Shape && math.Abs(a.Estimate.Value-want) > 1e-12 {
				t.Errorf("%s, category %d: %+v, want %v", kind, v, a, want)
			}
		}
	}
}

func TestNamed(t *testing.T) {
	for name, want := range map[string]struct {
		kind  string
		share float64
	}{
		"mean(temperature)": {"mean", 0}, "proportion(max(t) > 26)": {"proportion", 0}, "quantile(max(t), 0.9)": {"quantile", 0.9},
		"median(t)": {"quantile", 0.5}, "ratio(a, b) numerator": {"ratio", 0}, "distribution(t, 12)": {"distribution", 0},
	} {
		if kind, share, ok := restate.Named(name); !ok || kind != want.kind || share != want.share {
			t.Errorf("%s: %s, %v, %v", name, kind, share, ok)
		}
	}
	for _, name := range []string{"warmth", "max(t)", "quantile(t)", "quantile(t, 2)", ""} {
		if kind, _, ok := restate.Named(name); ok {
			t.Errorf("%s is a %s", name, kind)
		}
	}
}

// Rows that no export has are refused by what is wrong with them.
func TestRefusesRows(t *testing.T) {
	good := restate.Row{Device: "d", Stratum: "s", Cell: "{}", Population: 10}
	bins := restate.Asked{Kind: "histogram", Low: 0, High: 4, Mechanism: "subset", Categories: 4, Size: 2, Include: 0.9}
	for want, c := range map[string]struct {
		asked restate.Asked
		spoil func(*restate.Row)
	}{
		"a size of the frame is missing":       {restate.Asked{Kind: "mean"}, func(r *restate.Row) { r.Population = 0 }},
		"a size of the frame is missing, or":   {restate.Asked{Kind: "mean"}, func(r *restate.Row) { r.Cluster = "c" }},
		`stratum "s" has two sizes`:            {restate.Asked{Kind: "mean"}, func(r *restate.Row) { r.Population = 11 }},
		"a score or its noise is missing":      {restate.Asked{Kind: "mean"}, func(r *restate.Row) { r.Score = math.NaN() }},
		"an answer that no device sends":       {bins, func(r *restate.Row) { r.Said = 1 }},
		"an answer that no device sends ":      {bins, func(r *restate.Row) { r.Said = 1<<60 | 1 }},
		"a gateway's counts are missing":       {bins, func(r *restate.Row) { r.Units = 3 }},
		"a gateway's counts are no JSON array": {bins, func(r *restate.Row) { r.Units, r.Counts = 3, "[1,2]" }},
	} {
		w, err := restate.NewWindow(c.asked, false)
		if err != nil {
			t.Fatal(err)
		}
		first := good
		first.Said = 0b11
		if err := w.Add(first); err != nil {
			t.Fatal(err)
		}
		row := good
		c.spoil(&row)
		if err := w.Add(row); err == nil || !strings.Contains(err.Error()+" ", want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for want, a := range map[string]restate.Asked{
		"don't go together":                        {Kind: "histogram", Categories: 4, Size: 1, Include: 1},
		"the share of a quantile is not known":     {Kind: "quantile", High: 1, Categories: 4, Size: 1, Include: 1},
		`mechanism "rumour"`:                       {Kind: "variance", High: 1, Mechanism: "rumour", Epsilon: 1},
		`mechanism "duchi" tells nothing of a var`: {Kind: "variance", High: 1, Mechanism: "duchi", Epsilon: 1},
	} {
		if _, err := restate.NewWindow(a, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
