package coordinate

import (
	"math"

	"github.com/quadrat-dev/quadrat/survey/internal/packed"
)

// fault says what no pairs have.
func (p Pairs) fault() string {
	for _, x := range []float64{p.MeanFirst, p.MeanSecond, p.M2First, p.M2Second, p.Cross} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return "no number"
		}
	}
	switch {
	case p.Count < 0 || p.M2First < 0 || p.M2Second < 0:
		return "a count or a square below 0"
	case p.Count == 0 && p != Pairs{}:
		return "sums of no pairs"
	case p.Count == 1 && (p.M2First != 0 || p.M2Second != 0 || p.Cross != 0):
		return "one pair that differs from itself"
	}
	return ""
}

// AppendBinary appends the state's bytes, which docs/format/states.md describes. A state that no pairs have is refused with a
// *[survey.Error] of the code Invalid.
func (p Pairs) AppendBinary(b []byte) ([]byte, error) {
	if fault := p.fault(); fault != "" {
		return b, invalid("pairs: %s", fault)
	}
	b = packed.AppendCount(packed.Begin(b, packed.Pairs), p.Count)
	b = packed.AppendFloat(b, p.MeanFirst, p.MeanSecond)
	return packed.AppendFloat(packed.AppendSize(b, p.M2First, p.M2Second), p.Cross), nil
}

// MarshalBinary returns the state's bytes.
func (p Pairs) MarshalBinary() ([]byte, error) { return p.AppendBinary(nil) }

// UnmarshalBinary reads a state, and refuses bytes that AppendBinary would not have written with a *[survey.Error] of the
// code Invalid that says why; then the receiver stays as it was.
func (p *Pairs) UnmarshalBinary(data []byte) error {
	r := packed.Open(packed.Pairs, data)
	read := Pairs{
		Count: r.Count("count"), MeanFirst: r.Float("first mean"), MeanSecond: r.Float("second mean"),
		M2First: r.Size("first M2"), M2Second: r.Size("second M2"), Cross: r.Float("cross"),
	}
	if fault := read.fault(); fault != "" {
		r.Fail("%s", fault)
	}
	if err := r.Close(); err != nil {
		return invalid("%s", err)
	}
	*p = read
	return nil
}
