package engine

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

func warned(r *quadratv1.Result, start string) string {
	for _, text := range r.GetWarnings() {
		if strings.HasPrefix(text, start) {
			return text
		}
	}
	return ""
}

// TestLowResponseNamesRateAndFloor: three of four devices answer.
func TestLowResponseNamesRateAndFloor(t *testing.T) {
	for _, c := range []struct {
		floor float64
		want  string
	}{
		{0, ""},
		{0.7, ""},
		{0.8, "low response: 75 % of the devices that were due answered, below the floor of 80 %"},
		{1, "low response: 75 % of the devices that were due answered, below the floor of 100 %"},
		{-1, ""},
	} {
		w := newWorld(t, 31)
		w.populate(100)
		record := w.deploy("k1", 1, nil, meanPlan("none"))
		w.start(true, func(config *Config) { config.ResponseFloor = c.floor }, record)
		w.clock.Set(end(firstWindow).Add(-time.Millisecond))
		w.publish(w.answers(record, firstWindow, 1)[:75], 30)
		w.clock.Set(end(firstWindow))
		w.closed(firstWindow, 1)
		w.stop()
		if got := warned(w.sink.newest()[0], "low response"); got != c.want {
			t.Errorf("floor %g: %q, want %q", c.floor, got, c.want)
		}
	}
}

// TestRedrawnPanelIsToldForALap follows a redraw in the middle of a lap of three windows.
func TestRedrawnPanelIsToldForALap(t *testing.T) {
	w := newWorld(t, 32)
	w.populate(90)
	record := w.deploy("k1", 3, nil, meanPlan("hybrid"))
	w.start(true, nil, record)
	again := proto.CloneOf(record.GetRevisions()[0])
	again.Device.Revision = 2
	again.Device.FromWindow = firstWindow + 1 // windows from the epoch: in the middle of a lap
	last := again.GetDevice().GetStrata()[0].GetLast()
	last[0] += 1 << 58
	next := proto.CloneOf(record)
	next.Revisions = append(next.Revisions, again)
	if err := w.engine.Check(next); err != nil {
		t.Fatal(err)
	}
	if got := w.engine.kappas["k1"].plans; len(got) != 1 {
		t.Fatalf("a check left %d revisions", len(got))
	}
	if err := w.engine.Apply(next); err != nil {
		t.Fatal(err)
	}
	for i := range int64(5) {
		w.clock.Set(end(firstWindow + i))
		w.closed(firstWindow+i, 1)
	}
	w.stop()
	const want = "panel redrawn in this lap: devices that moved may be silent until 2027-01-15T08:00:04Z"
	for _, r := range w.sink.newest() {
		i := r.GetWindowStart().AsTime().UnixMilli()/windowMs - firstWindow
		if got := warned(r, "panel redrawn"); (got == want) != (i >= 1 && i <= 3) || got != "" && got != want {
			t.Errorf("window %d: %q", i, got)
		}
	}
}

// TestWhatMovesNobodyIsNotWarnedOf: a resumed pause, a lap that begins with those who rested, laps of one window, no budget.
func TestWhatMovesNobodyIsNotWarnedOf(t *testing.T) {
	base := func() *plan {
		return &plan{
			lapWindows: 4, epsilon: 1, windowMs: windowMs, statistics: make([]statistic, 1), strata: []string{"a"},
			rotations: []panel.Rotation{{LapWindows: 4, Slots: 1, Last: []uint64{5, 10, 15, 20}}},
		}
	}
	for name, c := range map[string]struct {
		change func(before, p *plan)
		warned bool
	}{
		"moved":           {func(_, p *plan) { p.rotations[0].Last = []uint64{4, 10, 15, 20} }, true},
		"another lap":     {func(_, p *plan) { p.lapWindows = 5 }, true},
		"another stratum": {func(_, p *plan) { p.strata = []string{"b"} }, true},
		"nobody before":   {func(before, _ *plan) { before.strata, before.rotations = nil, nil }, false},
		"resumed":         {func(_, p *plan) { p.revision = 9 }, false},
		"a turn":          {func(_, p *plan) { p.from, p.rotations[0].Origin = 404, 21 }, false},
		"half a turn":     {func(_, p *plan) { p.from, p.rotations[0].Origin = 403, 21 }, true},
		"no privacy":      {func(_, p *plan) { p.rotations[0].Last, p.epsilon = []uint64{4, 10, 15, 20}, 0 }, false},
		"laps of one":     {func(before, p *plan) { before.lapWindows, p.lapWindows, p.rotations[0].Last = 1, 1, []uint64{4} }, false},
	} {
		before, p := base(), base()
		before.from, p.from = 390, 402
		c.change(before, p)
		k := &kappa{plans: []*plan{before, p}}
		for _, index := range []int64{p.from - 1, p.from, p.from + p.lapWindows - 1, p.from + p.lapWindows} {
			in := index >= p.from && index < p.from+p.lapWindows
			if got := k.moved(&window{index: index, plan: p}); (len(got) > 0) != (c.warned && in) {
				t.Errorf("%s: window %d: %v", name, index-p.from, got)
			}
		}
	}
}
