package panel

import "math/bits"

// Draw cuts the arcs of a lap for a frame whose numbers are sorted ascending, so that arc i holds exactly sizes[i] of
// them. The first arc begins at the first number at or after origin, wrapping round the circle; an arc ends just before
// the next number of the frame. There are lapWindows·slots sizes, none negative, and their sum is at most len(numbers).
//
// When the sum equals len(numbers) the arcs partition the whole circle: every device that joins later lands in one too.
// For an empty frame those arcs have equal length.
//
// An arc of size zero is empty: Last[i] = Last[i−1]. The first arc can't be empty, since it spans the offset 0;
// leading arcs of size zero therefore take that one point, and the rotation's Origin is then the point just below the
// first number, which no device of the frame has. Otherwise Origin is the given one.
//
// Draw fails with an *[Error]: Shape for wrong sizes, Sorted for numbers out of order, TooMany for a sum above the frame,
// and Equal when a cut would fall between two devices with the same number, which no arc can tell apart (about once in
// 2^64/N² draws).
func Draw(sorted []Number, origin Number, lapWindows, slots uint32, sizes []int) (Rotation, error) {
	err := checkSizes(len(sorted), lapWindows, slots, sizes)
	if err != nil {
		return Rotation{}, err
	}
	for i := 1; i < len(sorted); i++ {
		if sorted[i] < sorted[i-1] {
			return Rotation{}, &Error{Code: Sorted, Index: i, Number: sorted[i]}
		}
	}
	r := Rotation{LapWindows: lapWindows, Slots: slots, Origin: origin, Last: make([]uint64, len(sizes))}
	if len(sorted) == 0 {
		equalArcs(r.Last)
		return r, nil
	}
	start := firstFrom(sorted, origin)
	if sizes[0] == 0 {
		first := sorted[start]
		r.Origin = first - 1
		if before := sorted[(start+len(sorted)-1)%len(sorted)]; before == r.Origin {
			return Rotation{}, &Error{Code: Equal, Index: 0, Number: before}
		}
	}
	held := 0
	for i, size := range sizes {
		held += size
		switch {
		case held == 0:
			r.Last[i] = 0
		case size == 0:
			r.Last[i] = r.Last[i-1]
		case held == len(sorted):
			r.Last[i] = ^uint64(0)
		default:
			next := offsetOf(sorted, start, held, r.Origin)
			if next == offsetOf(sorted, start, held-1, r.Origin) {
				return Rotation{}, &Error{Code: Equal, Index: i, Number: r.Origin + Number(next)}
			}
			r.Last[i] = next - 1
		}
	}
	return r, nil
}

// checkSizes says whether there are lapWindows·slots sizes, none negative, and the frame has as many numbers.
func checkSizes(frame int, lapWindows, slots uint32, sizes []int) error {
	if lapWindows == 0 || slots == 0 || uint64(len(sizes)) != uint64(lapWindows)*uint64(slots) {
		return &Error{Code: Shape, Index: len(sizes)}
	}
	total := 0
	for i, size := range sizes {
		if size < 0 {
			return &Error{Code: Shape, Index: i}
		}
		if size > frame-total {
			return &Error{Code: TooMany, Index: i}
		}
		total += size
	}
	return nil
}

// equalArcs fills last with the cuts of the whole circle into arcs of equal length.
func equalArcs(last []uint64) {
	k := uint64(len(last))
	for i := range last {
		if uint64(i)+1 == k {
			last[i] = ^uint64(0)
			return
		}
		cut, _ := bits.Div64(uint64(i)+1, 0, k)
		last[i] = cut - 1
	}
}

// Partition returns the sizes of k arcs that n units fill as equally as possible, the larger ones spread evenly over
// the lap: size i = ⌊(i+1)n/k⌋ − ⌊in/k⌋. The sizes differ by at most one and add up to n. A negative n counts as 0; k
// below 1 gives nil.
func Partition(n, k int) []int {
	if k < 1 {
		return nil
	}
	n = max(n, 0)
	sizes := make([]int, k)
	before := uint64(0)
	for i := range sizes {
		high, low := bits.Mul64(uint64(i)+1, uint64(n))
		upTo, _ := bits.Div64(high, low, uint64(k))
		sizes[i] = int(upTo - before)
		before = upTo
	}
	return sizes
}
