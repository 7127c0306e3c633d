package privacy

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// Source gives the randomness of a mechanism, 64 uniform bits at a time. There
// are three: Secure for devices, Derived for answers that a device must be able
// to give again, and Seeded for tests and simulation; nobody else can write
// another. Code that runs on a device asks for *Secure, so that they can't be
// swapped by mistake.
type Source interface {
	// Uint64 returns 64 fresh uniform bits, or an error, after which nothing
	// may be randomised or sent. It is for reports of three words or fewer.
	Uint64() (uint64, error)

	// Expand begins a report that needs many words and returns them, or an error
	// as Uint64 does. It is called once the input of the report is known; the
	// words are for that report alone, and the caller discards them with it.
	// The next call of Expand ends them, too.
	Expand() (*Stream, error)

	sealed()
}

const (
	wordBytes = 8
	// keyWords words are the key of an expansion.
	keyWords = 4
)

// Secure draws from a cryptographic reader. Every word, and every key of an
// expansion, is read when it is needed: nothing is read ahead, because bytes in
// a buffer would be used twice by two copies of a restored machine. It fails
// closed: on an error, a short read or a failed health test it returns an error,
// for ever after.
//
// The health test is the repetition count of NIST SP 800-90B §4.4.1 on words:
// two equal words in a row, which a good source gives once in 2⁶⁴ draws, end
// it. Each read asks for one word more than is used. That spare word is compared
// with what comes before and after it and is never noise, so what a Secure holds
// between two draws tells nothing of the reports before. The first draw reads
// one spare word ahead of all, so that a stuck source never randomises anything.
//
// A Secure is not safe for concurrent use.
type Secure struct {
	reader  io.Reader
	spare   uint64
	started bool
	failed  error
	buf     [(keyWords + 1) * wordBytes]byte
	chacha  rand.ChaCha8
	stream  Stream
}

// NewSecure returns a source that reads from r: crypto/rand.Reader on a device.
// It reads nothing yet. A nil reader gives a source that always fails.
func NewSecure(r io.Reader) *Secure { return &Secure{reader: r} }

// Uint64 makes one read of sixteen bytes and returns the first eight. Its errors
// match ErrEntropy.
func (s *Secure) Uint64() (uint64, error) {
	if err := s.draw(1); err != nil {
		return 0, err
	}
	word := binary.LittleEndian.Uint64(s.buf[:])
	clear(s.buf[:])
	return word, nil
}

// Expand makes one read of forty bytes, of which 32 become the key. Its errors
// match ErrEntropy.
func (s *Secure) Expand() (*Stream, error) {
	s.stream.Discard()
	if err := s.draw(keyWords); err != nil {
		return nil, err
	}
	s.chacha.Seed([keyWords * wordBytes]byte(s.buf[:]))
	clear(s.buf[:])
	s.stream = Stream{words: &s.chacha}
	return &s.stream, nil
}

func (*Secure) sealed() {}

const errRepeated Error = "health test: same word twice"

// draw leaves n fresh words in the buffer.
func (s *Secure) draw(n int) error {
	if s.failed != nil {
		return s.failed
	}
	if !s.started {
		if err := s.read(0); err != nil {
			return s.fail(err)
		}
		s.started = true
	}
	if err := s.read(n); err != nil {
		return s.fail(err)
	}
	return nil
}

func (s *Secure) fail(cause error) error {
	clear(s.buf[:])
	s.failed = sourceError{cause: cause}
	return s.failed
}

// read asks for n words and a spare one, in one call: a reader that gives less
// than asked is not the kernel's generator, and is not trusted to give the rest.
func (s *Secure) read(n int) error {
	if s.reader == nil {
		return io.ErrUnexpectedEOF
	}
	b := s.buf[:(n+1)*wordBytes]
	got, err := s.reader.Read(b)
	if err != nil {
		return err
	}
	if got != len(b) {
		return io.ErrUnexpectedEOF
	}
	last, begun := s.spare, s.started
	for ; len(b) > 0; b = b[wordBytes:] {
		word := binary.LittleEndian.Uint64(b)
		if begun && word == last {
			return errRepeated
		}
		last, begun = word, true
	}
	// A reader that gives the same bytes at every call repeats its spare word.
	if s.started && last == s.spare {
		return errRepeated
	}
	s.spare = last
	return nil
}

// Seeded draws from ChaCha8 with a fixed seed: the same reports in every run
// and on every platform. For tests and simulation only; whoever knows the seed
// knows the noise. Its expansions are the same stream read on. A Seeded is not
// safe for concurrent use.
type Seeded struct {
	chacha *rand.ChaCha8
	stream Stream
}

// seedLabel fills the part of ChaCha8's 32 bytes that the seed doesn't.
const seedLabel = "quadrat simulation only!"

// NewSeeded returns the stream with that seed.
func NewSeeded(seed uint64) *Seeded {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	copy(key[wordBytes:], seedLabel)
	return &Seeded{chacha: rand.NewChaCha8(key)}
}

// Uint64 returns the next word of the stream. It never fails.
func (s *Seeded) Uint64() (uint64, error) { return s.chacha.Uint64(), nil }

// Expand returns the stream. It never fails.
func (s *Seeded) Expand() (*Stream, error) {
	s.stream = Stream{words: s.chacha, shared: true}
	return &s.stream, nil
}

func (*Seeded) sealed() {}
