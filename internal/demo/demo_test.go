package demo_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/demo"
	"github.com/quadrat-dev/quadrat/internal/indoor"
)

// line is what the test reads of a line of JSON.
type line struct {
	WindowStart string `json:"window_start"`
	Cell        map[string]string
	Statistic   string
	Bin         *struct{ Index uint32 }
	Value       *float64
	Low         float64 `json:"ci_low"`
	High        float64 `json:"ci_high"`
	StdError    float64 `json:"std_error"`
	Sampling    float64 `json:"variance_sampling"`
	Noise       float64 `json:"variance_privacy"`
	Population  int
	Panel       int
	Reports     int
	Truth       *float64
	Covered     *bool
	Summary     *demo.Summary
}

func run(t *testing.T, c demo.Config) []line {
	t.Helper()
	var out bytes.Buffer
	c.Data = t.TempDir()
	if err := demo.Run(t.Context(), c, demo.NewJSON(&out)); err != nil {
		t.Fatal(err)
	}
	var lines []line
	for scan := bufio.NewScanner(&out); scan.Scan(); {
		var l line
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			t.Fatalf("%v in %s", err, scan.Bytes())
		}
		lines = append(lines, l)
	}
	return lines
}

// The whole way, through every room: what is printed is complete, consistent and beside the truth.
func TestDemoPrintsResultsBesideTheTruth(t *testing.T) {
	lines := run(t, demo.Config{Windows: 3, Seed: 1})
	last := lines[len(lines)-1]
	if last.Summary == nil || last.Summary.Windows != 3 {
		t.Fatalf("the last line is no summary of three windows: %+v", last)
	}
	intervals, covered := 0, 0
	for _, l := range lines[:len(lines)-1] {
		if l.Truth == nil || l.Covered == nil {
			t.Fatalf("no truth beside %+v", l)
		}
		if l.Value == nil {
			continue
		}
		intervals++
		if *l.Covered != (l.Low <= *l.Truth && *l.Truth <= l.High) {
			t.Errorf("covered is wrong in %+v", l)
		}
		if *l.Covered {
			covered++
		}
		if len(l.Cell) == 0 && (l.Reports != l.Panel || l.Population != 12269 || l.Panel < 90 || l.Panel > 115) {
			t.Errorf("counts are off: %+v", l)
		}
	}
	if intervals != last.Summary.Results || covered != last.Summary.Covered || intervals < 12 {
		t.Errorf("%d of %d intervals, the summary says %+v", covered, intervals, *last.Summary)
	}
}

// The truth of the first window, computed here from the data and nothing else.
func TestTruthIsThatOfTheRawReadings(t *testing.T) {
	places, err := indoor.Places()
	if err != nil {
		t.Fatal(err)
	}
	lines := run(t, demo.Config{Windows: 2, Seed: 3})
	compared := 0
	for _, l := range lines {
		if l.Truth == nil {
			continue
		}
		position := int64(1) // the fleet joins in window 0, the kappa begins with the next
		if l.WindowStart != lines[0].WindowStart {
			position = 2
		}
		var sum, warm, n float64
		for _, p := range places {
			cooling := p.Attributes["cooling_type"]
			if cooling == "" {
				cooling = "(missing)"
			}
			if p.Attributes["building_type"] == "others" || len(l.Cell) > 0 && l.Cell["cooling_type"] != cooling {
				continue
			}
			n++
			x := p.Reading(position).Float64()
			sum += x
			if x > 26 {
				warm++
			}
		}
		want := sum / n
		if strings.HasPrefix(l.Statistic, "proportion") {
			want = warm / n
		}
		if math.Abs(*l.Truth-want) > 1e-9 {
			t.Errorf("%s %v: truth %v, want %v", l.Statistic, l.Cell, *l.Truth, want)
		}
		compared++
	}
	if compared < 20 {
		t.Errorf("only %d truths compared", compared)
	}
}

