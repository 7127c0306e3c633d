// Package warner is Warner's randomised response for one bit: the device tells
// the truth with probability e^ε/(e^ε+1) and lies otherwise (Warner 1965;
// optimal for one bit, Kairouz, Oh and Viswanath 2014).
//
// It stands behind proportion and count in the script. It compares one random
// word with one threshold and must never branch on the bit; PROOF.md has the
// argument.
//
//	m, err := warner.New(epsilon)
//	code, err := m.Randomise(1, source)
package warner

import (
	"math/big"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

// Name is the mechanism's name in plans and results.
const Name = "warner"

// levels is the largest input, codes the number of codes.
const (
	levels = 1
	codes  = 2
)

// Mechanism is randomised response at one ε. It is immutable and safe for
// concurrent use.
type Mechanism struct {
	epsilon privacy.Epsilon
	// flip words out of 2⁶⁴ make it lie; 0 < flip < 2⁶³.
	flip uint64
}

// New derives the threshold for ε. It fails with privacy.ErrEpsilon.
func New(e privacy.Epsilon) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return &Mechanism{epsilon: e, flip: threshold.Flip(e.Micro())}, nil
}

// Name returns "warner".
func (*Mechanism) Name() string { return Name }

// Epsilon returns the ε of one code.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.epsilon }

// Levels returns 1: inputs are 0 and 1.
func (*Mechanism) Levels() uint32 { return levels }

// Codes returns 2: codes are 0 and 1.
func (*Mechanism) Codes() uint32 { return codes }

// Randomise draws one word and returns the bit or its opposite.
func (m *Mechanism) Randomise(input uint32, src privacy.Source) (uint32, error) {
	if input > levels {
		return 0, privacy.ErrInput
	}
	word, err := src.Uint64()
	if err != nil {
		return 0, err
	}
	return m.code(input, word), nil
}

// code is the whole mechanism as a function of the input and one random word.
func (m *Mechanism) code(input uint32, word uint64) uint32 {
	return input ^ threshold.Below(word, m.flip)
}

// Score returns (code-p)/(1-2p), p the probability of a lie.
func (m *Mechanism) Score(code uint32) (float64, error) {
	if code >= codes {
		return 0, privacy.ErrCode
	}
	p := m.lie()
	return (float64(code) - p) / (1 - 2*p), nil
}

// ExactScore is Score as a rational: (code·2⁶⁴-T)/(2⁶⁴-2T).
func (m *Mechanism) ExactScore(code uint32) (*big.Rat, error) {
	if code >= codes {
		return nil, privacy.ErrCode
	}
	p := privacy.Words(m.flip)
	denominator := new(big.Rat).Sub(big.NewRat(1, 1), new(big.Rat).Add(p, p))
	score := new(big.Rat).Sub(big.NewRat(int64(code), 1), p)
	return score.Quo(score, denominator), nil
}

// NoiseVariance returns p(1-p)/(1-2p)², which is e^ε/(e^ε-1)².
func (m *Mechanism) NoiseVariance() float64 {
	p := m.lie()
	return p * (1 - p) / ((1 - 2*p) * (1 - 2*p))
}

// ConstantVariance returns true: the variance is the same for both bits.
func (*Mechanism) ConstantVariance() bool { return true }

// Probability returns the exact probability of the code given the bit.
func (m *Mechanism) Probability(code, input uint32) *big.Rat {
	if code >= codes || input > levels {
		return new(big.Rat)
	}
	lie := privacy.Words(m.flip)
	if code != input {
		return lie
	}
	return lie.Sub(big.NewRat(1, 1), lie)
}

// Certificate enumerates the four probabilities.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	return privacy.Enumerate(m)
}

func (m *Mechanism) lie() float64 { return float64(m.flip) / (1 << 64) }
