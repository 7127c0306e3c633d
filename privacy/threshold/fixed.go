package threshold

import "math/bits"

// fixed is an unsigned number with 64 bits before the point (hi) and 128 after
// it (mid, lo). The largest that occurs is 2·(e²⁰·2¹⁶+2¹⁶) < 2⁴⁷.
type fixed struct{ hi, mid, lo uint64 }

// unit is the number 1.
var unit = fixed{hi: 1}

func (a fixed) add(b fixed) fixed {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	mid, carry := bits.Add64(a.mid, b.mid, carry)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return fixed{hi, mid, lo}
}

func (a fixed) sub(b fixed) fixed {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	mid, borrow := bits.Sub64(a.mid, b.mid, borrow)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return fixed{hi, mid, lo}
}

func (a fixed) less(b fixed) bool {
	_, borrow := bits.Sub64(a.lo, b.lo, 0)
	_, borrow = bits.Sub64(a.mid, b.mid, borrow)
	_, borrow = bits.Sub64(a.hi, b.hi, borrow)
	return borrow != 0
}

// shift returns a·2ⁿ for n < 64.
func (a fixed) shift(n uint) fixed {
	return fixed{
		hi:  a.hi<<n | a.mid>>(64-n),
		mid: a.mid<<n | a.lo>>(64-n),
		lo:  a.lo << n,
	}
}

// mul returns a·m; the product must fit.
func (a fixed) mul(m uint64) fixed {
	c0, lo := bits.Mul64(a.lo, m)
	c1, mid := bits.Mul64(a.mid, m)
	mid, carry := bits.Add64(mid, c0, 0)
	hi, _ := bits.Add64(a.hi*m, c1, carry)
	return fixed{hi, mid, lo}
}

// div returns a/d rounded down.
func (a fixed) div(d uint64) fixed {
	hi, rest := a.hi/d, a.hi%d
	mid, rest := bits.Div64(rest, a.mid, d)
	lo, _ := bits.Div64(rest, a.lo, d)
	return fixed{hi, mid, lo}
}

// expLower returns a lower bound of e^(numerator/denominator): the Taylor
// series, all terms positive and each rounded down, until they vanish. It is
// below the exact partial sum of as many terms, term by term, and short of the
// exponential by less than 2⁻¹¹⁵ of it.
func expLower(numerator, denominator uint64) fixed {
	sum, term := unit, unit
	for n := uint64(1); term != (fixed{}); n++ {
		term = term.mul(numerator).div(n * denominator)
		sum = sum.add(term)
	}
	return sum
}

// fraction returns ⌊2⁶⁴·a/b⌋ for a < b < 2⁶³, and whether the quotient is exact.
func fraction(a, b fixed) (q uint64, exact bool) {
	for range 64 {
		a = a.shift(1)
		q <<= 1
		if !a.less(b) {
			a = a.sub(b)
			q |= 1
		}
	}
	return q, a == fixed{}
}
