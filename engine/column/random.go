package column

// Shuffle numbers the reports of one window of a kappa at random: the number of a report is a fixed function of the
// kappa's reference, the window's start and the device's pseudonym. Pseudonyms are a keyed hash of identities, so the
// numbers don't depend on anything that is measured, on the panel or on its strata. Reports in the order of their
// numbers are a random permutation of the window; any run of them is a simple random sample of its reports, and those
// below p are a Bernoulli sample with probability p. Numbers of different windows are unrelated.
//
// The permanent random numbers that panels are drawn by would not do. They follow from the device's identity and the
// kappa's public salt, so whoever can guess identities could match them with pseudonyms; and a panel is an arc of them for
// each stratum and statistic, so their order puts one stratum before the other.
type Shuffle uint64

// ShuffleOf is the shuffle of a window of a kappa; the window's start is in milliseconds from the UTC epoch.
func ShuffleOf(ref string, windowStartMs int64) Shuffle {
	h := uint64(0xcbf29ce484222325) // FNV-1a of 64 bits
	for i := range len(ref) {
		h = (h ^ uint64(ref[i])) * 0x100000001b3
	}
	return Shuffle(mix(h + uint64(windowStartMs)*0x9e3779b97f4a7c15))
}

// Of is the number of a device's report: k/2³² with a whole k, uniform in [0, 1).
func (s Shuffle) Of(device uint64) float64 { return Fraction(s.Number(device)) }

// Number is k of that number, k/2³².
func (s Shuffle) Number(device uint64) uint32 { return uint32(mix(uint64(s)^device) >> 32) }

// Fraction is k/2³².
func Fraction(k uint32) float64 { return float64(k) / (1 << 32) }

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, with the constants of Stafford's variant 13), a
// bijection of 64 bits.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
