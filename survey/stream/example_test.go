package stream_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/quadrat-dev/quadrat/survey/stream"
)

// Bytes sent by device, from two collectors: a hundred of ten thousand messages tell the share of one of them.
func ExampleVarOpt() {
	var collectors [2]*stream.VarOpt[string]
	for c := range collectors {
		sample, err := stream.NewVarOpt[string](rand.NewPCG(2026, uint64(c)), 100)
		if err != nil {
			fmt.Println(err)
			return
		}
		for i := range 5000 {
			device := []string{"gate", "meter", "camera"}[i%3]
			if err := sample.Add(device, float64(100+i%3*900)); err != nil {
				fmt.Println(err)
			}
		}
		collectors[c] = sample
	}
	if err := collectors[0].Merge(collectors[1]); err != nil {
		fmt.Println(err)
	}
	total, _ := collectors[0].Sum(nil)
	camera, variance := collectors[0].Sum(func(device string) bool { return device == "camera" })
	fmt.Printf("total %.0f, exactly; cameras %.2g, give or take %.1g\n", total, camera, math.Sqrt(variance))
	// Output: total 9998200, exactly; cameras 6.4e+06, give or take 8e+05
}
