// Package audit looks for bugs in mechanisms by drawing from them: a chi-square
// test against the exact distribution and a z test of unbiasedness.
//
// It stands beside the certificates, which prove; sampling never proves ε, it
// can only find that a mechanism isn't the one that its certificate describes.
// It runs on servers and in tests, never on a device, and uses floating point
// freely.
//
//	r, err := audit.Sample(m, input, 200_000, privacy.NewSeeded(1))
//	if r.Fit.PValue < 1e-6 || r.Bias.PValue < 1e-6 { … }
package audit

import (
	"math"

	"gonum.org/v1/gonum/mathext"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Result is the outcome of one test.
type Result struct {
	// Statistic is χ², or |z|, the distance in exact standard errors.
	Statistic float64
	// DegreesOfFreedom is the number of bins minus one; 0 for a z test.
	DegreesOfFreedom int
	// PValue is the probability of a statistic at least as large from a correct
	// mechanism, or a bound of it.
	PValue float64
}

// expectedMin is the least expected count of a bin, so that χ² has its limit
// distribution closely enough at p = 10⁻⁶.
const expectedMin = 100

// Report is what one sample shows.
type Report struct {
	// Fit is the chi-square test of the codes against their exact probabilities.
	// Neighbouring codes share a bin until 100 draws are expected in it.
	Fit Result
	// Bias is the test of the mean score against the input, by Bernstein's bound.
	Bias Result
	// Variance is the variance of one score, from the exact probabilities.
	Variance float64
}

// Sample draws codes for one input and tests them. It takes memory in proportion
// to the mechanism's codes.
func Sample(m privacy.Mechanism, input uint32, draws int, src privacy.Source) (Report, error) {
	counts := make([]float64, m.Codes())
	for range draws {
		code, err := m.Randomise(input, src)
		if err != nil {
			return Report{}, err
		}
		if code >= m.Codes() {
			return Report{}, privacy.ErrCode
		}
		counts[code]++
	}
	fit := bins{}
	truth := float64(input) / float64(m.Levels())
	n := float64(draws)
	shift, variance, widest := 0.0, 0.0, 0.0
	for code, count := range counts {
		score, err := m.Score(uint32(code))
		if err != nil {
			return Report{}, err
		}
		p, _ := m.Probability(uint32(code), input).Float64()
		fit.add(count, p*n)
		shift += count / n * (score - truth)
		variance += p * (score - truth) * (score - truth)
		widest = math.Max(widest, math.Abs(score-truth))
	}
	return Report{Fit: fit.result(), Bias: bernstein(shift, variance, widest, n), Variance: variance}, nil
}

// bernstein bounds the probability of a mean as far off as shift (Bernstein
// 1946): 2·exp(-n·t²/(2σ²+2bt/3)), valid for any n, also when a code is so rare
// that the mean is nowhere near normal.
func bernstein(shift, variance, widest, n float64) Result {
	t := math.Abs(shift)
	return Result{
		Statistic: t / math.Sqrt(variance/n),
		PValue:    math.Min(1, 2*math.Exp(-n*t*t/(2*variance+2*widest*t/3))),
	}
}

// ChiSquare tests counts in bins against the expected ones, which must add up to
// as much and should be at least 100 each: smaller bins are joined with the next.
func ChiSquare(observed, expected []float64) Result {
	var b bins
	for i, n := range observed {
		b.add(n, expected[i])
	}
	return b.result()
}

// bins collects neighbouring codes until a bin is large enough.
type bins struct {
	observed, expected []float64
	open               bool
}

func (b *bins) add(observed, expected float64) {
	if !b.open {
		b.observed, b.expected = append(b.observed, 0), append(b.expected, 0)
	}
	last := len(b.expected) - 1
	b.observed[last] += observed
	b.expected[last] += expected
	b.open = b.expected[last] < expectedMin
}

// result adds up χ². A last bin that stayed too small joins the one before.
func (b *bins) result() Result {
	if last := len(b.expected) - 1; b.open && last > 0 {
		b.observed[last-1] += b.observed[last]
		b.expected[last-1] += b.expected[last]
		b.observed, b.expected = b.observed[:last], b.expected[:last]
	}
	r := Result{DegreesOfFreedom: len(b.expected) - 1, PValue: 1}
	for i, expected := range b.expected {
		d := b.observed[i] - expected
		r.Statistic += d * d / expected
	}
	if r.DegreesOfFreedom > 0 {
		r.PValue = mathext.GammaIncRegComp(float64(r.DegreesOfFreedom)/2, r.Statistic/2)
	}
	return r
}
