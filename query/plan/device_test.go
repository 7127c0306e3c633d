package plan_test

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/attr"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// TestDevicePlan sets every field that devices and engine follow against what the script says.
func TestDevicePlan(t *testing.T) {
	opt := plan.Options{Ref: "k7f3q2", Revision: 3, PlanSetVersion: 9, FromWindow: 120, Salt: [16]byte{1, 2}}
	frame := fleet("asia", "", 3000, "", "", 400, "oceania", "", 7)
	rev, err := plan.Build(prepared(t, indoor, nil), frame, opt)
	if err != nil {
		t.Fatal(err)
	}
	got := proto.CloneOf(rev.GetDevice())
	for _, s := range got.GetStrata() {
		if len(s.GetLast()) != 120 || s.GetOrigin() != 0 {
			t.Errorf("%s: %d arcs from %d", s.GetName(), len(s.GetLast()), s.GetOrigin())
		}
		s.Last = nil
	}
	values := func(text string) *quadratv1.AttributeValues {
		return &quadratv1.AttributeValues{Values: []string{text}}
	}
	want := &quadratv1.DevicePlan{
		Ref: "k7f3q2", Name: "indoor", Revision: 3, PlanSetVersion: 9, FromWindow: 120, WindowMs: 60_000, GraceMs: 5_000,
		Salt: opt.Salt[:], Capability: "sense.temperature",
		Where: &quadratv1.Predicate{
			Op: "<>", Attribute: "building_type", Values: []*quadratv1.Literal{{Text: "others"}},
		},
		StratifiedBy: []string{"region"},
		Strata: []*quadratv1.StratumPlan{
			{Name: "(missing)+oceania", Members: []*quadratv1.AttributeValues{values(""), values("oceania")}},
			{Name: "asia", Members: []*quadratv1.AttributeValues{values("asia")}},
		},
		LapWindows: 60,
		Statistics: []*quadratv1.StatisticPlan{
			{
				Name: "mean(temperature)", Kind: "mean", Reading: "temperature", Summary: "avg", Mechanism: "hybrid",
				LoMicro: 10_000_000, HiMicro: 40_000_000,
			},
			{
				Name: "proportion(temperature > 26)", Kind: "proportion", Reading: "temperature", Summary: "avg",
				Comparison: ">", ThresholdMicro: 26_000_000, Mechanism: "warner",
			},
		},
		Model: "local", EpsilonMicro: 4_000_000, EpsilonPeriodMicro: 4_000_000, PeriodMs: 3_600_000,
		GroupBy: []string{"cooling_type"}, Confidence: 0.95,
	}
	if !proto.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

// TestModelNone has no budget, clips nothing without bounds, and says so.
func TestModelNone(t *testing.T) {
	s := prepared(t, "SELECT mean(max(x)), count(x <= -1.5) AS cold FROM a.q WHERE NOT b LIKE 'c%' WINDOW 1s PRIVACY NONE", nil)
	rev, err := plan.Build(s, fleet("", "", 10), plan.Options{Ref: "k"})
	if err != nil {
		t.Fatal(err)
	}
	p := rev.GetDevice()
	mean, cold := p.GetStatistics()[0], p.GetStatistics()[1]
	if p.GetModel() != "none" || p.GetEpsilonMicro() != 0 || p.GetEpsilonPeriodMicro() != 0 || p.GetLapWindows() != 1 ||
		mean.GetMechanism() != "none" || mean.GetSummary() != "max" || mean.GetLoMicro() > -1e18 || mean.GetHiMicro() < 1e18 ||
		mean.GetHiMicro()-mean.GetLoMicro() < 0 || cold.GetName() != "cold" || cold.GetThresholdMicro() != -1_500_000 {
		t.Errorf("%v", p)
	}
	encoded, err := proto.Marshal(p.GetWhere())
	if err != nil {
		t.Fatal(err)
	}
	where, err := attr.Decode(encoded)
	if err != nil || !where.Match(map[string]string{"b": "d"}) || where.Match(map[string]string{"b": "cd"}) {
		t.Errorf("where: %v", err)
	}
}

// TestRestersComeFirst holds that the next lap begins with those who rested.
func TestRestersComeFirst(t *testing.T) {
	s := prepared(t, "SELECT proportion(x > 1) FROM a.q SAMPLE 20 DEVICES WINDOW 15m PRIVACY LOCAL EPSILON 1 PER 1h", nil)
	frame := fleet("", "", 100)
	opt := plan.Options{Salt: [16]byte{5}}
	first, err := plan.Build(s, frame, opt)
	if err != nil {
		t.Fatal(err)
	}
	opt.FromWindow, opt.Previous = 60, first.GetDevice()
	second, err := plan.Build(s, frame, opt)
	if err != nil {
		t.Fatal(err)
	}
	rested := 0
	for _, m := range frame {
		number := panel.NumberOf(opt.Salt, m.ID)
		place := func(r *quadratv1.PlanRevision) (uint32, bool) {
			window, _, ok := plan.Rotation(r.GetDevice(), r.GetDevice().GetStrata()[0]).Place(number)
			return window, ok
		}
		if _, ok := place(first); ok {
			continue
		}
		rested++
		if window, ok := place(second); !ok || window != 0 {
			t.Errorf("%s rested and has place %d %v in the next lap", m.ID, window, ok)
		}
	}
	if rested != 20 {
		t.Errorf("%d rested, want 20", rested)
	}
}

// TestStrataHaveNamesOfTheirOwn, also where values hold the sign that joins them.
func TestStrataHaveNamesOfTheirOwn(t *testing.T) {
	var frame []plan.Member
	for i := range 300 {
		attributes := map[string]string{"a": "x/y", "b": "z"}
		if i%2 == 1 {
			attributes = map[string]string{"a": "x", "b": "y/z"}
		}
		frame = append(frame, plan.Member{ID: fmt.Sprint(i), Attributes: attributes})
	}
	s := prepared(t, "SELECT proportion(x > 1) FROM a.q SAMPLE ALL STRATIFIED BY a, b WINDOW 15m PRIVACY LOCAL EPSILON 1 PER 1h", nil)
	rev, err := plan.Build(s, frame, plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	strata := rev.GetPlan().GetStrata()
	if len(strata) != 2 || strata[0].GetName() == strata[1].GetName() || strata[0].GetPopulation() != 150 {
		t.Errorf("%v", strata)
	}
}

// TestTooFine refuses a cut into more strata or cells than an engine can keep.
func TestTooFine(t *testing.T) {
	var frame []plan.Member
	for i := range 5000 {
		frame = append(frame, plan.Member{ID: fmt.Sprint(i), Attributes: map[string]string{"serial": fmt.Sprint(i)}})
	}
	for _, clause := range []string{"GROUP BY serial", "SAMPLE ALL STRATIFIED BY serial"} {
		s := prepared(t, "SELECT proportion(x > 1) FROM a.q "+clause+" WINDOW 15m PRIVACY LOCAL EPSILON 1 PER 1h", nil)
		_, err := plan.Build(s, frame, plan.Options{})
		var no *plan.Infeasible
		if !errors.As(err, &no) || len(no.Options) == 0 {
			t.Errorf("%s: %v", clause, err)
		}
	}
}

// TestUnboundScript is refused: a plan needs every default.
func TestUnboundScript(t *testing.T) {
	s, err := script.Parse(indoor)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Build(s, nil, plan.Options{}); err == nil {
		t.Error("a script that was not bound is planned")
	}
}
