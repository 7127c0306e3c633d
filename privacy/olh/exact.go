package olh

import (
	"math/big"

	"github.com/quadrat-dev/quadrat/privacy"
)

// levels returns the probabilities of one hash given a seed: it is that of the
// truth, it is another one, or the truth has none.
func (m *Mechanism) levels() (same, other, none *big.Rat) {
	same = privacy.Words(m.keep)
	other = new(big.Rat).Sub(whole(1), same)
	other.Quo(other, whole(m.pool.hashes-1))
	return same, other, big.NewRat(1, int64(m.pool.hashes))
}

// Rates returns p and q as the integers have them.
func (m *Mechanism) Rates() privacy.Rates { return privacy.NewRates(m.ExactRates()) }

// ExactRates counts over the pool. The truth has a hash for P-1 seeds of P.
// Another category has none for one seed; of the others, the truth has none for
// one, the same hash for share-1, another hash for the rest.
func (m *Mechanism) ExactRates() (truth, other *big.Rat) {
	same, lie, none := m.levels()
	truth = new(big.Rat).Mul(same, whole(m.pool.prime-1))
	other = same.Mul(same, whole(m.pool.share-1))
	other.Add(other, none)
	other.Add(other, lie.Mul(lie, whole(m.pool.prime-1-m.pool.share)))
	return truth.Quo(truth, whole(m.pool.prime)), other.Quo(other, whole(m.pool.prime))
}

// Both adds up over the pool: it takes time in proportion to the seeds.
func (m *Mechanism) Both(category, a, b uint32) *big.Rat {
	if a == b || max(category, a, b) >= m.categories {
		return new(big.Rat)
	}
	var counts [3]uint32
	for seed := range m.pool.prime {
		hash, ok := m.Hash(seed, a)
		if second, has := m.Hash(seed, b); !ok || !has || hash != second {
			continue
		}
		counts[m.relation(seed, hash, category)]++
	}
	sum := new(big.Rat)
	same, other, none := m.levels()
	for i, p := range []*big.Rat{same, other, none} {
		sum.Add(sum, p.Mul(p, whole(counts[i])))
	}
	return sum.Quo(sum, whole(m.pool.prime))
}

// Exchangeable returns false: which seeds make three categories collide depends on
// the three.
func (*Mechanism) Exchangeable() bool { return false }

// relation returns which of the levels a hash has, given the truth.
func (m *Mechanism) relation(seed, hash, category uint32) int {
	own, ok := m.Hash(seed, category)
	switch {
	case !ok:
		return 2
	case own == hash:
		return 0
	default:
		return 1
	}
}

// Probability returns the exact probability of the report given the category.
func (m *Mechanism) Probability(report []byte, category uint32) *big.Rat {
	seed, hash, err := m.Split(report)
	if err != nil || category >= m.categories {
		return new(big.Rat)
	}
	same, other, none := m.levels()
	p := []*big.Rat{same, other, none}[m.relation(seed, hash, category)]
	return p.Quo(p, whole(m.pool.prime))
}

// Certificate proves the three probabilities that a row is made of, and the pool:
// each class is the one before times the root, which is the structure that
// PROOF.md counts collisions by.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	same, other, none := m.levels()
	truth, rest := m.ExactRates()
	if other.Sign() <= 0 || truth.Cmp(rest) <= 0 {
		return privacy.Certificate{}, privacy.ErrCertificate
	}
	worst := new(big.Rat).Quo(same, other)
	for _, pair := range [][2]*big.Rat{{other, same}, {same, none}, {none, same}, {none, other}, {other, none}} {
		if ratio := new(big.Rat).Quo(pair[0], pair[1]); ratio.Cmp(worst) > 0 {
			worst = ratio
		}
	}
	row := new(big.Rat).Mul(other, whole(m.pool.hashes-1))
	row.Add(row, same)
	// With P categories every report would support a whole class.
	all := new(big.Rat).Mul(rest, whole(m.pool.prime-1))
	all.Add(all, truth)
	return privacy.Certificate{
		Mechanism: Name, Epsilon: m.epsilon, Levels: m.categories - 1, Codes: uint32(m.codes()),
		WorstRatio: worst, Bound: privacy.ExpLowerBound(m.epsilon),
		RowsSumToOne: row.Cmp(whole(1)) == 0,
		Unbiased:     m.pool.holds() && all.Cmp(whole(m.pool.share)) == 0,
	}, nil
}

// holds says that the classes are the cosets of a subgroup: every power of the
// root is in the class that its exponent has modulo g, every number occurs once,
// and the members are those of the classes in ascending order.
func (p *pool) holds() bool {
	if !prime(p.prime) || p.share*p.hashes != p.prime-1 || len(p.members) != int(p.prime-1) {
		return false
	}
	root, number := uint64(rootOf(p.prime)), uint64(1)
	for exponent := range p.prime - 1 {
		if exponent > 0 && number == 1 || uint32(p.class[number]) != exponent%p.hashes {
			return false
		}
		number = number * root % uint64(p.prime)
	}
	listed := make([]bool, p.prime)
	for i, member := range p.members {
		if member == 0 || member >= p.prime || listed[member] || uint32(p.class[member]) != uint32(i)/p.share {
			return false
		}
		if uint32(i)%p.share > 0 && member < p.members[i-1] {
			return false
		}
		listed[member] = true
	}
	return number == 1
}

func whole(n uint32) *big.Rat { return big.NewRat(int64(n), 1) }
