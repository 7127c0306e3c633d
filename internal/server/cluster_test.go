package server_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/simulate"
)

// TestClusteredWay lets a fleet answer over a whole lap of a clustered plan: devices and engine agree on who is due, every
// device of the frame reports once, every window has an estimate, and a restart keeps it all.
func TestClusteredWay(t *testing.T) {
	const devices, windows = 400, 5
	dir := t.TempDir()
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, dir, now)
	fleet := w.join(devices, simulate.Config{})
	put, err := w.api.Put(t.Context(), `KAPPA indoor AS SELECT mean(temperature) FROM sense.temperature
		SAMPLE ALL CLUSTERED BY building WINDOW 1m GRACE 2s PRIVACY LOCAL EPSILON 4 PER 5m BETWEEN 10 AND 40`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if put.GetPlan().GetLapWindows() != windows {
		t.Fatalf("a lap of %d windows", put.GetPlan().GetLapWindows())
	}
	heard(t, fleet, put.GetRef())
	w.pass(fleet, windows)
	before := w.results(windows)
	var reports int64
	for _, r := range before {
		reports += int64(r.GetReports())
		if r.GetReports() != r.GetPanel() || r.GetPanel() == 0 || r.Value == nil || r.GetPopulation() != devices {
			t.Errorf("window %s: %v", r.GetWindowStart().AsTime(), r)
		}
	}
	if rows := w.exported("reports"); reports != devices || rows != reports {
		t.Errorf("%d reports were counted and %d exported of %d devices", reports, rows, devices)
	}
	fleet.Close()
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	after := open(t, dir, now).results(windows)
	for i := range before {
		if !proto.Equal(before[i], after[i]) {
			t.Errorf("after a restart result %d is %v, was %v", i, after[i], before[i])
		}
	}
}
