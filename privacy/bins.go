package privacy

import "math/bits"

// Bin is which of so many equal bins between the bounds holds x, from 0. A bin
// holds its lower edge; what lies outside the bounds is in the first bin or the
// last one. Exact integers, 128 bits inside. Bounds that are not valid, and no
// bins, give 0.
func (b Bounds) Bin(x Micro, bins uint32) uint32 {
	if b.Validate() != nil || bins == 0 {
		return 0
	}
	x = max(b.Lo, min(b.Hi, x))
	hi, lo := bits.Mul64(uint64(x-b.Lo), uint64(bins))
	// The quotient is at most bins, so hi is below the span and Div64 can't fault.
	bin, _ := bits.Div64(hi, lo, uint64(b.Hi-b.Lo))
	return uint32(min(bin, uint64(bins)-1))
}

// Whole is the whole number that is nearest to x, halves up, counted from the
// lower bound; what lies outside the bounds counts as the bound. Bounds that are
// not valid or not whole numbers give 0.
func (b Bounds) Whole(x Micro) uint32 {
	if _, ok := b.Wholes(); !ok {
		return 0
	}
	x = max(b.Lo, min(b.Hi, x))
	return uint32((uint64(x-b.Lo) + microsPerUnit/2) / microsPerUnit)
}

// Wholes counts the whole numbers from the lower bound to the upper one; ok is
// false when the bounds are not valid, not whole numbers, or too far apart.
func (b Bounds) Wholes() (n uint32, ok bool) {
	if b.Validate() != nil || b.Lo%microsPerUnit != 0 || b.Hi%microsPerUnit != 0 {
		return 0, false
	}
	count := uint64(b.Hi-b.Lo) / microsPerUnit
	return uint32(count + 1), count < 1<<31
}

const microsPerUnit = 1_000_000
