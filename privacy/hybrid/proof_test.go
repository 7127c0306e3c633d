package hybrid

import (
	"math"
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
			m, err := newOnGrid(e, levels)
			if err != nil {
				t.Fatal(err)
			}
			run(m)
		}
	}
}

func TestStructureIsTheMatrix(t *testing.T) {
	small(t, func(m *Mechanism) { proof.Matrix(t, m) })
}

// TestMixingWord looks at the words on both sides of the mixing threshold.
func TestMixingWord(t *testing.T) {
	small(t, func(m *Mechanism) {
		if m.cells == nil {
			return
		}
		for _, word := range []uint64{0, m.mix - 1} {
			if code := m.choose(word, 3, 1); code != 3 {
				t.Errorf("ε=%v: word %x gives %d, want the cell", m.epsilon, word, code)
			}
		}
		for _, word := range []uint64{m.mix, math.MaxUint64} {
			if code := m.choose(word, 3, 1); code != m.cells.Codes()+1 {
				t.Errorf("ε=%v: word %x gives %d, want Duchi's 1", m.epsilon, word, code)
			}
		}
	})
}

// TestVarianceIsConstant compares every input of small grids, and of the full
// grid every 256th, with the one at 0.
func TestVarianceIsConstant(t *testing.T) {
	check := func(m *Mechanism, step uint32) {
		// At ε = 10⁻⁶ the noise drowns all differences.
		if m.ConstantVariance() != (m.epsilon > Crossing || m.epsilon == 1) {
			t.Errorf("ε=%v: ConstantVariance is %v", m.epsilon, m.ConstantVariance())
		}
		if !m.ConstantVariance() {
			return
		}
		want := m.NoiseVariance()
		for input := uint32(0); input <= m.Levels(); input += step {
			if got := m.VarianceAt(input); math.Abs(got-want) > 1e-6*want {
				t.Errorf("ε=%v, %d levels, input %d: variance %v, want %v", m.epsilon, m.Levels(), input, got, want)
			}
		}
	}
	small(t, func(m *Mechanism) {
		// Of one step there are only ends.
		if m.Levels() > 1 {
			check(m, 1)
		}
	})
	for _, e := range epsilons {
		m, err := New(e)
		if err != nil {
			t.Fatal(err)
		}
		check(m, 256)
	}
}

// TestWangsWeight compares the integer weight with 1-e^(-ε/2).
func TestWangsWeight(t *testing.T) {
	for _, e := range epsilons {
		m, err := New(e)
		if err != nil {
			t.Fatal(err)
		}
		if m.cells == nil {
			continue
		}
		got, want := float64(m.mix)/(1<<64), 1-math.Exp(-e.Float64()/2)
		// The window is rounded to a cell, a relative change of the rest of up to
		// 1/(2·window), which is at most a sixth at ε = 20.
		if math.Abs(got-want) > (1-want)/float64(2*(m.cells.Codes()-Levels))*1.01+1e-9 {
			t.Errorf("ε=%v: weight %v, formula %v", e, got, want)
		}
	}
}

// TestMutantsDie changes the part that the coin picks by a wrong ε.
func TestMutantsDie(t *testing.T) {
	m, err := newOnGrid(1_000_000, 16)
	if err != nil {
		t.Fatal(err)
	}
	loud, err := newOnGrid(1_000_001, 16)
	if err != nil {
		t.Fatal(err)
	}
	for name, mutant := range map[string]*Mechanism{
		"cells of another ε": {epsilon: m.epsilon, duchi: m.duchi, cells: loud.cells, mix: m.mix},
		"duchi of another ε": {epsilon: m.epsilon, duchi: loud.duchi, cells: m.cells, mix: m.mix},
	} {
		if c, err := mutant.Certificate(); err == nil && c.Holds() {
			t.Errorf("%s: survives its certificate", name)
		}
		if c, err := privacy.Enumerate(mutant); err == nil && c.Holds() {
			t.Errorf("%s: survives enumeration", name)
		}
	}
	// A wrong weight is private and unbiased; the variance shows it.
	skewed := &Mechanism{epsilon: m.epsilon, duchi: m.duchi, cells: m.cells, mix: m.mix / 2}
	if skewed.ConstantVariance() {
		t.Error("a wrong weight has constant variance")
	}
}
