package privacy

import "math/rand/v2"

// Holds says whether the source keeps a key, words expanded of one, or bytes that
// it read for a report.
func (s *Secure) Holds() bool {
	return s.chacha != rand.ChaCha8{} || s.stream != Stream{} || s.buf != [len(s.buf)]byte{}
}
