package threeoutput

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/proof"
)

var epsilons = []privacy.Epsilon{
	1, 100_000, 250_000, 500_000, 693_147, 700_000, 800_000, 1_000_000, 1_500_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 20_000_000,
}

func small(t *testing.T, run func(m *Mechanism)) {
	t.Helper()
	for _, e := range epsilons {
		for _, levels := range []uint32{2, 4, 16, 64} {
			m, err := newOnGrid(e, levels)
			if err != nil {
				t.Fatal(err)
			}
			run(m)
		}
	}
}

func full(t *testing.T, e privacy.Epsilon) *Mechanism {
	t.Helper()
	m, err := New(e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestStructureIsTheMatrix(t *testing.T) {
	small(t, func(m *Mechanism) { proof.Matrix(t, m) })
}

// TestEveryEntryOfTheFullGrid adds up all 196,611 probabilities as fractions.
func TestEveryEntryOfTheFullGrid(t *testing.T) {
	m := full(t, 1_000_000)
	structural, err := m.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := privacy.Enumerate(m)
	if err != nil || !whole.Holds() || structural.WorstRatio.Cmp(whole.WorstRatio) != 0 {
		t.Errorf("%v and %v, %v", structural, whole, err)
	}
}

// under counts the words that give a code of at most c, by bisection on the
// code that runs on the device, which grows with the word.
func under(c uint32, f func(word uint64) uint32) uint64 {
	first, last := uint64(0), uint64(math.MaxUint64)
	for first < last {
		if middle := first + (last-first)/2; f(middle) <= c {
			first = middle + 1
		} else {
			last = middle
		}
	}
	return first
}

// TestDrawHasTheStatedProbabilities counts the words of every input of the full
// grid.
func TestDrawHasTheStatedProbabilities(t *testing.T) {
	for _, e := range []privacy.Epsilon{1, 1_000_000, 20_000_000} {
		m := full(t, e)
		for input := uint32(0); input <= Levels; input++ {
			draw := func(word uint64) uint32 { return m.code(input, word) }
			first, second := under(low, draw), under(nothing, draw)
			if first != m.words(low, input) || second-first != m.words(nothing, input) || -second != m.words(high, input) {
				t.Fatalf("ε=%v input %d: words up to %d and %d", e, input, first, second)
			}
		}
	}
}

// counted has the probabilities that a draw really makes.
type counted struct {
	*Mechanism

	words [][2]uint64
}

func (c counted) Probability(code, input uint32) *big.Rat {
	w := c.words[input]
	return privacy.Words([]uint64{w[0], w[1] - w[0], -w[1]}[code])
}

func count(m *Mechanism, f func(input uint32, word uint64) uint32) counted {
	c := counted{Mechanism: m}
	for input := uint32(0); input <= m.levels; input++ {
		draw := func(word uint64) uint32 { return f(input, word) }
		c.words = append(c.words, [2]uint64{under(low, draw), under(nothing, draw)})
	}
	return c
}

func TestMutantsDie(t *testing.T) {
	build := func(edit func(m *Mechanism)) *Mechanism {
		m, err := newOnGrid(1_000_000, 16)
		if err != nil {
			t.Fatal(err)
		}
		edit(m)
		return m
	}
	plain := build(func(*Mechanism) {})
	edited := map[string]*Mechanism{
		"nothing too rare at the ends":    build(func(m *Mechanism) { m.least -= 1 << 20 }),
		"nothing too frequent in between": build(func(m *Mechanism) { m.most += 1 << 20 }),
		"signs too sure":                  build(func(m *Mechanism) { m.step += 1 << 20 }),
	}
	for name, m := range edited {
		if c, err := m.Certificate(); err == nil && c.Holds() {
			t.Errorf("%s: the structural certificate misses it", name)
		}
		if c, err := privacy.Enumerate(count(m, m.code)); err == nil && c.Holds() {
			t.Errorf("%s: survives", name)
		}
	}
	for name, mutant := range map[string]counted{
		"low and high swapped": count(plain, func(input uint32, word uint64) uint32 { return plain.code(plain.levels-input, word) }),
		"input off by one":     count(plain, func(input uint32, word uint64) uint32 { return plain.code(input+1, word) }),
		"truth":                count(plain, func(input uint32, _ uint64) uint32 { return 2 * (input / plain.levels) }),
	} {
		if c, err := privacy.Enumerate(mutant); err == nil && c.Holds() {
			t.Errorf("%s: survives", name)
		}
	}
	if c, err := privacy.Enumerate(count(plain, plain.code)); err != nil || !c.Holds() {
		t.Errorf("the real mechanism dies: %v", err)
	}
}

func TestScoreIsTheExactOneRounded(t *testing.T) {
	for _, e := range epsilons[1:] {
		m := full(t, e)
		for code := range m.Codes() {
			proof.Score(t, m, code)
		}
	}
}

func TestGridIsAPowerOfTwo(t *testing.T) {
	for _, levels := range []uint32{0, 1, 3, Levels * 2} {
		if _, err := newOnGrid(1_000_000, levels); !errors.Is(err, privacy.ErrInput) {
			t.Errorf("grid of %d levels: %v", levels, err)
		}
	}
}
