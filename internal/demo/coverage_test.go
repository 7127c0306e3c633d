//go:build demo

package demo_test

import (
	"testing"

	"github.com/quadrat-dev/quadrat/internal/demo"
)

// leastReports is from how many reports on an interval is held to its promise here.
const leastReports = 30

// Of the intervals that rest on 30 reports or more, 93 to 97 % hold the truth: over 200 windows, with all devices and
// with a fifth of them silent. The seed is fixed. A lap has 60 panels and their members' readings hardly change from lap
// to lap, so that the standard error of the share is about 0.012 and not that of a thousand independent intervals.
func TestCoverage(t *testing.T) {
	t.Parallel()
	for name, offline := range map[string]float64{"all devices": 0, "a fifth silent": 0.2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			intervals, covered := 0, 0
			for _, l := range run(t, demo.Config{Windows: 200, Seed: 1, Offline: offline}) {
				if l.Summary != nil || l.Reports < leastReports {
					continue
				}
				intervals++
				if *l.Covered {
					covered++
				}
			}
			share := float64(covered) / float64(intervals)
			t.Logf("%d of %d intervals hold the truth: %.2f %%", covered, intervals, 100*share)
			if intervals < 800 || share < 0.93 || share > 0.97 {
				t.Errorf("%d intervals, of which %.4f hold the truth", intervals, share)
			}
		})
	}
}
