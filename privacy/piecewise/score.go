package piecewise

import (
	"math/big"
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Slope returns α·2⁶⁴ rounded down, where α = P(window) - P(outside)·window/levels
// is the derivative of the mean cell with respect to the input, 0 < α < 1. The
// hybrid mechanism mixes with exactly this probability, which makes its
// variance constant. Integer arithmetic; it is used on the device.
func (m *Mechanism) Slope() uint64 {
	high, low := m.slopeTimesLevels()
	shift := uint(bits.TrailingZeros32(m.levels))
	return high<<(64-shift) | low>>shift
}

// slopeTimesLevels returns α·2⁶⁴·levels = split·levels - (2⁶⁴-split)·window,
// which is positive because the window is the denser part.
func (m *Mechanism) slopeTimesLevels() (high, low uint64) {
	inHigh, inLow := bits.Mul64(m.split, uint64(m.levels))
	outHigh, outLow := bits.Mul64(-m.split, uint64(m.window))
	low, borrow := bits.Sub64(inLow, outLow, 0)
	high, _ = bits.Sub64(inHigh, outHigh, borrow)
	return high, low
}

// stretch returns α·levels, by which the cells are divided to make scores.
func (m *Mechanism) stretch() float64 {
	high, low := m.slopeTimesLevels()
	return float64(high) + float64(low)/(1<<64)
}

// Score returns 1/2 + (code-(Codes-1)/2)/(α·Levels).
func (m *Mechanism) Score(code uint32) (float64, error) {
	if code >= m.Codes() {
		return 0, privacy.ErrCode
	}
	centre := float64(m.Codes()-1) / 2
	return 0.5 + (float64(code)-centre)/m.stretch(), nil
}

// ExactScore is Score as a rational.
func (m *Mechanism) ExactScore(code uint32) (*big.Rat, error) {
	if code >= m.Codes() {
		return nil, privacy.ErrCode
	}
	offset := big.NewRat(2*int64(code)-int64(m.Codes()-1), 2)
	offset.Quo(offset, m.exactStretch())
	return offset.Add(offset, big.NewRat(1, 2)), nil
}

func (m *Mechanism) exactStretch() *big.Rat {
	inside := privacy.Words(m.split)
	outside := new(big.Rat).Sub(big.NewRat(1, 1), inside)
	inside.Mul(inside, big.NewRat(int64(m.levels), 1))
	outside.Mul(outside, big.NewRat(int64(m.window), 1))
	return inside.Sub(inside, outside)
}

// VarianceAt returns the variance of the score given an input, on the unit
// scale: {α(1-α)d² + α(W²-1)/12 + q·G(G²-1)/12/levels}/(α·levels)², where
// d = input - levels/2, W is the window, G all cells, q the probability of
// outside, and 1-α = q·G/levels. All terms are positive.
func (m *Mechanism) VarianceAt(input uint32) float64 {
	levels, window, codes := float64(m.levels), float64(m.window), float64(m.Codes())
	outside := float64(-m.split) / (1 << 64)
	stretch := m.stretch()
	slope := stretch / levels
	d := float64(input) - levels/2
	variance := slope*outside*codes/levels*d*d +
		slope*(window*window-1)/12 +
		outside*codes*(codes*codes-1)/12/levels
	return variance / (stretch * stretch)
}

// NoiseVariance returns the variance at the ends of the range, the largest.
func (m *Mechanism) NoiseVariance() float64 { return m.VarianceAt(0) }

// ConstantVariance returns false: inputs in the middle have less variance.
func (*Mechanism) ConstantVariance() bool { return false }

// Probability returns the exact probability of the code given the input.
func (m *Mechanism) Probability(code, input uint32) *big.Rat {
	if code >= m.Codes() || input > m.levels {
		return new(big.Rat)
	}
	inside, outside := m.densities()
	if m.inWindow(code, input) {
		return inside
	}
	return outside
}

// inWindow says whether the code is a cell of the input's window.
func (m *Mechanism) inWindow(code, input uint32) bool {
	return code >= input && code < input+m.window
}

// densities returns the probability of one cell inside and of one outside. The
// caller owns them.
func (m *Mechanism) densities() (inside, outside *big.Rat) {
	m.exact.Do(func() {
		in := privacy.Words(m.split)
		out := new(big.Rat).Sub(big.NewRat(1, 1), in)
		m.exact.inside = in.Quo(in, big.NewRat(int64(m.window), 1))
		m.exact.outside = out.Quo(out, big.NewRat(int64(m.levels), 1))
	})
	return new(big.Rat).Set(m.exact.inside), new(big.Rat).Set(m.exact.outside)
}

// Certificate proves the ratio from the two densities, and checks the sum and
// the mean of every row by arithmetic series. See PROOF.md.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	inside, outside := m.densities()
	if inside.Sign() <= 0 || outside.Sign() <= 0 {
		return privacy.Certificate{}, privacy.ErrCertificate
	}
	ratio := new(big.Rat).Quo(inside, outside)
	if ratio.Cmp(big.NewRat(1, 1)) < 0 {
		ratio.Inv(ratio)
	}
	sum := new(big.Rat).Mul(inside, big.NewRat(int64(m.window), 1))
	sum.Add(sum, new(big.Rat).Mul(outside, big.NewRat(int64(m.levels), 1)))
	unbiased, err := m.unbiased(inside, outside)
	return privacy.Certificate{
		Mechanism: Name, Epsilon: m.epsilon, Levels: m.levels, Codes: m.Codes(),
		WorstRatio: ratio, Bound: privacy.ExpLowerBound(m.epsilon),
		RowsSumToOne: sum.Cmp(big.NewRat(1, 1)) == 0, Unbiased: unbiased,
	}, err
}

// unbiased compares the exact mean score with input/levels at both ends of the
// range. The mean is affine in the input, so two points prove every row.
func (m *Mechanism) unbiased(inside, outside *big.Rat) (bool, error) {
	first, err := m.ExactScore(0)
	if err != nil {
		return false, err
	}
	step := new(big.Rat).Inv(m.exactStretch())
	codes, window := int64(m.Codes()), int64(m.window)
	for _, input := range []int64{0, int64(m.levels)} {
		// Σ code over the window, and over all cells.
		inWindow := window*input + window*(window-1)/2
		all := codes * (codes - 1) / 2
		mean := new(big.Rat).Mul(inside, big.NewRat(inWindow, 1))
		mean.Add(mean, new(big.Rat).Mul(outside, big.NewRat(all-inWindow, 1)))
		mean.Mul(mean, step)
		mean.Add(mean, first)
		if mean.Cmp(big.NewRat(input, int64(m.levels))) != 0 {
			return false, nil
		}
	}
	return true, nil
}
