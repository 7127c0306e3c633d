package threshold

// Beyond subsetLast a subset of up to 1024 categories has one element: it keeps
// e^(2ε) small enough for the fixed point.
const subsetLast = 7 * one

// Subset returns the size of the subsets that subset selection reports: the
// smallest w ≥ 1 with e^(2ε)·w(w+1) ≥ (k-w)(k-w-1), which is the size of least
// total variance (Ye and Barg 2018: the variance grows with
// e^(2ε)·w/(k-w) + (k-w)/w). Any size is private. categories is in 2…1024.
func Subset(epsilonMicro uint64, categories uint32) uint32 {
	square := expLower(2*min(epsilonMicro, subsetLast), one)
	w := uint64(1)
	for {
		out := uint64(categories) - w
		if !square.mul(w * (w + 1)).less(fixed{hi: out * (out - 1)}) {
			return uint32(w)
		}
		w++
	}
}

// Hashes returns the number of hash values of local hashing: e^ε rounded to the
// nearest, plus 1, but at most most: the number of least variance (Wang et al.
// 2017). Any number from 2 on is private.
func Hashes(epsilonMicro uint64, most uint32) uint32 {
	e := expLower(epsilonMicro, one).add(fixed{mid: 1 << 63})
	return uint32(min(e.hi+1, uint64(most)))
}
