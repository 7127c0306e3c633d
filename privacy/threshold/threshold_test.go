package threshold_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

const levels = 1 << 16

// sample returns ε in millionths: the ends, the ones that people use, and 300
// others.
func sample() []uint64 {
	micros := []uint64{
		1, 2, 1000, 100_000, 250_000, 500_000, 610_000, 610_001, 620_000, 1_000_000,
		2_000_000, 4_000_000, 8_000_000, 16_000_000, 19_999_999, 20_000_000,
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		micros = append(micros, 1+random.Uint64N(20_000_000))
	}
	return micros
}

var one = big.NewRat(1, 1)

// exp returns e^(ε) and e^(ε/2) bounds of the oracle.
func exp(micro uint64) (lower, upper *big.Rat) {
	lower = privacy.ExpLowerBound(privacy.Epsilon(micro))
	// ExpLowerBound promises to be short by less than 2⁻¹⁵⁰ of e^ε.
	slack := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 149))
	upper = new(big.Rat).Mul(lower, slack.Add(slack, one))
	return lower, upper
}

func TestFlipIsTheSmallestPrivateThreshold(t *testing.T) {
	for _, micro := range sample() {
		lower, upper := exp(micro)
		flip := threshold.Flip(micro)
		if ratio(flip).Cmp(lower) > 0 {
			t.Errorf("ε=%d: flip %d is not private", micro, flip)
		}
		// One word less would break the promise even against the upper bound.
		if ratio(flip-1).Cmp(upper) <= 0 {
			t.Errorf("ε=%d: flip %d wastes budget", micro, flip)
		}
		even := threshold.FlipEven(micro)
		if even%(1<<15) != 0 || even < flip || even-flip >= 1<<15 || even >= 1<<63 {
			t.Errorf("ε=%d: FlipEven %d for flip %d", micro, even, flip)
		}
	}
}

// ratio returns (2⁶⁴-flip)/flip.
func ratio(flip uint64) *big.Rat {
	p := privacy.Words(flip)
	return new(big.Rat).Quo(new(big.Rat).Sub(one, p), p)
}

func TestSplitIsTheLargestPrivateThreshold(t *testing.T) {
	for _, micro := range sample() {
		lower, upper := exp(micro)
		for _, m := range []uint32{1, 16, levels} {
			window := threshold.Window(micro, m)
			split := threshold.Split(micro, window, m)
			if densities(split, window, m).Cmp(lower) > 0 {
				t.Errorf("ε=%d: split %d is not private", micro, split)
			}
			if densities(split+1, window, m).Cmp(upper) <= 0 {
				t.Errorf("ε=%d: split %d wastes budget", micro, split)
			}
		}
	}
}

// densities returns split·m/((2⁶⁴-split)·window).
func densities(split uint64, window, m uint32) *big.Rat {
	p := privacy.Words(split)
	odds := new(big.Rat).Quo(p, new(big.Rat).Sub(one, p))
	return odds.Mul(odds, big.NewRat(int64(m), int64(window)))
}

func TestWindowIsRounded(t *testing.T) {
	for _, micro := range sample() {
		for _, m := range []uint32{1, 2, 16, levels} {
			window := threshold.Window(micro, m)
			if window == 1 {
				continue
			}
			// window-½ ≤ m·e^(-ε/2) < window+½, squared to use the bounds of e^ε:
			// the oracle's m²·e^(-ε) lies between m²/upper and m²/lower.
			lower, upper := exp(micro)
			square := big.NewRat(int64(m)*int64(m), 1)
			low, high := half(window, -1), half(window, 1)
			if low.Mul(low, low).Cmp(new(big.Rat).Quo(square, lower)) > 0 {
				t.Errorf("ε=%d, %d levels: window %d is too wide", micro, m, window)
			}
			if high.Mul(high, high).Cmp(new(big.Rat).Quo(square, upper)) < 0 {
				t.Errorf("ε=%d, %d levels: window %d is too narrow", micro, m, window)
			}
		}
	}
}

// TestWaveIsRounded compares with the formula of Li et al. at 400 bits, which
// keeps 270 of them at ε = 10⁻⁶, where three terms cancel.
func TestWaveIsRounded(t *testing.T) {
	number := func(r *big.Rat) *big.Float { return new(big.Float).SetPrec(400).SetRat(r) }
	for _, micro := range sample() {
		e, _ := exp(micro)
		eps := big.NewRat(int64(micro), 1_000_000)
		above := new(big.Rat).Mul(eps, e)
		above.Sub(above, e).Add(above, one)
		below := new(big.Rat).Sub(e, one)
		below.Sub(below, eps).Mul(below, e)
		width := new(big.Float).Quo(number(above), number(below))
		for _, m := range []uint32{1, 2, 16, levels} {
			window := threshold.Wave(micro, m)
			want, _ := new(big.Float).Mul(width, number(big.NewRat(int64(m), 1))).Float64()
			// The fixed point is short by 2⁻²⁰ of the width at most.
			if off := math.Abs(float64(window) - max(1, want)); off > 0.5+1e-5*want {
				t.Errorf("ε=%d, %d levels: window %d for %v", micro, m, window, want)
			}
		}
	}
}

