package indoor_test

import (
	"math"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/indoor"
)

// The figures are those of the source part: 89,598 readings whose mean is 24.75025706 degrees.
func TestPlacesHoldTheSource(t *testing.T) {
	places, err := indoor.Places()
	if err != nil {
		t.Fatal(err)
	}
	if len(places) != 12300 {
		t.Fatalf("got %d places, want 12300", len(places))
	}
	regions := map[string]int{}
	var count int
	var sum float64
	for _, p := range places {
		regions[p.Attributes["region"]]++
		for _, r := range p.Readings {
			count++
			sum += r.Float64()
		}
	}
	if count != 89598 || math.Abs(sum/float64(count)-24.75025706) > 1e-8 {
		t.Errorf("got %d readings with mean %.8f", count, sum/float64(count))
	}
	if regions["africa"] != 20 || regions[""] != 1 {
		t.Errorf("regions: %v", regions)
	}
}

func TestReadingWraps(t *testing.T) {
	places, err := indoor.Read(strings.NewReader("device,temperature,region\na,1 2 3.5,\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := places[0]
	for n, want := range map[int64]float64{0: 1, 2: 3.5, 3: 1, 302: 3.5, -1: 3.5} {
		if got := p.Reading(n).Float64(); got != want {
			t.Errorf("Reading(%d) = %v, want %v", n, got, want)
		}
	}
	if _, ok := p.Attributes["region"]; ok {
		t.Error("a blank attribute must be missing")
	}
}

func TestReadNamesTheLineNotTheValue(t *testing.T) {
	_, err := indoor.Read(strings.NewReader("device,temperature\na,1\nb,secret77\n"))
	if err == nil || !strings.Contains(err.Error(), "line 3") || strings.Contains(err.Error(), "secret77") {
		t.Errorf("got %v", err)
	}
	if _, err := indoor.Read(strings.NewReader("device,temperature\n")); err == nil {
		t.Error("no rows must be an error")
	}
}
