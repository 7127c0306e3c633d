package inference_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
	"github.com/quadrat-dev/quadrat/survey/replicate"
)

// stratified returns 1 − π_k π_l/π_kl of a stratified simple random sample.
func stratified(group []int, n, population map[int]float64) func(k, l int) float64 {
	return func(k, l int) float64 {
		g := group[k]
		switch {
		case g != group[l]:
			return 0
		case k == l:
			return 1 - n[g]/population[g]
		}
		return 1 - (n[g]/population[g])*(n[g]/population[g])/(n[g]*(n[g]-1)/(population[g]*(population[g]-1)))
	}
}

// The two-phase variance is ΣΣ (D1 + D2 − D1 D2) u u. R's twophase(method="full") takes wrong stratum sizes when they differ.
func TestTwoPhasesAgainstAllPairs(t *testing.T) {
	tab := readTable(t, testdata+"/fleet/f_strat.csv")
	country, class := tab.factor(t, "country"), tab.factor(t, "class")
	responded := make([]bool, tab.rows)
	for k, x := range tab.number(t, "resp") {
		responded[k] = x == 1
	}
	d := mustDesign(t, design.Spec{
		Rows: tab.rows, Weight: tab.number(t, "w"), Stages: []design.Stage{{Stratum: country, Size: tab.number(t, "N")}},
		Phase2: &design.Phase2{Responded: responded, Class: class},
	})
	group1, group2 := make([]int, tab.rows), make([]int, tab.rows)
	n1, population1, n2, population2 := map[int]float64{}, map[int]float64{}, map[int]float64{}, map[int]float64{}
	sizes := tab.number(t, "N")
	for k := range responded {
		group1[k], group2[k] = int(country.Codes[k]), int(class.Codes[k])
		n1[group1[k]]++
		population1[group1[k]] = sizes[k]
		population2[group2[k]]++
		if responded[k] {
			n2[group2[k]]++
		}
	}
	first, second := stratified(group1, n1, population1), stratified(group2, n2, population2)
	u := make([]float64, tab.rows)
	for k, y := range tab.number(t, "temp") {
		if responded[k] {
			u[k] = d.Weights()[k] * (y - 18)
		}
	}
	want := 0.0
	for k := range u {
		for l := range u {
			if u[k] != 0 && u[l] != 0 {
				a, b := first(k, l), second(k, l)
				want += (a + b - a*b) * u[k] * u[l]
			}
		}
	}
	if got := d.Variance(u); !close(got, want, 1e-10) {
		t.Errorf("variance %.12g, all pairs give %.12g", got, want)
	}
}

// Hartley–Rao and Overton are summed in closed form; the double sums are the oracle.
func TestApproximateJointsAgainstAllPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const rows = 25
	pi, u, sum := make([]float64, rows), make([]float64, rows), 0.0
	for k := range pi {
		pi[k], u[k] = 0.1+0.8*rng.Float64(), rng.NormFloat64()*100
		sum += pi[k]
	}
	n := float64(rows)
	joints := map[design.Method]func(k, l int) float64{
		design.HartleyRao:      func(k, l int) float64 { return 1 - (n-pi[k]-pi[l]+sum/n)/(n-1) },
		design.HartleyRaoYates: func(k, l int) float64 { return 1 - (n-pi[k]-pi[l]+sum/n)/(n-1) },
		design.Overton:         func(k, l int) float64 { return 1 - (n-(pi[k]+pi[l])/2)/(n-1) },
	}
	for method, difference := range joints {
		want := 0.0
		for k := range u {
			for l := range u {
				switch {
				case method == design.HartleyRaoYates:
					if k != l {
						want -= difference(k, l) * (u[k] - u[l]) * (u[k] - u[l]) / 2
					}
				case k == l:
					want += (1 - pi[k]) * u[k] * u[k]
				default:
					want += difference(k, l) * u[k] * u[l]
				}
			}
		}
		d := mustDesign(t, design.Spec{Rows: rows, Pi: pi, Method: method})
		if got := d.Variance(u); !close(got, want, 1e-10) {
			t.Errorf("method %d: %.12g, all pairs give %.12g", method, got, want)
		}
	}
}

