package column_test

import (
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// TestShuffleIsUniform fills 64 cells with the numbers of devices that differ in few bits, the worst case, of windows a
// minute apart. Under uniformity the statistic is χ² with 63 degrees of freedom, above 131.7 with probability 1e-6 (by
// the approximation of Wilson and Hilferty).
func TestShuffleIsUniform(t *testing.T) {
	const n, cells, most = 1 << 16, 64, 135
	for _, step := range []uint64{1, 1 << 20, 1 << 52} {
		var counts [cells]int
		for i := range uint64(n) {
			s := column.ShuffleOf("k7f3q2", int64(i%16)*60_000)
			counts[int(s.Of(i/16*step)*cells)]++
		}
		chi := 0.0
		for _, c := range counts {
			d := float64(c) - n/cells
			chi += d * d / (n / cells)
		}
		if chi > most {
			t.Errorf("step %d: χ² is %.1f with %d degrees of freedom", step, chi, cells-1)
		}
	}
}

// TestShufflesAreUnrelated correlates the numbers of the same devices in two windows, and of two kappas. For independent
// numbers the correlation has mean 0 and standard deviation 1/√n; beyond 4.9 of them lies less than 1e-6.
func TestShufflesAreUnrelated(t *testing.T) {
	const n = 1 << 16
	base := column.ShuffleOf("k7f3q2", 60_000)
	for name, other := range map[string]column.Shuffle{
		"the next window": column.ShuffleOf("k7f3q2", 120_000),
		"another kappa":   column.ShuffleOf("k7f3q3", 60_000),
	} {
		sum := 0.0
		for i := range uint64(n) {
			sum += (base.Of(i) - 0.5) * (other.Of(i) - 0.5) * 12
		}
		if r := sum / n; math.Abs(r) > 4.9/math.Sqrt(n) {
			t.Errorf("%s: correlation %.4f", name, r)
		}
	}
}

// TestShuffleIsFrozen holds a number, computed by a program of another language, as it stands in stored files.
func TestShuffleIsFrozen(t *testing.T) {
	got := column.ShuffleOf("k7f3q2", 1_800_057_480_000).Of(0xfeedfacecafebeef)
	if want := 56235895.0 / (1 << 32); got != want {
		t.Errorf("the number is %v, want %v", got, want)
	}
}
