package bench

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/quadrat-dev/quadrat/internal/picture"
)

// The curves.
const (
	curveGrowth   = "growth"
	curvePanel    = "panel"
	curveRecovery = "recovery"
	curveQuery    = "query"
	curveLoad     = "load"
)

// look says how a curve is drawn.
type look struct {
	curve, title, subtitle string
	x, y                   string // labels with their units
	ours, reference, goal  string // names of the lines, of 22 letters at most
}

func looks() []look {
	return []look{
		{
			curveGrowth, "What a report costs as the fleet grows", "from the bytes of REPORTS to window state, on one core", "devices of the fleet",
			"processor time of a report, ns", "a report", "a fleet of 10⁴", "goal: 3 × that",
		},
		{
			curvePanel, "Planning a panel as the fleet grows", "permanent random numbers, sorted, and the arcs of a lap of 96 windows", "devices of the stratum",
			"processor time, s", "planning", "slices.Sort of them", "goal: 1 s for 10⁷",
		},
		{
			curveLoad, "What a report costs as the load grows", "single reports that are stored, synced and answered; clients and broker included",
			"requests that wait at once", "processor time of a report, µs", "stored and answered", "answered, not stored", "goal: no dearer",
		},
		{
			curveRecovery, "Recovery as the history grows", "from the checkpoint and a million reports behind it to the next checkpoint",
			"reports before the checkpoint", "time, s", "recovery", "with 10⁶ before", "goal: 2 × that",
		},
		{
			curveQuery, "Asking 1 percent of stored reports", "a mean by region with intervals, beside the same of all reports", "stored reports of the windows",
			"time, s", "1 percent", "all reports", "goal: 25 ms of 2·10⁷",
		},
	}
}

// Curve is a picture of rows that differ in the size at which they were measured.
type Curve struct {
	Name    string // one of CurveNames, good for the name of a file
	Picture picture.Picture
}

// CurveNames lists the curves that there can be.
func CurveNames() []string {
	var out []string
	for _, l := range looks() {
		out = append(out, l.curve)
	}
	return out
}

// Curves draws each curve of which two rows or more are given, the measured figures beside their reference and their goal. Rows must
// be in the order in which Run tells them.
func Curves(rows []Row) []Curve {
	var out []Curve
	for _, l := range looks() {
		var ours, reference, goal []picture.Point
		for _, r := range rows {
			if r.Curve == l.curve {
				ours = append(ours, picture.Point{X: r.At, Y: r.Figure})
				reference = append(reference, picture.Point{X: r.At, Y: r.ReferenceFigure})
				goal = append(goal, picture.Point{X: r.At, Y: r.GoalFigure})
			}
		}
		if len(ours) < 2 { //nolint:mnd // one point is no line
			continue
		}
		p := picture.Picture{Title: l.title, Subtitle: l.subtitle, X: axis(l.x, sizes(ours)), Y: axis(l.y, heights(ours, reference, goal))}
		p.Lines = []picture.Line{
			{Name: l.ours, Style: picture.Marked, Points: ours},
			{Name: l.reference, Style: beside(reference), Points: reference},
			{Name: l.goal, Style: picture.Limit, Points: goal},
		}
		out = append(out, Curve{Name: l.curve, Picture: p})
	}
	return out
}

// beside is the style of a reference: dots where it was measured at each size, none where it is one figure for all.
func beside(points []picture.Point) picture.Style {
	for _, p := range points {
		if p.Y != points[0].Y {
			return picture.Marked
		}
	}
	return picture.Dashed
}

func sizes(points []picture.Point) []float64 {
	out := make([]float64, 0, len(points))
	for _, p := range points {
		out = append(out, p.X)
	}
	return out
}

func heights(lines ...[]picture.Point) []float64 {
	var out []float64
	for _, p := range slices.Concat(lines...) {
		out = append(out, p.Y)
	}
	return out
}

// axis has numbers at powers of ten alone when it is long, and at more digits when it is short.
func axis(label string, values []float64) picture.Axis {
	const short, long = 10, 1000
	out := picture.Axis{Label: label, Text: power}
	switch span := slices.Max(values) / slices.Min(values); {
	case span >= long:
		out.Digits = []float64{1}
	case span < short:
		out.Digits = []float64{1, 1.5, 2, 3, 4, 5, 7}
	}
	return out
}

// power writes large and small numbers with a power of ten.
func power(x float64) string {
	const plain = 3 // digits on either side of the point that are read at a glance
	exponent := int(math.Floor(math.Log10(x) + 1e-9))
	if exponent > -plain && exponent < plain {
		return strconv.FormatFloat(x, 'g', plain, 64)
	}
	raised := strings.NewReplacer("-", "⁻", "0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹")
	text := "10" + raised.Replace(strconv.Itoa(exponent))
	if digits := strconv.FormatFloat(x/math.Pow10(exponent), 'g', plain, 64); digits != "1" {
		text = digits + "·" + text
	}
	return text
}
