// Package squarewave is the square wave mechanism of Li et al. (SIGMOD 2020) on
// an integer grid: the code is a cell near the input with a high probability and
// any other cell with a low one, and the window has the width at which codes tell
// most about the shape of a distribution.
//
// It stands where a whole distribution is asked for. Each code has an unbiased
// score for the mean, as every mechanism's; the shape comes from Tally.Shape by
// penalised likelihood or, as published, by expectation maximisation. It is for
// display only: no interval follows from it. PROOF.md has the argument. It must never draw a number of words that
// depends on the input.
//
//	m, err := squarewave.New(epsilon)
//	code, err := m.Randomise(bounds.Level(reading, m.Levels()), source)
package squarewave

import (
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/piecewise"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

// Name is the mechanism's name in plans and results.
const Name = "square-wave"

// Levels is the largest input: the grid of a bounded number.
const Levels = piecewise.Levels

// cells is a window on a grid, which both mechanisms are.
type cells = piecewise.Mechanism

// Mechanism is the square wave at one ε. It is immutable and safe for concurrent
// use. Its methods are those of piecewise.Mechanism with a window of another
// width: codes are cells, 0…Levels+Window-1, and the output that a code stands
// for is Position(code).
type Mechanism struct{ *cells }

// New derives the window and the probability of it for ε. It fails with
// privacy.ErrEpsilon.
func New(e privacy.Epsilon) (*Mechanism, error) { return newOnGrid(e, Levels) }

func newOnGrid(e privacy.Epsilon, levels uint32) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	inner, err := piecewise.NewWindow(e, levels, threshold.Wave(e.Micro(), levels))
	if err != nil {
		return nil, err
	}
	return &Mechanism{inner}, nil
}

// Name returns "square-wave".
func (*Mechanism) Name() string { return Name }

// Position returns the output that a code stands for on the unit scale, in
// [-b, 1+b] with b = (Window-1)/2/Levels: the input whose window has the code in
// its middle. It is what an auditor sees, and no unbiased score.
func (m *Mechanism) Position(code uint32) (float64, error) {
	if code >= m.Codes() {
		return 0, privacy.ErrCode
	}
	return (float64(code) - float64(m.Window()-1)/2) / float64(m.Levels()), nil
}

// Inside returns the probability of each code in the window of the input.
func (m *Mechanism) Inside() float64 {
	p, _ := m.Probability(0, 0).Float64() // the window of input 0 begins with code 0
	return p
}

// Certificate proves ratio, sums and means from the two densities; see
// PROOF.md.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	c, err := m.cells.Certificate()
	c.Mechanism = Name
	return c, err
}
