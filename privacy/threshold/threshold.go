// Package threshold derives the integers that the mechanisms compare random
// words with from ε alone, by integer arithmetic: the same bits on every
// platform, never taken from a server.
//
// Every function rounds toward privacy: it works with a lower bound of e^ε, so
// that the ratio that its integers make can't exceed e^ε. The package imports
// only math/bits, allocates nothing and runs on the smallest devices; deriving
// all thresholds takes some tens of microseconds, once per plan.
//
//	flip := threshold.Flip(1_000_000) // ε = 1: lie with probability flip/2⁶⁴
package threshold

// one is the denominator of ε given in millionths, two that of ε/2.
const (
	one = 1_000_000
	two = 2_000_000
)

// Flip returns ⌈2⁶⁴/(E+1)⌉, E the lower bound of e^ε: the number of words out
// of 2⁶⁴ that make a bit lie. (2⁶⁴-T)/T ≤ e^ε. ε is in millionths, 1…20·10⁶.
func Flip(epsilonMicro uint64) uint64 {
	e := expLower(epsilonMicro, one)
	q, exact := fraction(unit, e.add(unit))
	if !exact {
		q++
	}
	return q
}

// FlipEven is Flip rounded up to a multiple of 2¹⁵, so that a bias that is
// linear over a grid of up to 2¹⁶ steps consists of whole words.
func FlipEven(epsilonMicro uint64) uint64 {
	const step = 1 << 15
	return (Flip(epsilonMicro) + step - 1) &^ (step - 1)
}

// Window returns levels·e^(-ε/2) rounded to the nearest, at least 1: the cells
// of a piecewise mechanism's window. Any value is private; this one is the one
// of least variance (Wang et al. 2019).
func Window(epsilonMicro uint64, levels uint32) uint32 {
	half := expLower(epsilonMicro, two)
	// ⌊2·levels/E⌋, then the half. E ≥ 1, so the quotient is at most 2·levels.
	rest := fixed{hi: 2 * uint64(levels)}
	quotient := uint32(0)
	for bit := 17; bit >= 0; bit-- {
		shifted := half.shift(uint(bit))
		if !rest.less(shifted) {
			rest = rest.sub(shifted)
			quotient |= 1 << bit
		}
	}
	return max(1, (quotient+1)/2)
}

// Split returns the largest τ with τ·levels ≤ (2⁶⁴-τ)·window·E, E the lower
// bound of e^ε: the number of words out of 2⁶⁴ that choose the window. The
// densities inside and outside then differ by at most e^ε. window and levels
// are at most 2¹⁶.
func Split(epsilonMicro uint64, window, levels uint32) uint64 {
	inside := expLower(epsilonMicro, one).mul(uint64(window))
	q, _ := fraction(inside, inside.add(fixed{hi: uint64(levels)}))
	return q
}
