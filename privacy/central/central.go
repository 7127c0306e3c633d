// Package central is the law of the noise that a gateway adds to a sum over the units behind it: the Laplace noise of
// google/differential-privacy v3.0.0, AddNoiseInt64, as that library really draws it, on a grid and rounded to whole numbers.
// Engine and planner take variances from it, tests its probabilities. It draws nothing: the one who releases uses the
// library. PROOF.md states what is promised to whom, and what is not certified.
//
//	noise, err := central.New(1, privacy.Epsilon(1_000_000)) // a count at ε = 1
//	variance := noise.Variance()                             // 1.9999…, with the rounding 2.08
package central

import (
	"math"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Name is the mechanism's name in plans and results.
const Name = "laplace"

const (
	// fineness is the library's granularity parameter: the grid has 2⁴⁰ steps in a scale, or up to twice as many.
	fineness = 1 << 40
	// ScaleMost is the largest scale Δ/ε, in steps of the released number. Beyond it noise would not fit in 64 bits: below it,
	// noise of 2⁶² or more has a probability under e⁻¹²⁸.
	ScaleMost = 1 << 55
	// SpanMost is the largest sensitivity: so a thousand units' sum fits beside the noise.
	SpanMost = 1 << 52
)

// ErrScale says that sums or their noise would not fit in the 64 bits of a released number. Bounds that are narrower, or more ε, help.
const ErrScale privacy.Error = "gateway: the bounds are too wide, sums and their noise would not fit in 64 bits"

// Noise is the law of the noise at one sensitivity and one ε. It is a value, safe for concurrent use.
type Noise struct {
	grid float64 // the library's granularity, a power of two
	rate float64 // of the geometric variable, in grid steps
	all  float64 // that of a whole step of the released number, rate/grid without its rounding
}

// New gives the law for numbers of which one unit can change the sum of absolute values by sensitivity at most, 1 or more, in
// steps of the released number. It fails with privacy.ErrEpsilon, privacy.ErrBounds for a sensitivity of 0 or below, and
// [ErrScale].
func New(sensitivity int64, e privacy.Epsilon) (Noise, error) {
	if err := e.Validate(); err != nil {
		return Noise{}, err
	}
	if sensitivity < 1 {
		return Noise{}, privacy.ErrBounds
	}
	span, epsilon := float64(sensitivity), e.Float64()
	scale := span / epsilon
	if scale > ScaleMost || sensitivity > SpanMost {
		return Noise{}, ErrScale
	}
	grid := powerAbove(scale / fineness)
	return Noise{grid: grid, rate: grid * epsilon / (span + grid), all: epsilon / (span + grid)}, nil
}

// powerAbove is the least power of two that is not below x, which is positive and normal.
func powerAbove(x float64) float64 {
	fraction, exponent := math.Frexp(x)
	if fraction == 0.5 {
		return x
	}
	return math.Ldexp(1, exponent)
}

// Granularity is the step of the grid that noise is drawn on, a power of two. Where it is 1 or more, released numbers are
// multiples of it.
func (n Noise) Granularity() float64 { return n.grid }

// Variance is the variance of the noise, in squared steps of the released number, exactly.
//
// With p = e^−λ, λ = g·ε/(Δ+g), the number of grid steps is k with probability (1−p)/(1+p)·p^|k|, so the variance is
// g²·2p/(1−p)² where g ≥ 1. Below, k·g is rounded to the nearest whole number, halves away from 0: with q = p^(1/g) the
// number m > 0 has the probability q^m·(1−q)/√q/(1+p), and the variance is 2/(1+p)·√q(1+q)/(1−q)². That is that of the noise
// before rounding and nearly 1/12, where ε is small against Δ; where it is large it goes to 0, as whole numbers are then left as
// they are.
func (n Noise) Variance() float64 {
	if n.grid >= 1 {
		rest := -math.Expm1(-n.rate)
		return n.grid * n.grid * 2 * math.Exp(-n.rate) / (rest * rest)
	}
	rest := -math.Expm1(-n.all)
	return 2 / (1 + math.Exp(-n.rate)) * math.Exp(-n.all/2) * (1 + math.Exp(-n.all)) / (rest * rest)
}

// Probability is that of one value of the noise, in steps of the released number.
func (n Noise) Probability(value int64) float64 {
	p := math.Exp(-n.rate)
	m := math.Abs(float64(value))
	if n.grid >= 1 {
		if k := m / n.grid; k == math.Trunc(k) {
			return -math.Expm1(-n.rate) / (1 + p) * math.Exp(-n.rate*k)
		}
		return 0
	}
	if value == 0 {
		// What lies beyond a half on neither side.
		return 1 - 2*math.Exp(-n.all/2)/(1+p)
	}
	return math.Exp(-n.all*(m-0.5)) * -math.Expm1(-n.all) / (1 + p)
}

// Beyond is the probability that the noise is value or more, for a value of 1 or more.
func (n Noise) Beyond(value int64) float64 {
	m := float64(value)
	if n.grid >= 1 {
		return math.Exp(-n.rate*math.Ceil(m/n.grid)) / (1 + math.Exp(-n.rate))
	}
	return math.Exp(-n.all*(m-0.5)) / (1 + math.Exp(-n.rate))
}
