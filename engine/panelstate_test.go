package engine

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// goldenPanel is an engine with two windows of a FIXED panel, the earlier one closed.
func goldenPanel(t testing.TB) *Engine {
	t.Helper()
	e := &Engine{config: Config{}.withDefaults(), kappas: map[string]*kappa{}, sequence: 99, markMs: 1_800_000_001_200}
	k, err := newKappa(&quadratv1.KappaRecord{Version: 1, Kappa: &quadratv1.Kappa{Ref: "k1", Name: "one"}, Revisions: []*quadratv1.PlanRevision{{
		Device: &quadratv1.DevicePlan{
			Ref: "k1", Name: "one", Revision: 1, FromWindow: firstWindow, WindowMs: windowMs, GraceMs: graceMs, Salt: make([]byte, 16),
			LapWindows: 1, Statistics: []*quadratv1.StatisticPlan{meanPlan("none")}, Model: "none", Capability: "sense.temperature",
			Confidence: 0.95, GroupBy: []string{"cooling"}, Strata: []*quadratv1.StratumPlan{{Name: "(all)", Last: []uint64{1<<64 - 1}}},
		},
		Plan: &quadratv1.Plan{Rotation: "fixed"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var rows []*fleet.Row
	for i := range 9 {
		rows = append(rows, &fleet.Row{
			ID: fmt.Sprint(i), Key: fleet.Key(i) << 60, Attributes: map[string]string{"cooling": []string{"air", ""}[i%2]},
		})
	}
	f := newFrame(k.plans[0], rows)
	for i := range int64(2) {
		w := newWindow(firstWindow+i, k.plans[0], f)
		r := &reports{}
		for d := range uint64(9) {
			if d != uint64(i)*4 {
				r.device, r.statistic = append(r.device, d<<60), append(r.statistic, 0)
				r.value = append(r.value, 20e6+int64(d*d)*100_000+i*int64(d)*50_000)
			}
		}
		var v verdict
		w.count(r, &v, nil, 0)
		k.windows[w.index] = w
	}
	k.windows[firstWindow].revision = 1
	k.next, k.oldest = firstWindow+1, firstWindow
	k.recount()
	e.kappas["k1"], e.order = k, []string{"k1"}
	return e
}

// TestGoldenPanel freezes version 3 of the checkpoint, and finds the same change behind it.
func TestGoldenPanel(t *testing.T) {
	e := goldenPanel(t)
	golden, _, again := frozen(t, 3, goldenPanel)
	if kept := again.kappas["k1"].kept; kept != 9 {
		t.Errorf("%d single answers of closed windows, want 9", kept)
	}
	results := func(e *Engine) []*quadratv1.Result {
		return e.kappas["k1"].estimate(e.kappas["k1"].windows[firstWindow+1], 0)
	}
	want, have := results(e), results(again)
	for i := range want {
		if want[i].GetChange().GetMatched() < 3 || !proto.Equal(want[i], have[i]) {
			t.Errorf("estimate %v, want %v", have[i], want[i])
		}
	}
	for i := range golden {
		bad := slices.Clone(golden)
		bad[i] ^= 0x10
		if _, err := decodeCheckpoint(bad); err == nil {
			t.Fatalf("byte %d changed, and the checkpoint was read", i)
		}
	}
}

// TestPanelsGoWithTheirAnswers: a frame that changes in every window leaves no panel behind, and one that stays is not lost.
func TestPanelsGoWithTheirAnswers(t *testing.T) {
	for _, moving := range []bool{true, false} {
		w := newWorld(t, 27)
		w.populate(60)
		record := w.fix(w.deploy("k1", 1, nil, meanPlan("none")), 0.8)
		w.start(true, func(c *Config) { c.ChangeAnswers = 1 }, record)
		for i := range int64(5) {
			if moving {
				w.join(fmt.Sprint("new", i), map[string]string{"region": "asia"}, w.clock.Now())
			}
			w.say(record, firstWindow+i, 0)
		}
		w.stop()
		panels := map[*layout]bool{}
		for _, each := range w.engine.kappas["k1"].sorted() {
			if each.values != nil && len(each.layout.panel) != len(each.values) {
				t.Errorf("%d answers of a panel of %d", len(each.values), len(each.layout.panel))
			}
			if len(each.layout.panel) > 0 {
				panels[each.layout] = true
			}
		}
		if len(panels) != 1 {
			t.Errorf("frames that change: %v; %d panels are kept, want that of the newest window", moving, len(panels))
		}
		for i := range int64(4) {
			if c := w.result(firstWindow+1+i, "mean(temperature)", nil).GetChange(); c.GetMatched() < 20 {
				t.Errorf("frames that change: %v; window %d: %v", moving, i+1, c)
			}
		}
		if _, err := decodeCheckpoint(w.engine.encode()); err != nil {
			t.Error(err)
		}
	}
}
