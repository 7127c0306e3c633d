package server_test

import (
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/simulate"
)

// patience bounds every wait; none of the tests depends on how long things take below it.
const patience = 2 * time.Minute

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// heard waits until a fleet knows a kappa, and gives the truth about it.
func heard(t *testing.T, fleet *simulate.Fleet, ref string) (truth *simulate.Truth) {
	t.Helper()
	until(t, "the fleet knows "+ref, func() (known bool) {
		truth, known = fleet.TruthOf(ref)
		return known
	})
	return truth
}

// join lets a fleet announce itself: as many devices of the real places, what else config says, and the seed 1.
func (w *world) join(devices int, config simulate.Config) *simulate.Fleet {
	w.t.Helper()
	places, err := indoor.Places()
	if err != nil {
		w.t.Fatal(err)
	}
	config.NATS, config.Places, config.Clock, config.Seed = w.server.Addresses().NATS, simulate.Choose(places, devices, 1, 1), w.clock, 1
	fleet, err := simulate.Join(w.t.Context(), config)
	if err != nil {
		w.t.Fatal(err)
	}
	return fleet
}

// pass lets so many windows pass, with the answers of a fleet that knows the kappa, each until its grace is over.
func (w *world) pass(fleet *simulate.Fleet, windows int) {
	w.t.Helper()
	for range windows {
		end, ok := fleet.NextEnd()
		if !ok {
			w.t.Fatal("the fleet knows no kappa")
		}
		w.clock.Set(end)
		if _, err := fleet.Step(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		w.clock.Set(end.Add(5 * time.Second))
	}
}
