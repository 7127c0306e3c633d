package draw_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/quadrat-dev/quadrat/survey/draw"
)

// Four of eight meters, with probabilities proportional to what they used last year; the largest is certain.
func ExampleSampford() {
	pi, err := draw.Proportional([]float64{1, 2, 3, 4, 5, 6, 9, 20}, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	sample, err := draw.Sampford(rand.NewPCG(2026, 1), pi)
	fmt.Printf("%v %.1f %v\n", sample.Units, sample.Pi, err)
	// Output:
	// [0 4 6 7] [0.1 0.5 0.9 1.0] <nil>
}
