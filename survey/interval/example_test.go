package interval_test

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/survey/interval"
)

// One of forty devices is in alarm. The t interval begins below zero; the intervals for proportions don't.
func ExampleOf() {
	p, n := 1.0/40, 40
	in := interval.Input{Value: p, Variance: p * (1 - p) / float64(n-1), Degrees: float64(n - 1), Rows: n, Confidence: 0.95}
	for m := interval.T; m <= interval.Beta; m++ {
		low, high, _, err := interval.Of(m, in)
		fmt.Printf("%-6s %6.3f to %.3f %v\n", m, low, high, err)
	}
	// Output:
	// t      -0.026 to 0.076 <nil>
	// z      -0.024 to 0.074 <nil>
	// wilson  0.004 to 0.136 <nil>
	// logit   0.003 to 0.170 <nil>
	// asin    0.000 to 0.099 <nil>
	// beta    0.001 to 0.134 <nil>
}
