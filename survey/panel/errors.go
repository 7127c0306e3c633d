package panel

// Code says which law a rotation or a draw breaks.
type Code uint8

// The codes of an [Error].
const (
	Shape   Code = iota + 1 // the number of arcs isn't LapWindows·Slots, or a size is negative
	Order                   // Last decreases
	Sorted                  // the frame's numbers aren't sorted ascending
	TooMany                 // the arcs ask for more numbers than the frame has
	Equal                   // two devices of the frame share a number, or leave no room, where a cut must fall
)

// Error is the one error type of this package. Compare its Code after errors.As.
type Error struct {
	Code   Code
	Index  int    // the arc (Shape, Order, TooMany, Equal) or the position in the frame (Sorted)
	Number Number // the number that Sorted and Equal speak of
}

// Error names the law, the place and, where there is one, the number in hexadecimal.
func (e *Error) Error() string {
	switch e.Code {
	case Shape:
		return "panel: the number of arcs isn't windows times slots, or a size is negative"
	case Order:
		return "panel: the arcs' ends decrease"
	case Sorted:
		return "panel: the frame's numbers aren't sorted at " + e.Number.String()
	case TooMany:
		return "panel: the arcs ask for more devices than the frame has"
	case Equal:
		return "panel: two devices share the number " + e.Number.String() + " where an arc must end"
	}
	return "panel: unknown error"
}

// String returns the number as 16 hexadecimal digits.
func (n Number) String() string {
	const digits = "0123456789abcdef"
	var text [16]byte
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = digits[n&15]
		n >>= 4
	}
	return string(text[:])
}
