package survey

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Laplace noise on a 30- and a 10-degree range, S² = 6.5, margin 0.5, a large population; and R's answers for S = 130,
// margin 10, N = 6194.
func TestNormalSizeKnownValues(t *testing.T) {
	large := int64(1) << 50
	laplace := func(width, epsilon float64) float64 { return 2 * width * width / (epsilon * epsilon) }
	for _, c := range []struct {
		noise, want float64
	}{
		{0, 100},
		{laplace(30, 4), 1829},
		{laplace(30, 2), 7015},
		{laplace(30, 1), 27758},
		{laplace(30, 0.5), 110734},
		{laplace(10, 4), 292},
		{laplace(10, 2), 868},
		{laplace(10, 1), 3173},
		{laplace(10, 0.5), 12393},
	} {
		s := AllocStratum{Population: large, StdDev: math.Sqrt(6.5), Noise: c.noise, Most: large}
		if got := math.Round(normalSize(0.5, 0.95, s)); got != c.want {
			t.Errorf("noise %v: %v, want %v", c.noise, got, c.want)
		}
		n, err := SampleSize(0.5, 0.95, s)
		if err != nil || float64(n) < c.want || float64(n) > c.want+3 {
			t.Errorf("noise %v: %d, %v; want a little over %v, for t exceeds z", c.noise, n, err, c.want)
		}
	}
	s := AllocStratum{Population: 6194, StdDev: 130, Most: 6194}
	if got := normalSize(10, 0.95, s); !near(got, 587.61711913336, 1e-10, 0) {
		t.Errorf("%v", got)
	}
}

func TestSampleSizeIsTheLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := AllocStratum{
			Population: rapid.Int64Range(2, 5000).Draw(t, "population"),
			StdDev:     rapid.Float64Range(0, 20).Draw(t, "deviation"), Noise: rapid.Float64Range(0, 100).Draw(t, "noise"),
		}
		s.Most = rapid.Int64Range(2, s.Population).Draw(t, "most")
		margin := rapid.Float64Range(0.1, 10).Draw(t, "margin")
		width := func(n int64) float64 {
			half, err := HalfWidth([]int64{n}, 0.9, []AllocStratum{s})
			if err != nil {
				t.Fatal(err)
			}
			return half
		}
		n, err := SampleSize(margin, 0.9, s)
		if err != nil {
			e, ok := err.(*Error)
			if !ok || e.Code != Infeasible || e.Best != width(s.Most) || e.Best <= margin {
				t.Fatal(err)
			}
			return
		}
		if width(n) > margin || (n > 2 && width(n-1) <= margin) {
			t.Fatalf("%d units reach %v, one fewer %v", n, width(n), width(n-1))
		}
	})
}

// The prediction is what an estimate from such a sample says when its moments are the predicted ones.
func TestHalfWidthIsTheEstimates(t *testing.T) {
	plans := []AllocStratum{
		{Population: 900, StdDev: 3, Noise: 16, Most: 900}, {Population: 100, StdDev: 1, Noise: 16, Most: 100},
	}
	sizes := []int64{40, 20}
	var strata []Sample
	for i, p := range plans {
		n := float64(sizes[i])
		strata = append(strata, Sample{
			Stratum: string(rune('a' + i)), Population: p.Population, Panel: sizes[i],
			Responses: sizes[i], Domain: Moments{
				Count: sizes[i], Mean: 20,
				M2: (n - 1) * (p.StdDev*p.StdDev + p.Noise), Noise: n * p.Noise,
			},
		})
	}
	e, err := Mean(strata, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	half, err := HalfWidth(sizes, 0.95, plans)
	if err != nil || !near(half, e.High-e.Value, 1e-12, 0) {
		t.Errorf("predicted %v, estimated %v, %v", half, e.High-e.Value, err)
	}
	for _, bad := range [][]int64{{40}, {0, 20}, {40, 101}} {
		if _, err := HalfWidth(bad, 0.95, plans); CodeOf(err) != Invalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := HalfWidth([]int64{1, 1}, 0.95, plans); CodeOf(err) != NoFreedom {
		t.Errorf("no degree of freedom: %v", err)
	}
}
