// Package grr is k-ary randomised response: the device names its category with a
// high probability and any other one otherwise, each equally often (Kairouz,
// Bonawitz and Ramage 2016; Warner 1965 for two categories).
//
// It stands behind frequencies over few categories: it is the shortest report,
// and the best one below about 3e^ε+2 categories if subset selection isn't at
// hand. It must never draw a number of words that depends on the category;
// PROOF.md has the argument.
//
//	m, err := grr.New(epsilon, 8)
//	report, err := m.Randomise(category, source, nil)
package grr

import (
	"math/big"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/packed"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
	"github.com/quadrat-dev/quadrat/privacy/uniform"
)

// Name is the mechanism's name in plans and results.
const Name = "grr"

// MaxCategories is the largest k.
const MaxCategories = 1 << 16

// Mechanism is k-ary randomised response at one ε. It is immutable and safe for
// concurrent use.
type Mechanism struct {
	epsilon    privacy.Epsilon
	categories uint32
	// keep words out of 2⁶⁴ tell the truth.
	keep uint64
}

// New derives the threshold for ε and 2…65536 categories. It fails with
// privacy.ErrEpsilon or privacy.ErrCategories.
func New(e privacy.Epsilon, categories uint32) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if categories < 2 || categories > MaxCategories {
		return nil, privacy.ErrCategories
	}
	return &Mechanism{
		epsilon: e, categories: categories,
		keep: threshold.Split(e.Micro(), 1, categories-1),
	}, nil
}

// Name returns "grr".
func (*Mechanism) Name() string { return Name }

// Epsilon returns the ε of one report.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.epsilon }

// Categories returns k.
func (m *Mechanism) Categories() uint32 { return m.categories }

// Bytes returns 1 up to 256 categories and 2 beyond.
func (m *Mechanism) Bytes() int { return packed.Bytes(uint64(m.categories)) }

// Randomise draws two words, and another in place of the second for as long as
// that can't be spread evenly (less than once in 2⁴⁷ times), and appends the
// number of the category that they choose, the low byte first.
func (m *Mechanism) Randomise(category uint32, src privacy.Source, buf []byte) ([]byte, error) {
	if category >= m.categories {
		return nil, privacy.ErrInput
	}
	coin, err := src.Uint64()
	if err != nil {
		return nil, err
	}
	var roll [1]uint32
	if err := uniform.Dice(src, []uint32{m.categories - 1}, roll[:]); err != nil {
		return nil, err
	}
	return packed.Append(buf, uint64(m.code(category, coin, roll[0])), m.Bytes()), nil
}

// code is the whole mechanism as a function of the category, one random word and
// a uniform number below k-1.
func (m *Mechanism) code(category uint32, coin uint64, roll uint32) uint32 {
	// The others in order: from the category on they are one further.
	other := roll + 1 - threshold.Below(uint64(roll), uint64(category))
	return threshold.Choose(threshold.Below(coin, m.keep), category, other)
}

// Supported appends the one category that the report names.
func (m *Mechanism) Supported(report []byte, into []uint32) ([]uint32, error) {
	code, ok := packed.Read(report, m.Bytes(), uint64(m.categories))
	if !ok {
		return into, privacy.ErrCode
	}
	return append(into, uint32(code)), nil
}

// Rates returns p = e^ε/(e^ε+k-1) and q = 1/(e^ε+k-1) as the integers have them.
func (m *Mechanism) Rates() privacy.Rates { return privacy.NewRates(m.ExactRates()) }

// ExactRates returns keep/2⁶⁴ and (1-keep/2⁶⁴)/(k-1).
func (m *Mechanism) ExactRates() (truth, other *big.Rat) {
	truth = privacy.Words(m.keep)
	other = new(big.Rat).Sub(big.NewRat(1, 1), truth)
	return truth, other.Quo(other, big.NewRat(int64(m.categories-1), 1))
}

// Both returns zero: a report names one category.
func (*Mechanism) Both(_, _, _ uint32) *big.Rat { return new(big.Rat) }

// Exchangeable returns true: no category is special.
func (*Mechanism) Exchangeable() bool { return true }

// Probability returns the exact probability of the report given the category.
func (m *Mechanism) Probability(report []byte, category uint32) *big.Rat {
	code, ok := packed.Read(report, m.Bytes(), uint64(m.categories))
	if !ok || category >= m.categories {
		return new(big.Rat)
	}
	truth, other := m.ExactRates()
	if uint32(code) == category {
		return truth
	}
	return other
}

// Certificate proves the two probabilities that make up every row.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	truth, other := m.ExactRates()
	if other.Sign() <= 0 || truth.Cmp(other) <= 0 {
		return privacy.Certificate{}, privacy.ErrCertificate
	}
	sum := new(big.Rat).Mul(other, big.NewRat(int64(m.categories-1), 1))
	complete := sum.Add(sum, truth).Cmp(big.NewRat(1, 1)) == 0
	return privacy.Certificate{
		Mechanism: Name, Epsilon: m.epsilon, Levels: m.categories - 1, Codes: m.categories,
		WorstRatio: new(big.Rat).Quo(truth, other), Bound: privacy.ExpLowerBound(m.epsilon),
		RowsSumToOne: complete, Unbiased: complete,
	}, nil
}
