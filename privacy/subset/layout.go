package subset

import (
	"encoding/binary"
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/sets"
)

const wordBits = 64

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
func (l layout) append(buf []byte, s *sets.Set) []byte {
	if l.width == 0 {
		return append(buf, s[:l.bytes]...)
	}
	var held uint64
	var count uint32
	for i := range len(s) * 8 / wordBits {
		for word := s.Lane(i); word != 0; word &= word - 1 {
			number := uint64(i*wordBits + bits.TrailingZeros64(word))
			held |= number << (count % wordBits)
			if count += l.width; count >= wordBits {
				buf = binary.LittleEndian.AppendUint64(buf, held)
				count -= wordBits
				held = number >> ((l.width - count) % wordBits)
			}
		}
	}
	for ; count > 0; count -= min(count, 8) {
		buf = append(buf, byte(held))
		held >>= 8
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
