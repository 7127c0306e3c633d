package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// EXPLAIN tells how many devices will stay silent because their owners allow less than a report costs.
func TestWarnOfLimits(t *testing.T) {
	registry := fleet.New(fleet.NewKeyer([16]byte{}))
	rows := []*fleet.Row{{}} // one of unknown limits
	for device, l := range map[string]*quadratv1.Limits{
		"small": {EpsilonMicro: 1_000_000}, "enough": {EpsilonMicro: 4_000_000}, "mortal": {EpsilonMicro: 9_000_000, LifetimeMicro: 3_000_000},
	} {
		if err := registry.Hello(&quadratv1.Hello{Device: device, Limits: l}, time.UnixMilli(1)); err != nil {
			t.Fatal(err)
		}
		row, _ := registry.Lookup(device)
		rows = append(rows, row)
	}
	revision := &quadratv1.PlanRevision{Device: &quadratv1.DevicePlan{EpsilonMicro: 4_000_000}, Plan: &quadratv1.Plan{}}
	warnOfLimits(revision, rows)
	if w := revision.GetPlan().GetWarnings(); len(w) != 1 || !strings.HasPrefix(w[0], "2 of 4 devices allow less than ε = 4") {
		t.Errorf("%q", w)
	}
	revision.Plan.Warnings = nil
	enough, _ := registry.Lookup("enough")
	warnOfLimits(revision, []*fleet.Row{enough})
	if w := revision.GetPlan().GetWarnings(); len(w) != 0 {
		t.Errorf("%q", w)
	}
}

// TestOldDevicesAreNotAskedByNewMechanisms: one device that has not named a mechanism keeps it out of the plan of all, also when it comes
// later; what is asked of squares has none of it.
func TestOldDevicesAreNotAskedByNewMechanisms(t *testing.T) {
	registry := fleet.New(fleet.NewKeyer([16]byte{}))
	start := time.UnixMilli(1_800_000_000_000)
	hello := func(device, region string, at time.Time, names ...string) {
		t.Helper()
		if err := registry.Hello(&quadratv1.Hello{
			Device: device, Attributes: map[string]string{"region": region},
			Capabilities: []*quadratv1.Capability{{Name: "sense.temperature"}},
			Limits:       &quadratv1.Limits{EpsilonMicro: 8e6, PeriodMs: 600_000, Models: []string{"local"}}, Mechanisms: names,
		}, at); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		hello(fmt.Sprint("new", i), "north", start, "three-output")
	}
	p := NewFleetPlanner(registry, func(context.Context) error { return nil })
	draft := Draft{
		Script: `KAPPA all AS SELECT mean(temperature), variance(temperature), count(temperature > 20) FROM sense.temperature
WINDOW 1m PRIVACY LOCAL EPSILON 1 PER 10m BETWEEN 10 AND 40`,
		Ref: "k7f3q2", Name: "all", Salt: make([]byte, 16), Revision: 1, Now: start.Add(time.Second),
	}
	names := func() (out []string) {
		t.Helper()
		revision, err := p.Plan(t.Context(), draft)
		if err != nil {
			t.Fatal(err)
		}
		draft.Previous = revision
		for _, s := range revision.GetDevice().GetStatistics() {
			out = append(out, s.GetMechanism())
		}
		return out
	}
	redraw := func(at time.Duration) string {
		t.Helper()
		draft.Now = start.Add(at)
		reason, err := p.Redraw(draft)
		if err != nil {
			t.Fatal(err)
		}
		return reason
	}
	if got := names(); !slices.Equal(got, []string{"three-output", "hybrid", "warner"}) {
		t.Errorf("all devices know it, and the plan has %v", got)
	}
	if reason := redraw(2 * time.Second); reason != "" {
		t.Errorf("redrawn: %s", reason)
	}
	hello("old", "north", start.Add(3*time.Second), "another")
	if reason := redraw(5 * time.Second); reason != "1 of 101 devices don't know the mechanism three-output" {
		t.Errorf("an old device came, and the reason is %q", reason)
	}
	if got := names(); !slices.Equal(got, []string{"hybrid", "hybrid", "warner"}) {
		t.Errorf("an old device is there, and the plan has %v", got)
	}
	if reason := redraw(6 * time.Second); reason != "" {
		t.Errorf("redrawn again: %s", reason)
	}
	draft.Script = strings.Replace(draft.Script, "WINDOW", "WHERE region = 'south' WINDOW", 1)
	if got := names(); !slices.Equal(got, []string{"hybrid", "hybrid", "warner"}) {
		t.Errorf("there is nobody yet, and the plan has %v", got)
	}
}
