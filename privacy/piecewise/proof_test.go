package piecewise

import (
	"errors"
	"math"
	"math/big"
	"math/bits"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/proof"
)

var epsilons = []privacy.Epsilon{
	1, 100_000, 250_000, 500_000, 610_000, 620_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 20_000_000,
}

func small(t *testing.T, run func(m *Mechanism)) {
	t.Helper()
	for _, e := range epsilons {
		for _, levels := range []uint32{1, 2, 4, 16} {
			m, err := NewOnGrid(e, levels)
			if err != nil {
				t.Fatal(err)
			}
			run(m)
		}
	}
}

// TestStructureIsTheMatrix compares the structural certificate with the one that
// visits every entry.
func TestStructureIsTheMatrix(t *testing.T) {
	small(t, func(m *Mechanism) { proof.Matrix(t, m) })
}

// draw is the mechanism as a function of its words; mutants are other draws.
type draw func(m *Mechanism, input uint32, coin, word uint64) uint32

func genuine(m *Mechanism, input uint32, coin, word uint64) uint32 {
	code, _ := m.code(input, coin, word)
	return code
}

// counted has the probabilities that a draw really makes, counted from one word
// for each cell on both sides of the coin.
type counted struct {
	*Mechanism

	matrix map[[2]uint32]*big.Rat
}

func (c counted) Probability(code, input uint32) *big.Rat {
	if p, found := c.matrix[[2]uint32{code, input}]; found {
		return new(big.Rat).Set(p)
	}
	return new(big.Rat)
}

func count(m *Mechanism, f draw) counted {
	c := counted{Mechanism: m, matrix: map[[2]uint32]*big.Rat{}}
	heads := privacy.Words(m.split)
	tails := new(big.Rat).Sub(big.NewRat(1, 1), heads)
	for input := uint32(0); input <= m.levels; input++ {
		for _, side := range []struct {
			coins  [2]uint64
			cells  uint32
			weight *big.Rat
		}{{[2]uint64{0, m.split - 1}, m.window, heads}, {[2]uint64{m.split, math.MaxUint64}, m.levels, tails}} {
			share := new(big.Rat).Quo(side.weight, big.NewRat(2*int64(side.cells), 1))
			for _, coin := range side.coins {
				for cell := range side.cells {
					at := [2]uint32{f(m, input, coin, firstWord(cell, side.cells)+1), input}
					if c.matrix[at] == nil {
						c.matrix[at] = new(big.Rat)
					}
					c.matrix[at].Add(c.matrix[at], share)
				}
			}
		}
	}
	return c
}

// firstWord returns the first word that is spread onto the cell: ⌈cell·2⁶⁴/cells⌉.
func firstWord(cell, cells uint32) uint64 {
	if cell == 0 {
		return 0
	}
	q, rest := bits.Div64(uint64(cell), 0, uint64(cells))
	if rest > 0 {
		q++
	}
	return q
}

// TestDrawHasTheStatedProbabilities counts the matrix from the code that runs on
// the device.
func TestDrawHasTheStatedProbabilities(t *testing.T) {
	small(t, func(m *Mechanism) {
		c := count(m, genuine)
		for input := uint32(0); input <= m.levels; input++ {
			for code := range m.Codes() {
				if c.Probability(code, input).Cmp(m.Probability(code, input)) != 0 {
					t.Fatalf("ε=%v, %d levels: code %d of input %d", m.epsilon, m.levels, code, input)
				}
			}
		}
	})
}

// TestEveryCellHasTheSameWords proves the spreading exact: each cell has
// ⌊2⁶⁴/cells⌋ even words, for windows as they occur.
func TestEveryCellHasTheSameWords(t *testing.T) {
	for _, e := range epsilons {
		m, err := New(e)
		if err != nil {
			t.Fatal(err)
		}
		want := math.MaxUint64 / uint64(m.window)
		if bits.OnesCount32(m.window) == 1 {
			want++ // 2⁶⁴/cells is whole; for one cell it wraps to 0 as the count does
		}
		for cell := range m.window {
			first, last := firstWord(cell, m.window), uint64(math.MaxUint64)
			if cell+1 < m.window {
				last = firstWord(cell+1, m.window) - 1
			}
			words := last - first + 1
			code, even := m.code(0, 0, first)
			if !even {
				words--
			} else if code != cell {
				t.Fatalf("ε=%v: first word of cell %d goes to %d", e, cell, code)
			}
			for _, word := range []uint64{first + 1, last} {
				if code, even := m.code(0, 0, word); !even || code != cell {
					t.Fatalf("ε=%v: word %x of cell %d goes to %d", e, word, cell, code)
				}
			}
			if words != want {
				t.Fatalf("ε=%v: cell %d has %d words, want %d", e, cell, words, want)
			}
		}
	}
}

