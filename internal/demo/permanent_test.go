package demo_test

import (
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/demo"
)

// A question with permanent answers goes the whole way, with devices whose categories change from window to window: every device
// answers in every window, since the policy's ε 4 an hour pays for a new category in each of four, and every share lies within 4.9
// standard errors of the truth (a false alarm of 1e-6 each).
func TestPermanentAnswersBesideTheTruth(t *testing.T) {
	const (
		devices, windows, bins = 1500, 4, 6

		script = `KAPPA kept AS
SELECT histogram(temperature, 6)
FROM sense.temperature
SAMPLE ALL STRATIFIED BY region
WINDOW 1m GRACE 5s
PRIVACY LOCAL EPSILON 1 PER VALUE REPORT 0.9 BETWEEN 10 AND 40
`
	)
	results := 0
	for _, l := range run(t, demo.Config{Devices: devices, Windows: windows, Seed: 3, Script: script}) {
		if l.Summary != nil {
			continue
		}
		results++
		if l.Panel != devices || l.Reports != devices || l.Value == nil || l.Truth == nil || l.Bin == nil {
			t.Fatalf("%+v", l)
		}
		if z := (*l.Value - *l.Truth) / l.StdError; math.Abs(z) > 4.9 || !(l.Noise > 0) {
			t.Errorf("window %s, bin %d: %.4f, truth %.4f, %.2f standard errors", l.WindowStart, l.Bin.Index, *l.Value, *l.Truth, z)
		}
	}
	if results != windows*bins {
		t.Errorf("%d results", results)
	}
}
