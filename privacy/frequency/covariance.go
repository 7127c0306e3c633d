package frequency

import (
	"math/big"

	"github.com/quadrat-dev/quadrat/privacy"
)

// pairRates are the chances of support for two given categories, exact: with is
// that of both when one of the two is true, without when none is.
type pairRates struct{ truth, other, gap, with, without *big.Rat }

// pairsOf asks a mechanism for its pairs. Of two categories one is always true.
func pairsOf(m privacy.Categorical) (pairRates, error) {
	if !m.Exchangeable() {
		return pairRates{}, privacy.ErrPairs
	}
	p := pairRates{with: m.Both(0, 0, 1), without: new(big.Rat)}
	p.truth, p.other = m.ExactRates()
	p.gap = new(big.Rat).Sub(p.truth, p.other)
	if m.Categories() > 2 {
		p.without = m.Both(2, 0, 1)
	}
	return p, nil
}

// covariance returns (both - a·b)/(p-q)², rounded once.
func (p pairRates) covariance(both, a, b *big.Rat) float64 {
	c := new(big.Rat).Mul(a, b)
	c.Sub(both, c)
	c.Quo(c, p.gap)
	f, _ := c.Quo(c, p.gap).Float64()
	return f
}

// SumVariance returns the exact noise variance of the sum of the scores of so
// many given categories in one report, when the true category is one of them and
// when it isn't. The mean over reports is linear in the sum's share. It fails
// with privacy.ErrPairs unless the mechanism is exchangeable.
func SumVariance(m privacy.Categorical, size uint32) (inside, outside float64, err error) {
	p, err := pairsOf(m)
	if err != nil {
		return 0, 0, err
	}
	r := m.Rates()
	n := float64(size)
	apart := p.covariance(p.without, p.other, p.other)
	inside = r.NoiseVariance(1) + (n-1)*(r.NoiseVariance(0)+2*p.covariance(p.with, p.truth, p.other)+(n-2)*apart)
	outside = n*r.NoiseVariance(0) + n*(n-1)*apart
	return max(0, inside), max(0, outside), nil
}

// Covariance returns the covariance matrix of the estimated shares of all
// categories, row by row, for so many reports drawn at random from a population
// with these shares (put in estimates: the plug-in). It fails with
// privacy.ErrPairs unless the mechanism is exchangeable, and with
// privacy.ErrInput when shares don't fit the mechanism or there are no reports.
func Covariance(m privacy.Categorical, shares []float64, reports uint64) ([]float64, error) {
	k := len(shares)
	if k != int(m.Categories()) || reports == 0 {
		return nil, privacy.ErrInput
	}
	p, err := pairsOf(m)
	if err != nil {
		return nil, err
	}
	r := m.Rates()
	n := float64(reports)
	with := p.covariance(p.with, p.truth, p.other)
	without := p.covariance(p.without, p.other, p.other)
	matrix := make([]float64, k*k)
	for a, f := range shares {
		matrix[a*k+a] = r.ScoreVariance(f) / n
		for b, g := range shares[:a] {
			// The noise's mean covariance, and the sample's.
			c := ((f+g)*with + (1-f-g)*without - f*g) / n
			matrix[a*k+b], matrix[b*k+a] = c, c
		}
	}
	return matrix, nil
}
