package threshold_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

var categoryEpsilons = []uint64{1, 100_000, 405_465, 500_000, 693_147, 1_000_000, 2_000_000, 4_000_000, 6_999_999, 7_000_000, 20_000_000}

// TestSubset compares with the stated inequality in exact rationals: it holds at
// the size and not one below.
func TestSubset(t *testing.T) {
	for _, micro := range categoryEpsilons {
		// Twice the exponent, by a fraction whose square it is.
		e := privacy.ExpLowerBound(privacy.Epsilon(micro))
		square := new(big.Rat).Mul(e, e)
		for k := uint32(2); k <= 1024; k += 1 + k/7 {
			holds := func(w uint32) bool {
				left := new(big.Rat).Mul(square, big.NewRat(int64(w)*int64(w+1), 1))
				return left.Cmp(big.NewRat(int64(k-w)*(int64(k-w)-1), 1)) >= 0
			}
			w := threshold.Subset(micro, k)
			if w < 1 || w >= k || !holds(w) || w > 1 && holds(w-1) {
				t.Errorf("ε=%v, k=%d: w=%d", privacy.Epsilon(micro), k, w)
			}
		}
	}
}

func TestHashes(t *testing.T) {
	for _, micro := range categoryEpsilons {
		want := math.Round(math.Exp(float64(micro)/1e6)) + 1
		for _, most := range []uint32{2, 3, 56, 1024} {
			if got := threshold.Hashes(micro, most); got != uint32(math.Min(want, float64(most))) {
				t.Errorf("ε=%v, at most %d: %d hashes, want %v", privacy.Epsilon(micro), most, got, want)
			}
		}
	}
}
