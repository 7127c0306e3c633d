// Package olh is optimised local hashing: the device draws a public hash function
// that takes the categories to about e^ε+1 values, and answers with k-ary
// randomised response on the value of its own category (Wang et al., USENIX
// Security 2017).
//
// It stands behind frequencies over more than 1024 categories, where a report of
// a few bytes beats any other that is as precise. The pool of hash functions is
// fixed by ε and k, the same for every device, and a device draws from it anew
// for each report: a seed of its own would be a name by which to follow it. It
// must never draw a number of words that depends on the category; PROOF.md has
// the argument and the pool.
//
//	m, err := olh.New(epsilon, 5000)
//	report, err := m.Randomise(category, source, nil)
package olh

import (
	"slices"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/packed"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
	"github.com/quadrat-dev/quadrat/privacy/uniform"
)

// Name is the mechanism's name in plans and results.
const Name = "olh"

const (
	// MaxCategories is the largest k.
	MaxCategories = 1 << 16
	// hashesMax bounds the hash values: more are optimal only above ε = 6.9, where
	// grr is better up to 3000 categories and collisions are rare beyond.
	hashesMax = 1 << 10
)

// Mechanism is optimised local hashing at one ε. It is immutable and safe for
// concurrent use. Its tables take six bytes for each hash function of the pool,
// of which there are at least k, rarely more than 2k.
type Mechanism struct {
	epsilon    privacy.Epsilon
	categories uint32
	// keep words out of 2⁶⁴ tell the hash value of the truth.
	keep uint64
	pool *pool
}

// New derives threshold and pool for ε and 2…65536 categories. It fails with
// privacy.ErrEpsilon or privacy.ErrCategories.
func New(e privacy.Epsilon, categories uint32) (*Mechanism, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if categories < 2 || categories > MaxCategories {
		return nil, privacy.ErrCategories
	}
	hashes := threshold.Hashes(e.Micro(), min(categories, hashesMax))
	return &Mechanism{
		epsilon: e, categories: categories,
		keep: threshold.Split(e.Micro(), 1, hashes-1), pool: newPool(categories, hashes),
	}, nil
}

// Name returns "olh".
func (*Mechanism) Name() string { return Name }

// Epsilon returns the ε of one report.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.epsilon }

// Categories returns k.
func (m *Mechanism) Categories() uint32 { return m.categories }

// Seeds returns the number of hash functions in the pool, a prime.
func (m *Mechanism) Seeds() uint32 { return m.pool.prime }

// Root returns the least primitive root of Seeds: the class of a number is the
// exponent of its power that the number is, modulo Hashes. It is what a reader of
// stored reports needs to tell which categories they support.
func (m *Mechanism) Root() uint32 { return m.pool.root }

// Hashes returns the number of hash values.
func (m *Mechanism) Hashes() uint32 { return m.pool.hashes }

// Hash returns the value that a hash function of the pool gives a category. ok is
// false for the one category, if any, that it gives no value, and for arguments
// out of range.
func (m *Mechanism) Hash(seed, category uint32) (hash uint32, ok bool) {
	if seed >= m.pool.prime || category >= m.categories {
		return 0, false
	}
	at := m.pool.at(category, seed)
	return uint32(m.pool.class[at]), at != 0
}

func (m *Mechanism) codes() uint64 { return uint64(m.pool.prime) * uint64(m.pool.hashes) }

// Bytes returns as many bytes as hold every pair of seed and hash, at most 4.
func (m *Mechanism) Bytes() int { return packed.Bytes(m.codes()) }

// Randomise draws two words, and another in place of the second for as long as
// that can't be spread evenly (less than once in 2²⁴ times, whatever the
// category), and appends seed·hashes + hash, the low byte first.
func (m *Mechanism) Randomise(category uint32, src privacy.Source, buf []byte) ([]byte, error) {
	if category >= m.categories {
		return nil, privacy.ErrInput
	}
	coin, err := src.Uint64()
	if err != nil {
		return nil, err
	}
	var rolls [3]uint32
	if err := uniform.Dice(src, []uint32{m.pool.prime, m.pool.hashes, m.pool.hashes - 1}, rolls[:]); err != nil {
		return nil, err
	}
	code := uint64(rolls[0])*uint64(m.pool.hashes) + uint64(m.hash(category, coin, rolls))
	return packed.Append(buf, code, m.Bytes()), nil
}

// hash is the mechanism as a function of the category, a random word and three
// uniform numbers: the seed, a value in case the seed gives the category none,
// and the lie.
func (m *Mechanism) hash(category uint32, coin uint64, rolls [3]uint32) uint32 {
	at := m.pool.at(category, rolls[0])
	none := threshold.Below(uint64(at), 1)
	truth := threshold.Choose(none, rolls[1], uint32(m.pool.class[at]))
	other := rolls[2] + 1 - threshold.Below(uint64(rolls[2]), uint64(truth))
	return threshold.Choose(threshold.Below(coin, m.keep), truth, other)
}

// Split takes a report apart. It fails with privacy.ErrCode.
func (m *Mechanism) Split(report []byte) (seed, hash uint32, err error) {
	code, ok := packed.Read(report, m.Bytes(), m.codes())
	if !ok {
		return 0, 0, privacy.ErrCode
	}
	return uint32(code / uint64(m.pool.hashes)), uint32(code % uint64(m.pool.hashes)), nil
}

// Supported appends the categories to which the report's seed gives the report's
// hash, in ascending order. It takes time in proportion to k/g.
func (m *Mechanism) Supported(report []byte, into []uint32) ([]uint32, error) {
	seed, hash, err := m.Split(report)
	if err != nil {
		return into, err
	}
	class := m.pool.members[hash*m.pool.share : (hash+1)*m.pool.share]
	// Category c stands at c+seed modulo P: first those from seed on, then those
	// that went round.
	turn, _ := slices.BinarySearch(class, seed)
	for _, at := range class[turn:] {
		if at-seed >= m.categories {
			return into, nil
		}
		into = append(into, at-seed)
	}
	for _, at := range class[:turn] {
		category := at + m.pool.prime - seed
		if category >= m.categories {
			break
		}
		into = append(into, category)
	}
	return into, nil
}
