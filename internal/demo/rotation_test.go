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
	count                    int
}

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
	var out spent
	for _, l := range run(t, demo.Config{Windows: windows, Seed: 1, Script: fmt.Sprintf(script, statistic, rotation)}) {
		if l.Summary != nil || l.Value == nil || len(l.Cell) == 0 || l.Reports < leastReports {
			continue
		}
		size := float64(l.Population)
		out.squares += size * (*l.Value - *l.Truth) * (*l.Value - *l.Truth)
		out.reported += size * l.StdError * l.StdError
		out.noise += size * l.Noise
		out.count++
	}
	n := float64(out.count)
	out.squares, out.reported, out.noise = out.squares/n, out.reported/n, out.noise/n
	return out
}

// A period of twenty windows and epsilon 1: devices that take turns report once with all of it, devices that split it report
// in each window with a twentieth. In closed form the noise has e^ε/(e^ε−1)² a bit (Warner 1965), 399.9/20 against 0.92, which
// is 21.7 times the variance; a panel's sampling error, of which splitting has none, makes the whole less, but little for a
// share near 0. For means the noise of the hybrid mechanism is 18.7 times less. Errors against the truth must agree with the
// variances: their ratio has an F distribution with as many degrees of freedom as estimates, beyond which it lies with 1e-6.
func TestCoverageRotationAgainstSplitting(t *testing.T) {
	for _, c := range []struct {
		statistic       string
		noise, reported float64 // least ratios
	}{
		{"proportion(temperature > 26)", 20, 17},
		{"proportion(temperature > 32)", 20, 20},
		{"mean(temperature)", 18, 18},
	} {
		turns, split := spend(t, c.statistic, "ROTATING", 60), spend(t, c.statistic, "FIXED", 20)
		noise, reported, squares := split.noise/turns.noise, split.reported/turns.reported, split.squares/turns.squares
		t.Logf("%-30s splitting has %.1f times the noise, %.1f times the variance; squared errors %.1f times (%d and %d estimates)",
			c.statistic, noise, reported, squares, split.count, turns.count)
		if turns.count < 60 || split.count < 60 || noise < c.noise || reported < c.reported {
			t.Errorf("%s: %+v and %+v", c.statistic, turns, split)
		}
		if p := (distuv.F{D1: float64(split.count), D2: float64(turns.count)}).CDF(squares / reported); p < 5e-7 || p > 1-5e-7 {
			t.Errorf("%s: squared errors %v times as large, variances %v times", c.statistic, squares, reported)
		}
	}
}
