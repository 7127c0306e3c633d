package threshold

import "math/bits"

// Plateau returns the number of words out of 2⁶⁴ with which the mechanism of three outputs answers nothing, at most: the share a
// that minimises the mean variance over readings spread evenly between the bounds. With r = e^-ε it is the positive root of
// r(1+2r-r²)a² + 2(1-3r²)a - 2(1-2r) = 0 to 2⁻²⁸, and at least 1/256, which it falls below up to ε = 0.70. Any number is
// private; privacy/threeoutput/PROOF.md tells where this one comes from.
func Plateau(epsilonMicro uint64) uint64 {
	const (
		whole = 1 << 32 // the number 1 below
		least = 1 << 56
	)
	r, _ := fraction(unit, expLower(epsilonMicro, one).add(fixed{lo: 1})) // below 2⁶⁴, since E ≥ 1
	r >>= 32
	if 2*r >= whole {
		return least
	}
	// a = 2(1-2r)/(m+√(m²+2r(1+2r-r²)(1-2r))) with m = 1-3r², which lies between 1/4 and 1. The root is taken of a quarter.
	square := r * r >> 32
	middle, gap := whole-3*square, whole-2*r
	curve := r * (whole + 2*r - square) >> 32
	root := root((middle/2)*(middle/2) + curve*gap/2)
	share, _ := bits.Div64(gap>>31, gap<<33, middle+2*root) // 2³²·a, below 2³² as r > 0
	return max(least, share<<32)
}

// root returns the square root rounded down.
func root(n uint64) uint64 {
	whole := uint64(0)
	for bit := 31; bit >= 0; bit-- {
		if next := whole | 1<<bit; next*next <= n {
			whole = next
		}
	}
	return whole
}

// Floor returns the smallest even number of words that is at least most/E, E the lower bound of e^ε: what is answered with most
// words for one input must be with so many for every other. most is even and above 0.
func Floor(epsilonMicro, most uint64) uint64 {
	q, exact := fraction(fixed{mid: most}, expLower(epsilonMicro, one))
	if !exact {
		q++
	}
	return (q + 1) &^ 1
}

// Lean returns the largest multiple s of 2¹⁶ with n+s ≤ E(n-s), n = 2⁶⁴-rest and E the lower bound of e^ε: how many words more
// than the other one a sign may have of n that the two share. rest is above 0.
func Lean(epsilonMicro, rest uint64) uint64 {
	n := -rest
	// n+s ≤ E(n-s) just when n-s ≥ 2n/(E+1).
	less, exact := fraction(fixed{mid: n}, expLower(epsilonMicro, one).add(unit))
	if !exact {
		less++
	}
	return (n - 2*less) &^ (1<<16 - 1)
}
