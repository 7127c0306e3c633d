// Package memo answers the same question again and again about something that
// changes slowly, such as the kind of a room or the state of a valve, without
// spending again: the device randomises each category once, for ever, and every
// report is a second, lighter randomisation of that permanent answer (Erlingsson,
// Pihur and Korolova 2014; with k-ary randomised response in both rounds, Arcolezi
// et al. 2021).
//
// It stands beside the other categorical mechanisms. One report costs ε₁; all
// reports that a device ever makes about one category cost ε∞ together, which the
// ledger charges once for each distinct category, by a mark that doesn't tell
// which. Both rounds draw on HMAC-SHA256 under the device's secret with the
// category in its input, so that a device that has lost its memory, but not its
// secret, answers as before. PROOF.md has the arguments. The package keeps nothing.
//
// Averaging a device's reports over time uncovers its permanent answer, never its
// category: the noise of the first round stays, so windows of one device are not
// independent.
//
//	m, err := memo.New(forever, once, 8)
//	key := privacy.NewKey(&secret)
//	err = book.ReserveValue(charge, m.Tag(key, "room", category)) // charge.Epsilon is forever
//	report, err := m.Answer(key, "room", window, category, nil)
package memo

import (
	"encoding/binary"
	"io"
	"math/big"
	"sort"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/grr"
)

// Name is the mechanism's name in plans and results.
const Name = "memo"

// TagBytes is the length of a mark, equal to that of package ledger.
const TagBytes = 16

// Mechanism is two rounds of k-ary randomised response. As a privacy.Categorical
// it is one report of a device whose permanent answer is not known, at ε₁. It is
// immutable and safe for concurrent use.
type Mechanism struct {
	once      privacy.Epsilon
	permanent *grr.Mechanism // at ε∞
	instant   *grr.Mechanism // as light as ε₁ allows
}

// New takes ε∞, what all reports about one category may cost, ε₁ ≤ ε∞, what one
// report may cost, and 2…65536 categories. The second round is the lightest one,
// to a millionth of ε, for which the two rounds together keep ε₁. It fails with
// privacy.ErrEpsilon or privacy.ErrCategories.
func New(forever, once privacy.Epsilon, categories uint32) (*Mechanism, error) {
	permanent, err := grr.New(forever, categories)
	if err != nil {
		return nil, err
	}
	if once.Validate() != nil || once > forever {
		return nil, privacy.ErrEpsilon
	}
	m := &Mechanism{once: once, permanent: permanent}
	bound := privacy.ExpLowerBound(once)
	// The ratio grows with the second round's ε: the first one that is too large.
	tooLarge := sort.Search(int(privacy.MaxEpsilon), func(i int) bool {
		m.instant, err = grr.New(privacy.Epsilon(i+1), categories)
		return err != nil || m.ratio().Cmp(bound) > 0
	})
	if tooLarge == 0 {
		return nil, privacy.ErrEpsilon
	}
	m.instant, err = grr.New(privacy.Epsilon(tooLarge), categories)
	return m, err
}

// NewSecret reads a device's secret: crypto/rand.Reader on a device. The secret is
// made once, kept where the ledger is kept, and never leaves the device. A device
// that loses it stays silent: under a new one every category would cost ε∞ again.
// It fails with privacy.ErrEntropy.
func NewSecret(r io.Reader) (secret [privacy.SecretBytes]byte, err error) {
	if _, err := io.ReadFull(r, secret[:]); err != nil || secret == [privacy.SecretBytes]byte{} {
		return [privacy.SecretBytes]byte{}, privacy.ErrEntropy
	}
	return secret, nil
}

// Mark stands for a secret without telling it: the ledger remembers it, so that a
// lost secret is noticed and not replaced by another.
func Mark(secret *[privacy.SecretBytes]byte) [TagBytes]byte {
	return mark(privacy.NewDerived(secret, []byte("quadrat memo 1 secret")))
}

// mark reads a mark from a derived source, which never fails.
func mark(source *privacy.Derived) (out [TagBytes]byte) {
	for at := 0; at < TagBytes; at += 8 {
		word, _ := source.Uint64()
		binary.LittleEndian.PutUint64(out[at:], word)
	}
	return out
}

// Name returns "memo".
func (*Mechanism) Name() string { return Name }

// Epsilon returns ε₁, what one report costs whoever hears no other.
func (m *Mechanism) Epsilon() privacy.Epsilon { return m.once }

// Forever returns ε∞, what all reports about one category cost together: the
// ledger's charge for each distinct category.
func (m *Mechanism) Forever() privacy.Epsilon { return m.permanent.Epsilon() }

// Categories returns k.
func (m *Mechanism) Categories() uint32 { return m.permanent.Categories() }

// Size returns 1: a report names one category.
func (*Mechanism) Size() uint32 { return 1 }

// Bytes returns 1 up to 256 categories and 2 beyond.
func (m *Mechanism) Bytes() int { return m.instant.Bytes() }

// The purposes that labels are made for.
const (
	forPermanent = "permanent"
	forInstant   = "instant"
	forTag       = "tag"
)

// Answer appends the report about a category in a window. The question names what
// is asked, and is the same for every kappa that asks the same: they share one
// permanent answer, and its charge. The same secret, question, window and category
// give the same bytes. It fails with privacy.ErrInput.
func (m *Mechanism) Answer(key *privacy.Key, question string, window int64, category uint32, buf []byte) ([]byte, error) {
	answer, err := m.Permanent(key, question, category)
	if err != nil {
		return nil, err
	}
	var room [labelRoom]byte
	label := m.label(room[:0], forInstant, question, answer)
	label = binary.LittleEndian.AppendUint64(label, uint64(window))
	label = binary.LittleEndian.AppendUint64(label, m.once.Micro())
	return m.instant.Randomise(answer, key.Derive(label), buf)
}

