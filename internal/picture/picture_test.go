package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// elements counts the elements of a picture that must be XML, and gathers its texts.
func elements(t *testing.T, p Picture) (count map[string]int, texts []string) {
	t.Helper()
	var b bytes.Buffer
	if err := p.SVG(&b); err != nil {
		t.Fatal(err)
	}
	count = map[string]int{}
	for in := xml.NewDecoder(&b); ; {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return count, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			count[token.Name.Local]++
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" {
				texts = append(texts, text)
			}
		}
	}
}

func sample() Picture {
	points := []Point{{1e3, 30}, {1e5, 60}, {1e7, 90}}
	return Picture{
		Title: "a < b & c", X: Axis{Label: "devices", Digits: []float64{1}}, Y: Axis{Label: "ns"},
		Lines: []Line{{Name: "measured", Style: Marked, Points: points}, {Name: "goal", Style: Limit, Points: []Point{{1e3, 100}, {1e7, 100}}}},
	}
}

func TestSVG(t *testing.T) {
	count, texts := elements(t, sample())
	if count["polyline"] != 4 || count["circle"] != 3 || count["title"] != 1 {
		t.Errorf("%v", count)
	}
	for _, want := range []string{"a < b & c", "devices", "ns", "measured", "goal", "1e+05", "50"} {
		if !slices.Contains(texts, want) {
			t.Errorf("%q isn't in %q", want, texts)
		}
	}
	if slices.Contains(texts, "5e+03") {
		t.Error("a long axis has numbers between the powers of ten")
	}
	var a, b bytes.Buffer
	if sample().SVG(&a) != nil || sample().SVG(&b) != nil || a.String() != b.String() {
		t.Error("two pictures of the same lines differ")
	}
	if strings.Contains(a.String(), "NaN") || strings.Count(a.String(), "stroke-dasharray") != 1 {
		t.Errorf("%s", &a)
	}
}

// TestPointsLieInside: wherever the points are, they are drawn within the frame, higher values higher.
func TestPointsLieInside(t *testing.T) {
	for _, p := range [][]Point{{{1, 1}}, {{1e-9, 1e9}, {1e9, 1e-9}}, {{5, 7}, {6, 7}}} {
		d, err := newDrawing(Picture{Lines: []Line{{Points: p}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range p {
			if x, y := d.x(at.X), d.y(at.Y); !(x >= left && x <= width-right && y >= top && y <= height-bottom) {
				t.Errorf("%v lies at %v, %v", at, x, y)
			}
		}
		if d.y(2) >= d.y(1) || d.x(2) <= d.x(1) {
			t.Error("an axis runs backwards")
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, lines := range map[string][]Line{
		"no lines": nil, "bare: no points": {{Name: "bare"}},
		"logarithmic": {{Points: []Point{{1, 0}}}}, "(-1": {{Points: []Point{{-1, 1}}}}, "NaN": {{Points: []Point{{1, math.NaN()}}}},
		"+Inf": {{Points: []Point{{math.Inf(1), 1}}}},
	} {
		var b bytes.Buffer
		if err := (Picture{Lines: lines}).SVG(&b); err == nil || !strings.Contains(err.Error(), name) || b.Len() > 0 {
			t.Errorf("%s: %v, and %d bytes", name, err, b.Len())
		}
	}
}

func TestSpread(t *testing.T) {
	labels := []label{{at: 400}, {at: 461}, {at: 100}, {at: 460}, {at: 462}}
	for i := range labels {
		labels[i].place = labels[i].at
	}
	spread(labels)
	for i, l := range labels {
		if l.place > height-bottom || i > 0 && l.place < labels[i-1].place+labelGap {
			t.Errorf("label %d at %v: %v", i, l.place, labels)
		}
	}
}

func TestTicks(t *testing.T) {
	if got := (Axis{Low: 0.1, High: 8}).ticks(); !slices.Equal(got, []float64{0.1, 0.2, 0.5, 1, 2, 5}) {
		t.Errorf("ticks %v", got)
	}
	if got := (Axis{Low: 0.1, High: 80, Digits: []float64{1}}).ticks(); !slices.Equal(got, []float64{0.1, 1, 10}) {
		t.Errorf("ticks %v", got)
	}
}
