// Package audit looks for bugs in mechanisms by drawing from them: a chi-square
// test against the exact distribution and a z test of unbiasedness.
//
// It stands beside the certificates, which prove; sampling never proves ε, it
// can only find that a mechanism isn't the one that its certificate describes.
// It runs on servers and in tests, never on a device, and uses floating point
// freely.
//
//	r, err := audit.ChiSquare(m, input, 200_000, privacy.NewSeeded(1))
//	if r.PValue < 1e-6 { … }
package audit

import (
	"math"

	"gonum.org/v1/gonum/mathext"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Result is the outcome of one test.
type Result struct {
	// Statistic is χ², or |z|.
	Statistic float64
	// DegreesOfFreedom is the number of bins minus one; 0 for a z test.
	DegreesOfFreedom int
	// PValue is the probability of a statistic at least as large from a correct
	// mechanism.
	PValue float64
}

// expectedMin is the least expected count of a bin, so that χ² has its limit
// distribution closely enough at p = 10⁻⁶.
const expectedMin = 50

// ChiSquare draws codes for one input and compares them with the exact
// probabilities. Neighbouring codes share a bin until 50 draws are expected in
// it.
func ChiSquare(m privacy.Mechanism, input uint32, draws int, src privacy.Source) (Result, error) {
	counts := make([]int, m.Codes())
	for range draws {
		code, err := m.Randomise(input, src)
		if err != nil {
			return Result{}, err
		}
		if code >= m.Codes() {
			return Result{}, privacy.ErrCode
		}
		counts[code]++
	}
	b := bins{}
	for code, count := range counts {
		p, _ := m.Probability(uint32(code), input).Float64()
		b.add(float64(count), p*float64(draws))
	}
	return b.result(), nil
}

// bins adds up χ² over bins that are large enough.
type bins struct {
	observed, expected float64
	statistic          float64
	closed             int
}

func (b *bins) add(observed, expected float64) {
	b.observed += observed
	b.expected += expected
	if b.expected < expectedMin {
		return
	}
	d := b.observed - b.expected
	b.statistic += d * d / b.expected
	b.closed++
	b.observed, b.expected = 0, 0
}

// result closes the test. What is left at the end counts as a bin when anything
// was expected or seen in it; its expectation may be small, which makes the test
// stricter, not blind.
func (b *bins) result() Result {
	if b.expected > 1 || b.observed > 0 {
		d := b.observed - b.expected
		b.statistic += d * d / math.Max(b.expected, 1e-9)
		b.closed++
	}
	freedom := max(1, b.closed-1)
	return Result{
		Statistic: b.statistic, DegreesOfFreedom: freedom,
		PValue: mathext.GammaIncRegComp(float64(freedom)/2, b.statistic/2),
	}
}

// Unbiased draws codes for one input and compares the mean of their scores with
// the input, in units of the exact standard error.
func Unbiased(m privacy.Mechanism, input uint32, draws int, src privacy.Source) (Result, error) {
	mean, variance := 0.0, 0.0
	truth := float64(input) / float64(m.Levels())
	for code := range m.Codes() {
		score, err := m.Score(code)
		if err != nil {
			return Result{}, err
		}
		p, _ := m.Probability(code, input).Float64()
		variance += p * (score - truth) * (score - truth)
	}
	for range draws {
		code, err := m.Randomise(input, src)
		if err != nil {
			return Result{}, err
		}
		score, err := m.Score(code)
		if err != nil {
			return Result{}, err
		}
		mean += score / float64(draws)
	}
	z := math.Abs(mean-truth) / math.Sqrt(variance/float64(draws))
	return Result{Statistic: z, PValue: math.Erfc(z / math.Sqrt2)}, nil
}
