// Package duchi is the one-bit mechanism of Duchi, Jordan and Wainwright (2018)
// for a bounded number: the code is 1 with a probability that grows linearly
// with the input, from 1/(e^ε+1) to e^ε/(e^ε+1).
//
// It stands behind means at ε ≤ 0.61, where it has the least variance, and is a
// half of the hybrid mechanism above. One word, one multiplication, one
// comparison: it fits the smallest device. It must never branch on the input;
// PROOF.md has the argument.
//
//	m, err := duchi.New(epsilon)
//	code, err := m.Randomise(bounds.Level(reading, m.Levels()), source)
package duchi

import (
	"math/big"
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

// Name is the mechanism's name in plans and results.
const Name = "duchi"

// Levels is the largest input: the grid of a bounded number.
const Levels = 1 << 16

// codes is the number of codes.
const codes = 2

// Mechanism is the one-bit mechanism at one ε. It is immutable and safe for
// concurrent use.
type Mechanism struct {
	epsilon privacy.Epsilon
	// levels is a power of two of at most 2¹⁶; below that only in tests.
	levels uint32
	// low words out of 2⁶⁴ give code 1 at input 0, and step words more at each
	// further input: low + levels·step = 2⁶⁴ - low.
	low, step uint64
}

// New derives the thresholds for ε. It fails with privacy.ErrEpsilon.
func New(e privacy.Epsilon) (*Mechanism, error) { return NewOnGrid(e, Levels) }

// NewOnGrid is New for a coarser grid, on which a mechanism that contains this
// one can be enumerated. levels is a power of two of at most Levels; anything
// else gives privacy.ErrInput.
func NewOnGrid(e privacy.Epsilon, levels uint32) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if levels > Levels || bits.OnesCount32(levels) != 1 {
		return nil, privacy.ErrInput
	}
	low := threshold.FlipEven(e.Micro())
	// 2⁶⁴ - 2·low in 64 bits; low > 0 and below 2⁶³.
	return &Mechanism{epsilon: e, levels: levels, low: low, step: -(2 * low) / uint64(levels)}, nil
}

// Name returns "duchi".
func (*Mechanism) Name() string { return Name }

// Epsilon returns the ε of one code.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.epsilon }

// Levels returns 65536.
func (m *Mechanism) Levels() uint32 { return m.levels }

// Codes returns 2: codes are 0 and 1.
func (*Mechanism) Codes() uint32 { return codes }

// Randomise draws one word and returns 1 if it is below the input's threshold.
func (m *Mechanism) Randomise(input uint32, src privacy.Source) (uint32, error) {
	if input > m.levels {
		return 0, privacy.ErrInput
	}
	word, err := src.Uint64()
	if err != nil {
		return 0, err
	}
	return m.Code(input, word), nil
}

// Code is the whole mechanism as a function of an input in 0…Levels and one
// random word. The hybrid mechanism calls it with a word of its own.
func (m *Mechanism) Code(input uint32, word uint64) uint32 {
	return threshold.Below(word, m.threshold(input))
}

// threshold returns the number of words that give code 1, without overflow: it
// is at most 2⁶⁴ - low.
func (m *Mechanism) threshold(input uint32) uint64 {
	return m.low + uint64(input)*m.step
}

// Score returns (code-p)/(1-2p), p the probability of code 1 at input 0.
func (m *Mechanism) Score(code uint32) (float64, error) {
	if code >= codes {
		return 0, privacy.ErrCode
	}
	p := m.lowest()
	return (float64(code) - p) / (1 - 2*p), nil
}

// ExactScore is Score as a rational.
func (m *Mechanism) ExactScore(code uint32) (*big.Rat, error) {
	if code >= codes {
		return nil, privacy.ErrCode
	}
	p := privacy.Words(m.low)
	denominator := new(big.Rat).Sub(big.NewRat(1, 1), new(big.Rat).Add(p, p))
	score := new(big.Rat).Sub(big.NewRat(int64(code), 1), p)
	return score.Quo(score, denominator), nil
}

// NoiseVariance returns C²/4 with C = (e^ε+1)/(e^ε-1): the variance at the
// middle of the range, which is the largest.
func (m *Mechanism) NoiseVariance() float64 { return m.VarianceAt(m.levels / 2) }

// VarianceAt returns the variance of the score given an input, on the unit
// scale: (C² - (2u-1)²)/4 at u = input/Levels. It is for tests, curves and the
// engine's planning; the input of a device is not known there.
func (m *Mechanism) VarianceAt(input uint32) float64 {
	p := m.lowest()
	scale := 1 - 2*p
	u := float64(input) / float64(m.levels)
	one := p + u*scale
	return one * (1 - one) / (scale * scale)
}

// ConstantVariance returns false: inputs at the ends have less variance.
func (*Mechanism) ConstantVariance() bool { return false }

// Probability returns the exact probability of the code given the input.
func (m *Mechanism) Probability(code, input uint32) *big.Rat {
	if code >= codes || input > m.levels {
		return new(big.Rat)
	}
	p := privacy.Words(m.threshold(input))
	if code == 0 {
		p.Sub(big.NewRat(1, 1), p)
	}
	return p
}

// Certificate visits the thresholds of all inputs and proves the ratio from the
// smallest and the largest. The mean is affine in the input because the
// thresholds are, so both ends prove it for every row.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	least, most, affine := m.threshold(0), m.threshold(0), true
	for input := uint32(1); input <= m.levels; input++ {
		t := m.threshold(input)
		affine = affine && t-m.threshold(input-1) == m.step
		least, most = min(least, t), max(most, t)
	}
	if least == 0 {
		return privacy.Certificate{}, privacy.ErrCertificate
	}
	// Code 1 has the ratio most/least, code 0 that of what is left of 2⁶⁴.
	ratio := new(big.Rat).SetFrac(new(big.Int).SetUint64(most), new(big.Int).SetUint64(least))
	zero := new(big.Rat).SetFrac(new(big.Int).SetUint64(-least), new(big.Int).SetUint64(-most))
	if zero.Cmp(ratio) > 0 {
		ratio = zero
	}
	// At the ends the mean is (T-low)/(2⁶⁴-2·low), which must be 0 and 1.
	unbiased := affine && m.threshold(0) == m.low && m.threshold(m.levels) == -m.low
	return privacy.Certificate{
		Mechanism: Name, Epsilon: m.epsilon, Levels: m.levels, Codes: codes,
		WorstRatio: ratio, Bound: privacy.ExpLowerBound(m.epsilon),
		RowsSumToOne: m.sumsToOne(0) && m.sumsToOne(m.levels), Unbiased: unbiased,
	}, nil
}

// sumsToOne adds up the row of an input.
func (m *Mechanism) sumsToOne(input uint32) bool {
	sum := m.Probability(0, input)
	return sum.Add(sum, m.Probability(1, input)).Cmp(big.NewRat(1, 1)) == 0
}

func (m *Mechanism) lowest() float64 { return float64(m.low) / (1 << 64) }
