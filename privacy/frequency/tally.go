// Package frequency estimates the shares of categories from counts of support:
// unbiased values with their errors, and, apart from them and for display only,
// shares that are consistent.
//
// It stands behind privacy.Categorical in the engine. A Tally holds integers
// alone, so that states merge in any order to the same bits; everything else
// follows from it. The variance of one cell comes from the counts, since a score
// has two values; that of a sum of cells must come from the scores of the sum, a
// Cumulative, and never from adding the variances of cells, which are correlated.
// The package must never store or combine what Consistent returns.
//
//	supported, err := m.Supported(report, supported[:0])
//	tally.Add(supported)
//	estimates, err := tally.Estimates(m.Rates())
package frequency

import (
	"math"
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Tally counts the reports that support each category. It is a plain value for
// one goroutine at a time. Reports that count twice are added twice.
type Tally struct {
	// Reports is their number.
	Reports uint64
	// Support is the number of reports that support each category.
	Support []uint64
}

// NewTally returns an empty tally.
func NewTally(categories uint32) *Tally { return &Tally{Support: make([]uint64, categories)} }

// Add counts one report by what Categorical.Supported returned for it.
func (t *Tally) Add(supported []uint32) {
	t.Reports++
	for _, c := range supported {
		t.Support[c]++
	}
}

// Merge adds the reports of another tally over the same categories.
func (t *Tally) Merge(o *Tally) {
	t.Reports += o.Reports
	for c, n := range o.Support {
		t.Support[c] += n
	}
}

// Scores are the moments of the scores of one cell, or of a sum of cells, over
// reports that weigh alike: what an estimator for a stratum needs. Its fields are
// those of survey.Moments, to which it converts.
type Scores struct {
	// Count is the number of reports.
	Count int64
	// Mean is that of the scores, an unbiased estimate of the share.
	Mean float64
	// M2 is the sum of squared deviations from the mean, never negative.
	M2 float64
	// Noise is an unbiased estimate of the sum of the scores' noise variances, kept
	// from falling below that of the quieter kind of report.
	Noise float64
}

// Scores returns the moments of one category's scores. They are functions of its
// count alone: the score of a report has two values.
func (t *Tally) Scores(r privacy.Rates, category uint32) Scores {
	if t.Reports == 0 {
		return Scores{}
	}
	n, support := float64(t.Reports), float64(t.Support[category])
	width := r.Score(true) - r.Score(false)
	mean := r.Share(support, n)
	return Scores{
		Count: int64(t.Reports), Mean: mean,
		M2:    support * (n - support) / n * width * width,
		Noise: n * r.NoiseVariance(math.Max(0, math.Min(1, mean))),
	}
}

// Estimate is the estimated share of one category. It may be negative or above 1
// and must stay so until it is shown.
type Estimate struct {
	// Share is unbiased.
	Share float64
	// StdError is the standard error of Share as the estimate for a large
	// population of which the reports are a simple random sample.
	StdError float64
	// NoiseStdError is the part of it that the mechanism adds: the error of Share
	// as an estimate for the very devices that reported.
	NoiseStdError float64
}

// Estimates returns the estimates of all categories. It fails with
// privacy.ErrInput for fewer than two reports, which give no error.
func (t *Tally) Estimates(r privacy.Rates) ([]Estimate, error) {
	if t.Reports < 2 {
		return nil, privacy.ErrInput
	}
	all := make([]Estimate, len(t.Support))
	for c := range all {
		all[c] = t.Scores(r, uint32(c)).Estimate()
	}
	return all, nil
}

// Estimate returns the mean with its standard errors. With fewer than two reports
// they are not a number.
func (s Scores) Estimate() Estimate {
	n := float64(s.Count)
	return Estimate{
		Share:         s.Mean,
		StdError:      math.Sqrt(s.M2 / (n - 1) / n),
		NoiseStdError: math.Sqrt(s.Noise) / n,
	}
}

// Cumulative counts, for each category, how many of the categories up to it the
// reports support: the distribution function, from which quantiles are read with
// valid intervals (Woodruff 1952). It is a plain value for one goroutine at a
// time.
type Cumulative struct {
	// Reports is their number.
	Reports uint64
	// Sum is the sum over reports of the number of supported categories up to each
	// category, Squares that of its square.
	Sum, Squares []uint64
}

// NewCumulative returns an empty state.
func NewCumulative(categories uint32) *Cumulative {
	return &Cumulative{Sum: make([]uint64, categories), Squares: make([]uint64, categories)}
}

// Add counts one report by what Categorical.Supported returned for it, which is
// in ascending order.
func (c *Cumulative) Add(supported []uint32) {
	c.Reports++
	held := uint64(0)
	for i := range c.Sum {
		for held < uint64(len(supported)) && supported[held] <= uint32(i) {
			held++
		}
		c.Sum[i] += held
		c.Squares[i] += held * held
	}
}

// Merge adds the reports of another state over the same categories.
func (c *Cumulative) Merge(o *Cumulative) {
	c.Reports += o.Reports
	for i := range o.Sum {
		c.Sum[i] += o.Sum[i]
		c.Squares[i] += o.Squares[i]
	}
}

// Scores returns the moments of the scores of all categories up to the given one,
// added up report by report. It fails with privacy.ErrPairs for a mechanism that
// has no formula for Noise, and then leaves that field 0: an estimator that takes
// the reports as drawn from a large population doesn't need it and is on the safe
// side.
func (c *Cumulative) Scores(m privacy.Categorical, last uint32) (Scores, error) {
	if c.Reports == 0 {
		return Scores{}, nil
	}
	r := m.Rates()
	n, size := float64(c.Reports), float64(last+1)
	width := r.Score(true) - r.Score(false)
	s := Scores{
		Count: int64(c.Reports),
		Mean:  float64(c.Sum[last])/n*width + size*r.Score(false),
		M2:    spread(c.Reports, c.Sum[last], c.Squares[last]) / n * width * width,
	}
	inside, outside, err := SumVariance(m, last+1)
	if err != nil {
		return s, err
	}
	s.Noise = n * (outside + math.Max(0, math.Min(1, s.Mean))*(inside-outside))
	return s, nil
}

// spread returns n·squares - sum², which is never negative, without cancellation.
func spread(n, sum, squares uint64) float64 {
	ah, al := bits.Mul64(n, squares)
	bh, bl := bits.Mul64(sum, sum)
	lo, borrow := bits.Sub64(al, bl, 0)
	hi, _ := bits.Sub64(ah, bh, borrow)
	return float64(hi)*(1<<64) + float64(lo)
}
