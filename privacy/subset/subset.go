// Package subset is subset selection: the report is a set of w of the k
// categories, which holds the true one more often than chance would have it (Ye
// and Barg 2018; Wang et al. 2016). With w = 1 it is k-ary randomised response.
//
// It stands behind frequencies, histograms and quantiles over 2 to 1024
// categories, where nothing unbiased has a smaller total error. It must never
// draw a number of words that depends on the category; PROOF.md has the
// argument.
//
//	m, err := subset.New(epsilon, 32)
//	report, err := m.Randomise(category, source, nil)
package subset

import (
	"math/big"
	"slices"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/sets"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

// Name is the mechanism's name in plans and results.
const Name = "subset"

// MaxCategories is the largest k.
const MaxCategories = 1024

// Mechanism is subset selection at one ε. It is immutable and safe for
// concurrent use.
type Mechanism struct {
	epsilon    privacy.Epsilon
	categories uint32
	// size is w, 1 ≤ w < k.
	size uint32
	// keep words out of 2⁶⁴ put the true category into the set.
	keep   uint64
	coarse sets.Coarse
	layout layout
}

// New derives size and threshold for ε and 2…1024 categories. It fails with
// privacy.ErrEpsilon or privacy.ErrCategories.
func New(e privacy.Epsilon, categories uint32) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if categories < 2 || categories > MaxCategories {
		return nil, privacy.ErrCategories
	}
	return newOfSize(e, categories, threshold.Subset(e.Micro(), categories)), nil
}

func newOfSize(e privacy.Epsilon, categories, size uint32) *Mechanism {
	return &Mechanism{
		epsilon: e, categories: categories, size: size,
		keep:   threshold.Split(e.Micro(), size, categories-size),
		coarse: sets.PlanSize(categories-1, size-1),
		layout: layoutOf(categories, size),
	}
}

// Name returns "subset".
func (*Mechanism) Name() string { return Name }

// Epsilon returns the ε of one report.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.epsilon }

// Categories returns k.
func (m *Mechanism) Categories() uint32 { return m.categories }

// Size returns w, the number of categories in a report.
func (m *Mechanism) Size() uint32 { return m.size }

// Bytes returns the shorter of k bits and w numbers of as many bits as k-1 has.
func (m *Mechanism) Bytes() int { return m.layout.bytes }

// Randomise draws about a word for each 25 categories, with a few more; how many
// depends on the words alone. It appends the set as FORMAT in PROOF.md says.
func (m *Mechanism) Randomise(category uint32, src privacy.Source, buf []byte) ([]byte, error) {
	if category >= m.categories {
		return nil, privacy.ErrInput
	}
	words, err := src.Expand()
	if err != nil {
		return nil, err
	}
	defer words.Discard()
	kept := threshold.Below(words.Uint64(), m.keep)
	var s sets.Set
	if err := m.others(&s, kept, words); err != nil {
		return nil, err
	}
	// So far the last category stood at the true one's place.
	s.Put(m.categories-1, s.Has(category))
	s.Put(category, kept)
	return m.layout.append(buf, &s), nil
}

// others puts w-kept of the numbers 0…k-2 into the set, each such set equally
// often: w-1 of them, and one more if the truth was left out. That one is drawn
// in either case.
func (m *Mechanism) others(s *sets.Set, kept uint32, words *privacy.Stream) error {
	n := m.categories - 1
	size, _ := s.Scatter(words, n, m.coarse)
	if err := s.Reach(words, n, size, m.size-1); err != nil {
		return err
	}
	last, err := s.Another(words, n)
	if err != nil {
		return err
	}
	s.Put(last, 1-kept)
	return nil
}

// Supported appends the categories of the set in ascending order.
func (m *Mechanism) Supported(report []byte, into []uint32) ([]uint32, error) {
	return m.layout.read(report, into)
}

// Rates returns p = w·e^ε/(w·e^ε+k-w) and q = (w-p)/(k-1) as the integers have
// them.
func (m *Mechanism) Rates() privacy.Rates { return privacy.NewRates(m.ExactRates()) }

