package threshold

import "math/bits"

// Below returns 1 if r < t and 0 otherwise, without a branch: both may depend
// on the reading.
func Below(r, t uint64) uint32 {
	_, borrow := bits.Sub64(r, t, 0)
	return uint32(borrow)
}

// Choose returns a if bit is 1 and b if it is 0, without a branch.
func Choose(bit, a, b uint32) uint32 {
	return b ^ (-bit & (a ^ b))
}
