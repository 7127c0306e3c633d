package engine

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// more is the bit of each byte of a word that says that a varint goes on.
const more = 0x8080808080808080

// appendWords, appendVarints and appendSigned read packed arrays; ok is false for one that ends half-way.
func appendWords(into []uint64, b []byte) (out []uint64, ok bool) {
	if len(b)%8 != 0 {
		return into, false
	}
	into = slices.Grow(into, len(b)/8)
	for ; len(b) >= 8; b = b[8:] {
		into = append(into, binary.LittleEndian.Uint64(b))
	}
	return into, true
}

func appendVarints(into []uint64, b []byte) (out []uint64, ok bool) {
	into = slices.Grow(into, len(b))
	for len(b) >= 8 {
		word := binary.LittleEndian.Uint64(b)
		if word&more != 0 {
			break
		}
		into = append(into, word&0xff, word>>8&0xff, word>>16&0xff, word>>24&0xff, word>>32&0xff, word>>40&0xff, word>>48&0xff, word>>56)
		b = b[8:]
	}
	for len(b) > 0 {
		v, n := varint(b)
		if n < 0 {
			return into, false
		}
		into = append(into, v)
		b = b[n:]
	}
	return into, true
}

func appendSigned(into []int64, b []byte) (out []int64, ok bool) {
	into = slices.Grow(into, len(b))
	for len(b) > 0 {
		v, n := varint(b)
		if n < 0 {
			return into, false
		}
		into = append(into, protowire.DecodeZigZag(v))
		b = b[n:]
	}
	return into, true
}

// varint is protowire.ConsumeVarint. One of up to four bytes that isn't among the last of an array is read without a branch, since
// nothing tells beforehand how long the next value is.
func varint(b []byte) (v uint64, n int) {
	if len(b) < 8 {
		return protowire.ConsumeVarint(b)
	}
	word := binary.LittleEndian.Uint64(b)
	end := bits.TrailingZeros64(^word & more) // the last bit of the varint
	if end >= 32 {
		return protowire.ConsumeVarint(b)
	}
	word &= 1<<(end+1) - 1
	return word&0x7f | word>>1&0x3f80 | word>>2&0x1fc000 | word>>3&0xfe00000, end>>3 + 1
}
