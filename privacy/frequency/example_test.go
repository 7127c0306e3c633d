package frequency_test

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/frequency"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// Three kinds of window in a town of 6000 homes: devices report, the engine counts
// and estimates.
func ExampleTally() {
	m, err := mechanisms.ForCategories(1_000_000, 3)
	if err != nil {
		panic(err)
	}
	source := privacy.NewSeeded(7) // on a device: privacy.NewSecure(rand.Reader)
	tally := frequency.NewTally(m.Categories())
	var report []byte
	var supported []uint32
	for home := range 6000 {
		category := uint32(0)
		if home%10 >= 5 {
			category = 1 + uint32(home%10/8)
		}
		if report, err = m.Randomise(category, source, report[:0]); err != nil {
			panic(err)
		}
		if supported, err = m.Supported(report, supported[:0]); err != nil {
			panic(err)
		}
		tally.Add(supported)
	}
	estimates, err := tally.Estimates(m.Rates())
	if err != nil {
		panic(err)
	}
	for category, e := range estimates {
		fmt.Printf("%d: %.3f ± %.3f\n", category, e.Share, e.StdError)
	}
	// Output:
	// 0: 0.516 ± 0.017
	// 1: 0.298 ± 0.017
	// 2: 0.186 ± 0.016
}
