package privacy

import "math/bits"

// Bounds is the public range [Lo, Hi] of a statistic's argument. It comes from
// the script, never from data: bounds taken from readings leak them.
type Bounds struct{ Lo, Hi Micro }

// NewBounds returns the bounds, or ErrBounds unless lo < hi and hi-lo fits in a
// Micro.
func NewBounds(lo, hi Micro) (Bounds, error) {
	b := Bounds{Lo: lo, Hi: hi}
	return b, b.Validate()
}

// Validate returns ErrBounds unless Lo < Hi and the span fits in a Micro.
func (b Bounds) Validate() error {
	if b.Lo >= b.Hi || b.Hi-b.Lo < 0 {
		return ErrBounds
	}
	return nil
}

// Level clips x to the bounds and rounds it to the nearest point of the grid
// 0…levels, halves up: Lo is 0, Hi is levels. Exact integers, 128 bits inside.
// Bounds that are not valid give 0. How long it takes may depend on x: reports
// leave a device on the clock of their window, not when they are ready.
func (b Bounds) Level(x Micro, levels uint32) uint32 {
	if b.Validate() != nil {
		return 0
	}
	x = max(b.Lo, min(b.Hi, x))
	span := uint64(b.Hi - b.Lo)
	hi, lo := bits.Mul64(uint64(x-b.Lo), uint64(levels))
	lo, carry := bits.Add64(lo, span/2, 0)
	// The quotient is at most levels, so hi+carry < span and Div64 can't fault.
	level, _ := bits.Div64(hi+carry, lo, span)
	return uint32(min(level, uint64(levels)))
}

// Clipped says whether x lies outside the bounds, so that Level changes it by
// more than the rounding. It depends on the reading: it must not leave the
// device.
func (b Bounds) Clipped(x Micro) bool { return x < b.Lo || x > b.Hi }

// Score takes a score from the unit scale, where Lo is 0 and Hi is 1, to the
// unit of the reading.
func (b Bounds) Score(unit float64) float64 {
	// The conversion forbids a fused multiply-add: the same bits everywhere.
	return b.Lo.Float64() + float64(unit*b.span())
}

// Variance takes a variance from the unit scale to the squared unit of the
// reading.
func (b Bounds) Variance(unit float64) float64 {
	return unit * b.span() * b.span()
}

func (b Bounds) span() float64 { return (b.Hi - b.Lo).Float64() }
