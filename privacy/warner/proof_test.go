package warner

import (
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

var epsilons = []privacy.Epsilon{
	1, 100_000, 250_000, 500_000, 610_000, 620_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 20_000_000,
}

// TestDrawHasTheStatedProbabilities looks at the words on both sides of the
// threshold.
func TestDrawHasTheStatedProbabilities(t *testing.T) {
	for _, e := range epsilons {
		m, err := New(e)
		if err != nil {
			t.Fatal(err)
		}
		for input := range uint32(2) {
			for _, word := range []uint64{0, m.flip - 1} {
				if m.code(input, word) == input {
					t.Errorf("ε=%v: word %x tells the truth", e, word)
				}
			}
			for _, word := range []uint64{m.flip, math.MaxUint64} {
				if m.code(input, word) != input {
					t.Errorf("ε=%v: word %x lies", e, word)
				}
			}
			if lie := m.Probability(1-input, input); lie.Cmp(privacy.Words(m.flip)) != 0 {
				t.Errorf("ε=%v: lie has probability %v", e, lie)
			}
		}
		if c, err := m.Certificate(); err != nil || !c.Holds() || !c.Enumerated {
			t.Errorf("ε=%v: certificate %v, %v", e, c, err)
		}
	}
}

// swapped lies where Warner tells the truth.
type swapped struct{ *Mechanism }

func (s swapped) Probability(code, input uint32) *big.Rat {
	return s.Mechanism.Probability(1-code, input)
}

// stubborn never lies about a 0.
type stubborn struct{ *Mechanism }

func (s stubborn) Probability(code, input uint32) *big.Rat {
	if input == 0 {
		return big.NewRat(int64(1-code), 1)
	}
	return s.Mechanism.Probability(code, input)
}

func TestMutantsDie(t *testing.T) {
	for _, e := range epsilons {
		m, err := New(e)
		if err != nil {
			t.Fatal(err)
		}
		for name, mutant := range map[string]privacy.Exact{
			"threshold rounded the wrong way": &Mechanism{epsilon: e, flip: m.flip - 1},
			"p and q swapped":                 swapped{m},
			"8-bit threshold rounded down":    &Mechanism{epsilon: e, flip: m.flip &^ (1<<56 - 1)},
			"0 never lies":                    stubborn{m},
		} {
			if c, err := privacy.Enumerate(mutant); err == nil && c.Holds() {
				t.Errorf("ε=%v, %s: survives", e, name)
			}
		}
	}
}
