package plan_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/query/plan"
)

func TestNeedsRedraw(t *testing.T) {
	s := prepared(t, indoor, nil)
	base := []any{"asia", "", 1000, "europe", "", 500, "oceania", "", 20}
	rev, err := plan.Build(s, fleet(base...), plan.Options{Revision: 1})
	if err != nil {
		t.Fatal(err)
	}
	empty, err := plan.Build(s, nil, plan.Options{Revision: 1})
	if err != nil {
		t.Fatal(err)
	}
	if redraw, _ := plan.NeedsRedraw(empty, nil); redraw {
		t.Error("nobody came and it is drawn again")
	}
	if redraw, reason := plan.NeedsRedraw(empty, fleet("asia", "", 1)); !redraw || reason == "" {
		t.Error("the first device came and nothing is drawn")
	}
	for _, c := range []struct {
		name, reason string
		frame        []any
	}{
		{"the same", "", base},
		{"a tenth more", "", []any{"asia", "", 1100, "europe", "", 500, "oceania", "", 20}},
		{"a tenth less", "", []any{"asia", "", 900, "europe", "", 500, "oceania", "", 20}},
		{"a little more than a tenth", "asia went from 1000 to 1101", []any{"asia", "", 1101, "europe", "", 500, "oceania", "", 20}},
		{"a little less than nine tenths", "asia went from 1000 to 899", []any{"asia", "", 899, "europe", "", 500, "oceania", "", 20}},
		{"a part of a collapsed stratum is gone", "", []any{"asia", "", 1000, "europe", "", 500}},
		{"a stratum is gone", "europe+oceania vanished", []any{"asia", "", 1000}},
		{"all are gone", "vanished", nil},
		{"a new stratum", "africa appeared", append([]any{"africa", "", 1}, base...)},
		{"a missing value", "(missing) appeared", append([]any{"", "", 1}, base...)},
	} {
		redraw, reason := plan.NeedsRedraw(rev, fleet(c.frame...))
		if redraw != (c.reason != "") || !strings.Contains(reason, c.reason) {
			t.Errorf("%s: got %v %q, want %q", c.name, redraw, reason, c.reason)
		}
	}
}

func TestNextTurn(t *testing.T) {
	const text = "SELECT mean(x) FROM a.q SAMPLE $n DEVICES WINDOW 1m PRIVACY LOCAL EPSILON 1 PER 90m BETWEEN 0 AND 1"
	for _, c := range []struct {
		text       string
		n          float64
		from, want int64
		ok         bool
	}{
		{text, 10, 0, 90, true},
		{text, 10, 89, 90, true},
		{text, 10, 90, 180, true},
		{text, 11, 0, 0, false}, // 990 of 990 take turns
		{strings.Replace(text, "WINDOW", "FIXED WINDOW", 1), 10, 0, 0, false},
		{strings.Replace(text, "90m", "4m", 1), 10, 2, 64, true},
		{strings.Replace(text, "90m", "1m", 1), 10, 2, 62, true},
	} {
		rev, err := plan.Build(prepared(t, c.text, map[string]float64{"n": c.n}), fleet("asia", "", 990), plan.Options{FromWindow: c.from})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := plan.NextTurn(rev); got != c.want || ok != c.ok {
			t.Errorf("%s with n = %g from %d: got %d %v, want %d %v", c.text, c.n, c.from, got, ok, c.want, c.ok)
		}
	}
}

// TestRedrawKeepsPlaces holds that a redraw half-way through a lap, and any of FIXED panels, moves no device when nothing
// has changed, and that a new lap does.
func TestRedrawKeepsPlaces(t *testing.T) {
	frame := fleet("asia", "", 3000, "europe", "", 2000)
	for _, c := range []struct {
		rotation string
		window   int64
		same     bool
	}{{"ROTATING", 75, true}, {"ROTATING", 120, false}, {"FIXED", 120, true}, {"FIXED", 61, true}} {
		s := prepared(t, strings.NewReplacer("ALL", "60 DEVICES", "ROTATING", c.rotation).Replace(indoor), nil)
		opt := plan.Options{Revision: 1, FromWindow: 60}
		first, err := plan.Build(s, frame, opt)
		if err != nil {
			t.Fatal(err)
		}
		opt.FromWindow, opt.Previous = c.window, first.GetDevice()
		again, err := plan.Build(s, frame, opt)
		if err != nil {
			t.Fatal(err)
		}
		for h, stratum := range again.GetDevice().GetStrata() {
			if proto.Equal(stratum, first.GetDevice().GetStrata()[h]) != c.same {
				t.Errorf("%s from window %d: stratum %s has the same places: want %v", c.rotation, c.window, stratum.GetName(), c.same)
			}
		}
	}
}
