package summary

import (
	"math"
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
)

// million is one unit in millionths.
const million = 1_000_000

// Summary is the running summary of the readings of one window. The zero value holds none. It is a plain value, to be
// copied freely; it is not safe for concurrent changes.
type Summary struct {
	count          uint64
	high           int64  // upper half of the sum, 128 bits, two's complement
	low            uint64 // lower half
	last, min, max privacy.Micro
	partial        bool
}

// Add takes one more reading in.
func (s *Summary) Add(x privacy.Micro) {
	if s.count == 0 {
		s.min, s.max = x, x
	}
	s.count++
	s.last, s.min, s.max = x, min(s.min, x), max(s.max, x)
	low, carry := bits.Add64(s.low, uint64(x), 0)
	s.low = low
	s.high += int64(x)>>63 + int64(carry)
}

// Count is the number of readings.
func (s *Summary) Count() uint64 { return s.count }

// MarkPartial says that readings of the window may be missing, because the device began to listen after the window did.
func (s *Summary) MarkPartial() { s.partial = true }

// Value returns the summary of a kind: "avg", rounded to the nearest millionth, "last", "min", "max", "sum" or "count",
// in millionths; a sum or count that doesn't fit is the nearest number that does. It is false when there are no readings, when the
// kind is another word, and for the sum and count of a window that is partial: those would be too small.
func (s *Summary) Value(kind string) (privacy.Micro, bool) {
	if s.count == 0 {
		return 0, false
	}
	switch kind {
	case "avg":
		return s.average(), true
	case "last":
		return s.last, true
	case "min":
		return s.min, true
	case "max":
		return s.max, true
	case "sum":
		return s.sum(), !s.partial
	case "count":
		return privacy.Micro(min(s.count, math.MaxInt64/million) * million), !s.partial
	}
	return 0, false
}

// average rounds to the nearest, halves away from zero.
func (s *Summary) average() privacy.Micro {
	high, low := uint64(s.high), s.low
	if s.high < 0 {
		high, low = negate(high, low)
	}
	low, carry := bits.Add64(low, s.count/2, 0)
	// The sum is at most count·2⁶³, so the quotient fits.
	quotient, _ := bits.Div64(high+carry, low, s.count)
	if s.high < 0 {
		return -privacy.Micro(quotient)
	}
	return privacy.Micro(min(quotient, math.MaxInt64))
}

func (s *Summary) sum() privacy.Micro {
	switch {
	case s.high == 0 && s.low <= math.MaxInt64, s.high == -1 && s.low > math.MaxInt64:
		return privacy.Micro(s.low)
	case s.high < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

func negate(high, low uint64) (uint64, uint64) {
	low, borrow := bits.Sub64(0, low, 0)
	high, _ = bits.Sub64(0, high, borrow)
	return high, low
}