// The same seed gives the same estimates.
func TestDemoIsRepeatable(t *testing.T) {
	a, b := run(t, demo.Config{Windows: 2, Devices: 3000, Seed: 9, Offline: 0.2}), run(t, demo.Config{Windows: 2, Devices: 3000, Seed: 9, Offline: 0.2})
	if len(a) != len(b) {
		t.Fatalf("%d and %d lines", len(a), len(b))
	}
	for i := range a[:len(a)-1] {
		x, y := a[i], b[i]
		if (x.Value == nil) != (y.Value == nil) || x.Value != nil && math.Abs(*x.Value-*y.Value) > 1e-9 || x.Reports != y.Reports {
			t.Errorf("line %d: %+v and %+v", i, x, y)
		}
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	err := demo.Run(t.Context(), demo.Config{Devices: -1, Windows: -1, Speed: -1, Offline: 1, Copies: -1}, demo.NewTable(io.Discard, false))
	if err == nil {
		t.Fatal("no error")
	}
	for _, word := range []string{"data", "--devices", "--windows", "--speed", "--offline", "--copies"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not named in %v", word, err)
		}
	}
}

// A window has a result for each bin, in each cell, and none of the next window's is taken for one of them.
func TestDemoShowsEveryBin(t *testing.T) {
	const script = `KAPPA shape AS
SELECT   histogram(temperature, 8), median(temperature)
FROM     sense.temperature
GROUP BY cooling_type
SAMPLE   ALL ROTATING
WINDOW   5m GRACE 5s
PRIVACY  LOCAL EPSILON 4 PER 1h BETWEEN 10 AND 40
`
	bins, medians, cells := map[uint32]int{}, 0, map[string]bool{}
	for _, l := range run(t, demo.Config{Windows: 2, Seed: 1, Devices: 2000, Script: script}) {
		switch {
		case l.Summary != nil:
		case l.Bin != nil:
			bins[l.Bin.Index]++
			cells[l.Cell["cooling_type"]] = true
		default:
			medians++
		}
	}
	if len(bins) != 8 || medians != 2*len(cells) || medians < 4 {
		t.Errorf("bins %v and %d medians in %d cells", bins, medians, len(cells))
	}
	for bin, n := range bins {
		if n != medians {
			t.Errorf("bin %d has %d results, want %d", bin, n, medians)
		}
	}
}

// A shape stands beside the truth, bin by bin, with the mark of what is for display, and counts among no intervals.
func TestDemoShowsShapes(t *testing.T) {
	const script = `KAPPA shape AS
SELECT   distribution(temperature, 8), mean(temperature)
FROM     sense.temperature
SAMPLE   ALL ROTATING
WINDOW   5m GRACE 5s
PRIVACY  LOCAL EPSILON 4 PER 1h BETWEEN 10 AND 40
`
	c := demo.Config{Windows: 2, Seed: 1, Devices: 2000, Script: script}
	truths, bins := 0.0, 0
	for _, l := range run(t, c) {
		switch {
		case l.Summary != nil:
			if l.Summary.Results != 2 {
				t.Errorf("%d intervals, want 2", l.Summary.Results)
			}
		case l.Bin != nil:
			if l.Truth == nil || l.Covered != nil || l.Value != nil {
				t.Errorf("a bin of a shape: %+v", l)
			}
			bins++
			truths += *l.Truth
		case l.Covered == nil:
			t.Errorf("an estimate: %+v", l)
		}
	}
	if bins != 16 || math.Abs(truths-2) > 1e-9 {
		t.Errorf("%d bins, whose truths sum to %g in two windows", bins, truths)
	}
	var out bytes.Buffer
	c.Data = t.TempDir()
	if err := demo.Run(t.Context(), c, demo.NewTable(&out, false)); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`distribution\(temperature, 8\) in \[\S+ \S+\)\s+all\s+~0\.\d+\s+–\s+0\.\d+\s+–`).MatchString(out.String()) {
		t.Errorf("no bin of a shape in\n%s", out.String())
	}
}
