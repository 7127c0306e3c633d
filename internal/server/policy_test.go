package server_test

import (
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// TestStricterPoliciesAreSilence asks a fleet of which a quarter gives less than one report costs, and another quarter has
// given all after two. Those devices stay silent, their presence records say why, and the results show who didn't answer.
func TestStricterPoliciesAreSilence(t *testing.T) {
	const devices, laps, lap = 200, 3, 10
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, t.TempDir(), now)
	places, err := indoor.Places()
	if err != nil {
		t.Fatal(err)
	}
	chosen := simulate.Choose(places, devices, 1, 1)
	var fleets []*simulate.Fleet
	join := func(places []indoor.Place, policy ledger.Limits) {
		fleet, err := simulate.Join(t.Context(), simulate.Config{
			NATS: w.server.Addresses().NATS, Places: places, Clock: now, Seed: 1, Policy: policy, HelloEvery: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fleet.Close)
		fleets = append(fleets, fleet)
	}
	strict, mortal := chosen[:devices/4], chosen[devices/4:devices/2]
	join(chosen[devices/2:], ledger.Limits{})
	join(strict, ledger.Limits{PerPeriod: 3_999_999, Period: 10 * time.Minute, Lifetime: privacy.MaxBudget})
	join(mortal, ledger.Limits{PerPeriod: 4_000_000, Period: 10 * time.Minute, Lifetime: 8_000_000})
	put, err := w.api.Put(t.Context(), question, nil)
	if err != nil {
		t.Fatal(err)
	}
	if put.GetPlan().GetPopulation() != devices {
		t.Fatalf("a frame of %d", put.GetPlan().GetPopulation())
	}
	for _, fleet := range fleets {
		heard(t, fleet, put.GetRef())
	}
	for range laps*lap + 2 { // two more, in which every device says hello again
		end, ok := fleets[0].NextEnd()
		if !ok {
			t.Fatal("the fleet knows no kappa")
		}
		now.Set(end)
		for _, fleet := range fleets {
			if _, err := fleet.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		now.Set(end.Add(5 * time.Second))
	}
	heard := [laps]uint32{}
	for i, r := range w.results(laps * lap)[:laps*lap] {
		heard[i/lap] += r.GetReports()
		if rate := float64(r.GetReports()) / float64(r.GetPanel()); r.GetPanel() != devices/lap || r.GetResponseRate() != rate {
			t.Errorf("window %d: %d reports of %d, response rate %g", i, r.GetReports(), r.GetPanel(), r.GetResponseRate())
		}
	}
	if want := [laps]uint32{devices * 3 / 4, devices * 3 / 4, devices / 2}; heard != want {
		t.Errorf("the laps had %v reports, want %v", heard, want)
	}
	w.says(strict[0].ID, "refused_epsilon", laps)
	w.says(mortal[0].ID, "refused_lifetime", 1)
	w.says(chosen[devices-1].ID, "refused_epsilon", 0)
}

// says holds a counter of a device's presence record against what it must be.
func (w *world) says(device, counter string, want uint32) {
	w.t.Helper()
	d, err := w.api.Device(w.t.Context(), device)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := d.GetCounters()[counter]; got < want || want == 0 && got > 0 || d.GetCounters()["reported"] == 0 && want == 0 {
		w.t.Errorf("%s says %v, want %s: %d or more", device, d.GetCounters(), counter, want)
	}
}
