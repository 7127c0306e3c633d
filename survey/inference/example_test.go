package inference_test

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
)

// Three of ten devices in the north and three of thirty in the south, drawn at random.
func Example() {
	temperature := []float64{19, 20, 21, 24, 26, 28}
	region := design.NewFactor([]string{"north", "north", "north", "south", "south", "south"})
	d, err := design.New(design.Spec{Rows: 6, Stages: []design.Stage{{Stratum: region, Size: []float64{10, 10, 10, 30, 30, 30}}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	study, err := inference.New(inference.Study{Design: d})
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := study.Estimate(inference.Statistic{Kind: inference.Mean, Y: temperature}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f ± %.2f, 95 %% from %.2f to %.2f\n", e.Value, e.StdError, e.Low, e.High)
	// Output: 24.50 ± 0.83, 95 % from 22.19 to 26.81
}
