package design_test

import (
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/survey/design"
)

// Three of 40 buildings were drawn, and in each of them two of its flats; the total of the electricity used by all flats.
func ExampleNew() {
	building := design.NewFactor([]string{"a", "a", "b", "b", "c", "c"})
	flats := []float64{10, 10, 20, 20, 12, 12}
	d, err := design.New(design.Spec{Rows: 6, Stages: []design.Stage{
		{Unit: building, Size: []float64{40, 40, 40, 40, 40, 40}},
		{Size: flats},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	used := []float64{210, 250, 180, 240, 300, 260}
	total, u := 0.0, make([]float64, len(used))
	for k, w := range d.Weights() {
		u[k] = w * used[k]
		total += u[k]
	}
	fmt.Printf("%.0f ± %.0f kWh, %d degrees of freedom\n", total, math.Sqrt(d.Variance(u)), d.DegreesOfFreedom(nil))
	// Output: 131467 ± 21275 kWh, 2 degrees of freedom
}

// A stratum with one unit has no variance estimate; the error says which.
func ExampleCodeOf() {
	_, err := design.New(design.Spec{Rows: 3, Stages: []design.Stage{{
		Stratum: design.NewFactor([]string{"north", "north", "south"}), Size: []float64{10, 10, 30},
	}}})
	fmt.Println(design.CodeOf(err) == design.Lonely)
	fmt.Println(err)
	// Output:
	// true
	// one unit only: stratum "south": stage 1: its variance can't be estimated; choose certainty, adjust or average, or merge strata
}