func half(window uint32, sign int64) *big.Rat { return big.NewRat(2*int64(window)+sign, 2) }

func TestCompareAndChoose(t *testing.T) {
	words := []uint64{0, 1, 1 << 31, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	for _, r := range words {
		for _, limit := range words {
			if got := threshold.Below(r, limit) == 1; got != (r < limit) {
				t.Errorf("Below(%d, %d) is %v", r, limit, got)
			}
		}
	}
	for _, a := range []uint32{0, 7, 1<<32 - 1} {
		if threshold.Choose(1, a, 5) != a || threshold.Choose(0, 5, a) != a {
			t.Errorf("Choose loses %d", a)
		}
	}
}

func TestGolden(t *testing.T) {
	var out strings.Builder
	for _, micro := range []uint64{1, 100_000, 610_000, 1_000_000, 4_000_000, 20_000_000} {
		window := threshold.Window(micro, levels)
		fmt.Fprintf(&out, "%d %016x %016x %d %016x %d\n", micro, threshold.Flip(micro),
			threshold.FlipEven(micro), window, threshold.Split(micro, window, levels), threshold.Wave(micro, levels))
	}
	vectors.File(t, "testdata/thresholds.txt", out.String())
}

func ExampleFlip() {
	fmt.Printf("%.6f\n", float64(threshold.Flip(1_000_000))/(1<<64))
	// Output: 0.268941
}

// TestFloorAndLeanAreTight asks for the very integers that the exact e^ε gives.
func TestFloorAndLeanAreTight(t *testing.T) {
	whole := new(big.Int).Lsh(big.NewInt(1), 64)
	number := func(n uint64) *big.Rat { return new(big.Rat).SetInt(new(big.Int).SetUint64(n)) }
	for _, micro := range sample() {
		lower, upper := exp(micro)
		for _, most := range []uint64{2, 1 << 56, 1<<63 + 2, math.MaxUint64 - 1, threshold.Plateau(micro)} {
			least := threshold.Floor(micro, most)
			if least%2 != 0 || least > most || new(big.Rat).Quo(number(most), number(least)).Cmp(lower) > 0 {
				t.Errorf("ε=%d: %d words at least for %d at most", micro, least, most)
			}
			if least > 2 && new(big.Rat).Quo(number(most), number(least-2)).Cmp(upper) <= 0 {
				t.Errorf("ε=%d: %d words at least for %d at most waste budget", micro, least, most)
			}
			n := new(big.Rat).Sub(new(big.Rat).SetInt(whole), number(least))
			odds := func(s uint64) *big.Rat {
				return new(big.Rat).Quo(new(big.Rat).Add(n, number(s)), new(big.Rat).Sub(n, number(s)))
			}
			lean := threshold.Lean(micro, least)
			if lean%(1<<16) != 0 || odds(lean).Cmp(lower) > 0 {
				t.Errorf("ε=%d: lean %d of %v is not private", micro, lean, n)
			}
			// The fixed point may cost one multiple more where n is so near the limit.
			if next := lean + 1<<16; number(next).Cmp(n) < 0 && odds(next).Cmp(upper) <= 0 {
				t.Errorf("ε=%d: lean %d of %v wastes budget", micro, lean, n)
			}
		}
	}
}

// TestPlateauIsTheRoot puts the share into its equation, in floating point.
func TestPlateauIsTheRoot(t *testing.T) {
	for _, micro := range sample() {
		r, a := math.Exp(-float64(micro)/1e6), float64(threshold.Plateau(micro))/(1<<64)
		value := r*(1+2*r-r*r)*a*a + 2*(1-3*r*r)*a - 2*(1-2*r)
		if threshold.Plateau(micro) == 1<<56 {
			// The root lies below, if there is one.
			if value < -1e-8 {
				t.Errorf("ε=%d: the least share, and the equation gives %v", micro, value)
			}
			continue
		}
		if math.Abs(value) > 1e-8 || a <= 0 || a >= 1 {
			t.Errorf("ε=%d: share %v gives %v", micro, a, value)
		}
	}
}
