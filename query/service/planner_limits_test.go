package service

import (
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
