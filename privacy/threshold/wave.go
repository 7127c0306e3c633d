package threshold

import "math/bits"

// Wave returns the width of a square wave's window on a grid, levels·2b with
// b = (εe^ε-e^ε+1)/(2e^ε(e^ε-1-ε)) (Li et al. 2020), rounded to the nearest, at
// least 1 and at most levels. Any value is private; this one makes the outputs
// tell most about the inputs.
func Wave(epsilonMicro uint64, levels uint32) uint32 {
	e, above, rest := waveSeries(epsilonMicro)
	// above < e·rest < 2⁵⁸, since b < 1/2.
	share, _ := fraction(above, e.times(rest))
	double, _ := bits.Mul64(share, 2*uint64(levels))
	return max(1, min(levels, uint32((double+1)/2)))
}

// waveSeries returns e^ε, εe^ε-e^ε+1 = Σ(n-1)εⁿ/n! and e^ε-1-ε = Σεⁿ/n!, the
// sums from n = 2, with all terms rounded down as in expLower. No difference of
// large numbers is taken, so that small ε keep their digits.
func waveSeries(epsilonMicro uint64) (e, above, rest fixed) {
	term := unit.mul(epsilonMicro).div(one)
	e = unit.add(term)
	for n := uint64(2); term != (fixed{}); n++ {
		term = term.mul(epsilonMicro).div(n * one)
		rest = rest.add(term)
		above = above.add(term.mul(n - 1))
	}
	return e.add(rest), above, rest
}

// times returns a·b, short by less than 2⁻⁶³; the product must fit.
func (a fixed) times(b fixed) fixed {
	product := a.mul(b.hi)
	product = product.add(fixed{mid: a.hi, lo: a.mid}.mul(b.mid))
	return product.add(fixed{lo: a.hi}.mul(b.lo))
}
