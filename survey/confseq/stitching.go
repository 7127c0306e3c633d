package confseq

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// PolyStitching is the polynomial stitched boundary for sub-gamma sums with scale c (Howard et al. 2021, Theorem 1): of the
// optimal order √(v ln ln v), in closed form, and valid for V_t ≥ VMin (smaller variances take the bound at VMin).
// One-sided.
type PolyStitching struct {
	VMin float64 // where the boundary begins, above 0
	C    float64 // scale of the sub-gamma condition; 0 is sub-Gaussian, a negative one lighter still
	S    float64 // exponent of the weights of the epochs, above 1; 1.4 is usual
	Eta  float64 // ratio of the epochs, above 1; 2 is usual
}

// Bound returns u(v) at level alpha: √(k₁²vℓ + (k₂cℓ)²) + k₂cℓ with ℓ = s ln ln(ηv/VMin) + ln(ζ(s)/(α lnˢ η)). It is +Inf
// for arguments that allow none.
func (p PolyStitching) Bound(v, alpha float64) float64 {
	if senseless(v, alpha) || !positive(p.VMin) || !(p.S > 1) || !(p.Eta > 1) || !finite(p.C) {
		return math.Inf(1)
	}
	v = math.Max(v, p.VMin)
	first, second := epochFactors(p.Eta)
	ell := p.S*math.Log(math.Log(p.Eta*v/p.VMin)) + math.Log(mathext.Zeta(p.S, 1)/(alpha*math.Pow(math.Log(p.Eta), p.S)))
	linear := second * p.C * ell
	return math.Sqrt(first*first*v*ell+linear*linear) + linear
}

// epochFactors returns k₁ = (η^¼ + η^−¼)/√2 and k₂ = (√η + 1)/2.
func epochFactors(eta float64) (k1, k2 float64) {
	quarter := math.Sqrt(math.Sqrt(eta))
	return (quarter + 1/quarter) / math.Sqrt2, (math.Sqrt(eta) + 1) / 2
}

// DoubleStitching bounds, for all times and all quantiles at once, how far the count of values at or below the p-quantile
// is from p·t (Howard and Ramdas 2022, Theorem 4).
type DoubleStitching struct {
	TimeBest float64 // where the boundary begins, at least 1
	Delta    float64 // spacing of the quantiles, above 0; 0.5 is usual
	S        float64 // as in [PolyStitching]
	Eta      float64 // as in [PolyStitching]
}

// Bound returns the bound on the excess of the count at time t for the quantile p in (0, 1), at level alpha; +Inf for
// arguments that allow none.
func (d DoubleStitching) Bound(p, t, alpha float64) float64 {
	if senseless(t, alpha) || !inside01(p) || !(d.TimeBest >= 1) || !(d.Delta > 0) || !(d.S > 1) || !(d.Eta > 1) {
		return math.Inf(1)
	}
	t = math.Max(t, d.TimeBest)
	ratio := t / d.TimeBest
	logit := math.Log(p / (1 - p))
	near := p // the grid's quantile nearest to one half
	if p < 0.5 {
		near = math.Min(0.5, 1/(1+math.Exp(-logit-2*d.Delta*math.Sqrt(d.Eta/ratio))))
	}
	variance := near * (1 - near)
	step := math.Sqrt(ratio)*math.Abs(logit)/(2*d.Delta) + 1
	zeta := mathext.Zeta(d.S, 1)
	ell := d.S*math.Log(math.Log(d.Eta*ratio)) + d.S*math.Log(step) +
		math.Log(2*zeta*(2*zeta+1)/(alpha*math.Pow(math.Log(d.Eta), d.S)))
	first, second := epochFactors(d.Eta)
	linear := second * (1 - 2*p) / 3 * ell
	return d.Delta*math.Sqrt(d.Eta*ratio*variance) + math.Sqrt(first*first*variance*t*ell+linear*linear) + linear
}

// EmpiricalProcess bounds, for all times from TimeMin on and all values at once, how far the empirical distribution
// function is from the true one: A√((ln(1+ln(t/TimeMin)) + C)/t) (Howard and Ramdas 2022, Theorem 2).
type EmpiricalProcess struct {
	timeMin, a, c float64
}

// NewEmpiricalProcess finds the constant C for the level alpha, the time from which the bound holds (at least 1) and the
// factor a > 1/√2 (0.85 is usual).
func NewEmpiricalProcess(alpha, timeMin, a float64) (EmpiricalProcess, error) {
	if !inside01(alpha) || !(timeMin >= 1) || !(a > math.Sqrt2/2) || !finite(timeMin) || !finite(a) {
		return EmpiricalProcess{}, invalid("want a level in (0, 1), a time from 1 and a factor above 0.7072")
	}
	low, high := 0.0, 5.0
	for errorOf(high, a) > alpha && high < 1e6 {
		low, high = high, 2*high
	}
	c := root(func(c float64) float64 { return alpha - errorOf(c, a) }, low, high)
	return EmpiricalProcess{timeMin: timeMin, a: a, c: c}, nil
}

// Bound returns the greatest distance at time t; +Inf before TimeMin.
func (e EmpiricalProcess) Bound(t float64) float64 {
	if !(t >= e.timeMin) || !(e.a > 0) {
		return math.Inf(1)
	}
	return e.a * math.Sqrt((math.Log1p(math.Log(t/e.timeMin))+e.c)/t)
}

// errorOf returns the least error probability that any ratio of epochs η proves for the constant c:
// 4e^{−γ²c}(1 + 1/((γ²−1) ln η)), γ² = 2(a − √(2(η−1)/c))²/η, where γ² > 1.
func errorOf(c, a float64) float64 {
	proven := func(eta float64) float64 {
		gap := a - math.Sqrt(2*(eta-1)/c)
		square := 2 / eta * gap * gap
		if gap <= 0 || square <= 1 {
			return math.Inf(1)
		}
		return 4 * math.Exp(-square*c) * (1 + 1/((square-1)*math.Log(eta)))
	}
	most := root(func(eta float64) float64 { return math.Sqrt(eta/2) + math.Sqrt(2*(eta-1)/c) - a }, 1, 2*a*a)
	return minimum(proven, 1, most)
}

// minimum returns the least value of a function with one valley in (low, high), by golden section.
func minimum(f func(float64) float64, low, high float64) float64 {
	golden := (math.Sqrt(5) - 1) / 2
	x, y := high-golden*(high-low), low+golden*(high-low)
	atX, atY := f(x), f(y)
	for range 100 {
		if atX < atY {
			high, y, atY = y, x, atX
			x = high - golden*(high-low)
			atX = f(x)
		} else {
			low, x, atX = x, y, atY
			y = low + golden*(high-low)
			atY = f(y)
		}
	}
	return math.Min(atX, atY)
}
