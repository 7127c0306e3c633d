package subset

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/proof"
	"github.com/quadrat-dev/quadrat/privacy/internal/sets"
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

// small runs over sizes that can be enumerated, also those that are never best.
func small(t *testing.T, run func(m *Mechanism)) {
	t.Helper()
	for _, e := range epsilons {
		for _, k := range []uint32{2, 3, 5, 7} {
			for size := uint32(1); size < k; size++ {
				run(newOfSize(e, k, size))
			}
		}
	}
}

// TestStructureIsTheMatrix compares the certificate with every entry.
func TestStructureIsTheMatrix(t *testing.T) {
	small(t, func(m *Mechanism) { proof.Matrix(t, m) })
}

// TestOthersAreUniform counts the sets that a small case gives: each of its
// C(k-1, w-kept) as often as any other.
func TestOthersAreUniform(t *testing.T) {
	const k, size, draws = 7, 3, 60_000
	m := newOfSize(1_000_000, k, size)
	for seed := range uint64(7) {
		for kept := range uint32(2) {
			counts := map[uint64]int{}
			words, err := privacy.NewSeeded(seed*2 + uint64(kept)).Expand()
			if err != nil {
				t.Fatal(err)
			}
			for range draws {
				var s sets.Set
				if err := m.others(&s, kept, words); err != nil {
					t.Fatal(err)
				}
				counts[s.Lane(0)]++
			}
			ways := int(new(big.Int).Binomial(k-1, int64(size-kept)).Int64())
			if len(counts) != ways {
				t.Fatalf("%d sets, want %d", len(counts), ways)
			}
			chi := 0.0
			for _, n := range counts {
				d := float64(n) - draws/float64(ways)
				chi += d * d / (draws / float64(ways))
			}
			// 14 tests of up to 19 degrees of freedom: one exceeds 72 with probability
			// below 10⁻⁶.
			if chi > 72 {
				t.Errorf("seed %d, kept %d: χ²=%v over %d sets", seed, kept, chi, ways)
			}
		}
	}
}

// TestSizeIsBest compares the size with the best by the formula in floating
// point, over a grid.
func TestSizeIsBest(t *testing.T) {
	for _, e := range epsilons {
		for _, k := range []uint32{2, 3, 8, 16, 32, 64, 74, 256, 1000, 1024} {
			m := mechanism(t, e, k)
			total := func(w uint32) float64 {
				x, a, b := math.Exp(e.Float64()), float64(w), float64(k-w)
				return (a*x + b) / a * (a*x + b) / b
			}
			for w := uint32(1); w < k; w++ {
				if total(w) < total(m.size)*(1-1e-12) {
					t.Fatalf("ε=%v, k=%d: w=%d has %v, w=%d less: %v", e, k, m.size, total(m.size), w, total(w))
				}
			}
		}
	}
}

// TestTable holds the total L2 variance against published and recomputed values.
func TestTable(t *testing.T) {
	for _, row := range []struct {
		epsilon privacy.Epsilon
		k, w    uint32
		total   float64
	}{
		{1_000_000, 8, 2, 21.7},
		{1_000_000, 32, 9, 109.7},
		{1_000_000, 256, 69, 934.4},
		{2_000_000, 16, 2, 9.25},
		{3_000_000, 64, 3, 12.69},
	} {
		m := mechanism(t, row.epsilon, row.k)
		got := m.Rates().TotalVariance(row.k)
		if m.size != row.w || math.Abs(got-row.total) > 0.01*row.total {
			t.Errorf("ε=%v, k=%d: w=%d, total %v; want %d, %v", row.epsilon, row.k, m.size, got, row.w, row.total)
		}
	}
}

// TestDecoderIsStrict reads every report of both forms back and refuses each of
// its neighbours that isn't one.
func TestDecoderIsStrict(t *testing.T) {
	src := privacy.NewSeeded(3)
	for _, e := range epsilons {
		for _, k := range []uint32{2, 5, 64, 257, 1000, 1024} {
			m := mechanism(t, e, k)
			for category := range min(k, 20) {
				report, err := m.Randomise(category, src, nil)
				if err != nil {
					t.Fatal(err)
				}
				found, err := m.Supported(report, nil)
				if err != nil || len(found) != int(m.size) || !slices.IsSorted(found) {
					t.Fatalf("ε=%v, k=%d: %x gives %v, %v", e, k, report, found, err)
				}
				roundTrip(t, m, report)
				for bit := range 8 * len(report) {
					other := slices.Clone(report)
					other[bit/8] ^= 1 << (bit % 8)
					roundTrip(t, m, other)
				}
				for _, wrong := range [][]byte{nil, report[1:], append([]byte{0}, report...)} {
					if _, err := m.Supported(wrong, nil); !errors.Is(err, privacy.ErrCode) {
						t.Errorf("%d bytes of %d: %v", len(wrong), len(report), err)
					}
				}
			}
		}
	}
}

// roundTrip writes what is read from bytes: if they are a report, the same bytes.
func roundTrip(t *testing.T, m *Mechanism, report []byte) {
	t.Helper()
	found, err := m.Supported(report, nil)
	if err != nil {
		return
	}
	var s sets.Set
	for _, c := range found {
		s.Put(c, 1)
	}
	if again := m.layout.append(nil, &s); !bytes.Equal(again, report) {
		t.Errorf("k=%d, w=%d: %x and %x are the same set", m.categories, m.size, report, again)
	}
}

func FuzzReport(f *testing.F) {
	f.Add(uint64(1_000_000), uint32(32), []byte{1, 2, 3, 4})
	f.Add(uint64(4_000_000), uint32(64), []byte{0x41})
	f.Add(uint64(2_000_000), uint32(1024), bytes.Repeat([]byte{0xff}, 128))
	f.Fuzz(func(t *testing.T, micro uint64, k uint32, report []byte) {
		m, err := New(privacy.Epsilon(micro%privacy.MaxEpsilon.Micro()+1), 2+k%(MaxCategories-1))
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, m, report)
		if c, err := m.Certificate(); err != nil || !c.Holds() {
			t.Errorf("ε=%v, k=%d: %+v, %v", m.epsilon, m.categories, c, err)
		}
	})
}

// full fills to w beside the truth: one too many of the others when it is in.
type full struct{ *Mechanism }

func (s full) Probability(report []byte, category uint32) *big.Rat {
	p := privacy.Words(s.keep)
	if found, _ := s.Supported(report, nil); !slices.Contains(found, category) {
		p.Sub(whole(1), p)
	}
	return p.Quo(p, s.ways(s.size))
}

func TestMutantsDie(t *testing.T) {
	for _, e := range epsilons {
		m := mechanism(t, e, 9)
		for name, mutant := range map[string]privacy.Categorical{
			"threshold one word too high": &Mechanism{epsilon: e, categories: 9, size: m.size, keep: m.keep + 1, layout: m.layout},
			"threshold of another size":   &Mechanism{epsilon: e, categories: 9, size: m.size, keep: newOfSize(e, 9, m.size+1).keep, layout: m.layout},
			"off by one in the fill":      full{m},
			"lies a twentieth too few":    &Mechanism{epsilon: e, categories: 9, size: m.size, keep: m.keep + (math.MaxUint64-m.keep)/20, layout: m.layout},
		} {
			if c, err := privacy.EnumerateReports(mutant); err == nil && c.Holds() {
				t.Errorf("ε=%v, %s: survives", e, name)
			}
		}
	}
}
