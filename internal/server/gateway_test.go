package server_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/simulate"
)

// TestGatewaysWay lets gateways with the release code of real ones, and devices of their own, answer one question over three laps: all agree on who
// is due, every unit and device is counted once a lap, nothing is refused, intervals hold the truth, rows stand for all reports, and a
// restart keeps it all. Gateways' noise has no seed: at 95 % each, 12 of 24 intervals miss with a probability below 1e-9.
func TestGatewaysWay(t *testing.T) {
	const own, gateways, units, lap, laps, missesMost = 120, 80, 4, 4, 3, 11
	const windows, all = lap * laps, own + gateways*units
	dir := t.TempDir()
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, dir, now)
	fleet := w.join(all, simulate.Config{Gateways: gateways, Units: units})
	put, err := w.api.Put(t.Context(), `KAPPA indoor AS SELECT mean(temperature), count(temperature > 24) FROM sense.temperature
		SAMPLE ALL WINDOW 1m GRACE 2s PRIVACY GATEWAY EPSILON 4 PER 4m BETWEEN 10 AND 40`, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := put.GetPlan()
	if plan.GetLapWindows() != lap || plan.GetPrivacy().GetModel() != "gateway" || plan.GetPopulation() != all {
		t.Fatalf("plan %v", plan)
	}
	truth := heard(t, fleet, put.GetRef())
	w.pass(fleet, windows)
	before := w.results(2 * windows)
	var reports, misses int64
	for _, r := range before {
		reports += int64(r.GetReports())
		if r.GetReports() != r.GetPanel() || r.GetPanel() == 0 || r.Value == nil || r.GetPopulation() != all || r.DesignEffect != nil {
			t.Errorf("window %s: %v", r.GetWindowStart().AsTime(), r)
			continue
		}
		value, ok := truth.At(r.GetWindowStart().AsTime(), r.GetStatistic(), nil)
		if !ok {
			t.Fatalf("no truth of %s", r.GetStatistic())
		}
		if value < r.GetCiLow() || value > r.GetCiHigh() {
			misses++
		}
	}
	if misses > missesMost {
		t.Errorf("%d of %d intervals miss the truth", misses, len(before))
	}
	said := fleet.Summary()
	if reports != laps*all || said.Answered != laps*(own+gateways) || said.Rejected+said.Refused > 0 {
		t.Errorf("%d reports in results of %d devices and units in %d laps; %+v", reports, all, laps, said)
	}
	if rows := w.exported("reports"); rows != said.Answered {
		t.Errorf("%d rows of %d reports and releases", rows, said.Answered)
	}
	fleet.Close()
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	after := open(t, dir, now).results(2 * windows)
	for i := range before {
		if !proto.Equal(before[i], after[i]) {
			t.Errorf("after a restart result %d is %v, was %v", i, after[i], before[i])
		}
	}
}