// TestMutantsDie plants bugs; the certificate of the counted matrix must see
// each.
func TestMutantsDie(t *testing.T) {
	build := func() *Mechanism {
		m, err := NewOnGrid(1_000_000, 16)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	edited := func(edit func(m *Mechanism)) *Mechanism {
		m := build()
		edit(m)
		return m
	}
	mutants := map[string]counted{
		"split rounded the wrong way":      count(edited(func(m *Mechanism) { m.split++ }), genuine),
		"window narrower than split knows": count(edited(func(m *Mechanism) { m.window-- }), genuine),
		"ε taken for ε/2": count(edited(func(m *Mechanism) {
			twice, err := NewOnGrid(2*m.epsilon, m.levels)
			if err != nil {
				t.Fatal(err)
			}
			m.window, m.split = twice.window, twice.split
		}), genuine),
		"inside and outside swapped": count(build(), func(m *Mechanism, input uint32, coin, word uint64) uint32 {
			return genuine(m, input, ^coin, word)
		}),
		"window off by one": count(build(), func(m *Mechanism, input uint32, coin, word uint64) uint32 {
			return genuine(m, min(input+1, m.levels), coin, word)
		}),
		"code off by one": count(build(), func(m *Mechanism, input uint32, coin, word uint64) uint32 {
			return genuine(m, input, coin, word) + 1
		}),
		"outside includes the window": count(build(), func(m *Mechanism, input uint32, coin, word uint64) uint32 {
			if coin >= m.split {
				high, _ := bits.Mul64(word, uint64(m.levels))
				return uint32(high)
			}
			return genuine(m, input, coin, word)
		}),
		"window off by one outside": count(build(), func(m *Mechanism, input uint32, coin, word uint64) uint32 {
			if high, _ := bits.Mul64(word, uint64(m.levels)); coin >= m.split && uint32(high) == input {
				return input
			}
			return genuine(m, input, coin, word)
		}),
	}
	for name, mutant := range mutants {
		c, err := privacy.Enumerate(mutant)
		if err == nil && c.Holds() {
			t.Errorf("%s: survives", name)
		}
	}
	if c, err := privacy.Enumerate(count(build(), genuine)); err != nil || !c.Holds() {
		t.Errorf("the real mechanism dies: %v", err)
	}
	for _, edit := range []func(m *Mechanism){func(m *Mechanism) { m.split++ }, func(m *Mechanism) { m.window-- }} {
		if c, err := edited(edit).Certificate(); err == nil && c.Holds() {
			t.Errorf("the structural certificate misses a mutant of the integers")
		}
	}
}

// TestVarianceFormula compares VarianceAt with the enumerated variance.
func TestVarianceFormula(t *testing.T) {
	small(t, func(m *Mechanism) { proof.Variance(t, m, 0) })
}

func TestScoreIsTheExactOneRounded(t *testing.T) {
	for _, e := range epsilons {
		m, err := New(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range []uint32{0, 1, m.window, m.levels / 2, m.Codes() - 1} {
			proof.Score(t, m, code)
		}
		slope := new(big.Rat).Quo(m.exactStretch(), big.NewRat(Levels, 1))
		if low, high := privacy.Words(m.Slope()), privacy.Words(m.Slope()+1); low.Cmp(slope) > 0 || high.Cmp(slope) <= 0 {
			t.Errorf("ε=%v: slope isn't rounded down", e)
		}
	}
}

// TestBrokenSourceStops feeds a source that stays at a word that must be drawn
// again.
func TestBrokenSourceStops(t *testing.T) {
	m, err := New(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	src := privacy.NewSecure(&onlyZeros{})
	if _, err := m.Randomise(3, src); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("stuck source: %v", err)
	}
	for _, levels := range []uint32{0, 3, Levels * 2} {
		if _, err := NewOnGrid(1_000_000, levels); !errors.Is(err, privacy.ErrInput) {
			t.Errorf("grid of %d levels: %v", levels, err)
		}
	}
}

type onlyZeros struct{}

func (*onlyZeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
