package confseq

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// BetaBinomial is the beta mixture for sub-Bernoulli sums (Howard et al. 2021, Propositions 7 and 8): sums of centred
// values that lie in [−g, h], with V_t = g·h·t.
type BetaBinomial struct {
	r, g, h, normalizer float64
	sides               Sides
}

// NewBetaBinomial returns the mixture for values in [−g, h], g and h above 0, that is tightest at level alpha when the
// variance process has reached v.
func NewBetaBinomial(v, alpha, g, h float64, sides Sides) (BetaBinomial, error) {
	rho, err := tuned(v, alpha, sides)
	if err == nil && (!positive(g) || !positive(h)) {
		err = invalid("want g and h above 0, not %g and %g", g, h)
	}
	if err != nil {
		return BetaBinomial{}, err
	}
	m := BetaBinomial{r: math.Max(rho-g*h, 1e-3*g*h), g: g, h: h, sides: sides}
	m.normalizer = m.logBeta(m.r/(g*(g+h)), m.r/(h*(g+h)))
	return m, nil
}

// logBeta returns the logarithm of the beta function, on one side the incomplete one up to h/(g+h).
func (m BetaBinomial) logBeta(a, b float64) float64 {
	log := mathext.Lbeta(a, b)
	if m.sides == OneSided {
		log += math.Log(mathext.RegIncBeta(a, b, m.h/(m.g+m.h)))
	}
	return log
}

// LogMixture returns the logarithm of the mixture supermartingale at the sum s and variance v ≥ 0, where −v/h ≤ s ≤ v/g.
func (m BetaBinomial) LogMixture(s, v float64) float64 {
	g, h, width := m.g, m.h, m.g+m.h
	a, b := (v-g*s)/(g*width), (v+h*s)/(h*width)
	return v/(g*h)*math.Log(width) - b*math.Log(g) - a*math.Log(h) +
		m.logBeta(m.r/(g*width)+a, m.r/(h*width)+b) - m.normalizer
}

// Bound returns u(v) at level alpha, at most v/g, the largest sum that can be; +Inf for arguments that allow none.
func (m BetaBinomial) Bound(v, alpha float64) float64 {
	if senseless(v, alpha) || !(m.g > 0) {
		return math.Inf(1)
	}
	return crossing(func(s float64) float64 { return m.LogMixture(s, v) }, v, alpha, v/m.g)
}

// Bits returns the interval for the probability of a 1 after so many trials, one of a sequence that holds at all trials
// at once: the p that the two-sided beta-binomial mixture with g = p, h = 1−p does not reject (Robbins 1970; Howard et
// al. 2021, §3.3). The mixture is tightest after timeBest trials (at level 5 %, which costs nothing at others).
//
// The bits must be independent given p, or have the conditional probability p each. No trials give [0, 1].
func Bits(successes, trials int64, confidence, timeBest float64) (low, high float64, err error) {
	const levelBest = 0.05
	switch {
	case successes < 0 || successes > trials:
		return 0, 1, invalid("%d successes in %d trials", successes, trials)
	case !inside01(confidence):
		return 0, 1, invalid("want a confidence in (0, 1), not %g", confidence)
	case !positive(timeBest):
		return 0, 1, invalid("want a number of trials above 0 to tune for, not %g", timeBest)
	case trials == 0:
		return 0, 1, nil
	}
	n, observed := float64(trials), float64(successes)/float64(trials)
	excess := func(p float64) float64 {
		switch {
		case p == observed: // never rejected
			return math.Inf(-1)
		case p <= 0 || p >= 1:
			return math.Inf(1)
		}
		m, err := NewBetaBinomial(p*(1-p)*timeBest, levelBest, p, 1-p, TwoSided)
		if err != nil {
			return math.Inf(1) // p is so near to 0 or 1 that its variance is 0
		}
		return m.LogMixture((observed-p)*n, p*(1-p)*n) + math.Log1p(-confidence)
	}
	low, high = 0, 1
	if successes > 0 {
		low = root(func(p float64) float64 { return -excess(p) }, 0, observed)
	}
	if successes < trials {
		high = root(excess, observed, 1)
	}
	return low, high, nil
}
