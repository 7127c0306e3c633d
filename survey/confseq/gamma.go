package confseq

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// GammaExponential is the gamma mixture for sub-exponential sums with scale c (Howard et al. 2021, Proposition 9):
// E exp(λS_t − ψ_E(λ)V_t) ≤ 1 with ψ_E(λ) = (−ln(1−cλ) − cλ)/c², 0 ≤ λ < 1/c. One-sided. It fits deviations of bounded
// values with an empirical variance process, and Laplace noise.
type GammaExponential struct {
	rho, c, leading float64
}

// NewGammaExponential returns the mixture with scale c > 0 that is tightest at level alpha when the variance process has
// reached v.
func NewGammaExponential(v, alpha, c float64) (GammaExponential, error) {
	rho, err := tuned(v, alpha, OneSided)
	if err == nil && !positive(c) {
		err = invalid("want a scale above 0, not %g", c)
	}
	if err != nil {
		return GammaExponential{}, err
	}
	a := rho / (c * c)
	leading := a*math.Log(a) - logGamma(a) - math.Log(mathext.GammaIncReg(a, a))
	return GammaExponential{rho: rho, c: c, leading: leading}, nil
}

// LogMixture returns the logarithm of the mixture supermartingale at the sum s and variance v ≥ 0.
func (m GammaExponential) LogMixture(s, v float64) float64 {
	square := m.c * m.c
	a := (v + m.rho) / square
	b := (m.c*s + v) / square
	x := b + m.rho/square
	return m.leading + logGamma(a) + math.Log(mathext.GammaIncReg(a, x)) - a*math.Log(x) + b
}

// Bound returns u(v) at level alpha, or +Inf for arguments that allow none.
func (m GammaExponential) Bound(v, alpha float64) float64 {
	if senseless(v, alpha) || !(m.c > 0) {
		return math.Inf(1)
	}
	return crossing(func(s float64) float64 { return m.LogMixture(s, v) }, v, alpha, math.Inf(1))
}

// GammaPoisson is the gamma mixture for sub-Poisson sums with scale c (Howard et al. 2021, Proposition 10):
// E exp(λS_t − ψ_P(λ)V_t) ≤ 1 with ψ_P(λ) = (e^{cλ} − cλ − 1)/c², λ ≥ 0. One-sided. It fits deviations that are at most c
// and whose true variances are known.
type GammaPoisson struct {
	rho, c, leading float64
}

// NewGammaPoisson returns the mixture with scale c > 0 that is tightest at level alpha when the variance process has
// reached v.
func NewGammaPoisson(v, alpha, c float64) (GammaPoisson, error) {
	rho, err := tuned(v, alpha, OneSided)
	if err == nil && !positive(c) {
		err = invalid("want a scale above 0, not %g", c)
	}
	if err != nil {
		return GammaPoisson{}, err
	}
	a := rho / (c * c)
	leading := a*math.Log(a) - logGamma(a) - math.Log(mathext.GammaIncRegComp(a, a))
	return GammaPoisson{rho: rho, c: c, leading: leading}, nil
}

// LogMixture returns the logarithm of the mixture supermartingale at the sum s and variance v ≥ 0.
func (m GammaPoisson) LogMixture(s, v float64) float64 {
	square := m.c * m.c
	x := (v + m.rho) / square
	a := s/m.c + x
	return m.leading + logGamma(a) + math.Log(mathext.GammaIncRegComp(a, x)) - a*math.Log(x) + v/square
}

// Bound returns u(v) at level alpha, or +Inf for arguments that allow none.
func (m GammaPoisson) Bound(v, alpha float64) float64 {
	if senseless(v, alpha) || !(m.c > 0) {
		return math.Inf(1)
	}
	return crossing(func(s float64) float64 { return m.LogMixture(s, v) }, v, alpha, math.Inf(1))
}

func logGamma(x float64) float64 {
	log, _ := math.Lgamma(x)
	return log
}