// designs are samples of twelve rows, one of each kind whose variance has an exact diagonal.
func designs(t *testing.T) map[string]*design.Design {
	t.Helper()
	strata := design.NewFactor(slices.Concat(slices.Repeat([]string{"a"}, 6), slices.Repeat([]string{"b"}, 6)))
	clusters := design.NewFactor([]string{"1", "1", "2", "2", "3", "3", "4", "4", "5", "5", "6", "6"})
	twenty, four := slices.Repeat([]float64{20}, 12), slices.Repeat([]float64{4}, 12)
	pi := []float64{.1, .2, .3, .4, .5, .6, .7, .8, .9, 1, .35, .45}
	classes := design.NewFactor([]string{"x", "x", "x", "y", "y", "y", "x", "x", "x", "y", "y", "y"})
	responded := []bool{true, true, false, true, false, true, true, true, true, false, true, true}
	sites := design.NewFactor(slices.Concat(slices.Repeat([]string{"p"}, 4), slices.Repeat([]string{"q"}, 4), slices.Repeat([]string{"r"}, 4)))
	specs := map[string]design.Spec{
		"three stages":           {Stages: []design.Stage{{Unit: sites, Size: twenty}, {Unit: clusters, Size: four}, {Size: slices.Repeat([]float64{5}, 12)}}},
		"simple":                 {Stages: []design.Stage{{Size: twenty}}},
		"with replacement":       {},
		"stratified":             {Stages: []design.Stage{{Stratum: strata, Size: twenty}}},
		"clusters":               {Stages: []design.Stage{{Stratum: strata, Unit: clusters, Size: twenty}}},
		"two stages":             {Stages: []design.Stage{{Stratum: strata, Unit: clusters, Size: twenty}, {Size: four}}},
		"second stage with":      {Stages: []design.Stage{{Unit: clusters, Size: twenty}, {}}},
		"poisson":                {Pi: pi, Method: design.Poisson},
		"hansen-hurwitz":         {Pi: pi, Method: design.WithReplacement},
		"hartley-rao":            {Pi: pi, Method: design.HartleyRao},
		"two phases":             {Stages: []design.Stage{{Stratum: strata, Size: twenty}}, Phase2: &design.Phase2{Responded: responded, Class: classes}},
		"two phases of clusters": {Stages: []design.Stage{{Unit: clusters, Size: twenty}, {Size: four}}, Phase2: &design.Phase2{Responded: responded}},
		"two phases of poisson":  {Pi: pi, Method: design.Poisson, Phase2: &design.Phase2{Responded: responded, Class: classes}},
	}
	out := map[string]*design.Design{}
	for name, s := range specs {
		s.Rows = 12
		if name == "second stage with" {
			s.Lonely = design.LonelyAdjust
		}
		out[name] = mustDesign(t, s)
	}
	return out
}

// The design variance of scores with noise e holds Σ c_k a² σ² of it in expectation, where c_k is the coefficient of u_k²: the
// variance of the unit vector. What the privacy part adds must be the rest, 1 − c_k, for every design; then V̂ is unbiased
// for the noise. This is exact, so it needs no simulation.
func TestShareIsWhatTheDesignVarianceLacks(t *testing.T) {
	for name, d := range designs(t) {
		for k := range d.Rows() {
			if d.Weights()[k] == 0 {
				continue
			}
			unit := make([]float64, d.Rows())
			unit[k] = 1
			if got, want := d.Share(k), 1-d.Variance(unit); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s, row %d: share %v, the variance lacks %v", name, k+1, got, want)
			}
		}
	}
}

