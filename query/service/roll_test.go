package service

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/internal/clock"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// crowded is a service with so many live kappas that all ask the same, each, if they are told, with results of a minute ago whose spread is
// its number.
func crowded(t *testing.T, kappas int, told bool) *Service {
	t.Helper()
	now := time.Unix(1_800_000_000, 0).UTC()
	cfg := Config{Clock: clock.NewManual(now)}.withDefaults()
	s := &Service{cfg: cfg, results: newIndex(&cfg), live: map[string]*deployed{}, roll: newRoll()}
	for i := range kappas {
		ref := fmt.Sprint("k", i)
		s.enter(ref, &quadratv1.KappaRecord{
			Kappa: &quadratv1.Kappa{Ref: ref, Name: fmt.Sprint("n", i), Script: fmt.Sprint("script ", i)},
			Revisions: []*quadratv1.PlanRevision{{
				Device: &quadratv1.DevicePlan{Ref: ref, Revision: 1, WindowMs: 60_000, LapWindows: 10, Capability: "c", Statistics: []*quadratv1.StatisticPlan{warmth}},
				Plan:   &quadratv1.Plan{Statistics: []*quadratv1.StatisticView{{Name: warmth.GetName()}}},
			}},
		})
		if !told {
			continue
		}
		s.results.add(uint64(i+1), &quadratv1.Result{
			Ref: ref, WindowStart: timestamppb.New(now.Add(-time.Minute)), Revision: 1, PlanRevision: 1, Statistic: warmth.GetName(), Value: new(1.0),
			Reports: 100, Population: 4e9, StdError: new(float64(i+1) / 10),
		})
	}
	return s
}

var warmth = &quadratv1.StatisticPlan{Name: "mean(t)", Kind: "mean", Reading: "t", Summary: "avg", LoMicro: 1, HiMicro: 9}

// What a deployment asks of the kappas that run costs the same however many there are, and the newest that knows a spread tells it.
func TestManyKappasDontSlowADeployment(t *testing.T) {
	for _, told := range []bool{true, false} {
		costs := map[int]float64{}
		for _, kappas := range []int{20, 4000} {
			costs[kappas] = costOfADeployment(t, kappas, told)
		}
		if costs[4000] > costs[20] {
			t.Errorf("it takes %g allocations with 4,000 kappas and %g with 20", costs[4000], costs[20])
		}
	}
}

// costOfADeployment is how many allocations it takes to ask the kappas that run.
func costOfADeployment(t *testing.T, kappas int, told bool) float64 {
	t.Helper()
	s := crowded(t, kappas, told)
	plan := &quadratv1.DevicePlan{Capability: "c", Statistics: []*quadratv1.StatisticPlan{warmth}}
	known := s.knows(plan)
	if told && (len(known) != 1 || known[0].StdDev < float64(kappas)-1e-3 || known[0].StdDev > float64(kappas)+1e-3) || !told && len(known) > 0 {
		t.Errorf("of %d kappas the newest doesn't tell: %+v", kappas, known)
	}
	if n := len(maps.Collect(s.asking(questionOf("c", warmth)))); n > askedMost {
		t.Errorf("%d kappas of %d are asked about one spread", n, kappas)
	}
	request := &quadratv1.PutKappaRequest{Script: "another"}
	return testing.AllocsPerRun(10, func() {
		if there, err := s.present("", request); there != nil || err != nil || s.taken("x") || len(s.knows(plan)) != len(known) {
			t.Error("a kappa that isn't there is found")
		}
	})
}

// Kappas are found by name and script as long as they live, and asked what they ask now.
func TestRollFollowsKappas(t *testing.T) {
	s := crowded(t, 3, false)
	name := func(ref string) *quadratv1.KappaRecord { return s.live[ref].record }
	if d := s.named("n1"); d == nil || d.record != name("k1") {
		t.Error("a name isn't found")
	}
	if d := s.alike("", &quadratv1.PutKappaRequest{Script: "script 2"}); d == nil || d.record != name("k2") {
		t.Error("a script isn't found")
	}
	before := name("k2")
	other := &quadratv1.StatisticPlan{Name: "max", Kind: "mean", Reading: "t", Summary: "max"}
	s.enter("k2", withStatistic(before, other))
	here, there := questionOf("c", warmth), questionOf("c", other)
	if len(s.roll.asked[here]) != 2 || len(s.roll.asked[there]) != 1 || len(s.roll.texts["script 2"]) != 1 {
		t.Errorf("after a change: %v", s.roll)
	}
	for _, ref := range []string{"k0", "k1", "k2"} {
		s.roll.leave(s.live[ref].record)
	}
	if len(s.roll.asked)+len(s.roll.named)+len(s.roll.texts) != 0 {
		t.Errorf("kappas that went leave %v", s.roll)
	}
}

func withStatistic(r *quadratv1.KappaRecord, s *quadratv1.StatisticPlan) *quadratv1.KappaRecord {
	return &quadratv1.KappaRecord{Kappa: r.GetKappa(), Revisions: []*quadratv1.PlanRevision{{
		Device: &quadratv1.DevicePlan{Ref: r.GetKappa().GetRef(), Revision: 2, WindowMs: 60_000, Capability: "c", Statistics: []*quadratv1.StatisticPlan{s}},
	}}}
}

// A revision counts as fitting once it was found to after all that the fleet had noted took effect; any change of either ends that.
func TestFitHoldsUntilTheFleetChanges(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var f fit
	f.found(7, 1, now)
	f.found(7, 1, now.Add(settleAfter-time.Millisecond))
	if f.over(7, 1) {
		t.Error("a change may not have taken effect")
	}
	f.found(7, 1, now.Add(settleAfter))
	if !f.over(7, 1) || f.over(8, 1) || f.over(7, 2) {
		t.Error("a fit isn't that of its fleet and revision")
	}
	f.found(8, 1, now.Add(time.Hour))
	if f.over(8, 1) || f.over(7, 1) {
		t.Error("a new fleet fits at once")
	}
}
