// Package oue is optimised unary encoding: a bit for each category, the true one
// a fair coin, the others 1 with probability 1/(e^ε+1) (Wang et al., USENIX
// Security 2017).
//
// It stands behind frequencies on tiny devices: it needs no table and its
// report takes no packing. It must never draw a number of words that depends on the
// category; PROOF.md has the argument.
//
//	m, err := oue.New(epsilon, 64)
//	report, err := m.Randomise(category, source, nil)
package oue

import (
	"math/big"
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/sets"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

// Name is the mechanism's name in plans and results.
const Name = "oue"

// MaxCategories is the largest k: a report of 128 bytes.
const MaxCategories = 1024

// Mechanism is optimised unary encoding at one ε. It is immutable and safe for
// concurrent use.
type Mechanism struct {
	epsilon    privacy.Epsilon
	categories uint32
	// flip words out of 2⁶⁴ set the bit of another category; 0 < flip < 2⁶³.
	flip   uint64
	coarse sets.Coarse
}

// New derives the threshold for ε and 2…1024 categories. It fails with
// privacy.ErrEpsilon or privacy.ErrCategories.
func New(e privacy.Epsilon, categories uint32) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if categories < 2 || categories > MaxCategories {
		return nil, privacy.ErrCategories
	}
	flip := threshold.Flip(e.Micro())
	return &Mechanism{epsilon: e, categories: categories, flip: flip, coarse: sets.PlanShare(categories, flip)}, nil
}

// Name returns "oue".
func (*Mechanism) Name() string { return Name }

// Epsilon returns the ε of one report.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.epsilon }

// Categories returns k.
func (m *Mechanism) Categories() uint32 { return m.categories }

// Bytes returns k/8 rounded up.
func (m *Mechanism) Bytes() int { return int(m.categories+7) / 8 }

// Randomise draws about a word for each 22 categories, with a few more; how many
// depends on the words alone. It appends the bits: category c is bit c mod 8,
// counted from the lowest, of byte c/8; bits that no category has are 0.
func (m *Mechanism) Randomise(category uint32, src privacy.Source, buf []byte) ([]byte, error) {
	if category >= m.categories {
		return nil, privacy.ErrInput
	}
	words, err := src.Expand()
	if err != nil {
		return nil, err
	}
	defer words.Discard()
	coin := uint32(words.Uint64()) & 1
	var s sets.Set
	if err := m.draw(&s, words); err != nil {
		return nil, err
	}
	s.Put(category, coin)
	return append(buf, s[:m.Bytes()]...), nil
}

// draw puts each category into the set with probability flip/2⁶⁴, each on its
// own: as many of them as are decided by the first bits of their number, and of
// those left open only as many as it takes to know how many end below.
func (m *Mechanism) draw(s *sets.Set, words *privacy.Stream) error {
	size, open := s.Scatter(words, m.categories, m.coarse)
	below := sets.Below(words, open, m.flip<<m.coarse.Rounds)
	return s.Reach(words, m.categories, size, size+below-open*m.coarse.Up)
}

// Supported appends the categories whose bit is 1.
func (m *Mechanism) Supported(report []byte, into []uint32) ([]uint32, error) {
	if !m.valid(report) {
		return into, privacy.ErrCode
	}
	for i, b := range report {
		for ; b != 0; b &= b - 1 {
			into = append(into, uint32(8*i+bits.TrailingZeros8(b)))
		}
	}
	return into, nil
}

// valid says that the length is right and no bit is set beyond the categories.
func (m *Mechanism) valid(report []byte) bool {
	if len(report) != m.Bytes() {
		return false
	}
	used := m.categories - 8*uint32(len(report)-1)
	return report[len(report)-1]>>used == 0
}

// Rates returns p = 1/2 and q = 1/(e^ε+1) as the integers have them.
func (m *Mechanism) Rates() privacy.Rates { return privacy.NewRates(m.ExactRates()) }

// ExactRates returns 1/2 and flip/2⁶⁴.
func (m *Mechanism) ExactRates() (truth, other *big.Rat) {
	return big.NewRat(1, 2), privacy.Words(m.flip)
}

// Both returns the product of the rates: bits are independent.
func (m *Mechanism) Both(category, a, b uint32) *big.Rat {
	if a == b || max(category, a, b) >= m.categories {
		return new(big.Rat)
	}
	truth, other := m.ExactRates()
	if category == a || category == b {
		return truth.Mul(truth, other)
	}
	return other.Mul(other, other)
}

// Exchangeable returns true: no category is special.
func (*Mechanism) Exchangeable() bool { return true }

// Probability returns the exact probability of the report given the category.
func (m *Mechanism) Probability(report []byte, category uint32) *big.Rat {
	if !m.valid(report) || category >= m.categories {
		return new(big.Rat)
	}
	set := int64(0)
	for c := range m.categories {
		if c != category && report[c/8]>>(c%8)&1 == 1 {
			set++
		}
	}
	// One fair coin, and flip of 2⁶⁴ words for each bit that is set.
	whole := new(big.Int).Lsh(big.NewInt(1), 64)
	flip := new(big.Int).SetUint64(m.flip)
	unset := new(big.Int).Sub(whole, flip)
	others := int64(m.categories - 1)
	ways := flip.Exp(flip, big.NewInt(set), nil)
	ways.Mul(ways, unset.Exp(unset, big.NewInt(others-set), nil))
	return new(big.Rat).SetFrac(ways, whole.Lsh(big.NewInt(1), uint(64*others+1)))
}

// Certificate proves the ratio of the two bits in which two categories differ.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	truth, other := m.ExactRates()
	if other.Sign() <= 0 {
		return privacy.Certificate{}, privacy.ErrCertificate
	}
	unset := new(big.Rat).Sub(big.NewRat(1, 1), other)
	codes := uint32(0)
	if m.categories < 32 {
		codes = 1 << m.categories
	}
	// A row is a product of coins, each of which has two sides. Every bit's coin is
	// its category's support, so scores are unbiased as soon as the coins differ.
	return privacy.Certificate{
		Mechanism: Name, Epsilon: m.epsilon, Levels: m.categories - 1, Codes: codes,
		WorstRatio: new(big.Rat).Quo(unset, other), Bound: privacy.ExpLowerBound(m.epsilon),
		RowsSumToOne: new(big.Rat).Add(unset, other).Cmp(big.NewRat(1, 1)) == 0, Unbiased: truth.Cmp(other) > 0,
	}, nil
}
