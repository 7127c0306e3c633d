package laplace

import (
	"math"
	"math/big"

	"github.com/quadrat-dev/quadrat/privacy"
)

// step returns the privacy loss of one grid step, 1/t = rate/unit.
func (m *Mechanism) step() float64 { return float64(m.rate) / float64(m.unit) }

// place returns where a code lies on the grid, in steps.
func (m *Mechanism) place(code uint32) float64 { return float64(code) - float64(m.reach) }

// Score returns the place of the code over the levels. The first and the last
// code stand for all that lies beyond, whose mean is 1/(e^(1/t)-1) steps
// farther whatever the input, because the noise has no memory: so the score is
// unbiased although the codes end.
func (m *Mechanism) Score(code uint32) (float64, error) {
	if code >= m.Codes() {
		return 0, privacy.ErrCode
	}
	place := m.place(code)
	switch code {
	case 0:
		place -= m.beyond()
	case m.Codes() - 1:
		place += m.beyond()
	}
	return place / float64(m.levels), nil
}

// beyond is the mean number of steps past the last code.
func (m *Mechanism) beyond() float64 { return 1 / math.Expm1(m.step()) }

// VarianceAt returns the variance of the score given an input, on the unit
// scale: {2 - (r^a+r^b)/(1+r)}·r/(1-r)²/levels², r = e^(-1/t), a and b the steps
// from the input to the last and the first code. The 2 is the variance of the
// noise, and what is subtracted that of the steps past the ends.
func (m *Mechanism) VarianceAt(input uint32) float64 {
	half := math.Sinh(m.step() / 2)
	ends := m.tail(float64(m.levels-input)+float64(m.reach)) + m.tail(float64(input)+float64(m.reach))
	return (2 - ends) / (4 * half * half) / float64(m.levels) / float64(m.levels)
}

// tail returns P(noise ≥ steps) = r^steps/(1+r) for steps ≥ 1.
func (m *Mechanism) tail(steps float64) float64 {
	return math.Exp(-steps*m.step()) / (1 + math.Exp(-m.step()))
}

// NoiseVariance returns the variance at the middle of the range, the largest.
func (m *Mechanism) NoiseVariance() float64 { return m.VarianceAt(m.levels / 2) }

// ConstantVariance returns true: the ends are 32 scales away, or, at the
// smallest ε, so many ranges that the input moves nothing.
func (*Mechanism) ConstantVariance() bool { return true }

// Below returns the probability of a code below the one given, for tests that
// put many codes in a bin.
func (m *Mechanism) Below(code, input uint32) float64 {
	switch {
	case code == 0:
		return 0
	case code >= m.Codes():
		return 1
	}
	steps := m.place(code) - float64(input)
	if steps > 0 {
		return 1 - m.tail(steps)
	}
	return m.tail(1 - steps)
}

// Probability returns the probability of the code given the input. It is
// irrational; the answer is within 2⁻²⁰⁰ of it, relatively.
func (m *Mechanism) Probability(code, input uint32) *big.Rat {
	if code >= m.Codes() || input > m.levels {
		return new(big.Rat)
	}
	r, one := m.decay(), number().SetInt64(1)
	steps := int64(code) - int64(m.reach) - int64(input)
	p := power(r, uint64(max(steps, -steps)))
	if code != 0 && code != m.Codes()-1 {
		p.Mul(p, number().Sub(one, r))
	}
	exact, _ := p.Quo(p, number().Add(one, r)).Rat(nil)
	return exact
}

// precision is that of the numbers from which Probability is made.
const precision = 384

func number() *big.Float { return new(big.Float).SetPrec(precision) }

// decay returns r = e^(-1/t), as the inverse of the Taylor series of e^(1/t).
func (m *Mechanism) decay() *big.Float {
	x := number().Quo(number().SetUint64(m.rate), number().SetUint64(m.unit))
	sum, term := number().SetInt64(1), number().SetInt64(1)
	for n := int64(1); term.MantExp(nil) > -precision; n++ {
		term.Mul(term, x)
		term.Quo(term, number().SetInt64(n))
		sum.Add(sum, term)
	}
	return number().Quo(number().SetInt64(1), sum)
}

// power returns rⁿ.
func power(r *big.Float, n uint64) *big.Float {
	result, square := number().SetInt64(1), number().Set(r)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result.Mul(result, square)
		}
		square.Mul(square, square)
	}
	return result
}
