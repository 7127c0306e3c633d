package panel_test

import (
	"fmt"
	"slices"

	"github.com/quadrat-dev/quadrat/survey/panel"
)

// The engine cuts a stratum of five devices into a lap of three windows; a device finds out by itself when it is due.
func Example() {
	salt := panel.Salt{1, 2, 3}
	var numbers []panel.Number
	for _, device := range []string{"a", "b", "c", "d", "e"} {
		numbers = append(numbers, panel.NumberOf(salt, device))
	}
	slices.Sort(numbers)
	rotation, err := panel.Draw(numbers, 0, 3, 1, panel.Partition(len(numbers), 3))
	if err != nil {
		fmt.Println(err)
		return
	}
	mine, times := panel.NumberOf(salt, "c"), 0
	for window := int64(300); window < 303; window++ {
		if _, due := rotation.Due(mine, window); due {
			times++
		}
	}
	fmt.Println("arcs of", panel.Partition(len(numbers), 3), "devices; due in one lap:", times)
	// Output: arcs of [1 2 2] devices; due in one lap: 1
}
