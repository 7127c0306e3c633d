package subset

import (
	"encoding/binary"
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
)

const wordBits = 64

// set is a set of categories, a bit for each.
type set [MaxCategories / wordBits]uint64

// has returns 1 if the category is in the set.
func (s *set) has(category uint32) uint32 {
	return uint32(s[category/wordBits]>>(category%wordBits)) & 1
}

// insert puts the category into the set if bit is 1 and leaves the set alone if
// it is 0.
func (s *set) insert(category, bit uint32) {
	s[category/wordBits] |= uint64(bit) << (category % wordBits)
}

// open makes room for the category: every number from it on becomes one more.
// The set holds numbers below categories-1.
func (s *set) open(category, categories uint32) {
	carry := uint64(0)
	for i := range s[:(categories+wordBits-1)/wordBits] {
		// The bits of this word below the category stay; shifts of 64 leave 0.
		below := max(0, min(wordBits, int(category)-i*wordBits))
		stay := uint64(1)<<below - 1
		moved := s[i] &^ stay
		s[i] = s[i]&stay | moved<<1 | carry
		carry = moved >> (wordBits - 1)
	}
}

// layout says how the sets of a mechanism are written, all alike and each in one
// way only: as k bits, or as w numbers in ascending order, whichever is shorter.
// It follows from k and w alone.
type layout struct {
	categories, size uint32
	bytes            int
	// width is the number of bits of a number, 0 for the form of k bits.
	width uint32
}

func layoutOf(categories, size uint32) layout {
	l := layout{categories: categories, size: size, bytes: int(categories+7) / 8}
	width := uint32(bits.Len32(categories - 1))
	if list := int(size*width+7) / 8; list < l.bytes {
		l.width, l.bytes = width, list
	}
	return l
}

// append writes the set. How long it takes depends on the set, which is what is
// sent.
func (l layout) append(buf []byte, s *set) []byte {
	if l.width == 0 {
		whole := l.bytes / 8
		for _, word := range s[:whole] {
			buf = binary.LittleEndian.AppendUint64(buf, word)
		}
		for i := range l.bytes % 8 {
			buf = append(buf, byte(s[whole]>>(8*i)))
		}
		return buf
	}
	var held, count uint32
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			number := uint32(i*wordBits + bits.TrailingZeros64(word))
			held |= number << count
			for count += l.width; count >= 8; count -= 8 {
				buf = append(buf, byte(held))
				held >>= 8
			}
		}
	}
	if count > 0 {
		buf = append(buf, byte(held))
	}
	return buf
}

// read appends the elements of the set in ascending order. It fails with
// privacy.ErrCode unless append writes these very bytes for some set of size
// elements.
func (l layout) read(report []byte, into []uint32) ([]uint32, error) {
	if len(report) != l.bytes {
		return into, privacy.ErrCode
	}
	given := len(into)
	if l.width == 0 {
		for i, b := range report {
			for ; b != 0; b &= b - 1 {
				into = append(into, uint32(8*i+bits.TrailingZeros8(b)))
			}
		}
	} else {
		into = l.numbers(report, into)
	}
	found := into[given:]
	if uint32(len(found)) != l.size {
		return into[:given], privacy.ErrCode
	}
	for i, c := range found {
		if c >= l.categories || i > 0 && c <= found[i-1] {
			return into[:given], privacy.ErrCode
		}
	}
	return into, nil
}

// numbers appends what a list holds, in whatever order; bits behind the last
// number that aren't 0 make it one number too long.
func (l layout) numbers(report []byte, into []uint32) []uint32 {
	var held, count, found uint32
	for _, b := range report {
		held |= uint32(b) << count
		count += 8
		for count >= l.width && found < l.size {
			into = append(into, held&(1<<l.width-1))
			held >>= l.width
			count -= l.width
			found++
		}
	}
	if held != 0 {
		into = append(into, held)
	}
	return into
}
