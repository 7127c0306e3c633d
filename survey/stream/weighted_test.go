package stream

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"

	"github.com/quadrat-dev/quadrat/survey"
)

// weighted is what Priority and VarOpt share.
type weighted interface {
	Add(item int, weight float64) error
	Sum(match func(int) bool) (total, variance float64)
	Sample() []Weighted[int]
	Threshold() float64
}

func must[T any](t interface{ Fatal(args ...any) }, x T, err error) T {
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// heavy are 60 weights with a long tail.
func heavy() []float64 {
	r := rand.New(rand.NewPCG(9, 9))
	out := make([]float64, 60)
	for i := range out {
		out[i] = math.Exp(1.5 * r.NormFloat64())
	}
	return out
}

// result is what many samples say of one subset.
type result struct{ mean, variance, estimate float64 }

// study draws many samples of the weights and returns what they say of the subset.
func study(t *testing.T, runs int, draw func() weighted, subset func(int) bool, truth float64) result {
	t.Helper()
	var out result
	for range runs {
		total, variance := draw().Sum(subset)
		out.mean += total / float64(runs)
		out.variance += (total - truth) * (total - truth) / float64(runs)
		out.estimate += variance / float64(runs)
	}
	return out
}

// Sums over subsets have no bias, priority's variance estimate neither; VarOpt's variance is smaller, its estimate on the
// safe side. Merged samples keep all of this.
func TestSubsetSums(t *testing.T) {
	const size, runs = 15, 20_000
	weights := heavy()
	src := rand.NewPCG(10, 10)
	fill := func(s weighted, from, to int) {
		for i := from; i < to; i++ {
			if err := s.Add(i, weights[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	priority := func(from, to int) *Priority[int] {
		p, err := NewPriority[int](src, size)
		fill(must(t, p, err), from, to)
		return p
	}
	varopt := func(from, to int) *VarOpt[int] {
		v, err := NewVarOpt[int](src, size)
		fill(must(t, v, err), from, to)
		return v
	}
	kinds := []struct {
		name string
		draw func() weighted
	}{
		{"priority", func() weighted { return priority(0, 60) }},
		{"priority, merged", func() weighted {
			p := priority(0, 10)
			if err := p.Merge(priority(10, 60)); err != nil {
				t.Fatal(err)
			}
			return p
		}},
		{"VarOpt", func() weighted { return varopt(0, 60) }},
		{"VarOpt, merged", func() weighted {
			v := varopt(0, 35)
			if err := v.Merge(varopt(35, 60)); err != nil {
				t.Fatal(err)
			}
			return v
		}},
	}
	z := distuv.UnitNormal.Quantile(1 - falseAlarm/2/16)
	for name, subset := range map[string]func(int) bool{
		"all": nil, "even": func(i int) bool { return i%2 == 0 }, "a sixth": func(i int) bool { return i%6 == 1 },
		"one": func(i int) bool { return i == 3 },
	} {
		truth := 0.0
		for i, w := range weights {
			if subset == nil || subset(i) {
				truth += w
			}
		}
		var of []result
		for _, k := range kinds {
			r := study(t, runs, k.draw, subset, truth)
			of = append(of, r)
			if math.Abs(r.mean-truth) > z*math.Sqrt(r.variance/runs)+1e-9*truth {
				t.Errorf("%s, %s: %g, want %g", name, k.name, r.mean, truth)
			}
		}
		t.Logf("%s: variances %.4g %.4g %.4g %.4g, estimates %.4g %.4g %.4g %.4g", name, of[0].variance, of[1].variance, of[2].variance,
			of[3].variance, of[0].estimate, of[1].estimate, of[2].estimate, of[3].estimate)
		// Squares of estimates with a tail: the variance of 20,000 is known to 5 % at 1e-6 but for the single item (20 %).
		slack := 0.08
		if name == "one" {
			slack = 0.3
		}
		for i := range 2 {
			if math.Abs(of[i].estimate/of[i].variance-1) > slack {
				t.Errorf("%s, %s: variance %g, estimate %g", name, kinds[i].name, of[i].variance, of[i].estimate)
			}
			if of[2+i].estimate < of[2+i].variance*(1-slack) || of[2+i].variance > of[i].variance*(1+slack) {
				t.Errorf("%s, %s: variance %g, estimate %g, priority's %g", name, kinds[2+i].name, of[2+i].variance, of[2+i].estimate, of[i].variance)
			}
		}
	}
}

// At every moment a sample of k has k items at most, no adjusted weight is below the weight or the threshold, and VarOpt's
// total is exact.
func TestWeightedSamplesKeepTheirLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(t, "size")
		src := rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)
		weight := rapid.OneOf(rapid.Just(0.0), rapid.Just(1.0), rapid.Float64Range(1e-6, 1e6), rapid.Just(1e280))
		weights := rapid.SliceOfN(weight, 1, 40).Draw(t, "weights")
		cut := rapid.IntRange(0, len(weights)).Draw(t, "cut")
		p, err1 := NewPriority[int](src, size)
		v, err2 := NewVarOpt[int](src, size)
		other, err3 := NewVarOpt[int](src, size)
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
		total, counted := 0.0, 0
		for i, w := range weights {
			kind := v
			if i >= cut {
				kind = other
			}
			if err := kind.Add(i, w); err != nil {
				t.Fatal(err)
			}
			if err := p.Add(i, w); err != nil {
				t.Fatal(err)
			}
			if w > 0 {
				counted++
			}
			total += w
		}
		if err := v.Merge(other); err != nil {
			t.Fatal(err)
		}
		for _, s := range []weighted{p, v} {
			sample := s.Sample()
			if len(sample) != min(size, counted) {
				t.Fatalf("%d items, want %d", len(sample), min(size, counted))
			}
			seen := map[int]bool{}
			for _, x := range sample {
				if seen[x.Item] || x.Weight != weights[x.Item] || x.Adjusted < x.Weight*(1-1e-12) || x.Adjusted < s.Threshold()*(1-1e-12) ||
					math.IsInf(x.Adjusted, 0) {
					t.Fatalf("%+v, threshold %g", x, s.Threshold())
				}
				seen[x.Item] = true
			}
			if counted <= size && s.Threshold() != 0 {
				t.Fatal("a threshold before there is need of one")
			}
		}
		if got, _ := v.Sum(nil); math.Abs(got-total) > 1e-9*total {
			t.Fatalf("total %g, want %g", got, total)
		}
	})
}

// The law of successive sampling, by its definition, for every ordered pair of five items; by jumps, and merged.
func TestSuccessiveSampling(t *testing.T) {
	const runs = 100_000
	weights := []float64{1, 5, 2, 0.5, 3}
	src := rand.NewPCG(12, 12)
	for _, cut := range []int{5, 2, 0} {
		pairs := map[[2]int]float64{}
		for range runs {
			a, err1 := NewSuccessive[int](src, 2)
			b, err2 := NewSuccessive[int](src, 2)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			for i, w := range weights {
				s := a
				if i >= cut && i < 4 { // the last one comes after the merge
					s = b
				}
				if i == 4 {
					if err := a.Merge(b); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.Add(i, w); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Add(99, 0); err != nil {
				t.Fatal(err)
			}
			pairs[[2]int(a.Items())]++
		}
		square, cells := 0.0, 0
		for i, w := range weights {
			for j, x := range weights {
				if i == j {
					continue
				}
				want := runs * w / 11.5 * x / (11.5 - w)
				d := pairs[[2]int{i, j}] - want
				square += d * d / want
				cells++
			}
		}
		if bound := (distuv.ChiSquared{K: float64(cells - 1)}).Quantile(1 - falseAlarm); square > bound || len(pairs) != cells {
			t.Errorf("cut at %d: χ² = %g, at most %g", cut, square, bound)
		}
	}
}

func TestWeightsAreRefused(t *testing.T) {
	src := rand.NewPCG(1, 1)
	p, err1 := NewPriority[int](src, 2)
	v, err2 := NewVarOpt[int](src, 2)
	s, err3 := NewSuccessive[int](src, 2)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	for _, w := range []float64{-1, math.NaN(), math.Inf(1), 1e300} {
		for _, err := range []error{p.Add(1, w), v.Add(1, w), s.Add(1, w)} {
			if survey.CodeOf(err) != survey.Invalid {
				t.Errorf("weight %g: %v", w, err)
			}
		}
	}
	for _, err := range []error{p.Merge(p), p.Merge(nil), v.Merge(v), v.Merge(nil), s.Merge(s), s.Merge(nil)} {
		if survey.CodeOf(err) != survey.Invalid {
			t.Errorf("merge: %v", err)
		}
	}
	if len(p.Sample())+len(v.Sample())+len(s.Items()) != 0 {
		t.Error("a refused item was kept")
	}
}
