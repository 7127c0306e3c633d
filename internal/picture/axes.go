package picture

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// axes draws frame, grid and numbers.
func (d *drawing) axes() {
	const grid, text = "#e3e3e3", "#444444"
	for _, x := range d.X.ticks() {
		d.printf(`<line x1="%.1f" y1="%g" x2="%.1f" y2="%g" stroke="%s"/>`, d.x(x), top, d.x(x), height-bottom, grid)
		d.printf(`<text x="%.1f" y="%g" text-anchor="middle" fill="%s">%s</text>`, d.x(x), height-bottom+20, text, escape(d.X.Text(x)))
	}
	for _, y := range d.Y.ticks() {
		d.printf(`<line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="%s"/>`, left, d.y(y), width-right, d.y(y), grid)
		d.printf(`<text x="%g" y="%.1f" text-anchor="end" fill="%s">%s</text>`, left-8, d.y(y)+4.5, text, escape(d.Y.Text(y)))
	}
	d.printf(`<rect x="%g" y="%g" width="%g" height="%g" fill="none" stroke="#999999"/>`, left, top, width-left-right, height-top-bottom)
	d.printf(`<text x="%g" y="%g" text-anchor="middle" fill="#1a1a1a">%s</text>`, left+(width-left-right)/2, height-16, escape(d.X.Label))
	d.printf(`<text x="20" y="%g" text-anchor="middle" fill="#1a1a1a" transform="rotate(-90 20 %g)">%s</text>`,
		top+(height-top-bottom)/2, top+(height-top-bottom)/2, escape(d.Y.Label))
}

// label is the name of a line at its right end.
type label struct {
	name, colour string
	at, place    float64
}

// lines draws the lines and their names, in the order in which they end, none over another.
func (d *drawing) lines() {
	var labels []label
	for i, l := range d.Lines {
		var path strings.Builder
		colour, dash := colours[i%len(colours)], ""
		if l.Style == Limit {
			colour = limitColour
		}
		if l.Style == Dashed || l.Style == Limit {
			dash = ` stroke-dasharray="7 5"`
		}
		for _, at := range l.Points {
			fmt.Fprintf(&path, "%.1f,%.1f ", d.x(at.X), d.y(at.Y))
		}
		d.printf(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2.2" stroke-linejoin="round"%s/>`, strings.TrimSpace(path.String()), colour, dash)
		if l.Style == Marked {
			for _, at := range l.Points {
				d.printf(`<circle cx="%.1f" cy="%.1f" r="3.6" fill="%s"/>`, d.x(at.X), d.y(at.Y), colour)
			}
		}
		last := d.y(l.Points[len(l.Points)-1].Y)
		labels = append(labels, label{name: l.Name, colour: colour, at: last, place: last})
	}
	spread(labels)
	const edge = width - right
	for _, l := range labels {
		d.printf(`<polyline points="%g,%.1f %g,%.1f %g,%.1f" fill="none" stroke="%s"/>`, edge, l.at, edge+14, l.place, edge+22, l.place, l.colour)
		d.printf(`<text x="%g" y="%.1f" fill="%s" font-weight="bold">%s</text>`, edge+26, l.place+4.5, l.colour, escape(l.name))
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

// ticks are the digits times the powers of ten in the axis.
func (a Axis) ticks() []float64 {
	digits := a.Digits
	if digits == nil {
		digits = []float64{1, 2, 5}
	}
	var out []float64
	for power := math.Floor(math.Log10(a.Low)); power <= math.Log10(a.High); power++ {
		for _, digit := range digits {
			// The nearest decimal: a product of floats would print as 0.30000000000000004.
			at, err := strconv.ParseFloat(fmt.Sprintf("%ge%d", digit, int(power)), 64)
			if err == nil && at >= a.Low*(1-1e-9) && at <= a.High*(1+1e-9) {
				out = append(out, at)
			}
		}
	}
	return out
}

func short(x float64) string { return strconv.FormatFloat(x, 'g', 3, 64) }
