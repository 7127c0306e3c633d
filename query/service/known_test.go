package service

import (
	"math"
	"testing"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
)

// Results made from a known spread give that spread back, for means as for totals, and other revisions, cells and
// censuses say nothing.
func TestSpreadOfInvertsTheVariance(t *testing.T) {
	const n, population, spread, noise = 100, 1000, 3.0, 7.0
	variance := (1-n/float64(population))*spread*spread/n + noise*noise/n
	for kind, scale := range map[string]float64{"mean": 1, "proportion": 1, "total": population, "count": population} {
		statistic := &quadratv1.StatisticPlan{Name: "x", Kind: kind}
		stdError, wrong := scale*math.Sqrt(variance), 1e6
		result := func(revision uint32, cell map[string]string, reports uint32, e *float64) entry {
			return entry{result: &quadratv1.Result{
				Statistic: "x", Cell: cell, Reports: reports, Population: population, StdError: e, PlanRevision: revision,
			}}
		}
		entries := []entry{
			result(2, nil, n, &stdError), result(2, nil, n, &stdError), result(1, nil, n, &wrong), result(2, nil, n, nil),
			result(2, map[string]string{"a": "b"}, n, &wrong), result(2, nil, population, &wrong),
		}
		got, ok := spreadOf(entries, statistic, 2, noise, 1)
		if !ok || math.Abs(got-spread) > 1e-9 {
			t.Errorf("%s: %g, %v", kind, got, ok)
		}
		if _, ok := spreadOf(entries, statistic, 2, 100*noise, 1); ok {
			t.Errorf("%s: a spread came out of mere noise", kind)
		}
		if _, ok := spreadOf(nil, statistic, 2, noise, 1); ok {
			t.Errorf("%s: a spread came out of nothing", kind)
		}
	}
}

// A variance is the square of the spread itself. Negative ones, which noise makes, are not left out of the mean.
func TestSpreadOfVariances(t *testing.T) {
	statistic := &quadratv1.StatisticPlan{Name: "v", Kind: "variance"}
	entries := func(values ...float64) (out []entry) {
		for _, v := range values {
			out = append(out, entry{result: &quadratv1.Result{
				Statistic: "v", Reports: 100, Population: 1000, Value: &v, StdError: new(1.0), PlanRevision: 2,
			}})
		}
		return out
	}
	if got, ok := spreadOf(entries(20, -2, 9), statistic, 2, 7, 1); !ok || math.Abs(got-3) > 1e-12 {
		t.Errorf("%g, %v, want 3", got, ok)
	}
	if got, ok := spreadOf(entries(4, -20), statistic, 2, 7, 1); ok {
		t.Errorf("%g came out of mere noise", got)
	}
}

func TestPilotTakesOnlyWhatFits(t *testing.T) {
	mean := &quadratv1.StatisticPlan{Name: "m", Kind: "mean", Reading: "temperature", Summary: "avg", LoMicro: 1, HiMicro: 9}
	warm := &quadratv1.StatisticPlan{Name: "w", Kind: "proportion", Reading: "temperature", Summary: "avg", Comparison: ">", ThresholdMicro: 5}
	known := []Known{{Capability: "sense.temperature", Statistic: mean, StdDev: 3}, {Capability: "sense.temperature", Statistic: warm, StdDev: 0.4}}
	asked := &quadratv1.DevicePlan{Capability: "sense.temperature", Statistics: []*quadratv1.StatisticPlan{
		{Name: "hot", Kind: "count", Reading: "temperature", Summary: "avg", Comparison: ">", ThresholdMicro: 5},
		{Name: "other", Kind: "count", Reading: "temperature", Summary: "avg", Comparison: ">", ThresholdMicro: 6},
		{Name: "narrow", Kind: "mean", Reading: "temperature", Summary: "avg", LoMicro: 1, HiMicro: 8},
	}}
	asked.Statistics = append(asked.Statistics, &quadratv1.StatisticPlan{
		Name: "r denominator", Kind: "ratio", Part: "denominator", Reading: "temperature", Summary: "avg", LoMicro: 1, HiMicro: 9,
	})
	got := pilot(known, asked)
	if len(got) != 2 || got["r denominator"][plan.AnyStratum] != 3 {
		t.Errorf("with a ratio: %v", got)
	}
	asked.Statistics = asked.Statistics[:3]
	got = pilot(known, asked)
	if len(got) != 1 || got["hot"][plan.AnyStratum] != 0.4 {
		t.Errorf("%v", got)
	}
	asked.Capability = "sense.humidity"
	if got := pilot(known, asked); got != nil {
		t.Errorf("of another capability: %v", got)
	}
}
