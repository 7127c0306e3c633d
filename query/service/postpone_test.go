package service

import (
	"testing"
	"time"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

func TestPostpone(t *testing.T) {
	for _, c := range []struct {
		nowMs, from, want int64
	}{{10_000, 11, 11}, {10_850, 11, 11}, {10_950, 11, 12}, {11_000, 11, 12}, {13_300, 11, 14}, {10_000, 20, 20}} {
		r := &quadratv1.PlanRevision{Device: &quadratv1.DevicePlan{WindowMs: 1000, FromWindow: c.from}, Plan: &quadratv1.Plan{}}
		postpone(r, time.UnixMilli(c.nowMs))
		if got := r.GetDevice().GetFromWindow(); got != c.want {
			t.Errorf("at %d ms window %d becomes %d, want %d", c.nowMs, c.from, got, c.want)
		}
		if c.want != c.from && r.GetPlan().GetFrom().AsTime().UnixMilli() != c.want*1000 {
			t.Errorf("the plan says %v", r.GetPlan().GetFrom())
		}
	}
}
