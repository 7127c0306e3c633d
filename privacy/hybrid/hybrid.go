// Package hybrid is the hybrid mechanism of Wang et al. (ICDE 2019) for a
// bounded number: a coin that doesn't know the input picks the piecewise
// mechanism or Duchi's. The coin is weighted so that the variance of the score
// is the same for every input, which lets an estimate separate the noise from
// the spread of the readings.
//
// It stands behind means at ε > 0.61; at smaller ε it is Duchi's mechanism
// alone. It must never let the input decide which of the two is used or how
// many words are drawn; PROOF.md has the argument.
//
//	m, err := hybrid.New(epsilon)
//	code, err := m.Randomise(bounds.Level(reading, m.Levels()), source)
package hybrid

import (
	"math"
	"math/big"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/duchi"
	"github.com/quadrat-dev/quadrat/privacy/piecewise"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

// Name is the mechanism's name in plans and results.
const Name = "hybrid"

// Levels is the largest input: the grid of a bounded number.
const Levels = 1 << 16

// Crossing is the ε up to which Duchi's mechanism alone has less variance
// (Wang et al. 2019, §III-C).
const Crossing privacy.Epsilon = 610_000

// Mechanism is the hybrid mechanism at one ε. It is immutable and safe for
// concurrent use.
type Mechanism struct {
	epsilon privacy.Epsilon
	duchi   *duchi.Mechanism
	// cells is nil up to the crossing: then the codes are Duchi's. Beyond, they
	// are the cells, and behind them Duchi's two.
	cells *piecewise.Mechanism
	// mix words out of 2⁶⁴ choose the piecewise mechanism.
	mix uint64
}

// New derives the integers for ε. It fails with privacy.ErrEpsilon.
func New(e privacy.Epsilon) (*Mechanism, error) { return newOnGrid(e, Levels) }

func newOnGrid(e privacy.Epsilon, levels uint32) (*Mechanism, error) {
	one, err := duchi.NewOnGrid(e, levels)
	if err != nil {
		return nil, err
	}
	m := &Mechanism{epsilon: e, duchi: one}
	if e <= Crossing {
		return m, nil
	}
	m.cells, err = piecewise.NewOnGrid(e, levels)
	if err != nil {
		return nil, err
	}
	m.mix = m.cells.Slope()
	return m, nil
}

// Name returns "hybrid".
func (*Mechanism) Name() string { return Name }

// Epsilon returns the ε of one code.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.epsilon }

// Levels returns 65536.
func (m *Mechanism) Levels() uint32 { return m.duchi.Levels() }

// Codes returns the number of cells plus 2, or 2 up to the crossing.
func (m *Mechanism) Codes() uint32 { return m.cellCodes() + m.duchi.Codes() }

// cellCodes is the first of Duchi's codes.
func (m *Mechanism) cellCodes() uint32 {
	if m.cells == nil {
		return 0
	}
	return m.cells.Codes()
}

// Randomise draws three words, one up to the crossing; see
// piecewise.Mechanism.Randomise for the rare redraw. Both mechanisms are
// computed, then one is chosen.
func (m *Mechanism) Randomise(input uint32, src privacy.Source) (uint32, error) {
	if m.cells == nil || input > m.Levels() {
		return m.duchi.Randomise(input, src)
	}
	mix, err := src.Uint64()
	if err != nil {
		return 0, err
	}
	coin, err := src.Uint64()
	if err != nil {
		return 0, err
	}
	cell, err := m.cells.Place(input, coin, src)
	if err != nil {
		return 0, err
	}
	return m.choose(mix, cell, m.duchi.Code(input, coin)), nil
}

// choose returns the cell if the mixing word says so, else the code that stands
// for Duchi's bit.
func (m *Mechanism) choose(mix uint64, cell, bit uint32) uint32 {
	return threshold.Choose(threshold.Below(mix, m.mix), cell, m.cellCodes()+bit)
}

// Score returns the score of the mechanism that made the code.
func (m *Mechanism) Score(code uint32) (float64, error) {
	if first := m.cellCodes(); code >= first {
		return m.duchi.Score(code - first)
	}
	return m.cells.Score(code)
}

// ExactScore is Score as a rational.
func (m *Mechanism) ExactScore(code uint32) (*big.Rat, error) {
	if first := m.cellCodes(); code >= first {
		return m.duchi.ExactScore(code - first)
	}
	return m.cells.ExactScore(code)
}

// VarianceAt returns the variance of the score given an input, on the unit
// scale. Both parts are unbiased, so it is the mean of their variances.
func (m *Mechanism) VarianceAt(input uint32) float64 {
	one := m.duchi.VarianceAt(input)
	if m.cells == nil {
		return one
	}
	a := float64(m.mix) / (1 << 64)
	return a*m.cells.VarianceAt(input) + (1-a)*one
}

// NoiseVariance returns the largest variance. It is a parabola in the input,
// symmetric about the middle.
func (m *Mechanism) NoiseVariance() float64 {
	return math.Max(m.VarianceAt(0), m.VarianceAt(m.Levels()/2))
}

// constantTo is how far the variance may differ, relative to itself, and still
// be called constant.
const constantTo = 1e-6

// ConstantVariance compares the variances at the end and in the middle: true
// above the crossing, false up to it.
func (m *Mechanism) ConstantVariance() bool {
	end, middle := m.VarianceAt(0), m.VarianceAt(m.Levels()/2)
	return math.Abs(end-middle) <= constantTo*end
}

// Probability returns the exact probability of the code given the input.
func (m *Mechanism) Probability(code, input uint32) *big.Rat {
	if m.cells == nil {
		return m.duchi.Probability(code, input)
	}
	if first := m.cellCodes(); code >= first {
		rest := privacy.Words(m.mix)
		rest.Sub(big.NewRat(1, 1), rest)
		return rest.Mul(rest, m.duchi.Probability(code-first, input))
	}
	a := privacy.Words(m.mix)
	return a.Mul(a, m.cells.Probability(code, input))
}

// Certificate puts the certificates of the two parts together: their codes are
// disjoint and the coin cancels in every ratio.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	c, err := m.duchi.Certificate()
	if err != nil {
		return privacy.Certificate{}, err
	}
	c.Mechanism, c.Codes = Name, m.Codes()
	// The parts are judged by this mechanism's ε, not by their own.
	c.Epsilon, c.Bound = m.epsilon, privacy.ExpLowerBound(m.epsilon)
	if m.cells == nil {
		return c, nil
	}
	cells, err := m.cells.Certificate()
	if err != nil {
		return privacy.Certificate{}, err
	}
	if cells.WorstRatio.Cmp(c.WorstRatio) > 0 {
		c.WorstRatio = cells.WorstRatio
	}
	c.RowsSumToOne = c.RowsSumToOne && cells.RowsSumToOne
	c.Unbiased = c.Unbiased && cells.Unbiased
	return c, nil
}