// Permanent returns the permanent answer for a category. It must not leave the
// device: reports are made of it. It fails with privacy.ErrInput.
func (m *Mechanism) Permanent(key *privacy.Key, question string, category uint32) (uint32, error) {
	var room [labelRoom]byte
	return first(m.permanent, category, key.Derive(m.label(room[:0], forPermanent, question, category)))
}

// Tag returns the mark under which the ledger remembers that a category was
// charged. Whoever lacks the secret learns nothing from it.
func (m *Mechanism) Tag(key *privacy.Key, question string, category uint32) [TagBytes]byte {
	var room [labelRoom]byte
	return mark(key.Derive(m.label(room[:0], forTag, question, category)))
}

// labelRoom is enough for the label of a question of 180 bytes; longer ones are
// allocated.
const labelRoom = 256

// label appends a label that separates purposes, questions, parameters of the
// first round and inputs. Every part has a fixed length but the question, whose
// length stands before it.
func (m *Mechanism) label(b []byte, purpose, question string, input uint32) []byte {
	b = append(b, "quadrat memo 1 "...)
	b = append(b, purpose...)
	b = append(b, "\x00"+grr.Name+"\x00"...)
	b = binary.LittleEndian.AppendUint64(b, m.Forever().Micro())
	b = binary.LittleEndian.AppendUint32(b, m.Categories())
	b = binary.LittleEndian.AppendUint32(b, uint32(len(question)))
	b = append(b, question...)
	return binary.LittleEndian.AppendUint32(b, input)
}

// first runs one round and returns the category that it names.
func first(round *grr.Mechanism, category uint32, src privacy.Source) (uint32, error) {
	var room [2]byte
	report, err := round.Randomise(category, src, room[:0])
	if err != nil {
		return 0, err
	}
	var named [1]uint32
	out, err := round.Supported(report, named[:0])
	if err != nil {
		return 0, err
	}
	return out[0], nil
}

// Randomise draws both rounds from the source: one report of a device that has no
// permanent answer yet, for simulation and audits. Devices use Answer.
func (m *Mechanism) Randomise(category uint32, src privacy.Source, buf []byte) ([]byte, error) {
	answer, err := first(m.permanent, category, src)
	if err != nil {
		return nil, err
	}
	return m.instant.Randomise(answer, src, buf)
}

// Supported appends the one category that the report names.
func (m *Mechanism) Supported(report []byte, into []uint32) ([]uint32, error) {
	return m.instant.Supported(report, into)
}

// Rates returns p* and q*.
func (m *Mechanism) Rates() privacy.Rates { return privacy.NewRates(m.ExactRates()) }

// ExactRates returns p* = p₁p₂ + (1-p₁)q₂ and q* = q₁p₂ + (1-q₁)q₂.
func (m *Mechanism) ExactRates() (truth, other *big.Rat) {
	p1, q1 := m.permanent.ExactRates()
	p2, q2 := m.instant.ExactRates()
	return mix(p1, p2, q2), mix(q1, p2, q2)
}

// mix returns share·p + (1-share)·q.
func mix(share, p, q *big.Rat) *big.Rat {
	rest := new(big.Rat).Sub(big.NewRat(1, 1), share)
	return rest.Add(rest.Mul(rest, q), new(big.Rat).Mul(share, p))
}

// ratio is p*/q*, the worst ratio of one report.
func (m *Mechanism) ratio() *big.Rat {
	truth, other := m.ExactRates()
	return truth.Quo(truth, other)
}

// Both returns zero: a report names one category.
func (*Mechanism) Both(_, _, _ uint32) *big.Rat { return new(big.Rat) }

// Exchangeable returns true: no category is special.
func (*Mechanism) Exchangeable() bool { return true }

// Probability returns the exact probability of the report given the category.
func (m *Mechanism) Probability(report []byte, category uint32) *big.Rat {
	var room [1]uint32
	named, err := m.Supported(report, room[:0])
	if err != nil || category >= m.Categories() {
		return new(big.Rat)
	}
	truth, other := m.ExactRates()
	if named[0] == category {
		return truth
	}
	return other
}

// Certificate proves ε₁ for one report, from the integers of both rounds.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	truth, other := m.ExactRates()
	if other.Sign() <= 0 || truth.Cmp(other) <= 0 {
		return privacy.Certificate{}, privacy.ErrCertificate
	}
	sum := new(big.Rat).Mul(other, big.NewRat(int64(m.Categories()-1), 1))
	complete := sum.Add(sum, truth).Cmp(big.NewRat(1, 1)) == 0
	return privacy.Certificate{
		Mechanism: Name, Epsilon: m.once, Levels: m.Categories() - 1, Codes: m.Categories(),
		WorstRatio: m.ratio(), Bound: privacy.ExpLowerBound(m.once), RowsSumToOne: complete, Unbiased: complete,
	}, nil
}

// ForeverCertificate proves ε∞ for the permanent answer, and with it for all
// reports about one category: they are made of nothing else.
func (m *Mechanism) ForeverCertificate() (privacy.Certificate, error) {
	return m.permanent.Certificate()
}
