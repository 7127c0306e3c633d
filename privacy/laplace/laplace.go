// Package laplace is the discrete Laplace mechanism: the input plus noise that is
// k grid steps with a probability proportional to e^(-|k|/t), drawn without any
// rounding by the rejection sampler of Canonne, Kamath and Steinke (2020).
//
// It stands beside the hybrid mechanism, which has less variance at every ε, for
// whoever needs additive noise: its scores are the outputs themselves and add up
// with other Laplace noise. It is exact integer arithmetic, but the number of words
// that it draws varies with the noise (never with the input), so that its time
// tells of the noise: mechanisms.ByName refuses it, mechanisms.OptIn gives it.
// PROOF.md has the argument.
//
//	m, err := laplace.New(epsilon)
//	code, err := m.Randomise(bounds.Level(reading, m.Levels()), source)
package laplace

import (
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Name is the mechanism's name in plans and results.
const Name = "discrete-laplace"

// Levels is the largest input, and so the sensitivity in grid steps.
const Levels = 1 << 16

const (
	million = 1_000_000
	// spare is the part of ε, as 2⁻²⁰ millionths, that is not used: it pays for
	// the chance that a bounded loop gives up.
	spare = 20
	// reachScales is how many scales beyond the range the codes reach.
	reachScales = 32
	// reachMax keeps the codes below 2³².
	reachMax = 1<<31 - Levels - 1
)

// Mechanism is the discrete Laplace mechanism at one ε. It is immutable and safe
// for concurrent use.
type Mechanism struct {
	epsilon privacy.Epsilon
	// levels is a power of two of at most 2¹⁶; below that only in tests.
	levels uint32
	// The scale t is unit/rate grid steps, exactly.
	unit, rate uint64
	// reach is how many steps below 0 and above levels the codes go; what lies
	// beyond counts as the last of them.
	reach uint32
}

// New derives the scale for ε. It fails with privacy.ErrEpsilon.
func New(e privacy.Epsilon) (*Mechanism, error) { return NewOnGrid(e, Levels) }

// NewOnGrid is New for a coarser grid, on which the whole distribution can be
// tested. levels is a power of two of at most Levels; anything else gives
// privacy.ErrInput.
func NewOnGrid(e privacy.Epsilon, levels uint32) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if levels > Levels || bits.OnesCount32(levels) != 1 {
		return nil, privacy.ErrInput
	}
	m := &Mechanism{
		epsilon: e, levels: levels,
		unit: uint64(levels) * million << spare,
		rate: e.Micro()<<spare - 1,
	}
	// ⌈32·unit/rate⌉; unit < 2⁵⁶.
	scales := (reachScales*m.unit + m.rate - 1) / m.rate
	m.reach = uint32(min(scales, reachMax))
	return m, nil
}

// Name returns "discrete-laplace".
func (*Mechanism) Name() string { return Name }

// Epsilon returns the ε of one code.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.epsilon }

// Levels returns 65536.
func (m *Mechanism) Levels() uint32 { return m.levels }

// Codes returns the number of codes: the levels and 32 scales on both sides, or
// fewer where they would not fit in 32 bits.
func (m *Mechanism) Codes() uint32 { return m.levels + 2*m.reach + 1 }

// Randomise draws the noise and then adds it to the input. It draws about ten
// words; how many depends on the noise alone.
func (m *Mechanism) Randomise(input uint32, src privacy.Source) (uint32, error) {
	if input > m.levels {
		return 0, privacy.ErrInput
	}
	words, err := src.Expand()
	if err != nil {
		return 0, err
	}
	defer words.Discard()
	noise, err := m.noise(words)
	if err != nil {
		return 0, err
	}
	// |noise| < 66·unit/rate + 1 < 2⁴³.
	place := int64(input) + int64(m.reach) + noise
	return uint32(max(0, min(int64(m.Codes()-1), place))), nil
}
