package server_test

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/simulate"
)

// TestDistributionWay asks real readings for their distribution, from the script over devices with their ledgers to the
// results: every estimate lies near the truth, by its own standard error, and a restart keeps them all.
func TestDistributionWay(t *testing.T) {
	const devices, windows = 4000, 4
	dir := t.TempDir()
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, dir, now)
	fleet := w.join(devices, simulate.Config{})
	put, err := w.api.Put(t.Context(), `KAPPA indoor AS SELECT histogram(temperature, 10), median(temperature),
		quantile(temperature, 0.9) AS warm, frequency(temperature) FROM sense.temperature
		SAMPLE ALL STRATIFIED BY region ROTATING WINDOW 1m GRACE 2s PRIVACY LOCAL EPSILON 4 PER 4m BETWEEN 15 AND 35`, nil)
	if err != nil {
		t.Fatal(err)
	}
	truth := heard(t, fleet, put.GetRef())
	w.pass(fleet, windows)
	const perWindow = 10 + 1 + 1 + 21
	before := w.results(windows * perWindow)
	covered := 0
	for _, r := range before {
		want, ok := truth.Of(r)
		// Five standard errors are left by one estimate in a million or so; a bin without any of few reports may have 0.
		if !ok || r.Value == nil || math.Abs(r.GetValue()-want) > 5*r.GetStdError()+0.05 {
			t.Errorf("%s %s: %g ± %g, truth %g", r.GetStatistic(), r.GetBin(), r.GetValue(), r.GetStdError(), want)
		}
		if r.GetCiLow() <= want && want <= r.GetCiHigh() {
			covered++
		}
	}
	t.Logf("%d of %d intervals hold the truth", covered, len(before))
	// Of 132 intervals with 95 % each 113 hold the truth but for one chance in a hundred thousand, were they independent.
	if covered < 113 {
		t.Errorf("%d of %d intervals hold the truth", covered, len(before))
	}
	fleet.Close()
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	after := open(t, dir, now).results(windows * perWindow)
	for i := range before {
		if !proto.Equal(before[i], after[i]) {
			t.Errorf("after a restart result %d is %v, was %v", i, after[i], before[i])
		}
	}
}
