package service

import (
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// EXPLAIN tells how many devices will stay silent because their owners allow less than a report costs.
func TestWarnOfLimits(t *testing.T) {
	rows := []*fleet.Row{
		{Limits: &fleet.Limits{EpsilonMicro: 1_000_000}},
		{Limits: &fleet.Limits{EpsilonMicro: 4_000_000}},
		{Limits: &fleet.Limits{EpsilonMicro: 9_000_000, LifetimeMicro: 3_000_000}},
		{},
	}
	revision := &quadratv1.PlanRevision{Device: &quadratv1.DevicePlan{EpsilonMicro: 4_000_000}, Plan: &quadratv1.Plan{}}
	warnOfLimits(revision, rows)
	if w := revision.GetPlan().GetWarnings(); len(w) != 1 || !strings.HasPrefix(w[0], "2 of 4 devices allow less than ε = 4") {
		t.Errorf("%q", w)
	}
	revision.Plan.Warnings = nil
	warnOfLimits(revision, rows[1:2])
	if w := revision.GetPlan().GetWarnings(); len(w) != 0 {
		t.Errorf("%q", w)
	}
}
