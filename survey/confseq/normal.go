package confseq

import "math"

// Sides says whether a boundary holds for the sum above zero, or for its absolute value.
type Sides uint8

// The sides of a boundary.
const (
	OneSided Sides = iota + 1 // P(∃t: S_t ≥ u) ≤ α
	TwoSided                  // P(∃t: |S_t| ≥ u) ≤ α
)

// Rho returns the parameter ρ of the two-sided normal mixture that makes the boundary at level alpha (nearly) tightest at
// the variance v: v/(2 ln(1/α) + ln(1 + 2 ln(1/α))) (Howard et al. 2021, §3.5). One-sided mixtures take 2α in its place.
// It needs v > 0 and alpha in (0, 1).
func Rho(v, alpha float64) float64 {
	twice := -2 * math.Log(alpha)
	return v / (twice + math.Log1p(twice))
}

// tuned returns ρ for the sides, or an error.
func tuned(v, alpha float64, sides Sides) (float64, error) {
	switch {
	case !positive(v):
		return 0, invalid("want a variance above 0 to tune for, not %g", v)
	case sides == TwoSided && inside01(alpha):
		return Rho(v, alpha), nil
	case sides == OneSided && inside01(2*alpha):
		return Rho(v, 2*alpha), nil
	case sides != OneSided && sides != TwoSided:
		return 0, invalid("unknown sides %d", sides)
	}
	return 0, invalid("level %g: want it in (0, 1), one-sided in (0, 1/2)", alpha)
}

// Normal is the normal mixture (Robbins 1970; Howard et al. 2021, Propositions 5 and 6) for sub-Gaussian sums: E
// exp(λS_t − λ²V_t/2) ≤ 1 for all λ (OneSided: λ ≥ 0).
type Normal struct {
	rho   float64
	sides Sides
}

// NewNormal returns the mixture that is tightest at level alpha when the variance process has reached v.
func NewNormal(v, alpha float64, sides Sides) (Normal, error) {
	rho, err := tuned(v, alpha, sides)
	return Normal{rho: rho, sides: sides}, err
}

// LogMixture returns the logarithm of the mixture supermartingale at the sum s and variance v ≥ 0.
func (m Normal) LogMixture(s, v float64) float64 {
	total := v + m.rho
	log := math.Log(m.rho/total)/2 + s*s/(2*total)
	if m.sides == OneSided {
		log += math.Ln2 + math.Log(math.Erfc(-s/math.Sqrt(2*total))/2)
	}
	return log
}

// Bound returns u(v) at level alpha: √((v+ρ)(ln(1+v/ρ) + 2 ln(1/α))) on two sides, its solution on one. It is +Inf for
// arguments that allow no bound.
func (m Normal) Bound(v, alpha float64) float64 {
	if senseless(v, alpha) || !(m.rho > 0) {
		return math.Inf(1)
	}
	if m.sides == TwoSided {
		return math.Sqrt((v + m.rho) * (math.Log1p(v/m.rho) - 2*math.Log(alpha)))
	}
	return crossing(func(s float64) float64 { return m.LogMixture(s, v) }, v, alpha, math.Inf(1))
}
