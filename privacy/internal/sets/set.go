// Package sets draws random sets of up to 1024 numbers, exactly: a set in which
// each number is with a probability of its own threshold, or a set of a given
// size of which each is as likely as any other.
//
// It stands below subset selection and unary encoding. A set is drawn in two
// steps: coarsely, 64 numbers at a time, with a probability of few bits that is
// near the wanted one, and then number by number until its size is right. How
// many words that takes depends on the words alone; nothing in here knows a
// category.
//
//	var s sets.Set
//	size, open := s.Scatter(words, n, coarse)
//	err := s.Reach(words, n, size, wanted)
package sets

import (
	"encoding/binary"
	"math/bits"
)

// Max is how many numbers a set may hold.
const Max = 1024

const (
	byteBits = 8
	wordBits = 64
	// lanesMax is the number of words that hold a set.
	lanesMax = Max / wordBits
)

// Set is a set of the numbers 0…1023, a bit for each: number n is bit n mod 8,
// counted from the lowest, of byte n/8. It is bytes and not words because single
// numbers are put in one after another: the shorter the piece of memory, the less
// often one has to wait for the one before.
type Set [Max / byteBits]byte

// Has returns 1 if the number is in the set.
func (s *Set) Has(number uint32) uint32 {
	return uint32(s[number/byteBits%uint32(len(s))]>>(number%byteBits)) & 1
}

// Put puts the number into the set if bit is 1 and takes it out if it is 0,
// without a branch.
func (s *Set) Put(number, bit uint32) {
	at := &s[number/byteBits%uint32(len(s))]
	*at = *at&^(1<<(number%byteBits)) | byte(bit)<<(number%byteBits)
}

// Lane returns the numbers 64i…64i+63 as a word, the lowest as the lowest bit.
func (s *Set) Lane(i int) uint64 {
	return binary.LittleEndian.Uint64(s[i*byteBits:])
}

// Size counts the numbers in the set.
func (s *Set) Size() uint32 {
	size := 0
	for i := range lanesMax {
		size += bits.OnesCount64(s.Lane(i))
	}
	return uint32(size)
}
