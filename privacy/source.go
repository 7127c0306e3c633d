package privacy

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// Source gives the randomness of a mechanism, 64 uniform bits at a time. There
// are two, Secure for devices and Seeded for tests and simulation; nobody else
// can write a third. Code that runs on a device asks for *Secure, so that the
// two can't be swapped by mistake.
type Source interface {
	// Uint64 returns 64 fresh uniform bits, or an error, after which nothing
	// may be randomised or sent.
	Uint64() (uint64, error)

	sealed()
}

const wordBytes = 8

// Secure draws from a cryptographic reader. Every word is read when it is
// needed: nothing is read ahead, because bytes in a buffer would be used twice
// by two copies of a restored machine. It fails closed: on an error, a short
// read or a failed health test it returns an error, for ever after.
//
// The health test is the repetition count of NIST SP 800-90B §4.4.1 on words:
// two equal words in a row, which a good source gives once in 2⁶⁴ draws, end
// it. The first draw reads one word more, which is compared and thrown away, so
// that a stuck source never randomises anything.
//
// A Secure is not safe for concurrent use.
type Secure struct {
	reader  io.Reader
	last    uint64
	started bool
	failed  error
	buf     [wordBytes]byte
}

// NewSecure returns a source that reads from r: crypto/rand.Reader on a device.
// It reads nothing yet. A nil reader gives a source that always fails.
func NewSecure(r io.Reader) *Secure { return &Secure{reader: r} }

// Uint64 reads eight bytes. Its errors match ErrEntropy.
func (s *Secure) Uint64() (uint64, error) {
	if s.failed != nil {
		return 0, s.failed
	}
	if !s.started {
		if err := s.start(); err != nil {
			return 0, s.fail(err)
		}
	}
	word, err := s.read()
	if err != nil {
		return 0, s.fail(err)
	}
	if word == s.last {
		return 0, s.fail(errRepeated)
	}
	s.last = word
	return word, nil
}

func (*Secure) sealed() {}

const errRepeated Error = "health test: same word twice"

func (s *Secure) start() error {
	if s.reader == nil {
		return io.ErrUnexpectedEOF
	}
	word, err := s.read()
	if err != nil {
		return err
	}
	s.last, s.started = word, true
	return nil
}

func (s *Secure) fail(cause error) error {
	s.failed = sourceError{cause: cause}
	return s.failed
}

// read makes one call: a reader that gives less than asked is not the kernel's
// generator, and is not trusted to give the rest.
func (s *Secure) read() (uint64, error) {
	n, err := s.reader.Read(s.buf[:])
	if err != nil {
		return 0, err
	}
	if n != wordBytes {
		return 0, io.ErrUnexpectedEOF
	}
	word := binary.LittleEndian.Uint64(s.buf[:])
	s.buf = [wordBytes]byte{}
	return word, nil
}

// Seeded draws from ChaCha8 with a fixed seed: the same reports in every run
// and on every platform. For tests and simulation only; whoever knows the seed
// knows the noise. A Seeded is not safe for concurrent use.
type Seeded struct{ stream *rand.ChaCha8 }

// seedLabel fills the part of ChaCha8's 32 bytes that the seed doesn't.
const seedLabel = "quadrat simulation only!"

// NewSeeded returns the stream with that seed.
func NewSeeded(seed uint64) *Seeded {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	copy(key[wordBytes:], seedLabel)
	return &Seeded{stream: rand.NewChaCha8(key)}
}

// Uint64 returns the next word of the stream. It never fails.
func (s *Seeded) Uint64() (uint64, error) { return s.stream.Uint64(), nil }

func (*Seeded) sealed() {}
