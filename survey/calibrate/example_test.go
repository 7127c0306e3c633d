package calibrate_test

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/survey/calibrate"
)

// Five devices stand for a hundred. The register knows that 40 of the hundred are outdoors, and that all of them together
// cover 5200 square metres; weights that say so are made from weights that don't.
func ExampleNew() {
	weights := []float64{20, 20, 20, 20, 20}
	outdoor := []int32{1, 0, 0, 1, 0}
	area := calibrate.Column{Name: "area", Values: []float64{30, 50, 60, 45, 70}, Total: 5200}
	columns, err := calibrate.Margin("place", outdoor, []string{"in", "out"}, map[string]float64{"in": 60, "out": 40})
	if err != nil {
		fmt.Println(err)
		return
	}
	fit, err := calibrate.New(weights, calibrate.Spec{Columns: append(columns, area), Function: calibrate.Raking})
	if err != nil {
		fmt.Println(err)
		return
	}
	covered := 0.0
	for k, g := range fit.G {
		covered += weights[k] * g * area.Values[k]
	}
	fmt.Printf("g = %.3f, area %.0f\n", fit.G, covered)
	// Output: g = [0.880 0.844 0.991 1.120 1.164], area 5200
}

// Totals that no weights within the bounds can meet are an error, never weights that nearly do.
func ExampleCodeOf() {
	_, err := calibrate.New([]float64{10, 10}, calibrate.Spec{
		Columns: []calibrate.Column{{Name: "area", Values: []float64{1, 2}, Total: 90}},
		Bounds:  calibrate.Bounds{Low: 0.5, High: 2},
	})
	fmt.Println(calibrate.CodeOf(err) == calibrate.Infeasible, err)
	// Output: true calibration: infeasible: column "area": the total can't be met within the bounds
}
