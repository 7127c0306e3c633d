package olh

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
		for _, k := range []uint32{2, 3, 7, 12} {
			proof.Matrix(t, mechanism(t, e, k))
		}
	}
}

// TestCollisionsAreConstant counts, for many pools and every difference of two
// categories, the seeds that give both the same hash.
func TestCollisionsAreConstant(t *testing.T) {
	for _, k := range []uint32{2, 5, 31, 74, 200} {
		for hashes := uint32(2); hashes <= min(k, 40); hashes++ {
			p := newPool(k, hashes)
			if !p.holds() || p.prime < k || (p.prime-1)%hashes != 0 {
				t.Fatalf("k=%d, g=%d: pool of %d doesn't hold", k, hashes, p.prime)
			}
			for difference := uint32(1); difference < p.prime; difference++ {
				same := uint32(0)
				for seed := range p.prime {
					a, b := p.at(0, seed), p.at(difference, seed)
					if a != 0 && b != 0 && p.class[a] == p.class[b] {
						same++
					}
				}
				if same != p.share-1 {
					t.Fatalf("k=%d, g=%d, difference %d: %d collisions, want %d", k, hashes, difference, same, p.share-1)
				}
			}
		}
	}
}

// TestPoolStaysSmall bounds the search for a prime and with it the tables.
func TestPoolStaysSmall(t *testing.T) {
	for _, k := range []uint32{1025, 5000, 20_000, MaxCategories} {
		for hashes := uint32(2); hashes <= hashesMax; hashes++ {
			if p := primeFrom(k, hashes); p > k+100*hashes {
				t.Errorf("k=%d, g=%d: %d seeds", k, hashes, p)
			}
		}
	}
}

// TestVarianceIsTheLiterature compares with 4e^ε/(e^ε-1)² where hashing isn't
// limited by k: rounding g costs less than a hundredth, rarer collisions gain
// less than a fiftieth.
func TestVarianceIsTheLiterature(t *testing.T) {
	for _, e := range []privacy.Epsilon{1_000_000, 2_000_000, 4_000_000} {
		x := math.Exp(e.Float64())
		want := 4 * x / ((x - 1) * (x - 1))
		for _, k := range []uint32{2000, 20_000} {
			if got := mechanism(t, e, k).Rates().NoiseVariance(0); got > 1.01*want || got < 0.98*want {
				t.Errorf("ε=%v, k=%d: %v, want %v", e, k, got, want)
			}
		}
	}
}

// silent gives the hash of the truth also where there is none: class 0.
type silent struct{ *Mechanism }

func (s silent) Probability(report []byte, category uint32) *big.Rat {
	seed, hash, err := s.Split(report)
	if err != nil {
		return new(big.Rat)
	}
	same, other, _ := s.levels()
	p := other
	if uint32(s.pool.class[s.pool.at(category, seed)]) == hash {
		p = same
	}
	return p.Quo(p, whole(s.pool.prime))
}

func TestMutantsDie(t *testing.T) {
	for _, e := range epsilons {
		m := mechanism(t, e, 8)
		// One number changes its class: a hash that is only nearly uniform.
		bent := newPool(8, m.pool.hashes)
		bent.class[1] = (bent.class[1] + 1) % uint16(bent.hashes)
		for name, mutant := range map[string]privacy.Categorical{
			"threshold one word too high": &Mechanism{epsilon: e, categories: 8, keep: m.keep + 1, pool: m.pool},
			"a hash where there is none":  silent{m},
			"one number in a wrong class": &Mechanism{epsilon: e, categories: 8, keep: m.keep, pool: bent},
		} {
			if c, err := privacy.EnumerateReports(mutant); err == nil && c.Holds() {
				t.Errorf("ε=%v, %s: survives", e, name)
			}
			if own, ok := mutant.(*Mechanism); ok {
				if c, err := own.Certificate(); err == nil && c.Holds() {
					t.Errorf("ε=%v, %s: survives its certificate", e, name)
				}
			}
		}
	}
}
