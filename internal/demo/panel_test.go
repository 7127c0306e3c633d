//go:build demo

package demo_test

import (
	"flag"
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quadrat-dev/quadrat/internal/demo"
)

var fleets = flag.Int("fleets", 5, "how many fleets are drawn for each epsilon")

// statisticsScript has laps of twelve windows, so that each statistic has some 200 reports when a device reports once a lap.
const statisticsScript = `KAPPA four AS
SELECT   mean(temperature), proportion(temperature > 26), histogram(temperature, 8), median(temperature), quantile(temperature, 0.9)
FROM     sense.temperature
WHERE    building_type <> 'others'
SAMPLE   ALL ROTATING
WINDOW   5m GRACE 5s
PRIVACY  LOCAL EPSILON %g PER 1h BETWEEN 10 AND 40
`

// held counts the intervals of a statistic.
type held struct {
	intervals, covered, reports int // reports of the smallest panel
	errors                      float64
}

func (h *held) add(t *testing.T, l line) {
	t.Helper()
	if l.Value == nil {
		t.Errorf("no value of %+v", l)
		return
	}
	if h.intervals == 0 || l.Reports < h.reports {
		h.reports = l.Reports
	}
	h.intervals++
	h.errors += (*l.Value - *l.Truth) / l.StdError
	if *l.Covered {
		h.covered++
	}
}

// band tells whether so many covered of 95 % intervals agree with a coverage of 93.5 to 96.5 %: outside of it with
// probability 1e-6 at its ends. A panel returns lap by lap with new noise, and the bins of one histogram lean on each other:
// intervals count for half of what they are.
func (h *held) band() bool {
	const alike = 2
	n, k := math.Floor(float64(h.intervals)/alike), float64(h.covered)/alike
	low, high := distuv.Binomial{N: n, P: 0.935}, distuv.Binomial{N: n, P: 0.965}
	return low.CDF(math.Ceil(k)) > 1e-6 && 1-high.CDF(math.Floor(k)-1) > 1e-6
}

// The whole way from device to interval, for each statistic and three budgets: how many 95 % intervals hold the truth, with
// panels of 200 reports or more. Each fleet has salts, panels and noise of its own and passes four laps. All together have a
// standard error below 0.4 points with the five fleets of a short run, and must lie in 93.5 to 96.5 %; a statistic at one epsilon has
// one of 2, so that only its band is held, and -fleets=20 tells more.
func TestCoverageOfStatistics(t *testing.T) {
	t.Parallel()
	const leastReports, windows = 200, 48
	names := []string{"mean(temperature)", "proportion(temperature > 26)", "histogram(temperature, 8)", "median(temperature)", "quantile(temperature, 0.9)"}
	var all held
	t.Logf("| statistic | ε | reports | intervals | hold the truth |")
	for _, epsilon := range []float64{0.5, 1, 4} {
		tally, bins := map[string]*held{}, [8]held{}
		for _, name := range names {
			tally[name] = &held{}
		}
		for fleet := range uint64(*fleets) {
			c := demo.Config{Windows: windows, Seed: 100*fleet + uint64(10*epsilon), Script: fmt.Sprintf(statisticsScript, epsilon)}
			for _, l := range run(t, c) {
				if l.Summary != nil {
					continue
				}
				tally[l.Statistic].add(t, l)
				if l.Bin != nil {
					bins[l.Bin.Index].add(t, l)
				}
			}
		}
		for _, name := range names {
			h := tally[name]
			t.Logf("| %s | %g | %d | %d | %.1f %% |", name, epsilon, h.reports, h.intervals, 100*float64(h.covered)/float64(h.intervals))
			all.intervals, all.covered = all.intervals+h.intervals, all.covered+h.covered
			if h.reports < leastReports || h.intervals < windows**fleets || !h.band() {
				t.Errorf("%s at epsilon %g: %+v", name, epsilon, *h)
			}
		}
		for i, h := range bins {
			t.Logf("bin %d at %g: %.1f %%, mean error %.3f", i, epsilon, 100*float64(h.covered)/float64(h.intervals), h.errors/float64(h.intervals))
		}
	}
	if share := float64(all.covered) / float64(all.intervals); share < 0.935 || share > 0.965 {
		t.Errorf("%.2f %% of all intervals hold the truth", 100*share)
	}
}
