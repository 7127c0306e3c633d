package oue

import (
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/proof"
	"github.com/quadrat-dev/quadrat/privacy/internal/sets"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
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
			proof.Matrix(t, mechanism(t, e, k))
		}
	}
}

// plain draws each bit by a word of its own: what draw must give in law.
func plain(m *Mechanism, s *sets.Set, words *privacy.Stream) {
	for c := range m.categories {
		s.Put(c, threshold.Below(words.Uint64(), m.flip))
	}
}

// TestDrawIsPlain compares the law of draw with that of independent bits, through
// the exact law of how many bits are set among all, among the first half and in
// each place. A wrong threshold, and bits that depend on one another, show there.
func TestDrawIsPlain(t *testing.T) {
	for _, e := range epsilons {
		for _, k := range []uint32{2, 64, 100, 1024} {
			m := mechanism(t, e, k)
			for name, draw := range map[string]func(*sets.Set, *privacy.Stream) error{
				"draw":  m.draw,
				"plain": func(s *sets.Set, words *privacy.Stream) error { plain(m, s, words); return nil },
			} {
				words, err := privacy.NewSeeded(uint64(k)).Expand()
				if err != nil {
					t.Fatal(err)
				}
				compare(t, m, name, func(s *sets.Set) error { return draw(s, words) })
			}
		}
	}
}

// compare counts in 4000 draws. There are 64 calls with at most 1026 counts, each
// with a chance of 10⁻¹¹ to be called wrong by mistake: 6.8 standard deviations
// of a normal variable. Counts of so few draws that they aren't normal are left
// out, and of the variance the sum of squares about the exact mean is compared,
// with a tolerance for the fourth moment.
func compare(t *testing.T, m *Mechanism, name string, draw func(*sets.Set) error) {
	t.Helper()
	const draws, far = 4000, 6.8
	places := make([]float64, m.categories)
	var all, half, squares float64
	q, k := float64(m.flip)/(1<<64), float64(m.categories)
	for range draws {
		var s sets.Set
		if err := draw(&s); err != nil {
			t.Fatal(err)
		}
		size := 0.0
		for c := range m.categories {
			bit := float64(s.Has(c))
			places[c] += bit
			size += bit
			if c < m.categories/2 {
				half += bit
			}
		}
		all += size
		squares += (size - k*q) * (size - k*q)
	}
	normal := func(what string, got, p, n float64) {
		if n*p < 100 {
			return
		}
		if off := math.Abs(got - n*p); off > far*math.Sqrt(n*p*(1-p)) {
			t.Errorf("ε=%v, k=%d, %s: %v bits in %s, want %v", m.epsilon, m.categories, name, got, what, n*p)
		}
	}
	normal("all", all, q, draws*k)
	normal("the first half", half, q, draws*float64(m.categories/2))
	for _, n := range places {
		normal("a place", n, q, draws)
	}
	// The fourth central moment of a binomial is v(1 + 3v - 6q(1-q)).
	if v := k * q * (1 - q); v > 20 {
		spread := math.Sqrt((v*(1+3*v-6*q*(1-q)) - v*v) / draws)
		if off := math.Abs(squares/draws - v); off > far*spread {
			t.Errorf("ε=%v, k=%d, %s: variance %v, want %v", m.epsilon, m.categories, name, squares/draws, v)
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
