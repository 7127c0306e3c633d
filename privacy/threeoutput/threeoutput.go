// Package threeoutput is a mechanism of three outputs for a bounded number: the
// report is low, high or nothing. Nothing is answered the more often the nearer
// the input is to the middle of the bounds, which keeps large scores from inputs
// that need none. Its kin is Three-Outputs of Zhao et al. (2020).
//
// It stands behind means, totals and ratios between ε = 0.8 and 3.78, where it
// has less variance than the hybrid mechanism over readings spread evenly
// between the bounds, and far less in their middle. One word, one
// multiplication, two comparisons: it fits the smallest device. It must never
// branch on the input; PROOF.md has the argument.
//
//	m, err := threeoutput.New(epsilon)
//	code, err := m.Randomise(bounds.Level(reading, m.Levels()), source)
package threeoutput

import (
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

// Name is the mechanism's name in plans and results.
const Name = "three-output"

// Levels is the largest input: the grid of a bounded number.
const Levels = 1 << 16

// Suits says whether the mechanism has less variance at ε than the hybrid one,
// both over readings spread evenly between the bounds and in their middle: from
// 0.8 to 3.78.
func Suits(e privacy.Epsilon) bool { return e >= 800_000 && e <= 3_780_000 }

// The codes.
const (
	low = iota
	nothing
	high
	codes
)

// Mechanism is the mechanism of three outputs at one ε. It is immutable and
// safe for concurrent use.
type Mechanism struct {
	epsilon privacy.Epsilon
	// levels is a power of two from 2 to 2¹⁶; below that only in tests.
	levels uint32
	// most words out of 2⁶⁴ answer nothing for inputs about the middle, and
	// least for the ends. Both are even.
	most, least uint64
	// step is how many words high has more, and low less, for each further
	// input, as long as what answers nothing stays the same.
	step uint64
}

// New derives the integers for ε. It fails with privacy.ErrEpsilon.
func New(e privacy.Epsilon) (*Mechanism, error) { return newOnGrid(e, Levels) }

func newOnGrid(e privacy.Epsilon, levels uint32) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if levels < 2 || levels > Levels || bits.OnesCount32(levels) != 1 {
		return nil, privacy.ErrInput
	}
	most := threshold.Plateau(e.Micro())
	least := threshold.Floor(e.Micro(), most)
	lean := threshold.Lean(e.Micro(), least)
	return &Mechanism{epsilon: e, levels: levels, most: most, least: least, step: lean / uint64(levels)}, nil
}

// Name returns "three-output".
func (*Mechanism) Name() string { return Name }

// Epsilon returns the ε of one code.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.epsilon }

// Levels returns 65536.
func (m *Mechanism) Levels() uint32 { return m.levels }

// Codes returns 3: low is 0, nothing is 1 and high is 2.
func (*Mechanism) Codes() uint32 { return codes }

// Randomise draws one word and compares it with the input's two thresholds.
func (m *Mechanism) Randomise(input uint32, src privacy.Source) (uint32, error) {
	if input > m.levels {
		return 0, privacy.ErrInput
	}
	word, err := src.Uint64()
	if err != nil {
		return 0, err
	}
	return m.code(input, word), nil
}

// code is the whole mechanism as a function of an input in 0…Levels and one
// random word: low below the first threshold, high from the second on.
func (m *Mechanism) code(input uint32, word uint64) uint32 {
	first, second := m.thresholds(input)
	return high - threshold.Below(word, first) - threshold.Below(word, second)
}

// thresholds returns the number of words that give low, and of those that give
// low or nothing. All arithmetic is exact: what is halved is even, and the true
// values lie in 0…2⁶⁴-1, so that wrapping on the way does no harm.
func (m *Mechanism) thresholds(input uint32) (first, second uint64) {
	// The input from the middle, in words: half of what high has more than low.
	tilt := (uint64(input) - uint64(m.levels)/2) * m.step
	silent := m.silent(tilt)
	first = -silent/2 - tilt
	return first, first + silent
}

// silent returns the number of words that answer nothing: the plateau, or what
// is left of it towards the ends.
func (m *Mechanism) silent(tilt uint64) uint64 {
	negative := -(tilt >> 63)
	away := (tilt ^ negative) - negative
	slope := m.least + m.step*uint64(m.levels) - 2*away
	_, below := bits.Sub64(slope, m.most, 0)
	return m.most ^ -below&(m.most^slope)
}
