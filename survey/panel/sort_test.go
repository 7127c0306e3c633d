package panel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSortIsASort holds Sort against the library's, for even numbers and for those that fill one bucket.
func TestSortIsASort(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for name, draw := range map[string]func() Number{
		"even":       func() Number { return Number(rng.Uint64()) },
		"few values": func() Number { return Number(rng.Uint64N(7)) << 61 },
		"one bucket": func() Number { return Number(rng.Uint64N(1 << 20)) },
		"ends":       func() Number { return Number(-rng.Uint64N(2)) },
	} {
		for _, n := range []int{0, 1, 2, sortPlainMost - 1, sortPlainMost, 50_000} {
			numbers := make([]Number, n)
			for i := range numbers {
				numbers[i] = draw()
			}
			want := slices.Clone(numbers)
			slices.Sort(want)
			Sort(numbers)
			if !slices.Equal(numbers, want) {
				t.Errorf("%s: %d numbers are out of order", name, n)
			}
		}
	}
}
