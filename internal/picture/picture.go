// Package picture draws lines on two logarithmic scales as SVG: what the error of an answer does as ε grows, what a report costs as
// a fleet grows. What it writes is text of a few kilobytes, without scripts and fonts of its own, and the same bytes for the same lines.
//
// It must know nothing of what it draws: titles, units and names of lines come from `internal/curve` and `internal/bench`, and `quadrat`
// writes the file.
//
//	p := picture.Picture{Title: "Cost", X: picture.Axis{Label: "devices"}, Y: picture.Axis{Label: "ns"}, Lines: lines}
//	err := p.SVG(w)
package picture

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// The picture, in its own units. The right margin holds the names of the lines.
const (
	width, height            = 860.0, 520.0
	left, right, top, bottom = 76.0, 190.0, 64.0, 58.0
	labelGap                 = 18.0
	margin                   = 1.25 // times the lowest and highest value, what an axis shows beyond them
)

// colours are told apart by most people, colour-blind or not (Okabe and Ito 2008).
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"}

// limitColour is of lines that are no measurement.
const limitColour = "#666666"

// Picture is lines with two axes. It needs one line with a point at least, and only finite points above zero.
type Picture struct {
	Title, Subtitle string
	X, Y            Axis
	Lines           []Line
}

// Axis is a logarithmic scale.
type Axis struct {
	// Label says what it shows, with its unit.
	Label string
	// Low and High are its ends; both 0 for those of the points and a quarter beyond.
	Low, High float64
	// Digits are where its numbers stand: at these times the powers of ten, from 1 to below 10; nil for 1, 2 and 5.
	Digits []float64
	// Text writes a number; nil for three digits.
	Text func(float64) string
}

// Style is how a line is drawn.
type Style uint8

// The styles.
const (
	Solid  Style = iota
	Dashed       // of what stands apart
	Marked       // solid, with a dot at each point: of what was measured there and not between
	Limit        // grey and dashed: a bound that the others are held against
)

// Line is points in ascending order of X. Its name stands at its right end, and has room for 22 letters.
type Line struct {
	Name   string
	Style  Style
	Points []Point
}

// Point is one place of a line.
type Point struct{ X, Y float64 }

// SVG draws the picture. Nothing is written when it can't be drawn.
func (p Picture) SVG(w io.Writer) error {
	d, err := newDrawing(p)
	if err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="13">`,
		width, height, width, height)
	d.printf(`<title>%s</title>`, escape(p.Title))
	d.printf(`<rect width="%g" height="%g" fill="#ffffff"/>`, width, height)
	d.printf(`<text x="%g" y="26" font-size="17" font-weight="bold" fill="#1a1a1a">%s</text>`, left, escape(p.Title))
	d.printf(`<text x="%g" y="46" fill="#555555">%s</text>`, left, escape(p.Subtitle))
	d.axes()
	d.lines()
	d.printf(`</svg>`)
	_, err = io.WriteString(w, d.b.String())
	return err
}

// drawing is a picture on its way; its axes have ends.
type drawing struct {
	Picture

	b strings.Builder
}

func newDrawing(p Picture) (*drawing, error) {
	low, high := Point{math.Inf(1), math.Inf(1)}, Point{}
	for _, l := range p.Lines {
		if len(l.Points) == 0 {
			return nil, fmt.Errorf("%s: no points", l.Name)
		}
		for _, at := range l.Points {
			if !drawable(at.X) || !drawable(at.Y) {
				return nil, fmt.Errorf("%s: the point (%g, %g) has no place on logarithmic scales", l.Name, at.X, at.Y)
			}
			low = Point{math.Min(low.X, at.X), math.Min(low.Y, at.Y)}
			high = Point{math.Max(high.X, at.X), math.Max(high.Y, at.Y)}
		}
	}
	if len(p.Lines) == 0 {
		return nil, errors.New("no lines")
	}
	p.X, p.Y = p.X.over(low.X, high.X), p.Y.over(low.Y, high.Y)
	return &drawing{Picture: p}, nil
}

func drawable(x float64) bool { return x > 0 && !math.IsInf(x, 1) }

// over gives ends to an axis without.
func (a Axis) over(low, high float64) Axis {
	if a.Low == 0 && a.High == 0 {
		a.Low, a.High = low/margin, high*margin
	}
	if a.Text == nil {
		a.Text = short
	}
	return a
}

func (d *drawing) printf(format string, args ...any) {
	fmt.Fprintf(&d.b, format+"\n", args...)
}

// x and y are where a point lies.
func (d *drawing) x(x float64) float64 {
	return left + (width-left-right)*math.Log(x/d.X.Low)/math.Log(d.X.High/d.X.Low)
}

func (d *drawing) y(y float64) float64 {
	return top + (height-top-bottom)*math.Log(d.Y.High/y)/math.Log(d.Y.High/d.Y.Low)
}

// escape writes text as the content of an element.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
