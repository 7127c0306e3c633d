package curve

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/quadrat-dev/quadrat/internal/picture"
)

// SVG draws the points of a question on two logarithmic scales, one line for each mechanism, those that take an opt-in dashed.
func SVG(w io.Writer, q Question, points []Point) error {
	if len(points) == 0 {
		return errors.New("curve: no points")
	}
	return picture.Picture{
		Title: q.title(), Subtitle: q.subtitle(),
		X:     picture.Axis{Label: "ε of a report (more is less private)", Low: q.From, High: q.To},
		Y:     picture.Axis{Label: "standard error"},
		Lines: lines(points),
	}.SVG(w)
}

// lines is a line for each mechanism, in the order in which they come.
func lines(points []Point) []picture.Line {
	var names []string
	var out []picture.Line
	for _, p := range points {
		i := slices.Index(names, p.Mechanism)
		if i < 0 {
			i = len(names)
			names, out = append(names, p.Mechanism), append(out, picture.Line{Name: p.Mechanism})
		}
		if p.OptIn {
			out[i].Name, out[i].Style = p.Mechanism+" (opt-in)", picture.Dashed
		}
		out[i].Points = append(out[i].Points, picture.Point{X: p.Epsilon, Y: p.StdError})
	}
	return out
}

func (q Question) title() string {
	what := fmt.Sprintf("a %s between %g and %g", q.Statistic, q.Lo, q.Hi)
	switch {
	case q.bit():
		what = fmt.Sprintf("a %s", q.Statistic)
	case q.cells():
		what = fmt.Sprintf("a cell of a %s of %d", q.Statistic, q.Bins)
	case q.Statistic == Quantile:
		what = fmt.Sprintf("the quantile %g between %g and %g", q.Level, q.Lo, q.Hi)
	}
	return "What privacy costs: standard error of " + what
}

func (q Question) subtitle() string {
	text := fmt.Sprintf("noise of %s devices that report once each; sampling comes on top", thousands(q.Devices))
	if q.cells() {
		text += fmt.Sprintf("; the cell holds %.3g %% of them", 100*q.share())
	}
	if q.quantile() {
		text += fmt.Sprintf("; a normal population of deviation %.3g", (q.Hi-q.Lo)/spreadPerSpan)
	}
	return text
}

// thousands writes a count with commas.
func thousands(x float64) string {
	text := strconv.FormatFloat(math.Round(x), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
