package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/simulate"
)

// TestFleetHearsOfKappas lets a fleet wait for the end of an hour and deploys a kappa of minutes meanwhile: its windows are
// answered when they end.
func TestFleetHearsOfKappas(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, t.TempDir(), now)
	places, err := indoor.Places()
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := simulate.Join(t.Context(), simulate.Config{
		NATS: w.server.Addresses().NATS, Places: simulate.Choose(places, 40, 1, 1), Clock: now, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	deploy := func(script string) {
		put, err := w.api.Put(t.Context(), script, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3000 {
			if _, ok := fleet.TruthOf(put.GetRef()); ok {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatal("the fleet has not heard of a kappa")
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
	for range 6000 {
		if fleet.Summary().Answered == 40 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := fleet.Summary().Answered; got != 40 {
		t.Errorf("%d of 40 reports were answered", got)
	}
	cancel()
	<-ended
	fleet.Close()
}
