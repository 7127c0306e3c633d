package interval

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Values of R's qt(.975, df) and qnorm(.975).
func TestQuantiles(t *testing.T) {
	for df, want := range map[float64]float64{
		1: 12.7062047361747, 2: 4.30265272974946, 4: 2.77644510519779, 14: 2.1447866879178,
		39: 2.02269092003676, 197: 1.9720790337785, 1000.5: 1.96233789245935,
	} {
		if got := TQuantile(0.95, df); !near(got, want, 1e-12, 0) {
			t.Errorf("t with %v degrees of freedom: %.15g, want %.15g", df, got, want)
		}
	}
	if got := ZQuantile(0.95); math.Abs(got-1.959963984540054) > 1e-13 {
		t.Errorf("z: %.16g", got)
	}
}

// The fast quantile equals the searched one, as far as that one goes: the incomplete beta function behind it has lost
// half of its digits at 10^9 degrees of freedom.
func TestQuantileTEqualsTheSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		degrees := math.Exp(rapid.Float64Range(0, 25).Draw(t, "log degrees"))
		confidence := rapid.Float64Range(0.001, 0.9999).Draw(t, "confidence")
		got, want := TQuantile(confidence, degrees), searchT((1-confidence)/2, degrees)
		tolerance := 1e-9 * max(1, degrees/expansionDegrees)
		if degrees > 1e6 {
			want, tolerance = ZQuantile(confidence), 1e-5
		}
		if !near(got, want, tolerance, 0.1) {
			t.Fatalf("%v at %v degrees of freedom: %.15g, want %.15g", confidence, degrees, got, want)
		}
	})
}

func near(a, b, tolerance, scale float64) bool {
	return math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b), scale)
}
