package mechanisms_test

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

func ExampleForMean() {
	for _, e := range []float64{0.5, 1, 4} {
		epsilon, err := privacy.NewEpsilon(e)
		if err != nil {
			panic(err)
		}
		m, err := mechanisms.ForMean(epsilon)
		if err != nil {
			panic(err)
		}
		fmt.Printf("ε=%v %s %.4f %v\n", epsilon, m.Name(), m.NoiseVariance(), m.ConstantVariance())
	}
	// Output:
	// ε=0.5 duchi 4.1677 false
	// ε=1 three-output 1.1081 false
	// ε=4 hybrid 0.0547 true
}
