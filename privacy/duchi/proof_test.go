package duchi

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/proof"
)

var epsilons = []privacy.Epsilon{
	1, 100_000, 250_000, 500_000, 610_000, 620_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 20_000_000,
}

func TestStructureIsTheMatrix(t *testing.T) {
	for _, levels := range []uint32{1, 2, 8, 64} {
		onGrid(t, levels, func(m *Mechanism) { proof.Matrix(t, m) })
	}
}

// onGrid is a mechanism at every ε.
func onGrid(t *testing.T, levels uint32, run func(*Mechanism)) {
	t.Helper()
	for _, e := range epsilons {
		m, err := NewOnGrid(e, levels)
		if err != nil {
			t.Fatal(err)
		}
		run(m)
	}
}

// onesOf counts the words that give code 1, by bisection on the code that runs
// on the device; below is monotone in the word.
func onesOf(f func(word uint64) uint32) uint64 {
	low, high := uint64(0), uint64(math.MaxUint64)
	for low < high {
		if middle := low + (high-low)/2; f(middle) == 1 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// TestDrawHasTheStatedProbabilities counts the words of every input of the full
// grid.
func TestDrawHasTheStatedProbabilities(t *testing.T) {
	for _, e := range []privacy.Epsilon{1, 1_000_000, 20_000_000} {
		m, err := New(e)
		if err != nil {
			t.Fatal(err)
		}
		for input := uint32(0); input <= Levels; input++ {
			ones := onesOf(func(word uint64) uint32 { return m.Code(input, word) })
			if ones != m.threshold(input) {
				t.Fatalf("ε=%v input %d: %d words, threshold %d", e, input, ones, m.threshold(input))
			}
		}
		// Exact unbiasedness where it is hardest to see: one level's step.
		p, q := m.Probability(1, 77), m.Probability(1, 78)
		step := new(big.Rat).Mul(q.Sub(q, p), big.NewRat(Levels, 1))
		first, last := m.Probability(1, 0), m.Probability(1, Levels)
		if step.Cmp(last.Sub(last, first)) != 0 {
			t.Errorf("ε=%v: a step is not 1/65536 of the range", e)
		}
	}
}

// counted has the probabilities that a draw really makes.
type counted struct {
	*Mechanism

	ones []uint64
}

func (c counted) Probability(code, input uint32) *big.Rat {
	p := privacy.Words(c.ones[input])
	if code == 0 {
		p.Sub(big.NewRat(1, 1), p)
	}
	return p
}

func count(m *Mechanism, f func(input uint32, word uint64) uint32) counted {
	c := counted{Mechanism: m}
	for input := uint32(0); input <= m.levels; input++ {
		c.ones = append(c.ones, onesOf(func(word uint64) uint32 { return f(input, word) }))
	}
	return c
}

func TestMutantsDie(t *testing.T) {
	build := func(edit func(m *Mechanism)) *Mechanism {
		m, err := NewOnGrid(1_000_000, 16)
		if err != nil {
			t.Fatal(err)
		}
		edit(m)
		return m
	}
	down := build(func(m *Mechanism) {
		m.low -= 1 << 15
		m.step = -(2 * m.low) / uint64(m.levels)
	})
	plain := build(func(*Mechanism) {})
	steep := build(func(m *Mechanism) { m.step++ })
	mutants := map[string]counted{
		"threshold rounded the wrong way": count(down, down.Code),
		"step off by one":                 count(steep, steep.Code),
		"p and q swapped":                 count(plain, func(input uint32, word uint64) uint32 { return plain.Code(plain.levels-input, word) }),
		"input off by one":                count(plain, func(input uint32, word uint64) uint32 { return plain.Code(input+1, word) }),
		"truth":                           count(plain, func(input uint32, _ uint64) uint32 { return input / plain.levels }),
	}
	for name, mutant := range mutants {
		if c, err := privacy.Enumerate(mutant); err == nil && c.Holds() {
			t.Errorf("%s: survives", name)
		}
	}
	if c, err := privacy.Enumerate(count(plain, plain.Code)); err != nil || !c.Holds() {
		t.Errorf("the real mechanism dies: %v", err)
	}
	for _, m := range []*Mechanism{down, steep} {
		if c, err := m.Certificate(); err == nil && c.Holds() {
			t.Errorf("the structural certificate misses a mutant of the integers")
		}
	}
}

func TestScoreIsTheExactOneRounded(t *testing.T) {
	for _, e := range epsilons[1:] {
		m, err := New(e)
		if err != nil {
			t.Fatal(err)
		}
		for code := range m.Codes() {
			proof.Score(t, m, code)
		}
	}
}

// TestVarianceFormula compares VarianceAt with the enumerated variance.
func TestVarianceFormula(t *testing.T) {
	for _, levels := range []uint32{1, 2, 16} {
		onGrid(t, levels, func(m *Mechanism) { proof.Variance(t, m, 0) })
	}
}

func TestGridIsAPowerOfTwo(t *testing.T) {
	for _, levels := range []uint32{0, 3, Levels * 2} {
		if _, err := NewOnGrid(1_000_000, levels); !errors.Is(err, privacy.ErrInput) {
			t.Errorf("grid of %d levels: %v", levels, err)
		}
	}
}