// The whole pipeline: with noise, mean V̂ over draws of the noise is the variance of exact scores plus Σ a² σ².
func TestNoiseIsCountedOnce(t *testing.T) {
	y := []float64{3, 5, 8, 2, 9, 4, 6, 7, 1, 5, 2, 8}
	noise := slices.Repeat([]float64{4}, 12)
	const draws = 4000
	for name, d := range designs(t) {
		if name == "hartley-rao" || name == "two phases of clusters" {
			continue // their estimates from twelve rows are negative now and then, and refused: what is left is biased
		}
		a := mustStudy(t, inference.Study{Design: d})
		exact, err := a.Estimate(inference.Statistic{Kind: inference.Total, Y: y}, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := exact.StdError * exact.StdError
		for _, w := range d.Weights() {
			want += w * w * 4
		}
		rng := rand.New(rand.NewPCG(5, 6))
		var sum, square float64
		noisy := make([]float64, 12)
		for range draws {
			for k := range y {
				noisy[k] = y[k] + 2*rng.NormFloat64()
			}
			e, err := a.Estimate(inference.Statistic{Kind: inference.Total, Y: noisy, Noise: noise}, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			v := e.StdError * e.StdError
			sum += v
			square += v * v
		}
		mean := sum / draws
		sd := math.Sqrt((square/draws - mean*mean) / draws)
		// 11 designs at a false alarm of 1e-6 in all: |z| < 5.4.
		if math.Abs(mean-want) > 5.4*sd {
			t.Errorf("%s: mean variance %.4f ± %.4f, want %.4f", name, mean, sd, want)
		}
	}
}

// BRR and bootstrap against linearisation: exact for totals of balanced half samples, near for the bootstrap.
func TestHalfSamplesAndBootstrap(t *testing.T) {
	tab := readTable(t, testdata+"/external/nhanes.csv")
	strata, units := tab.factor(t, "SDMVSTRA"), tab.factor(t, "SDMVPSU")
	keep := make([]bool, tab.rows) // strata with two units
	perStratum := map[int32]map[int32]bool{}
	for k := range keep {
		if perStratum[strata.Codes[k]] == nil {
			perStratum[strata.Codes[k]] = map[int32]bool{}
		}
		perStratum[strata.Codes[k]][units.Codes[k]] = true
	}
	var y, w []float64
	var stratum, unit []string
	hichol, weight := tab.number(t, "HI_CHOL"), tab.number(t, "WTMEC2YR")
	for k := range keep {
		if len(perStratum[strata.Codes[k]]) == 2 {
			w = append(w, weight[k])
			stratum, unit = append(stratum, tab.columns["SDMVSTRA"][k]), append(unit, tab.columns["SDMVPSU"][k])
			y = append(y, hichol[k])
		}
		if k == 1500 {
			break
		}
	}
	d := mustDesign(t, design.Spec{Rows: len(y), Weight: w, Stages: []design.Stage{{Stratum: design.NewFactor(stratum), Unit: design.NewFactor(unit)}}})
	total := inference.Statistic{Kind: inference.Total, Y: y}
	study := inference.Study{Design: d, DropMissing: true}
	want := estimate(t, study, total, nil).StdError
	for _, fay := range []float64{0, 0.3} {
		study.Replicates = &replicate.Plan{Kind: replicate.BRR, Fay: fay}
		if got := estimate(t, study, total, nil).StdError; !close(got, want, 1e-9) {
			t.Errorf("brr with factor %v: %.10g, linearised %.10g", fay, got, want)
		}
	}
	study.Replicates = &replicate.Plan{Kind: replicate.Bootstrap, Count: 2000, Seed: 1}
	// The bootstrap's variance has a relative standard error of about √(2/2000) = 0.032 for normal replicates; 5 of them, halved for the root.
	if got := estimate(t, study, total, nil).StdError; !close(got, want, 0.09) {
		t.Errorf("bootstrap %.6g, linearised %.6g", got, want)
	}
	study.Replicates = &replicate.Plan{Kind: replicate.JKn}
	_, err := mustStudy(t, study).Estimate(inference.Statistic{Kind: inference.Quantile, P: .5, Y: y}, nil)
	if design.CodeOf(err) != design.Unsupported {
		t.Errorf("%v, want the jackknife to refuse a quantile", err)
	}
}
