package privacy

import "math/big"

// Categorical turns one of k categories into one randomised report. It is to a
// list of alternatives what Mechanism is to a number: for every report and every
// two categories the probabilities of the report differ by a factor of at most
// e^ε.
//
// A report *supports* some of the categories. The true one is supported with
// probability p, each other one with probability q < p, whatever the truth is
// (Wang et al., USENIX Security 2017, call such a protocol pure). So counts of
// support, which are integers, hold all that an estimate of shares needs, and
// Rates turns them into unbiased scores. Categories are numbered 0…k-1 in an
// order that is public.
//
// A Categorical is immutable and safe for concurrent use; the Source that it is
// given is not.
type Categorical interface {
	// Name is the name in plans, results and on the command line: "grr",
	// "subset", "oue", "olh".
	Name() string
	// Epsilon is the ε that one report costs.
	Epsilon() Epsilon
	// Categories is k, at least 2.
	Categories() uint32
	// Bytes is the length of every report. It depends on ε and k alone, so that
	// the length of a message says nothing.
	Bytes() int
	// Randomise appends the report for a category to buf and returns the longer
	// slice; with room for Bytes more in buf it allocates nothing. It fails with
	// ErrInput before anything is drawn, or with ErrEntropy; then it returns nil.
	Randomise(category uint32, src Source, buf []byte) ([]byte, error)
	// Supported appends the categories that a report supports to into, each once,
	// in ascending order. It fails with ErrCode, and appends nothing, on any bytes
	// that Randomise can't have made: a report has one form only.
	Supported(report []byte, into []uint32) ([]uint32, error)
	// Rates is p and q as numbers.
	Rates() Rates
	// ExactRates is p and q from the integers that Randomise compares with.
	ExactRates() (truth, other *big.Rat)
	// Both is the exact probability that the report for a category supports both
	// a and b, two different categories; zero for arguments out of range or equal.
	Both(category, a, b uint32) *big.Rat
	// Exchangeable says that Both depends only on whether the category is one of
	// the two: true but for olh.
	Exchangeable() bool
	// Probability is the exact probability of the report given the category;
	// zero for bytes that are no report and for a category out of range.
	Probability(report []byte, category uint32) *big.Rat
	// Certificate proves the worst ratio for all reports and categories from the
	// same integers.
	Certificate() (Certificate, error)
}

// Rates says how often a report supports a category: the true one and any other
// one. Build it with NewRates. The score of a category is 1 for certain support
// and 0 for none, stretched so that its mean is exactly 1 for the true category
// and exactly 0 for any other; it lies outside [0, 1] and must not be clipped.
type Rates struct {
	// Truth is p, Other is q.
	Truth, Other float64
	// gap is p-q, rounded once: p and q lie close together at small ε.
	gap float64
}

// NewRates rounds exact rates, of which truth is the larger.
func NewRates(truth, other *big.Rat) Rates {
	r := Rates{}
	r.Truth, _ = truth.Float64()
	r.Other, _ = other.Float64()
	r.gap, _ = new(big.Rat).Sub(truth, other).Float64()
	return r
}

// Score is the unbiased score of one category in one report: E[Score] is 1 if
// the category is the true one and 0 if not.
func (r Rates) Score(supported bool) float64 {
	if supported {
		return (1 - r.Other) / r.gap
	}
	return -r.Other / r.gap
}

// Total is the sum of the scores of reports that weigh weight in all, of which
// those that support the category weigh support. Counts are weights of 1.
func (r Rates) Total(support, weight float64) float64 {
	return (support - r.Other*weight) / r.gap
}

// Share is Total over weight: the mean score, an unbiased estimate of the share
// of the category. It may be negative or above 1.
func (r Rates) Share(support, weight float64) float64 {
	return (support/weight - r.Other) / r.gap
}

// NoiseVariance is the mean variance of a score given the true category, for
// reports of which a share has the category (Wang et al. 2017, formula 3): the
// part that the mechanism adds. It is linear in the share, so the unbiased
// estimate of the share gives an unbiased estimate of it, and a sum over reports
// with weights is the same sum of their scores.
func (r Rates) NoiseVariance(share float64) float64 {
	truth, other := r.Truth*(1-r.Truth), r.Other*(1-r.Other)
	return (other + share*(truth-other)) / (r.gap * r.gap)
}

// ScoreVariance is the whole variance of the score of a report drawn at random
// among reports of which a share has the category: NoiseVariance + share·(1-share).
func (r Rates) ScoreVariance(share float64) float64 {
	rate := r.Other + share*r.gap
	return rate * (1 - rate) / (r.gap * r.gap)
}

// TotalVariance is the sum of the noise variances of all categories in one
// report, which is the same for every true category: the total L2 error times
// the number of reports.
func (r Rates) TotalVariance(categories uint32) float64 {
	return r.NoiseVariance(1) + float64(categories-1)*r.NoiseVariance(0)
}
