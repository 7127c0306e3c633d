package inference_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
)

// What is merged in any grouping and order gives what the rows give, also where the spread is a millionth of the level.
func TestMomentsMergeToWhatRowsGive(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	const rows, strata = 4000, 3
	y, x, w, size := make([]float64, rows), make([]float64, rows), make([]float64, rows), make([]float64, rows)
	codes := make([]int32, rows)
	counts := [strata]float64{}
	for k := range rows {
		codes[k] = int32(random.IntN(strata))
		counts[codes[k]]++
		w[k], y[k], x[k] = 1+9*random.Float64(), 1e6+float64(codes[k])+random.NormFloat64(), 2e6+random.NormFloat64()
	}
	for k, h := range codes {
		size[k] = 3 * counts[h]
	}
	d, err := design.New(design.Spec{
		Rows: rows, Weight: w,
		Stages: []design.Stage{{Stratum: &design.Factor{Codes: codes, Levels: []string{"a", "b", "c"}}, Size: size}},
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := inference.New(inference.Study{Design: d})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []inference.Kind{inference.Mean, inference.Total, inference.Ratio} {
		denominator := x
		if kind != inference.Ratio {
			denominator = nil
		}
		want, err := a.Estimate(inference.Statistic{Kind: kind, Y: y, X: denominator}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, parts := range []int{1, 2, 57, 2500} {
			got, err := inference.Stratified{Weighted: true, Strata: scattered(random, parts, codes, w, y, denominator, counts)}.Estimate(kind)
			if err != nil {
				t.Fatal(err)
			}
			for _, pair := range [][2]float64{
				{got.Value, want.Value},
				{got.StdError, want.StdError},
				{got.DesignEffect, want.DesignEffect},
				{got.DesignEffectWR, want.DesignEffectWR},
				{got.DegreesOfFreedom, want.DegreesOfFreedom},
				{got.Low, want.Low},
				{got.High, want.High},
			} {
				// A level of 1e6 costs the deviations of a row six of sixteen digits, in both.
				if math.Abs(pair[0]-pair[1]) > 1e-10*math.Abs(pair[1]) {
					t.Errorf("kind %d in %d parts: %.17g, want %.17g", kind, parts, pair[0], pair[1])
				}
			}
		}
	}
}

// scattered adds the rows to parts at random and merges these in a random order.
func scattered(random *rand.Rand, parts int, codes []int32, w, y, x []float64, counts [3]float64) []inference.Stratum {
	type key struct{ part, stratum int }
	rows := map[key][]int{}
	for k, h := range codes {
		at := key{random.IntN(parts), int(h)}
		rows[at] = append(rows[at], k)
	}
	strata := make([]inference.Stratum, len(counts))
	for h := range strata {
		strata[h].Size = 3 * counts[h]
		for _, part := range random.Perm(parts) {
			var m inference.Moments
			var pw, py, px []float64
			for _, k := range rows[key{part, h}] {
				pw, py = append(pw, w[k]), append(py, y[k])
				if x != nil {
					px = append(px, x[k])
				}
			}
			m.AddRows(pw, py, px)
			strata[h].Moments.Merge(m)
		}
	}
	return strata
}

func TestStratifiedRefuses(t *testing.T) {
	var two, one inference.Moments
	two.AddRows([]float64{1, 1}, []float64{3, 5}, nil)
	one.AddRows([]float64{1}, []float64{3}, nil)
	for name, c := range map[string]struct {
		strata []inference.Stratum
		kind   inference.Kind
		code   design.Code
	}{
		"quantile":  {[]inference.Stratum{{Moments: two}}, inference.Quantile, design.Unsupported},
		"lonely":    {[]inference.Stratum{{Moments: two}, {Moments: one}}, inference.Mean, design.Lonely},
		"few":       {[]inference.Stratum{{Size: 1.5, Moments: two}}, inference.Mean, design.Invalid},
		"nobody":    {[]inference.Stratum{{}}, inference.Mean, design.NoDomain},
		"certainty": {[]inference.Stratum{{Size: 1, Moments: one}}, inference.Mean, design.NoFreedom},
	} {
		if _, err := (inference.Stratified{Strata: c.strata}).Estimate(c.kind); design.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %v", name, err, c.code)
		}
	}
}
