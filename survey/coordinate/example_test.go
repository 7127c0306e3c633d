package coordinate_test

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/survey/coordinate"
)

// Two hundred of four thousand devices each five minutes, four fifths of them again in the next window.
func ExampleNewCycle() {
	cycle, err := coordinate.NewCycle(4000, 200, 160)
	fmt.Println("common:", cycle.Overlap(1), cycle.Overlap(4), cycle.Overlap(5), err)
	fmt.Println("wakes a day, at most:", cycle.WakesMost(288))
	// Output:
	// common: 160 40 0 <nil>
	// wakes a day, at most: 15
}
