package curve

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The picture, in its own units. The right margin holds the names of the curves.
const (
	width, height            = 860.0, 520.0
	left, right, top, bottom = 76.0, 190.0, 64.0, 58.0
	labelGap                 = 18.0
)

// colours are told apart by most people, colour-blind or not (Okabe and Ito 2008).
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"}

// SVG draws the points of a question on two logarithmic scales, one line for each mechanism, those that take an opt-in dashed.
func SVG(w io.Writer, q Question, points []Point) error {
	if len(points) == 0 {
		return errors.New("curve: no points")
	}
	p := newPicture(q, points)
	p.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="13">`,
		width, height, width, height)
	p.printf(`<title>%s</title>`, p.title())
	p.printf(`<rect width="%g" height="%g" fill="#ffffff"/>`, width, height)
	p.printf(`<text x="%g" y="26" font-size="17" font-weight="bold" fill="#1a1a1a">%s</text>`, left, p.title())
	p.printf(`<text x="%g" y="46" fill="#555555">%s</text>`, left, p.subtitle())
	p.axes()
	p.lines(points)
	p.printf(`</svg>`)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// picture is a drawing on its way.
type picture struct {
	q          Question
	b          strings.Builder
	low, high  float64 // standard errors at the bottom and the top
	curveNames []string
}

func newPicture(q Question, points []Point) *picture {
	p := &picture{q: q, low: math.Inf(1)}
	for _, at := range points {
		p.low, p.high = math.Min(p.low, at.StdError), math.Max(p.high, at.StdError)
		if !slices.Contains(p.curveNames, at.Mechanism) {
			p.curveNames = append(p.curveNames, at.Mechanism)
		}
	}
	p.low, p.high = p.low/1.25, p.high*1.25
	return p
}

func (p *picture) printf(format string, args ...any) {
	fmt.Fprintf(&p.b, format+"\n", args...)
}

func (p *picture) title() string {
	what := fmt.Sprintf("a %s between %g and %g", p.q.Statistic, p.q.Lo, p.q.Hi)
	switch {
	case p.q.bit():
		what = fmt.Sprintf("a %s", p.q.Statistic)
	case p.q.cells():
		what = fmt.Sprintf("a cell of a %s of %d", p.q.Statistic, p.q.Bins)
	case p.q.Statistic == Quantile:
		what = fmt.Sprintf("the quantile %g between %g and %g", p.q.Level, p.q.Lo, p.q.Hi)
	}
	return "What privacy costs: standard error of " + what
}

func (p *picture) subtitle() string {
	text := fmt.Sprintf("noise of %s devices that report once each; sampling comes on top", thousands(p.q.Devices))
	if p.q.cells() {
		text += fmt.Sprintf("; the cell holds %.3g %% of them", 100*p.q.share())
	}
	if p.q.quantile() {
		text += fmt.Sprintf("; a normal population of deviation %.3g", (p.q.Hi-p.q.Lo)/spreadPerSpan)
	}
	return text
}

// x and y are where an ε and a standard error lie.
func (p *picture) x(epsilon float64) float64 {
	return left + (width-left-right)*math.Log(epsilon/p.q.From)/math.Log(p.q.To/p.q.From)
}

func (p *picture) y(stdError float64) float64 {
	return top + (height-top-bottom)*math.Log(p.high/stdError)/math.Log(p.high/p.low)
}

// axes draws frame, grid and numbers.
func (p *picture) axes() {
	const grid, text = "#e3e3e3", "#444444"
	for _, e := range ticks(p.q.From, p.q.To) {
		p.printf(`<line x1="%.1f" y1="%g" x2="%.1f" y2="%g" stroke="%s"/>`, p.x(e), top, p.x(e), height-bottom, grid)
		p.printf(`<text x="%.1f" y="%g" text-anchor="middle" fill="%s">%s</text>`, p.x(e), height-bottom+20, text, short(e))
	}
	for _, s := range ticks(p.low, p.high) {
		p.printf(`<line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="%s"/>`, left, p.y(s), width-right, p.y(s), grid)
		p.printf(`<text x="%g" y="%.1f" text-anchor="end" fill="%s">%s</text>`, left-8, p.y(s)+4.5, text, short(s))
	}
	p.printf(`<rect x="%g" y="%g" width="%g" height="%g" fill="none" stroke="#999999"/>`, left, top, width-left-right, height-top-bottom)
	p.printf(`<text x="%g" y="%g" text-anchor="middle" fill="#1a1a1a">ε of a report (more is less private)</text>`,
		left+(width-left-right)/2, height-16)
	p.printf(`<text x="20" y="%g" text-anchor="middle" fill="#1a1a1a" transform="rotate(-90 20 %g)">standard error</text>`,
		top+(height-top-bottom)/2, top+(height-top-bottom)/2)
}

// label is the name of a curve at its right end.
type label struct {
	name, colour string
	at, place    float64
}

// lines draws the curves and their names, in the order in which they end, none over another.
func (p *picture) lines(points []Point) {
	var labels []label
	for i, name := range p.curveNames {
		var path strings.Builder
		colour, dash, last := colours[i%len(colours)], "", 0.0
		for _, at := range points {
			if at.Mechanism != name {
				continue
			}
			fmt.Fprintf(&path, "%.1f,%.1f ", p.x(at.Epsilon), p.y(at.StdError))
			last = p.y(at.StdError)
			if at.OptIn {
				dash = ` stroke-dasharray="7 5"`
			}
		}
		p.printf(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2.2" stroke-linejoin="round"%s/>`, strings.TrimSpace(path.String()), colour, dash)
		if dash != "" {
			name += " (opt-in)"
		}
		labels = append(labels, label{name: name, colour: colour, at: last, place: last})
	}
	spread(labels)
	const edge = width - right
	for _, l := range labels {
		p.printf(`<polyline points="%g,%.1f %g,%.1f %g,%.1f" fill="none" stroke="%s"/>`, edge, l.at, edge+14, l.place, edge+22, l.place, l.colour)
		p.printf(`<text x="%g" y="%.1f" fill="%s" font-weight="bold">%s</text>`, edge+26, l.place+4.5, l.colour, l.name)
	}
}

// spread moves labels apart, as little as going down once and up once does.
func spread(labels []label) {
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(labels); i++ {
		labels[i].place = math.Max(labels[i].place, labels[i-1].place+labelGap)
	}
	limit := height - bottom
	for i := len(labels) - 1; i >= 0; i-- {
		labels[i].place = math.Min(labels[i].place, limit)
		limit = labels[i].place - labelGap
	}
}

// ticks are 1, 2 and 5 times the powers of ten in a span.
func ticks(low, high float64) []float64 {
	var out []float64
	for power := math.Floor(math.Log10(low)); power <= math.Log10(high); power++ {
		for _, digit := range []float64{1, 2, 5} {
			// The nearest decimal: a product of floats would print as 0.30000000000000004.
			at, err := strconv.ParseFloat(fmt.Sprintf("%ge%d", digit, int(power)), 64)
			if err == nil && at >= low*(1-1e-9) && at <= high*(1+1e-9) {
				out = append(out, at)
			}
		}
	}
	return out
}

func short(x float64) string { return strconv.FormatFloat(x, 'g', 3, 64) }

// thousands writes a count with commas.
func thousands(x float64) string {
	text := strconv.FormatFloat(math.Round(x), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
