package coordinate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

func invalid(format string, args ...any) error {
	return &survey.Error{Code: survey.Invalid, Detail: "coordination: " + fmt.Sprintf(format, args...)}
}

// circle is the number of points of the circle as a float.
const circle = 1 << 64

// Frame holds the units of one stratum in the order of their permanent random numbers.
type Frame struct {
	units   []int // positions in the list of numbers that the frame was made of
	numbers []panel.Number
}

// NewFrame sorts the units; equal numbers, which happen once in 2^64/N² frames, stand in the order of the list.
func NewFrame(numbers []panel.Number) Frame {
	f := Frame{units: make([]int, len(numbers)), numbers: make([]panel.Number, len(numbers))}
	for i := range f.units {
		f.units[i] = i
	}
	slices.SortStableFunc(f.units, func(i, j int) int { return cmp.Compare(numbers[i], numbers[j]) })
	for i, k := range f.units {
		f.numbers[i] = numbers[k]
	}
	return f
}

// Follow returns the n units whose numbers follow the origin on the circle, the nearest first: the n smallest (U − origin)
// mod 1. It is a simple random sample for any origin that doesn't depend on the numbers.
//
// Origins at equal angles keep the overlap on average, but no bound on how often a unit is asked: where the circle is sparse
// the arc that holds n units is long, and when the origins of each lap fall on the same points the same units are asked
// twice in every lap. [Cycle] and [Due] keep the bound.
func (f Frame) Follow(origin panel.Number, n int) ([]int, error) {
	if n < 1 || n > len(f.units) {
		return nil, &survey.Error{
			Code: survey.Infeasible, Best: float64(len(f.units)),
			Detail: fmt.Sprintf("coordination: %d units of %d", n, len(f.units)),
		}
	}
	start := sort.Search(len(f.numbers), func(i int) bool { return f.numbers[i] >= origin })
	return f.from(start, n), nil
}

// from returns n units from a rank on, wrapping.
func (f Frame) from(rank, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = f.units[(rank+i)%len(f.units)]
	}
	return out
}

// Shift returns how far the origin moves from one window to the next so that samples of n from N units keep the share
// overlap in [0, 1] of their units, on average: δ = (n/N)(1 − overlap). The overlap of neighbours is then n(1 − δN/n), give
// or take √(δN); a [Cycle] keeps it exactly.
func Shift(population, n int, overlap float64) (panel.Number, error) {
	if population < 1 || n < 1 || n > population || !(overlap >= 0 && overlap <= 1) {
		return 0, invalid("want 1 ≤ n ≤ N and an overlap in [0, 1], not %d, %d and %g", n, population, overlap)
	}
	const up = 1 + 1e-15 // so that n/(Nδ) doesn't pass a whole number by rounding, and with it the bound on wakes
	delta := float64(n) / float64(population) * (1 - overlap) * circle * up
	if delta >= circle { // a whole turn: the census meets itself
		return 0, nil
	}
	return panel.Number(delta), nil
}

// ExpectedOverlap returns how many units two samples of n from N have in common, on average, when their origins lie delta
// apart: N·(length of the common part of two arcs of n/N). Arcs that meet again behind the circle count too.
func ExpectedOverlap(population, n int, delta panel.Number) float64 {
	size, shift := float64(n), float64(delta)/circle*float64(population)
	return max(0, size-shift) + max(0, size-(float64(population)-shift))
}

// Due is the device's own rule: it is asked in a window with this origin iff (U − origin) mod 1 < pi. The sample is a Bernoulli
// sample with the probability pi: its size is random, nobody needs a list, and the server applies the same rule to
// know who should have answered. pi outside [0, 1] asks nobody or everybody.
func Due(n, origin panel.Number, pi float64) bool {
	if pi >= 1 {
		return true
	}
	return pi > 0 && uint64(n-origin) < uint64(pi*circle)
}

// WakesMost returns the most often that [Due] can ask a device in so many windows whose origins step by shift: it passes
// the device's number at most ⌊(T−1)δ + π⌋ + 1 times, and stays there for at most ⌈π/δ⌉ windows each time. Where π/δ is a
// whole number that is about Tπ + π/δ.
func WakesMost(windows int64, pi float64, shift panel.Number) int64 {
	if windows < 1 || !(pi > 0) {
		return 0
	}
	if shift == 0 {
		return windows
	}
	if pi >= 1 {
		return windows
	}
	const rounding = 1e-9
	passes := math.Floor(float64(windows-1)*(float64(shift)/circle)+pi+rounding) + 1
	points, step := uint64(pi*circle), uint64(shift)
	stay := points / step
	if points%step > 0 {
		stay++
	}
	return int64(min(float64(windows), passes*float64(stay)))
}
