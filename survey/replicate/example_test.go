package replicate_test

import (
	"errors"
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/replicate"
)

// The standard error of a ratio by leaving out one device at a time, beside the linearised one.
func ExamplePlan_Variance() {
	energy, area := []float64{30, 52, 61, 40, 77, 58}, []float64{10, 16, 20, 15, 22, 20}
	d, err := design.New(design.Spec{Rows: 6, Stages: []design.Stage{{Size: []float64{60, 60, 60, 60, 60, 60}}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ratio := func(w []float64) (float64, error) {
		above, below := 0.0, 0.0
		for k := range w {
			above, below = above+w[k]*energy[k], below+w[k]*area[k]
		}
		if below == 0 {
			return 0, errors.New("no area")
		}
		return above / below, nil
	}
	clusters, _ := d.Clusters()
	v, err := replicate.Plan{Kind: replicate.JKn}.Variance(clusters, d.Weights(), ratio)
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := ratio(d.Weights())
	if err != nil {
		fmt.Println(err)
		return
	}
	u, size := make([]float64, 6), 0.0
	for k, w := range d.Weights() {
		size += w * area[k]
	}
	for k, w := range d.Weights() {
		u[k] = w * (energy[k] - r*area[k]) / size
	}
	fmt.Printf("%.3f ± %.4f by the jackknife, ± %.4f by linearisation\n", r, math.Sqrt(v), math.Sqrt(d.Variance(u)))
	// Output: 3.087 ± 0.1249 by the jackknife, ± 0.1212 by linearisation
}
