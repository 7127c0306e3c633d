package server_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/simulate"
)

// TestTruthOfHoppingWindows asks in windows that hop: the truth that the simulation tells of a result is that of its panes, made here again, and lies
// within five standard errors, which one estimate in a million or so leaves, in the first windows, too, which hold the panes since the
// kappa began.
func TestTruthOfHoppingWindows(t *testing.T) {
	const devices, panes, windows = 300, 3, 5
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, t.TempDir(), now)
	fleet := w.join(devices, simulate.Config{})
	t.Cleanup(fleet.Close)
	put, err := w.api.Put(t.Context(), `KAPPA indoor AS SELECT total(temperature) FROM sense.temperature GROUP BY cooling_type
		SAMPLE ALL WINDOW 3m EVERY 1m GRACE 2s PRIVACY LOCAL EPSILON 8 PER 1m BETWEEN 10 AND 40`, nil)
	if err != nil {
		t.Fatal(err)
	}
	truth := heard(t, fleet, put.GetRef())
	w.pass(fleet, windows)
	results := w.told(windows)
	whole := 0
	for _, r := range results {
		if r.Value == nil {
			continue
		}
		want, ok := truth.Of(r)
		if !ok || math.Abs(r.GetValue()-want) > 5*r.GetStdError() {
			t.Errorf("%v %v: %g ± %g, truth %g", r.GetWindowStart().AsTime(), r.GetCell(), r.GetValue(), r.GetStdError(), want)
		}
		if strings.Contains(strings.Join(r.GetWarnings(), ""), "of its 3 panes") {
			continue
		}
		whole++
		sum := 0.0
		for pane := range panes {
			x, _ := truth.At(r.GetWindowStart().AsTime().Add(time.Duration(pane)*time.Minute), r.GetStatistic(), r.GetCell())
			sum += x / panes
		}
		if math.Abs(sum-want) > 1e-6*want {
			t.Errorf("%v: the truth of its panes is %g, of all %g", r.GetCell(), sum, want)
		}
		if first, _ := truth.At(r.GetWindowStart().AsTime(), r.GetStatistic(), r.GetCell()); first == want {
			t.Errorf("the truth of a window is that of one pane, %g, so that nothing is tested", first)
		}
	}
	if whole < 2*(windows-panes+1) {
		t.Errorf("%d results of whole windows", whole)
	}
}
