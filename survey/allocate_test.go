package survey

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// greedy is Wright's rule as it stands: begin with 2 each and give each further unit to the highest priority.
func greedy(method Method, n int64, strata []AllocStratum) []int64 {
	size := make([]int64, len(strata))
	for i := range size {
		size[i] = 2
	}
	for left := n - 2*int64(len(strata)); left > 0; left-- {
		best, top := -1, 0.0
		for i, s := range strata {
			m := float64(size[i])
			if p := method.measure(s) / math.Sqrt(m*(m+1)); size[i] < s.Most && (best < 0 || p > top) {
				best, top = i, p
			}
		}
		size[best]++
	}
	return size
}

func drawStrata(t *rapid.T, most int64) []AllocStratum {
	strata := make([]AllocStratum, rapid.IntRange(1, 6).Draw(t, "strata"))
	for i := range strata {
		s := &strata[i]
		s.Most = rapid.Int64Range(2, most).Draw(t, "most")
		s.Population = s.Most + rapid.Int64Range(0, 5000).Draw(t, "more")
		s.StdDev = rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 20)).Draw(t, "deviation")
		s.Noise = rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 900)).Draw(t, "noise")
		s.Cost = rapid.Float64Range(0.1, 10).Draw(t, "cost")
		s.Mean = rapid.OneOf(rapid.Float64Range(1, 10), rapid.Float64Range(-10, -1)).Draw(t, "mean")
		s.Importance = rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 50)).Draw(t, "importance")
	}
	return strata
}

func TestAllocateIsWrightsRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		strata := drawStrata(t, 300)
		most := int64(0)
		for _, s := range strata {
			most += s.Most
		}
		n := rapid.Int64Range(2*int64(len(strata)), most).Draw(t, "n")
		method := rapid.SampledFrom([]Method{Proportional, Equal, Neyman, CostOptimal, Power}).Draw(t, "method")
		got, err := Allocate(method, n, strata)
		if err != nil {
			t.Fatal(err)
		}
		if want := greedy(method, n, strata); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// Exhaustive search over all integer allocations of three strata: none has a smaller variance than Neyman's.
func TestNeymanHasTheLeastVariance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		strata := drawStrata(t, 12)
		strata = append(strata, drawStrata(t, 12)...)[:2]
		n := rapid.Int64Range(4, strata[0].Most+strata[1].Most).Draw(t, "n")
		got, err := Allocate(Neyman, n, strata)
		if err != nil {
			t.Fatal(err)
		}
		variance := func(a int64) float64 { // what depends on the sizes: Σ N² (S² + σ²)/n
			sum := 0.0
			for i, m := range []int64{a, n - a} {
				w := Neyman.measure(strata[i])
				sum += w * w / float64(m)
			}
			return sum
		}
		for a := int64(2); a <= n-2; a++ {
			if a <= strata[0].Most && n-a <= strata[1].Most && variance(a) < variance(got[0])*(1-1e-12) {
				t.Fatalf("%d of %d is better than %v", a, n, got)
			}
		}
	})
}

// Shares of the reference's table before rounding: N_h = 4421, 755, 1018; S_h = 120, 110, 115; n = 200.
func TestAllocateKnownShares(t *testing.T) {
	strata := []AllocStratum{
		{Population: 4421, StdDev: 120, Most: 4421},
		{Population: 755, StdDev: 110, Most: 755},
		{Population: 1018, StdDev: 115, Most: 1018},
	}
	for method, want := range map[Method][]float64{
		Proportional: {142.751049402648, 24.3784307394253, 32.870519857927},
		Neyman:       {145.220628490091, 22.7334939231359, 32.0458775867732},
		Equal:        {66.67, 66.67, 66.67},
	} {
		got, err := Allocate(method, 200, strata)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if math.Abs(float64(got[i])-want[i]) >= 1 {
				t.Errorf("method %d: %v, want %v rounded", method, got, want)
			}
		}
	}
	if got, err := Allocate(Proportional, 10_000_000, []AllocStratum{
		{Population: 1e9, Most: 1e9}, {Population: 3e9, Most: 3e9},
	}); err != nil || got[0] != 2_500_000 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAllocateNamesTheBest(t *testing.T) {
	strata := []AllocStratum{{Population: 10, Most: 5}, {Population: 10, Most: 7}}
	for n, best := range map[int64]float64{3: 4, 13: 12, -1: 4} {
		_, err := Allocate(Equal, n, strata)
		e, ok := err.(*Error)
		if !ok || e.Code != Infeasible || e.Best != best {
			t.Errorf("n = %d: %v", n, err)
		}
	}
	for _, bad := range []AllocStratum{
		{Population: 5, Most: 1},
		{Population: 1, Most: 3},
		{Population: 9, Most: 3, Noise: -1},
		{Population: 9, Most: 3, StdDev: math.NaN()},
	} {
		if _, err := Allocate(Equal, 4, []AllocStratum{bad}); CodeOf(err) != Infeasible && CodeOf(err) != Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := Allocate(Method(0), 4, strata); CodeOf(err) != Invalid {
		t.Errorf("no method: %v", err)
	}
}
