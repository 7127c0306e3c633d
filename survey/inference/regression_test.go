package inference_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/survey/calibrate"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
	"github.com/quadrat-dev/quadrat/survey/interval"
	"github.com/quadrat-dev/quadrat/survey/replicate"
)

// Each test of this file is a defect that another survey library had, or has.

func apistrat(t *testing.T) (table, design.Spec) {
	t.Helper()
	tab := readTable(t, testdata+"/external/apistrat.csv")
	return tab, design.Spec{Rows: tab.rows, Weight: tab.number(t, "pw"), Stages: []design.Stage{
		{Stratum: tab.factor(t, "stype"), Size: tab.number(t, "fpc")},
	}}
}

func apiclus1(t *testing.T) (table, design.Spec) {
	t.Helper()
	tab := readTable(t, testdata+"/external/apiclus1.csv")
	return tab, design.Spec{Rows: tab.rows, Stages: []design.Stage{{Unit: tab.factor(t, "dnum"), Size: tab.number(t, "fpc")}}}
}

func estimate(t *testing.T, s inference.Study, q inference.Statistic, in []bool) inference.Estimate {
	t.Helper()
	e, err := mustStudy(t, s).Estimate(q, in)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// svy counted the degrees of freedom of a group on the whole design.
func TestDomainFreedomCountsTheDomain(t *testing.T) {
	tab, spec := apistrat(t)
	in := tab.where(t, "stype=='H'")
	d := mustDesign(t, spec)
	q := inference.Statistic{Kind: inference.Mean, Y: tab.number(t, "api00")}
	if e := estimate(t, inference.Study{Design: d, DomainFreedom: true}, q, in); e.DegreesOfFreedom != 49 {
		t.Errorf("%v degrees of freedom of a stratum of 50 rows, want 49", e.DegreesOfFreedom)
	}
	if e := estimate(t, inference.Study{Design: d}, q, in); e.DegreesOfFreedom != 197 {
		t.Errorf("%v degrees of freedom of the design, want 197", e.DegreesOfFreedom)
	}
}

// svy printed intervals with no or negative degrees of freedom.
func TestNoIntervalWithoutFreedom(t *testing.T) {
	d := mustDesign(t, design.Spec{Rows: 2, Weight: []float64{2, 2}, Lonely: design.LonelyCertainty, Stages: []design.Stage{
		{Stratum: design.NewFactor([]string{"a", "b"})},
	}})
	_, err := mustStudy(t, inference.Study{Design: d}).Estimate(inference.Statistic{Kind: inference.Mean, Y: []float64{1, 2}}, nil)
	if design.CodeOf(err) != design.NoFreedom {
		t.Errorf("%v, want no degrees of freedom", err)
	}
}

// svy scaled the stratified jackknife wrongly. For a total the jackknife is the linearised variance, exactly.
func TestJackknifeOfATotalIsExact(t *testing.T) {
	tab, spec := apistrat(t)
	d := mustDesign(t, spec)
	q := inference.Statistic{Kind: inference.Total, Y: tab.number(t, "enroll")}
	want := estimate(t, inference.Study{Design: d}, q, nil).StdError
	got := estimate(t, inference.Study{Design: d, Replicates: &replicate.Plan{Kind: replicate.JKn}}, q, nil).StdError
	if !close(got, want, 1e-12) {
		t.Errorf("jackknife %.15g, linearised %.15g", got, want)
	}
}

// svy grouped second-stage populations by the cluster's label alone, though labels come again in other strata.
func TestSameLabelInTwoStrataIsTwoClusters(t *testing.T) {
	y := []float64{3, 5, 8, 2, 9, 4, 6, 7, 1, 5, 2, 8}
	strata := slices.Concat(slices.Repeat([]string{"a"}, 6), slices.Repeat([]string{"b"}, 6))
	labels := []string{"1", "1", "2", "2", "3", "3", "1", "1", "2", "2", "3", "3"}
	second := []float64{4, 4, 6, 6, 9, 9, 20, 20, 5, 5, 3, 3}
	unique := make([]string, len(labels))
	for i := range unique {
		unique[i] = strata[i] + labels[i]
	}
	var v [2]float64
	for i, clusters := range [][]string{labels, unique} {
		d := mustDesign(t, design.Spec{Rows: 12, Stages: []design.Stage{
			{Stratum: design.NewFactor(strata), Unit: design.NewFactor(clusters), Size: slices.Repeat([]float64{10}, 12)}, {Size: second},
		}})
		v[i] = estimate(t, inference.Study{Design: d}, inference.Statistic{Kind: inference.Total, Y: y}, nil).StdError
	}
	if v[0] != v[1] {
		t.Errorf("standard error %v with repeated labels, %v with unique ones", v[0], v[1])
	}
}

// svy dropped rows with missing values where it should have put them outside the domain.
func TestMissingIsADomainNotADeletion(t *testing.T) {
	tab, spec := apiclus1(t)
	y := tab.number(t, "acs.k3")
	d := mustDesign(t, spec)
	present := make([]bool, len(y))
	filled := slices.Clone(y)
	for k, x := range y {
		present[k] = !math.IsNaN(x)
		if !present[k] {
			filled[k] = 1e6 // must not matter
		}
	}
	dropped := estimate(t, inference.Study{Design: d, DropMissing: true}, inference.Statistic{Kind: inference.Mean, Y: y}, nil)
	domain := estimate(t, inference.Study{Design: d}, inference.Statistic{Kind: inference.Mean, Y: filled}, present)
	if dropped.StdError != domain.StdError || dropped.Value != domain.Value {
		t.Errorf("missing %v ± %v, domain %v ± %v", dropped.Value, dropped.StdError, domain.Value, domain.StdError)
	}
	_, err := mustStudy(t, inference.Study{Design: d}).Estimate(inference.Statistic{Kind: inference.Mean, Y: y}, nil)
	if design.CodeOf(err) != design.Missing {
		t.Errorf("%v, want the missing value to be an error by default", err)
	}
}

// svy counted rows without a weight in the baseline of the design effect.
func TestDesignEffectLeavesOutRowsWithoutWeight(t *testing.T) {
	y, w := []float64{3, 5, 8, 2, 9}, []float64{4, 2, 3, 5, 6}
	d := mustDesign(t, design.Spec{Rows: 5, Weight: w})
	for _, kind := range []inference.Kind{inference.Mean, inference.Total} {
		e := estimate(t, inference.Study{Design: d}, inference.Statistic{Kind: kind, Y: y}, nil)
		v := e.StdError * e.StdError
		padded := mustDesign(t, design.Spec{Rows: 8, Weight: append(slices.Clone(w), 0, 0, 0)})
		p := estimate(t, inference.Study{Design: padded}, inference.Statistic{Kind: kind, Y: append(slices.Clone(y), 100, 200, 300)}, nil)
		pv := p.StdError * p.StdError
		if simple, want := pv/p.DesignEffect, v/e.DesignEffect; !close(simple, want, 1e-12) {
			t.Errorf("kind %d: the simple sample's variance is %v with rows of no weight, %v without", kind, simple, want)
		}
		if e.DegreesOfFreedom != p.DegreesOfFreedom {
			t.Errorf("rows without a weight bring degrees of freedom: %v, %v", p.DegreesOfFreedom, e.DegreesOfFreedom)
		}
	}
}

// svy's variance depended on the order in which a hash set gave the clusters.
func TestOrderOfRowsDoesNotMatter(t *testing.T) {
	tab, spec := apiclus1(t)
	q := inference.Statistic{Kind: inference.Mean, Y: tab.number(t, "api00")}
	want := estimate(t, inference.Study{Design: mustDesign(t, spec)}, q, nil)
	order := rand.New(rand.NewPCG(1, 2)).Perm(tab.rows)
	for name, texts := range tab.columns {
		mixed := make([]string, tab.rows)
		for i, from := range order {
			mixed[i] = texts[from]
		}
		tab.columns[name] = mixed
	}
	spec.Stages = []design.Stage{{Unit: tab.factor(t, "dnum"), Size: tab.number(t, "fpc")}}
	got := estimate(t, inference.Study{Design: mustDesign(t, spec)}, inference.Statistic{Kind: inference.Mean, Y: tab.number(t, "api00")}, nil)
	if !close(got.StdError, want.StdError, 1e-12) || !close(got.Value, want.Value, 1e-13) {
		t.Errorf("%v ± %v in another order, %v ± %v before", got.Value, got.StdError, want.Value, want.StdError)
	}
	again := estimate(t, inference.Study{Design: mustDesign(t, spec)}, inference.Statistic{Kind: inference.Mean, Y: tab.number(t, "api00")}, nil)
	if again.StdError != got.StdError {
		t.Errorf("twice the same gives %v and %v", got.StdError, again.StdError)
	}
}

// svy took z for the intervals of tabulated counts.
func TestCountsHaveTIntervals(t *testing.T) {
	tab, spec := apiclus1(t)
	e := estimate(t, inference.Study{Design: mustDesign(t, spec)}, inference.Statistic{Kind: inference.Total, Y: bits(tab.where(t, "stype=='H'"))}, nil)
	if want := e.Value + interval.TQuantile(0.95, 14)*e.StdError; !close(e.High, want, 1e-12) {
		t.Errorf("high %v, want %v", e.High, want)
	}
}

// svy's Woodruff score wasn't centred: its interval then depends on how much weight lies in the clusters.
func TestWoodruffScoreIsCentred(t *testing.T) {
	tab, spec := apistrat(t)
	a := mustStudy(t, inference.Study{Design: mustDesign(t, spec)})
	y := tab.number(t, "api00")
	q, err := a.Estimate(inference.Statistic{Kind: inference.Quantile, P: 0.5, Y: y}, nil)
	if err != nil {
		t.Fatal(err)
	}
	below := make([]float64, len(y))
	for k := range y {
		if y[k] <= q.Value {
			below[k] = 1
		}
	}
	p, err := a.Estimate(inference.Statistic{Kind: inference.Mean, Y: below}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The ends are those values at which the distribution function passes the ends of the share's interval.
	for _, end := range [][2]float64{{q.Low, p.Low}, {q.High, p.High}} {
		var upTo, before float64
		for k, w := range a.Weights() {
			if y[k] <= end[0] {
				upTo += w / 6194
			}
			if y[k] < end[0] {
				before += w / 6194
			}
		}
		if upTo < end[1]-1e-3 || before >= end[1]+1e-3 {
			t.Errorf("F is %v before and %v at an end that should stand at %v", before, upTo, end[1])
		}
	}
}

// svy left strata with one unit out of the variance without a word, and its skip() removed their rows.
func TestLonelyUnits(t *testing.T) {
	spec := design.Spec{Rows: 7, Weight: []float64{2, 2, 2, 3, 3, 3, 5}, Stages: []design.Stage{
		{Stratum: design.NewFactor([]string{"a", "a", "a", "b", "b", "b", "c"})},
	}}
	_, err := design.New(spec)
	if design.CodeOf(err) != design.Lonely {
		t.Fatalf("%v, want the lonely unit to be an error", err)
	}
	y := []float64{1, 4, 7, 2, 5, 5, 9}
	// a: u = 2, 8, 14, 3/2·72 = 108; b: u = 6, 15, 15, 3/2·54 = 81; c: u = 45, the mean of all u is 15: 900.
	for rule, want := range map[design.LonelyRule]float64{
		design.LonelyCertainty: 189, design.LonelyAverage: 189 * 1.5, design.LonelyAdjust: 189 + 900,
	} {
		spec.Lonely = rule
		e := estimate(t, inference.Study{Design: mustDesign(t, spec)}, inference.Statistic{Kind: inference.Total, Y: y}, nil)
		if e.Value != 105 || !close(e.StdError*e.StdError, want, 1e-12) {
			t.Errorf("rule %d: %v with variance %v, want 105 with %v", rule, e.Value, e.StdError*e.StdError, want)
		}
	}
}

// R's rake takes unweighted means of residuals in the margins: 115,902 where 114,503 is right.
func TestRakingResidualsAreWeighted(t *testing.T) {
	tab, spec := apistrat(t)
	var c calibrate.Spec
	c.Function = calibrate.Raking
	for _, m := range []struct {
		name   string
		totals map[string]float64
	}{{"stype", map[string]float64{"E": 4421, "H": 755, "M": 1018}}, {"sch.wide", map[string]float64{"No": 1072, "Yes": 5122}}} {
		f := tab.factor(t, m.name)
		columns, err := calibrate.Margin(m.name, f.Codes, f.Levels, m.totals)
		if err != nil {
			t.Fatal(err)
		}
		c.Columns = append(c.Columns, columns...)
	}
	e := estimate(t, inference.Study{Design: mustDesign(t, spec), Calibration: &c}, inference.Statistic{Kind: inference.Total, Y: tab.number(t, "enroll")}, nil)
	if math.Round(e.StdError) != 114503 {
		t.Errorf("standard error %.1f, want 114503", e.StdError)
	}
}

// R's svyquantile compares sums of floats at exact ties and gives the next value, 482.
func TestQuantileAtATie(t *testing.T) {
	tab := readTable(t, testdata+"/external/apisrs.csv")
	d := mustDesign(t, design.Spec{Rows: tab.rows, Stages: []design.Stage{{Size: tab.number(t, "fpc")}}})
	q := inference.Statistic{Kind: inference.Quantile, P: 0.1, Y: tab.number(t, "api00")}
	if e := estimate(t, inference.Study{Design: d}, q, nil); e.Value != 479 {
		t.Errorf("%v, want the 20th of 200 values, 479", e.Value)
	}
}

// A mean of 0 that isn't a share of bits must not get the interval of rows that all agree.
func TestMeanOfZeroIsNoProportion(t *testing.T) {
	d := mustDesign(t, design.Spec{Rows: 4})
	q := inference.Statistic{Kind: inference.Mean, Y: []float64{-1, 1, -1, 1}}
	for _, m := range []interval.Method{interval.Wilson, interval.Logit, interval.Asin, interval.Beta} {
		e, err := mustStudy(t, inference.Study{Design: d, Interval: m}).Estimate(q, nil)
		if design.CodeOf(err) != design.Unsupported {
			t.Errorf("%v: [%v, %v], %v", m, e.Low, e.High, err)
		}
	}
}

// R's svyciprop and others print NaN where all rows agree.
func TestDegenerateProportion(t *testing.T) {
	d := mustDesign(t, design.Spec{Rows: 200})
	for _, m := range []interval.Method{interval.Wilson, interval.Logit, interval.Asin, interval.Beta} {
		for _, share := range []float64{0, 1} {
			e := estimate(t, inference.Study{Design: d, Interval: m}, inference.Statistic{Kind: inference.Proportion, Y: slices.Repeat([]float64{share}, 200)}, nil)
			outer := 0.0182753403551362
			if m == interval.Wilson { // t²/(n + t²) with 199 degrees of freedom
				outer = 0.01907224029136692
			}
			if share == 1 {
				outer = 1 - outer
			}
			low, high := min(share, outer), max(share, outer)
			if math.Abs(e.Low-low) > 1e-9 || math.Abs(e.High-high) > 1e-9 || len(e.Warnings) == 0 {
				t.Errorf("%v at %v: [%v, %v], want [%v, %v] and a warning", m, share, e.Low, e.High, low, high)
			}
		}
	}
}
