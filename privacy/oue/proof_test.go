package oue

import (
	"encoding/binary"
	"io"
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
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
		for _, k := range []uint32{2, 3, 6} {
			m := mechanism(t, e, k)
			structural, err := m.Certificate()
			if err != nil {
				t.Fatal(err)
			}
			whole, err := privacy.EnumerateReports(m)
			if err != nil {
				t.Fatal(err)
			}
			if !structural.Holds() || !whole.Holds() || structural.Codes != whole.Codes ||
				structural.WorstRatio.Cmp(whole.WorstRatio) != 0 {
				t.Errorf("ε=%v, k=%d: %+v and %+v", e, k, structural, whole)
			}
		}
	}
}

// TestLanesCompareWithTheThreshold draws once in all lanes and once word by word:
// lane i of the words that draw reads is a number, whose highest bit comes first.
func TestLanesCompareWithTheThreshold(t *testing.T) {
	for _, e := range epsilons {
		m := mechanism(t, e, 64)
		for seed := range uint64(200) {
			got, err := m.draw(^uint64(0), privacy.NewSeeded(seed))
			if err != nil {
				t.Fatal(err)
			}
			var numbers [lanes]uint64
			src := privacy.NewSeeded(seed)
			for range lanes {
				word, err := src.Uint64()
				if err != nil {
					t.Fatal(err)
				}
				for lane := range numbers {
					numbers[lane] = numbers[lane]<<1 | word>>lane&1
				}
			}
			for lane, number := range numbers {
				if want := number < m.flip; want != (got>>lane&1 == 1) {
					t.Fatalf("ε=%v, seed %d, lane %d: %x below %x is %v", e, seed, lane, number, m.flip, !want)
				}
			}
		}
	}
}

// scripted gives words one after another; the first is the source's own trial.
type scripted struct{ words []uint64 }

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.words) == 0 {
		return 0, io.EOF
	}
	binary.LittleEndian.PutUint64(b, s.words[0])
	s.words = s.words[1:]
	return len(b), nil
}

// TestEveryBitOfTheThresholdCounts puts numbers next to the threshold into one
// lane, where no luck would bring them; the other lanes keep the words different.
func TestEveryBitOfTheThresholdCounts(t *testing.T) {
	for _, e := range epsilons {
		m := mechanism(t, e, 64)
		lowest := m.flip & -m.flip
		for number, want := range map[uint64]bool{
			0: true, m.flip - 1: true, m.flip ^ lowest: true, m.flip - lowest + 1: lowest > 1,
			m.flip: false, m.flip + 1: false, m.flip + lowest: false, math.MaxUint64: false,
		} {
			words := []uint64{1 << 40}
			for bit := range lanes {
				words = append(words, uint64(bit)<<1|number>>(lanes-1-bit)&1)
			}
			got, err := m.draw(^uint64(0), privacy.NewSecure(&scripted{words}))
			if err != nil {
				t.Fatal(err)
			}
			if got&1 == 1 != want {
				t.Errorf("ε=%v: %x below %x is %v", e, number, m.flip, !want)
			}
		}
	}
}

// kept sets the true bit with p + (1-p)q: a published bug, in which the other
// bits' coin is thrown for the true one too.
type kept struct{ *Mechanism }

func (s kept) Probability(report []byte, category uint32) *big.Rat {
	truth, other := s.ExactRates()
	set := new(big.Rat).Sub(big.NewRat(1, 1), truth)
	set.Add(truth, set.Mul(set, other))
	p := s.Mechanism.Probability(report, category)
	p.Quo(p, truth)
	if report[category/8]>>(category%8)&1 == 0 {
		set.Sub(big.NewRat(1, 1), set)
	}
	return p.Mul(p, set)
}

// inverted takes a 0 for support.
type inverted struct{ *Mechanism }

func (s inverted) Supported(report []byte, into []uint32) ([]uint32, error) {
	return s.Mechanism.Supported([]byte{^report[0] & 0x3f}, into)
}

func TestMutantsDie(t *testing.T) {
	for _, e := range epsilons {
		m := mechanism(t, e, 6)
		for name, mutant := range map[string]privacy.Categorical{
			"threshold one word too low": &Mechanism{epsilon: e, categories: 6, flip: m.flip - 1},
			"the true bit has two coins": kept{m},
			"bits inverted":              inverted{m},
		} {
			if c, err := privacy.EnumerateReports(mutant); err == nil && c.Holds() {
				t.Errorf("ε=%v, %s: survives", e, name)
			}
		}
	}
}
