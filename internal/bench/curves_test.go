package bench

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/picture"
)

func TestCurves(t *testing.T) {
	row := func(curve string, at int, figure, reference, goal float64) Row {
		return Row{Figure: figure, ReferenceFigure: reference}.atMost(goal).on(curve, at)
	}
	rows := []Row{
		row(curveGrowth, 1000, 30, 40, 120), row(curveGrowth, 10_000, 41, 40, 120),
		{Name: "no curve", Figure: 1},
		row(curvePanel, 1000, 1e-4, 2e-4, 1), row(curvePanel, 10_000, 1e-3, 3e-3, 1), row(curveQuery, 1000, 1, 1, 1),
	}
	curves := Curves(rows)
	if len(curves) != 2 || curves[0].Name != curveGrowth || curves[1].Name != curvePanel {
		t.Fatalf("curves %v; one point is no curve", curves)
	}
	lines := curves[0].Picture.Lines
	want := []picture.Point{{X: 1000, Y: 30}, {X: 10_000, Y: 41}}
	if len(lines) != 3 || !slices.Equal(lines[0].Points, want) || lines[1].Points[1].Y != 40 || lines[2].Points[1].Y != 120 {
		t.Errorf("lines %v", lines)
	}
	if lines[1].Style != picture.Dashed || curves[1].Picture.Lines[1].Style != picture.Marked || lines[2].Style != picture.Limit {
		t.Error("one figure for all sizes is drawn as if it was measured at each, or the other way round")
	}
	for _, c := range curves {
		var b bytes.Buffer
		if err := c.Picture.SVG(&b); err != nil || !slices.Contains(CurveNames(), c.Name) {
			t.Errorf("%s: %v", c.Name, err)
		}
		if !strings.Contains(b.String(), ">10³</text>") {
			t.Errorf("%s has no number at a thousand", c.Name)
		}
	}
}

// TestLooks: every name of a line has room in the picture.
func TestLooks(t *testing.T) {
	for _, l := range looks() {
		for _, name := range []string{l.ours, l.reference, l.goal} {
			if n := len([]rune(name)); n == 0 || n > 22 {
				t.Errorf("%s: %q has %d letters", l.curve, name, n)
			}
		}
		if l.title == "" || l.subtitle == "" || l.x == "" || l.y == "" {
			t.Errorf("%s: %+v", l.curve, l)
		}
	}
}

func TestNumbers(t *testing.T) {
	for x, want := range map[float64]string{
		0.001: "10⁻³", 0.002: "2·10⁻³", 0.01: "0.01", 0.5: "0.5", 1: "1", 20: "20", 200: "200", 1000: "10³", 5e7: "5·10⁷", 1e10: "10¹⁰",
	} {
		if got := power(x); got != want {
			t.Errorf("%g is written %s, want %s", x, got, want)
		}
	}
	for n, want := range map[int]string{7: "7", 10: "10^1", 1000: "10^3", 3_000_000: "3·10^6", 1200: "1200"} {
		if got := tens(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

// TestGoalsAreFigures: what is held against a goal tells it.
func TestGoalsAreFigures(t *testing.T) {
	if r := (Row{Figure: 3}).atLeast(4); r.Met || r.GoalFigure != 4 {
		t.Errorf("%+v", r)
	}
	if r := (Row{Figure: 3}).atMost(4); !r.Met || r.GoalFigure != 4 {
		t.Errorf("%+v", r)
	}
}
