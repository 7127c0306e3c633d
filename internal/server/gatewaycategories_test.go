package server_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/simulate"
)

// TestGatewaysCategories lets gateways with the release code of real ones, and devices of their own, say their categories over two laps: every
// unit and device is counted once a lap, nothing is refused, intervals hold the truth, and a restart keeps it all. Gateways' noise has no
// seed: at 95 % each, which depend on each other within a window only, 5 of 8 windows with more than half of their intervals
// beside the truth have a probability below 1e-6.
func TestGatewaysCategories(t *testing.T) {
	const own, gateways, units, lap, laps, bins = 120, 80, 4, 4, 2, 6
	const windows, all = lap * laps, own + gateways*units
	dir := t.TempDir()
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, dir, now)
	fleet := w.join(all, simulate.Config{Gateways: gateways, Units: units})
	put, err := w.api.Put(t.Context(), `KAPPA indoor AS SELECT histogram(temperature, 6), median(temperature) FROM sense.temperature
		SAMPLE ALL WINDOW 1m GRACE 2s PRIVACY GATEWAY EPSILON 4 PER 4m BETWEEN 10 AND 40`, nil)
	if err != nil {
		t.Fatal(err)
	}
	truth := heard(t, fleet, put.GetRef())
	w.pass(fleet, windows)
	before := w.results((bins + 1) * windows)
	reports, misses := int64(0), map[time.Time]int{}
	for _, r := range before {
		start := r.GetWindowStart().AsTime()
		if r.GetReports() != r.GetPanel() || r.GetPanel() == 0 || r.Value == nil || !strings.HasPrefix(r.GetPrivacy().GetMechanism(), "laplace (gateways), ") {
			t.Errorf("window %s: %v", start, r)
			continue
		}
		value, ok := truth.At(start, r.GetStatistic(), nil)
		if r.GetBin() != nil {
			value, ok = truth.InBin(start, r.GetStatistic(), nil, r.GetBin().GetIndex())
		}
		if !ok {
			t.Fatalf("no truth of %s", r.GetStatistic())
		}
		if r.GetBin().GetIndex() == 0 { // of a histogram once
			reports += int64(r.GetReports())
		}
		if value < r.GetCiLow() || value > r.GetCiHigh() {
			misses[start]++
		}
	}
	beside := 0
	for _, n := range misses {
		if n > (bins+1)/2 {
			beside++
		}
	}
	if beside > 4 {
		t.Errorf("intervals of %d of %d windows miss the truth: %v", beside, windows, misses)
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
	after := open(t, dir, now).results((bins + 1) * windows)
	for i := range before {
		if !proto.Equal(before[i], after[i]) {
			t.Errorf("after a restart result %d is %v, was %v", i, after[i], before[i])
		}
	}
}
