package sets

import (
	"math"
	"math/bits"
)

// Coarse says how a set is scattered. Any plan is exact, for Reach mends what it
// leaves; the plan decides how many words that takes.
type Coarse struct {
	// Threshold out of 2⁶⁴ is compared in its first Rounds bits.
	Threshold uint64
	Rounds    uint32
	// Up is 1 if numbers that are still open go into the set, 0 if not.
	Up uint32
}

// Plans are part of what the same randomness gives on every platform: they are
// made of integers, and of square roots, which IEEE 754 rounds correctly.
const (
	// roundsMax bounds the rounds that are considered.
	roundsMax = 8
	// A word costs about wordCost and a try tryCost units of half a nanosecond on a
	// processor of 2.5 GHz.
	wordCost, tryCost = 10, 5
)

// PlanShare returns the cheapest way to draw those of n ≤ 1024 numbers that are
// below a threshold out of 2⁶⁴, not 0, where the ones that are left open are
// counted by Below.
func PlanShare(n uint32, threshold uint64) Coarse {
	best, least := Coarse{}, uint64(math.MaxUint64)
	for rounds := range uint32(roundsMax + 1) {
		words := uint64(n+wordBits-1) / wordBits * uint64(rounds)
		words += 2 * uint64(n>>rounds) / wordBits // for Below
		over := threshold << rounds >> rounds     // the share that is missing if open ones stay outside
		if cost := wordCost*words + tryCost*tries(n, over, -threshold); cost < least {
			best, least = Coarse{threshold, rounds, 0}, cost
		}
		if over == 0 {
			continue // nothing is open below the threshold
		}
		under := uint64(1)<<(wordBits-rounds) - over // for no rounds 2⁶⁴ is 0, and this is 2⁶⁴-over all the same
		if cost := wordCost*words + tryCost*tries(n, under, threshold); cost < least {
			best, least = Coarse{threshold, rounds, 1}, cost
		}
	}
	return best
}

// tries returns how many tries it takes to hit n·missing/2⁶⁴ numbers when a try
// hits with probability hit/2⁶⁴, rounded down; hit > n.
func tries(n uint32, missing, hit uint64) uint64 {
	hi, lo := bits.Mul64(uint64(n), missing)
	quotient, _ := bits.Div64(hi, lo, hit)
	return quotient
}

// PlanSize returns the cheapest way to draw a set of that size among n ≤ 1024
// numbers, size < n.
func PlanSize(n, size uint32) Coarse {
	if size == 0 {
		return Coarse{}
	}
	best, least := Coarse{}, uint64(math.MaxUint64)
	for rounds := range uint32(roundsMax + 1) {
		words := uint64(n+wordBits-1) / wordBits * uint64(rounds)
		share := size << rounds / n
		for up := range uint32(2) {
			if cost := wordCost*words + mending(n, size, share+up, rounds); cost < least {
				best, least = Coarse{uint64(share) << (wordBits - rounds) /* 0 for no rounds */, rounds, up}, cost
			}
		}
	}
	return best
}

// mending is what it costs on average to bring a set to its size in which each of
// n numbers is with probability share/2^rounds. How far its own size lies above is
// nearly normal, with mean d and standard deviation s, and so far from 0 as
// √(d² + s²·2/π) on average, within a few per cent. Distances are in 256ths.
func mending(n, size, share, rounds uint32) uint64 {
	above := int64(uint64(n)*uint64(share)<<8>>rounds) - int64(size)<<8
	variance := uint64(n) * uint64(share) * uint64(uint32(1)<<rounds-share) >> rounds << 16 >> rounds
	away := int64(math.Sqrt(float64(above*above) + float64(variance*7/11)))
	out, in := uint64(away+above)/2, uint64(away-above)/2
	return tryCost * (out*uint64(n)/uint64(size) + in*uint64(n)/uint64(n-size)) >> 8
}
