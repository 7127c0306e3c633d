package frequency

import "slices"

// Consistent returns the nearest shares that are at least 0 and add up to 1: the
// projection on the simplex, known as Norm-Sub (Wang et al., NDSS 2020; Held,
// Wolfe and Crowder 1974). They are for display and must be marked as such: small
// shares are biased upward, and no interval fits them. With no shares it returns
// none.
func Consistent(shares []float64) []float64 {
	sorted := slices.Clone(shares)
	slices.Sort(sorted)
	slices.Reverse(sorted)
	// The largest i shares stay above 0 as long as the last of them exceeds what
	// each must give so that they add up to 1.
	sum, give := 0.0, 0.0
	for i, share := range sorted {
		sum += share
		excess := (sum - 1) / float64(i+1)
		if share <= excess {
			break
		}
		give = excess
	}
	consistent := make([]float64, len(shares))
	for i, share := range shares {
		consistent[i] = max(0, share-give)
	}
	return consistent
}
