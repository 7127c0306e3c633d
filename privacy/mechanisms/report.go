package mechanisms

import (
	"math/big"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/grr"
	"github.com/quadrat-dev/quadrat/privacy/olh"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	"github.com/quadrat-dev/quadrat/privacy/subset"
)

const (
	// ReportBytes is the longest report of a category that travels: it is one
	// number of 64 bits.
	ReportBytes = 8
	// ReportCategories is the largest k of a question that reports are asked for.
	ReportCategories = subset.MaxCategories
)

// ShapeBins is the largest number of bins that a distribution is shown in: more
// show nothing further and cost time.
const ShapeBins = 256

// ForShape returns the mechanism of a plan that asks for the shape of a
// distribution, which is the square wave, for reports that are charged one by one.
// It fails with privacy.ErrMechanism or privacy.ErrEpsilon.
func ForShape(name string, p Price) (*squarewave.Mechanism, error) {
	if name != squarewave.Name || p.Value > 0 {
		return nil, privacy.ErrMechanism
	}
	return squarewave.New(p.Report)
}

// keptCategories is how many permanent answers a device remembers.
const keptCategories = 64

// InReport returns the mechanism of a plan with that name and price if its reports
// travel as one number: up to ReportCategories categories and ReportBytes bytes,
// and with permanent answers up to 64 categories. Devices and engine refuse with
// its error what a plan asks beyond that: privacy.ErrMechanism, privacy.ErrEpsilon
// or privacy.ErrCategories.
func InReport(name string, p Price, categories uint32) (privacy.Categorical, error) {
	if categories > ReportCategories || p.Value > 0 && categories > keptCategories {
		return nil, privacy.ErrCategories
	}
	m, err := CategoricalAt(name, p, categories)
	if err != nil {
		return nil, err
	}
	if m.Bytes() > ReportBytes {
		return nil, privacy.ErrCategories
	}
	return m, nil
}

// ForReport returns, of the mechanisms whose reports travel as one number, that
// of least total variance: subset selection up to 64 categories, and beyond for
// as long as its sets are small enough to be listed in eight bytes, which is so at
// large ε; else local hashing. k-ary response is the subset of one element and
// wins nothing further. Totals are compared as exact fractions of the integers
// that the mechanisms draw with, so that the choice is the same on every platform.
// It fails with privacy.ErrEpsilon or privacy.ErrCategories.
func ForReport(e privacy.Epsilon, categories uint32) (privacy.Categorical, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if categories < 2 || categories > ReportCategories {
		return nil, privacy.ErrCategories
	}
	if 8*ReportBytes >= categories {
		return InReport(subset.Name, Price{Report: e}, categories) // of least total error, whatever fits
	}
	var best privacy.Categorical
	var least *big.Rat
	for _, name := range []string{subset.Name, grr.Name, olh.Name} {
		m, err := InReport(name, Price{Report: e}, categories)
		if err != nil {
			continue // a set that is too long
		}
		if total := totalVariance(m); least == nil || total.Cmp(least) < 0 {
			best, least = m, total
		}
	}
	return best, nil
}

// totalVariance is that of Rates.TotalVariance as an exact fraction: the noise
// variances of all categories in one report, added up.
func totalVariance(m privacy.Categorical) *big.Rat {
	truth, other := m.ExactRates()
	gap := new(big.Rat).Sub(truth, other)
	sum := spread(other)
	sum.Mul(sum, new(big.Rat).SetInt64(int64(m.Categories())-1))
	sum.Add(sum, spread(truth))
	return sum.Quo(sum, gap.Mul(gap, gap))
}

// spread is the variance of a coin, p(1-p).
func spread(p *big.Rat) *big.Rat {
	no := new(big.Rat).Sub(big.NewRat(1, 1), p)
	return no.Mul(no, p)
}