// ExactRates returns keep/2⁶⁴ and (w-keep/2⁶⁴)/(k-1): a report has w elements,
// and the others share what the truth leaves.
func (m *Mechanism) ExactRates() (truth, other *big.Rat) {
	truth = privacy.Words(m.keep)
	other = new(big.Rat).Sub(whole(m.size), truth)
	return truth, other.Quo(other, whole(m.categories-1))
}

// Both returns the probability of two given elements: without replacement, w-1
// or w of the others beside the truth or without it.
func (m *Mechanism) Both(category, a, b uint32) *big.Rat {
	if a == b || max(category, a, b) >= m.categories {
		return new(big.Rat)
	}
	truth := privacy.Words(m.keep)
	n, w := m.categories-1, m.size
	if category == a || category == b {
		return truth.Mul(truth, big.NewRat(int64(w-1), int64(n)))
	}
	pairs := int64(n) * int64(n-1)
	left := new(big.Rat).Sub(whole(1), truth)
	left.Mul(left, big.NewRat(int64(w)*int64(w-1), pairs))
	if w > 1 {
		truth.Mul(truth, big.NewRat(int64(w-1)*int64(w-2), pairs))
		left.Add(left, truth)
	}
	return left
}

// Exchangeable returns true: no category is special.
func (*Mechanism) Exchangeable() bool { return true }

// Probability returns the exact probability of the report given the category.
func (m *Mechanism) Probability(report []byte, category uint32) *big.Rat {
	var room [MaxCategories]uint32
	supported, err := m.layout.read(report, room[:0])
	if err != nil || category >= m.categories {
		return new(big.Rat)
	}
	inside, outside := m.levels()
	if slices.Contains(supported, category) {
		return inside
	}
	return outside
}

// levels returns the two probabilities that a report can have: the truth is in
// it, with C(k-1, w-1) ways to choose the rest, or not, with C(k-1, w) ways.
func (m *Mechanism) levels() (inside, outside *big.Rat) {
	inside = privacy.Words(m.keep)
	outside = new(big.Rat).Sub(whole(1), inside)
	return inside.Quo(inside, m.ways(m.size-1)), outside.Quo(outside, m.ways(m.size))
}

// ways returns C(k-1, n).
func (m *Mechanism) ways(n uint32) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Binomial(int64(m.categories-1), int64(n)))
}

// Certificate proves the two probabilities that make up every row: C(k-1, w-1)
// reports of the one and C(k-1, w) of the other.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	inside, outside := m.levels()
	truth, other := m.ExactRates()
	if outside.Sign() <= 0 || truth.Cmp(other) <= 0 {
		return privacy.Certificate{}, privacy.ErrCertificate
	}
	ratio := new(big.Rat).Quo(inside, outside)
	if inverse := new(big.Rat).Inv(ratio); inverse.Cmp(ratio) > 0 {
		ratio = inverse
	}
	row := new(big.Rat).Mul(inside, m.ways(m.size-1))
	row.Add(row, new(big.Rat).Mul(outside, m.ways(m.size)))
	// A given other category is in C(k-2, w-2) reports with the truth and in
	// C(k-2, w-1) without.
	k := int64(m.categories)
	support := new(big.Rat).SetInt(new(big.Int).Binomial(k-2, int64(m.size)-1))
	support.Mul(support, outside)
	if m.size > 1 {
		with := new(big.Rat).SetInt(new(big.Int).Binomial(k-2, int64(m.size)-2))
		support.Add(support, with.Mul(with, inside))
	}
	codes := uint32(0)
	if n := new(big.Int).Binomial(k, int64(m.size)); n.BitLen() <= 32 {
		codes = uint32(n.Uint64())
	}
	return privacy.Certificate{
		Mechanism: Name, Epsilon: m.epsilon, Levels: m.categories - 1, Codes: codes,
		WorstRatio: ratio, Bound: privacy.ExpLowerBound(m.epsilon),
		RowsSumToOne: row.Cmp(whole(1)) == 0, Unbiased: support.Cmp(other) == 0,
	}, nil
}

func whole(n uint32) *big.Rat { return big.NewRat(int64(n), 1) }
