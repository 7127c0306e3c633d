package confseq_test

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/survey/confseq"
)

// A dashboard that shows the share of devices in alarm, looked at after every report.
func ExampleBits() {
	for _, look := range []struct{ alarms, reports int64 }{{3, 20}, {35, 200}, {310, 2000}} {
		low, high, err := confseq.Bits(look.alarms, look.reports, 0.95, 200)
		fmt.Printf("%.3f to %.3f %v\n", low, high, err)
	}
	// Output:
	// 0.006 to 0.574 <nil>
	// 0.103 to 0.265 <nil>
	// 0.130 to 0.182 <nil>
}
