// Package piecewise is the piecewise mechanism of Wang et al. (ICDE 2019) on an
// integer grid: the code is a cell near the input with a high probability and
// any other cell with a low one.
//
// It stands inside the hybrid mechanism and is useful alone for auditors. It is
// made of three integers that follow from ε; PROOF.md shows that the grid keeps
// privacy and unbiasedness exactly. It must never draw a number of words that
// depends on the input.
//
//	m, err := piecewise.New(epsilon)
//	code, err := m.Randomise(bounds.Level(reading, m.Levels()), source)
package piecewise

import (
	"math/big"
	"math/bits"
	"sync"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

// Name is the mechanism's name in plans and results.
const Name = "piecewise"

// Levels is the largest input: the grid of a bounded number.
const Levels = 1 << 16

// Mechanism is the piecewise mechanism at one ε. It is immutable and safe for
// concurrent use.
type Mechanism struct {
	epsilon privacy.Epsilon
	// levels is a power of two of at most 2¹⁶; below that only in tests. There
	// are as many cells outside the window as levels.
	levels uint32
	// window is the number of cells inside the window, 1…levels. The window of
	// input v is the cells v…v+window-1.
	window uint32
	// split words out of 2⁶⁴ choose the window.
	split uint64
	// exact is what Probability answers from; a device never asks.
	exact struct {
		sync.Once

		inside, outside *big.Rat
	}
}

// New derives window and split for ε. It fails with privacy.ErrEpsilon.
func New(e privacy.Epsilon) (*Mechanism, error) { return NewOnGrid(e, Levels) }

// NewOnGrid is New for a coarser grid, on which the whole matrix can be
// enumerated. levels is a power of two of at most Levels; anything else gives
// privacy.ErrInput.
func NewOnGrid(e privacy.Epsilon, levels uint32) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if levels > Levels {
		return nil, privacy.ErrInput
	}
	return NewWindow(e, levels, threshold.Window(e.Micro(), levels))
}

// NewWindow is NewOnGrid with a window of another width, 1…levels. Every width
// is private and unbiased; the square wave has one of its own. It fails with
// privacy.ErrEpsilon or privacy.ErrInput.
func NewWindow(e privacy.Epsilon, levels, window uint32) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if levels > Levels || bits.OnesCount32(levels) != 1 || window == 0 || window > levels {
		return nil, privacy.ErrInput
	}
	return &Mechanism{
		epsilon: e, levels: levels, window: window,
		split: threshold.Split(e.Micro(), window, levels),
	}, nil
}

// Name returns "piecewise".
func (*Mechanism) Name() string { return Name }

// Epsilon returns the ε of one code.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.epsilon }

// Levels returns 65536.
func (m *Mechanism) Levels() uint32 { return m.levels }

// Window returns the number of cells inside the window: those of input v are
// v…v+Window-1.
func (m *Mechanism) Window() uint32 { return m.window }

// Codes returns the number of cells: those of the window and as many others as
// there are levels.
func (m *Mechanism) Codes() uint32 { return m.levels + m.window }

// Randomise draws two words, and another in place of the second for as long as
// that can't be spread evenly over the window (less than once in 2⁴⁷ times,
// whatever the input).
func (m *Mechanism) Randomise(input uint32, src privacy.Source) (uint32, error) {
	if input > m.levels {
		return 0, privacy.ErrInput
	}
	coin, err := src.Uint64()
	if err != nil {
		return 0, err
	}
	return m.Place(input, coin, src)
}

// redraws bounds the search for an even word. A good source needs more than
// eight with probability below 2⁻³⁷⁶; a source that does is broken.
const redraws = 8

// Place is Randomise for a first word that the caller has drawn: it draws the
// second. The hybrid mechanism calls it. input must not be above Levels.
func (m *Mechanism) Place(input uint32, coin uint64, src privacy.Source) (uint32, error) {
	for range redraws {
		word, err := src.Uint64()
		if err != nil {
			return 0, err
		}
		if code, even := m.code(input, coin, word); even {
			return code, nil
		}
	}
	return 0, privacy.ErrEntropy
}

// code is the whole mechanism as a function of an input in 0…Levels and two
// random words. even is false when the second must be drawn again, which
// depends on the words alone.
func (m *Mechanism) code(input uint32, coin, word uint64) (code uint32, even bool) {
	inside := threshold.Below(coin, m.split)
	cells := uint64(threshold.Choose(inside, m.window, m.levels))
	// Spread the word over the cells (Lemire 2019): the high half of the product
	// is even once the low half is not below 2⁶⁴ mod cells.
	high, low := bits.Mul64(word, cells)
	if low < cells && low < -cells%cells {
		return 0, false
	}
	cell := uint32(high)
	// Outside, the cells from the input on lie behind the window.
	behind := 1 - threshold.Below(high, uint64(input))
	outside := cell + behind*m.window
	return threshold.Choose(inside, input+cell, outside), true
}
