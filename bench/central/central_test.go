// Package central_test holds the law of privacy/central against what google/differential-privacy draws. Run it here with go test: the
// library is a dependency of this module.
package central_test

import (
	"math"
	"testing"

	"github.com/google/differential-privacy/go/v3/noise"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/central"
)

// draws of the library for each law: it takes about 20 µs for each.
const draws = 60_000

// TestLibraryDrawsThatLaw compares the frequencies of values, and the mean square, with the law. The library has no seed, so the
// bounds are those of a false alarm of 1e-6 in all: z = 5.8 for each of a hundred normal comparisons.
func TestLibraryDrawsThatLaw(t *testing.T) {
	const z = 5.8
	for _, c := range []struct {
		sensitivity int64
		l0, lInf    int64
		epsilon     float64
	}{
		{1, 1, 1, 1}, {1, 1, 1, 0.25}, {1, 1, 1, 4}, {2, 2, 1, 1}, {2, 2, 1, 3},
		{30_000_000, 1, 30_000_000, 1}, {1 << 42, 1, 1 << 42, 1},
	} {
		e, err := privacy.NewEpsilon(c.epsilon)
		if err != nil {
			t.Fatal(err)
		}
		law, err := central.New(c.sensitivity, e)
		if err != nil {
			t.Fatal(err)
		}
		counts := map[int64]float64{}
		var sum, squares, fourths float64
		for range draws {
			x, err := noise.Laplace().AddNoiseInt64(0, c.l0, c.lInf, c.epsilon, 0)
			if err != nil {
				t.Fatal(err)
			}
			counts[x]++
			v := float64(x)
			sum, squares, fourths = sum+v, squares+v*v, fourths+v*v*v*v
		}
		got, want := squares/draws, law.Variance()
		deviation := math.Sqrt((fourths/draws - got*got) / draws)
		if math.Abs(got-want) > z*deviation {
			t.Errorf("Δ %d, ε %g: variance %v, want %v, standard error %v", c.sensitivity, c.epsilon, got, want, deviation)
		}
		if mean := sum / draws; math.Abs(mean) > z*math.Sqrt(want/draws) {
			t.Errorf("Δ %d, ε %g: mean %v", c.sensitivity, c.epsilon, mean)
		}
		if c.sensitivity > 2 {
			continue // single values are too rare
		}
		for x := int64(-6); x <= 6; x++ {
			p := law.Probability(x)
			if math.Abs(counts[x]-draws*p) > z*math.Sqrt(draws*p*(1-p))+20 { // 20: for values so rare that counts are not normal
				t.Errorf("Δ %d, ε %g: %d drawn %v times, want %v", c.sensitivity, c.epsilon, x, counts[x], draws*p)
			}
		}
	}
}
