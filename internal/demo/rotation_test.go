//go:build demo

package demo_test

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quadrat-dev/quadrat/internal/demo"
)

// spent is what a way to spend a period's epsilon came to: means over windows and cells, each cell's figures multiplied by its
// devices, so that cells of all sizes count alike.
type spent struct {
	squares, reported, noise float64 // squared error against the truth, reported variance, of this that of the noise
	count, bins              int     // estimates, and how many of them are of the same answers
}

// independent is how many degrees of freedom the squared errors have at least.
func (s spent) independent() float64 { return float64(s.count / s.bins) }

func spend(t *testing.T, statistic, rotation string, windows int) spent {
	t.Helper()
	const script = `KAPPA turns AS
SELECT   %s
FROM     sense.temperature
WHERE    building_type <> 'others'
GROUP BY cooling_type
SAMPLE   ALL %s
WINDOW   3m GRACE 5s
PRIVACY  LOCAL EPSILON 1 PER 1h BETWEEN 10 AND 40
`
	out := spent{bins: 1}
	for _, l := range run(t, demo.Config{Windows: windows, Seed: 1, Script: fmt.Sprintf(script, statistic, rotation)}) {
		if l.Summary != nil || l.Value == nil || len(l.Cell) == 0 || l.Reports < leastReports {
			continue
		}
		size := float64(l.Population)
		out.squares += size * (*l.Value - *l.Truth) * (*l.Value - *l.Truth)
		out.reported += size * l.StdError * l.StdError
		out.noise += size * l.Noise
		out.count++
		if l.Bin != nil {
			out.bins = max(out.bins, int(l.Bin.Index)+1)
		}
	}
	n := float64(out.count)
	out.squares, out.reported, out.noise = out.squares/n, out.reported/n, out.noise/n
	return out
}

// A period of twenty windows and epsilon 1: devices that take turns report once with all of it, devices that split it report
// in each window with a twentieth. In closed form the noise has e^ε/(e^ε−1)² a bit (Warner 1965), 399.9/20 against 0.92, which
// is 21.7 times the variance; a panel's sampling error, of which splitting has none, makes the whole less, but little for a
// share near 0. For means Duchi's mechanism at 1/20 has the variance 1601 on the bounds' half-width, and three outputs at 1 have 3.94 in
// the middle: 20.3 times, and a little more beside it. A median's interval ends at the bounds, and by splitting it fills
// them: what is compared then is the range of readings with an interval. Errors against the truth must agree with the
// variances: their ratio has an F distribution with as many degrees of freedom as estimates, the bins of a histogram counted once,
// beyond which it lies with 1e-6.
func TestCoverageRotationAgainstSplitting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		statistic       string
		noise, reported float64 // least ratios
	}{
		{"proportion(temperature > 26)", 20, 17},
		{"proportion(temperature > 32)", 20, 20},
		{"mean(temperature)", 20, 20},
		{"histogram(temperature, 6)", 20, 20},
		{"median(temperature)", 2, 2},
	} {
		turns, split := spend(t, c.statistic, "ROTATING", 60), spend(t, c.statistic, "FIXED", 20)
		noise, reported, squares := split.noise/turns.noise, split.reported/turns.reported, split.squares/turns.squares
		t.Logf("%-30s splitting has %.1f times the noise, %.1f times the variance; squared errors %.1f times (%d and %d estimates)",
			c.statistic, noise, reported, squares, split.count, turns.count)
		if turns.count < 60 || split.count < 60 || noise < c.noise || reported < c.reported {
			t.Errorf("%s: %+v and %+v", c.statistic, turns, split)
		}
		if p := (distuv.F{D1: split.independent(), D2: turns.independent()}).CDF(squares / reported); p < 5e-7 || p > 1-5e-7 {
			t.Errorf("%s: squared errors %v times as large, variances %v times", c.statistic, squares, reported)
		}
	}
}
