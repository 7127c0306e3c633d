package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/simulate"
)

// TestFleetHearsOfKappas lets a fleet wait for the end of an hour and deploys a kappa of minutes meanwhile: its windows are
// answered when they end.
func TestFleetHearsOfKappas(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, t.TempDir(), now)
	fleet := w.join(40, simulate.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	deploy := func(script string) {
		put, err := w.api.Put(t.Context(), script, nil)
		if err != nil {
			t.Fatal(err)
		}
		heard(t, fleet, put.GetRef())
	}
	deploy("KAPPA slow AS SELECT mean(temperature) FROM sense.temperature WINDOW 1h PRIVACY LOCAL EPSILON 1 PER 4h BETWEEN 10 AND 40")
	go func() { ended <- fleet.Run(ctx) }()
	time.Sleep(50 * time.Millisecond) // most of the time it waits by then; if not, the test passes all the same
	deploy("KAPPA indoor AS SELECT mean(temperature) FROM sense.temperature WINDOW 1m GRACE 30s PRIVACY LOCAL EPSILON 1 PER 1m BETWEEN 10 AND 40")
	end, ok := fleet.NextEnd()
	if !ok {
		t.Fatal("the fleet knows no kappa")
	}
	now.Set(end)
	until(t, "all 40 reports are answered", func() bool { return fleet.Summary().Answered == 40 })
	cancel()
	<-ended
	fleet.Close()
}
