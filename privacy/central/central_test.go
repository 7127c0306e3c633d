package central

import (
	"errors"
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

// laws are all shapes: no rounding matters, much of it, a grid below 1 of each kind, and grids from 1 on.
var laws = []struct {
	sensitivity int64
	epsilon     privacy.Epsilon
	grid        float64
}{
	{1, 1_000_000, 0x1p-40},
	{1, 20_000_000, 0x1p-44},
	{2, 500_000, 0x1p-38},
	{7, 3_000_000, 0x1p-38},
	{1 << 20, 1_000_000, 0x1p-20},
	{1 << 39, 1_000_000, 0.5},
	{1 << 40, 1_000_000, 1},
	{1<<40 + 1, 1_000_000, 2},
	{1 << 44, 500_000, 32},
}

func TestGrid(t *testing.T) {
	for _, l := range laws {
		n, err := New(l.sensitivity, l.epsilon)
		if err != nil || n.Granularity() != l.grid {
			t.Errorf("Δ %d, ε %v: grid %g, want %g: %v", l.sensitivity, l.epsilon, n.Granularity(), l.grid, err)
		}
	}
}

// The law of noise on the grid is summed term by term and rounded as the library rounds; probabilities and variance must be
// what comes out. Only laws of few grid steps can be summed so: those of a library whose grid has 4 and 16 steps in a scale.
func TestLawAgainstSums(t *testing.T) {
	for _, steps := range []float64{4, 16} {
		for _, c := range []struct{ span, epsilon float64 }{{1, 1}, {2, 0.5}, {1, 4}, {40, 0.3}, {300, 1}} {
			grid := powerAbove(c.span / c.epsilon / steps)
			n := Noise{grid: grid, rate: grid * c.epsilon / (c.span + grid), all: c.epsilon / (c.span + grid)}
			p := math.Exp(-n.rate)
			want := map[int64]float64{}
			variance := 0.0
			for k := -20000; k <= 20000; k++ {
				chance := (1 - p) / (1 + p) * math.Pow(p, math.Abs(float64(k)))
				m := int64(math.Round(float64(k) * grid))
				want[m] += chance
				variance += chance * float64(m) * float64(m)
			}
			if got := n.Variance(); math.Abs(got-variance) > 1e-9*variance {
				t.Errorf("Δ %g, ε %g on %g: variance %v, want %v", c.span, c.epsilon, grid, got, variance)
			}
			tail := 0.0
			for m := int64(60); m > -60; m-- {
				if got := n.Probability(m); math.Abs(got-want[m]) > 1e-12 {
					t.Errorf("Δ %g, ε %g on %g: P(%d) = %v, want %v", c.span, c.epsilon, grid, m, got, want[m])
				}
			}
			for m, chance := range want {
				if m >= 5 {
					tail += chance
				}
			}
			if got := n.Beyond(5); math.Abs(got-tail) > 1e-12 {
				t.Errorf("Δ %g, ε %g on %g: P(≥ 5) = %v, want %v", c.span, c.epsilon, grid, got, tail)
			}
		}
	}
}

// Replacement neighbours differ by Δ; no value may be e^ε times as likely under one as under the other. A ratio is computed to
// about 1e-10 here, as exponents of up to 100 are rounded.
func TestRatioKeepsEpsilon(t *testing.T) {
	for _, l := range laws {
		n, err := New(l.sensitivity, l.epsilon)
		if err != nil {
			t.Fatal(err)
		}
		step := max(1, int64(n.Granularity()))
		shift := l.sensitivity
		if rest := shift % step; rest != 0 {
			shift += step - rest // both sums are rounded to the grid, apart at worst
		}
		for i := int64(-30); i <= 30; i++ {
			value := i * max(step, l.sensitivity/8/step*step)
			ratio := math.Log(n.Probability(value) / n.Probability(value-shift))
			if most := l.epsilon.Float64(); math.Abs(ratio) > most+1e-10 {
				t.Errorf("Δ %d, ε %v: ratio e^%v at %d", l.sensitivity, l.epsilon, ratio, value)
			}
		}
	}
}

// The variance before rounding is g²·2p/(1−p)², and rounding adds less than 1/12.
func TestRoundingAddsLessThanATwelfth(t *testing.T) {
	for _, l := range laws {
		n, err := New(l.sensitivity, l.epsilon)
		if err != nil {
			t.Fatal(err)
		}
		rest := -math.Expm1(-n.rate)
		before := n.grid * n.grid * 2 * math.Exp(-n.rate) / (rest * rest)
		if added := n.Variance() - before; added > 1.0/12+1e-9*before {
			t.Errorf("Δ %d, ε %v: rounding adds %v to %v", l.sensitivity, l.epsilon, added, before)
		}
	}
	n, err := New(1000, 100_000)
	wider := 1 + n.grid/1000 // the library's scale is (Δ+g)/ε
	if want := 2e8*wider*wider + 1.0/12; err != nil || math.Abs(n.Variance()-want) > 1e-3 {
		t.Errorf("variance %v, want %v: %v", n.Variance(), want, err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		sensitivity int64
		epsilon     privacy.Epsilon
		want        error
	}{
		{0, 1_000_000, privacy.ErrBounds},
		{-1, 1_000_000, privacy.ErrBounds},
		{1, 0, privacy.ErrEpsilon},
		{1, 20_000_001, privacy.ErrEpsilon},
		{1 << 52, 124_999, ErrScale},
		{1 << 52, 125_000, nil},
		{1<<52 + 1, 20_000_000, ErrScale},
	} {
		if _, err := New(c.sensitivity, c.epsilon); !errors.Is(err, c.want) {
			t.Errorf("Δ %d, ε %v: %v, want %v", c.sensitivity, c.epsilon, err, c.want)
		}
	}
}
