package panel

import "sort"

// Rotation is the arcs of one stratum for a whole lap: LapWindows·Slots consecutive arcs of the circle, measured from
// Origin in the direction of growing numbers. Arc i belongs to window i / Slots of the lap and to slot i mod Slots.
//
// Last[i] is the inclusive last offset (Number − Origin mod 2^64) of arc i. Last doesn't decrease; arc i spans the
// offsets from Last[i−1]+1 (from 0 for the first one) to Last[i], and is empty when the two are equal. Offsets beyond
// the last arc rest in this lap. The first arc always spans at least the offset 0. FIXED panels have LapWindows = 1.
//
// A Rotation is a plain value that its owner may copy and that methods never change; concurrent readers are safe.
type Rotation struct {
	LapWindows uint32   // windows per lap, at least 1
	Slots      uint32   // statistics that take turns, at least 1
	Origin     Number   // where offset 0 stands
	Last       []uint64 // inclusive last offset of each arc, LapWindows·Slots of them
}

// Validate reports the first law of the type that r breaks, as an *[Error], or nil. The methods of a rotation that
// isn't valid answer "not due"; they never panic.
func (r Rotation) Validate() error {
	if r.LapWindows == 0 || r.Slots == 0 {
		return &Error{Code: Shape, Index: -1}
	}
	if uint64(len(r.Last)) != uint64(r.LapWindows)*uint64(r.Slots) {
		return &Error{Code: Shape, Index: len(r.Last)}
	}
	for i := 1; i < len(r.Last); i++ {
		if r.Last[i] < r.Last[i-1] {
			return &Error{Code: Order, Index: i}
		}
	}
	return nil
}

// Place returns the window of the lap (0 … LapWindows−1) and the slot (0 … Slots−1) whose arc holds n; ok is false when
// n rests in this lap. It takes the logarithm of the number of arcs in time and no memory.
func (r Rotation) Place(n Number) (window, slot uint32, ok bool) {
	if r.Slots == 0 {
		return 0, 0, false
	}
	offset := uint64(n - r.Origin)
	low, high := 0, len(r.Last)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if r.Last[middle] >= offset {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if low == len(r.Last) || uint64(low) >= uint64(r.LapWindows)*uint64(r.Slots) {
		return 0, 0, false
	}
	return uint32(low) / r.Slots, uint32(low) % r.Slots, true
}

// Due says whether the device with number n reports in the window with this index (window start / window length, from
// the UTC epoch; never due in a negative one), and which of the Slots statistics it answers then:
//
//	statistic = (slot + lap) mod Slots, where lap = index / LapWindows
//
// so that a device answers the statistics in turn, lap after lap. It is due at most once in each LapWindows
// consecutive windows, always at the same place of the lap.
func (r Rotation) Due(n Number, windowIndex int64) (statistic uint32, due bool) {
	if windowIndex < 0 || r.LapWindows == 0 {
		return 0, false
	}
	window, slot, ok := r.Place(n)
	if !ok || uint64(windowIndex)%uint64(r.LapWindows) != uint64(window) {
		return 0, false
	}
	lap := uint64(windowIndex) / uint64(r.LapWindows)
	slots := uint64(r.Slots)
	return uint32((uint64(slot) + lap%slots) % slots), true
}

// TurnWindows is how many windows a lap must have for the panels to move on to those who rest at its end. Shorter laps are
// repeated for about as many windows first, so that not every window needs a broadcast.
const TurnWindows = 60

// Rests says whether some offsets stand in no arc, so that devices may rest.
func (r Rotation) Rests() bool {
	return len(r.Last) > 0 && r.Last[len(r.Last)-1] != ^uint64(0)
}

// Next returns the origin for the following lap: the first number that rested in r, or r's origin when none did. The
// numbers must be sorted ascending.
func Next(sorted []Number, r Rotation) Number {
	if len(r.Last) == 0 || len(sorted) == 0 {
		return r.Origin
	}
	last := r.Last[len(r.Last)-1]
	start := firstFrom(sorted, r.Origin)
	k := sort.Search(len(sorted), func(k int) bool {
		return offsetOf(sorted, start, k, r.Origin) > last
	})
	if k == len(sorted) {
		return r.Origin
	}
	return sorted[(start+k)%len(sorted)]
}

// firstFrom returns the index of the first number at or after origin, wrapping to 0.
func firstFrom(sorted []Number, origin Number) int {
	i := sort.Search(len(sorted), func(i int) bool { return sorted[i] >= origin })
	if i == len(sorted) {
		return 0
	}
	return i
}

// offsetOf returns the offset from origin of the k-th number counted from start, wrapping; it doesn't decrease in k.
func offsetOf(sorted []Number, start, k int, origin Number) uint64 {
	i := start + k
	if i >= len(sorted) {
		i -= len(sorted)
	}
	return uint64(sorted[i] - origin)
}
