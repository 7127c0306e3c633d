package privacy

import "math/rand/v2"

// Stream is the random words of one report that needs many: a key of 32 bytes
// from the source, expanded by ChaCha8, which is designed as a generator that
// can't be told from uniform words by anybody who lacks the key (Aumasson 2019,
// on eight rounds; C2SP chacha8rand). So the mechanism that reads them keeps its
// ε against everybody who can't break ChaCha8, where one that reads single words
// keeps it against everybody who can't break the kernel's own generator.
//
// Nothing of a key outlives its report: two copies of a machine that was saved
// between reports, or forked, read different keys, and two copies of one that
// was saved in the midst of a report, when its input is fixed, end that very
// report with the same bytes and go different ways from there.
//
// A Stream never fails: the one read that can is made before it is handed out. It
// is not safe for concurrent use, and panics when it is used after Discard.
type Stream struct {
	words *rand.ChaCha8
	// shared says that they are the source's own and go on.
	shared bool
}

// Uint64 returns the next word.
func (s *Stream) Uint64() uint64 { return s.words.Uint64() }

// Fill sets every entry to a word, in order.
func (s *Stream) Fill(words []uint64) {
	for i := range words {
		words[i] = s.words.Uint64()
	}
}

// Discard wipes the key and what was expanded of it. It may be called twice.
func (s *Stream) Discard() {
	if s.words != nil && !s.shared {
		*s.words = rand.ChaCha8{}
	}
	s.words = nil
}
