package demo_test

import (
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/demo"
	"github.com/quadrat-dev/quadrat/internal/indoor"
)

const varianceScript = `KAPPA spread AS
SELECT   variance(temperature)
FROM     sense.temperature
WHERE    building_type <> 'others'
GROUP BY cooling_type
SAMPLE   ALL STRATIFIED BY region ROTATING
WINDOW   1m GRACE 5s
PRIVACY  LOCAL EPSILON 4 PER 1h BETWEEN 10 AND 40
`

// A variance goes the whole way: beside the right truth, never with an error of 0, unbiased and covered. Of 29 intervals
// over all cells that hold the truth in 95 % 18 or fewer do so with probability 1e-7, and the mean of their errors, in
// standard errors, lies beyond 5/√29 with probability 6e-7.
func TestVarianceBesideTheTruth(t *testing.T) {
	places, err := indoor.Places()
	if err != nil {
		t.Fatal(err)
	}
	var sum, squares, n float64
	for _, p := range places {
		if p.Attributes["building_type"] != "others" {
			n++
			sum += p.Reading(1).Float64()
		}
	}
	for _, p := range places {
		if p.Attributes["building_type"] != "others" {
			d := p.Reading(1).Float64() - sum/n
			squares += d * d
		}
	}
	windows, covered, errors := 0, 0, 0.0
	for _, l := range run(t, demo.Config{Windows: 29, Seed: 1, Script: varianceScript}) {
		if l.Summary != nil || l.Value == nil {
			continue
		}
		if l.Low >= l.High || l.Low > *l.Value || l.High < *l.Value {
			t.Errorf("interval of %+v", l)
		}
		if len(l.Cell) > 0 {
			continue
		}
		if want := squares / (n - 1); windows == 0 && math.Abs(*l.Truth-want) > 1e-9*want {
			t.Errorf("truth %v, want %v", *l.Truth, want)
		}
		windows++
		errors += (*l.Value - *l.Truth) / l.StdError
		if *l.Covered {
			covered++
		}
	}
	if windows != 29 || covered < 19 || math.Abs(errors/29) > 5/math.Sqrt(29) {
		t.Errorf("%d of %d intervals hold the truth, mean error %.2f standard errors", covered, windows, errors/29)
	}
}
