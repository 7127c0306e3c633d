package grr

import (
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/proof"
)

var epsilons = []privacy.Epsilon{1, 100_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 20_000_000}

func mechanism(t *testing.T, e privacy.Epsilon, k uint32) *Mechanism {
	t.Helper()
	m, err := New(e, k)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestStructureIsTheMatrix compares the certificate with every entry.
func TestStructureIsTheMatrix(t *testing.T) {
	for _, e := range epsilons {
		for _, k := range []uint32{2, 3, 7, 32} {
			proof.Matrix(t, mechanism(t, e, k))
		}
	}
}

// TestCodeHasTheStatedProbabilities goes through all rolls, on both sides of the
// threshold.
func TestCodeHasTheStatedProbabilities(t *testing.T) {
	for _, k := range []uint32{2, 3, 7} {
		m := mechanism(t, 1_000_000, k)
		for category := range k {
			lies := map[uint32]bool{}
			for roll := range k - 1 {
				for _, word := range []uint64{0, m.keep - 1} {
					if code := m.code(category, word, roll); code != category {
						t.Errorf("k=%d: word %x lies: %d for %d", k, word, code, category)
					}
				}
				for _, word := range []uint64{m.keep, math.MaxUint64} {
					lies[m.code(category, word, roll)] = true
				}
			}
			if lies[category] || len(lies) != int(k-1) {
				t.Errorf("k=%d: the lies about %d are %v", k, category, lies)
			}
		}
	}
}

// swapped exchanges truth and lie, truthful leaves the truth among the lies.
type (
	swapped  struct{ *Mechanism }
	truthful struct{ *Mechanism }
)

func (s swapped) Probability(report []byte, category uint32) *big.Rat {
	truth, other := s.ExactRates()
	if uint32(report[0]) == category {
		return other
	}
	return truth
}

func (s truthful) Probability(report []byte, category uint32) *big.Rat {
	truth, _ := s.ExactRates()
	lie := new(big.Rat).Sub(big.NewRat(1, 1), truth)
	lie.Quo(lie, big.NewRat(int64(s.categories), 1))
	if uint32(report[0]) == category {
		return truth.Add(truth, lie)
	}
	return lie
}

func TestMutantsDie(t *testing.T) {
	for _, e := range epsilons {
		m := mechanism(t, e, 8)
		for name, mutant := range map[string]privacy.Categorical{
			"threshold one word too high":  &Mechanism{epsilon: e, categories: 8, keep: m.keep + 1},
			"threshold of one k too small": &Mechanism{epsilon: e, categories: 8, keep: mechanism(t, e, 7).keep},
			"p and q swapped":              swapped{m},
			"the truth is among the lies":  truthful{m},
		} {
			if c, err := privacy.EnumerateReports(mutant); err == nil && c.Holds() {
				t.Errorf("ε=%v, %s: survives", e, name)
			}
		}
	}
}
