package confseq

import (
	"math"

	"github.com/quadrat-dev/quadrat/survey/internal/packed"
)

// The states of this package are written as docs/format/states.md says, with all that was fixed beforehand: what was read goes on
// exactly as what was written would have. AppendBinary refuses a sequence that no values have, UnmarshalBinary bytes that
// AppendBinary would not have written, both with a *[survey.Error] of the code Invalid that says why; then the receiver
// stays as it was.

// within says what is wrong with sums of count values on the scale [0, 1].
func within(count int64, sums ...float64) string {
	for _, x := range sums {
		if x < 0 || x > float64(count)*(1+slack) {
			return "sums that so many values can't have"
		}
	}
	return ""
}

// slack is what rounding may add to a sum.
const slack = 1e-9

func (a Asymptotic) fault() string {
	switch {
	case !positive(a.TimeBest) || !finite(a.Mean) || !finite(a.M2) || a.M2 < 0 || a.Count < 0:
		return "a time to tune for that isn't above 0, a count or a square below 0, or no number"
	case a.Count == 0 && (a.Mean != 0 || a.M2 != 0):
		return "sums of no values"
	case a.Count == 1 && a.M2 != 0:
		return "one value that differs from itself"
	}
	return ""
}

// AppendBinary appends the state's bytes. Its errors are *[survey.Error] with the code Invalid.
func (a Asymptotic) AppendBinary(b []byte) ([]byte, error) {
	if fault := a.fault(); fault != "" {
		return b, invalid("%s", fault)
	}
	b = packed.AppendFloat(packed.AppendCount(packed.Begin(b, packed.Asymptotic), a.Count), a.Mean)
	return packed.AppendSize(b, a.M2, a.TimeBest), nil
}

// MarshalBinary returns the state's bytes.
func (a Asymptotic) MarshalBinary() ([]byte, error) { return a.AppendBinary(nil) }

// UnmarshalBinary reads a state. Its errors are *[survey.Error] with the code Invalid.
func (a *Asymptotic) UnmarshalBinary(data []byte) error {
	r := packed.Open(packed.Asymptotic, data)
	read := Asymptotic{Count: r.Count("count"), Mean: r.Float("mean"), M2: r.Size("M2"), TimeBest: r.Size("time")}
	return keep(a, read, read.fault(), r)
}

// keep takes a state that was read, unless there was a fault.
func keep[S any](into *S, read S, fault string, r *packed.Reader) error {
	if fault != "" {
		r.Fail("%s", fault)
	}
	if err := r.Close(); err != nil {
		return invalid("%s", err)
	}
	*into = read
	return nil
}

// AppendBinary appends the state's bytes.
func (e *EmpiricalBernstein) AppendBinary(b []byte) ([]byte, error) {
	if e.count < 1 && e.support == (Range{}) {
		return b, invalid("a sequence that nobody made")
	}
	b = packed.AppendFloat(packed.Begin(b, packed.EmpiricalBernstein), e.support.Low, e.support.High)
	b = packed.AppendSize(b, e.confidence, e.varianceBest)
	return packed.AppendSize(packed.AppendCount(b, e.count), e.sum, e.variance), nil
}

// MarshalBinary returns the state's bytes.
func (e *EmpiricalBernstein) MarshalBinary() ([]byte, error) { return e.AppendBinary(nil) }

// UnmarshalBinary reads a state. Its errors are *[survey.Error] with the code Invalid.
func (e *EmpiricalBernstein) UnmarshalBinary(data []byte) error {
	r := packed.Open(packed.EmpiricalBernstein, data)
	support := Range{Low: r.Float("low"), High: r.Float("high")}
	read, err := NewEmpiricalBernstein(support, r.Size("confidence"), r.Size("variance to tune for"))
	if err != nil {
		r.Fail("%s", err)
		read = &EmpiricalBernstein{}
	}
	read.count, read.sum, read.variance = r.Count("count"), r.Size("sum"), r.Size("variance")
	return keep(e, *read, within(read.count, read.sum, read.variance), r)
}

// append writes what predictable sequences share.
func (s *stream) append(b []byte) []byte {
	b = packed.AppendFloat(b, s.plan.Range.Low, s.plan.Range.High)
	b = packed.AppendCount(packed.AppendSize(b, s.plan.Confidence), s.plan.Population)
	return packed.AppendFloat(packed.AppendSize(packed.AppendCount(b, s.count), s.sum, s.squares), s.low, s.high)
}

// readStream returns what append wrote, and what is wrong with it.
func readStream(r *packed.Reader) (stream, string) {
	s, err := newStream(Plan{
		Range:      Range{Low: r.Float("low"), High: r.Float("high")},
		Confidence: r.Size("confidence"), Population: r.Count("population"),
	})
	if err != nil {
		return stream{}, err.Error()
	}
	s.count, s.sum, s.squares = r.Count("count"), r.Size("sum"), r.Size("squares")
	s.low, s.high = r.Float("low so far"), r.Float("high so far")
	switch {
	case s.plan.Population > 0 && s.count > s.plan.Population:
		return s, "more values than the population"
	case s.low < -slack || s.low > s.high || s.high > 1+slack:
		return s, "an interval that is none"
	}
	return s, within(s.count, s.sum, s.squares)
}

// AppendBinary appends the state's bytes.
func (p *PredictableMixture) AppendBinary(b []byte) ([]byte, error) {
	if p.plan.Confidence == 0 {
		return b, invalid("a sequence that nobody made")
	}
	b = p.append(packed.Begin(b, packed.PredictableMixture))
	return packed.AppendSize(packed.AppendFloat(b, p.centre), p.slope, p.spread), nil
}

// MarshalBinary returns the state's bytes.
func (p *PredictableMixture) MarshalBinary() ([]byte, error) { return p.AppendBinary(nil) }

// UnmarshalBinary reads a state. Its errors are *[survey.Error] with the code Invalid.
func (p *PredictableMixture) UnmarshalBinary(data []byte) error {
	r := packed.Open(packed.PredictableMixture, data)
	shared, fault := readStream(r)
	read := PredictableMixture{stream: shared, centre: r.Float("centre"), slope: r.Size("slope"), spread: r.Size("spread")}
	if fault == "" && (read.count == 0) != (read.slope == 0) {
		fault = "bets on no values"
	}
	return keep(p, read, fault, r)
}

// AppendBinary appends the state's bytes: two numbers for each candidate that is left.
func (b *Betting) AppendBinary(to []byte) ([]byte, error) {
	if b.step == 0 {
		return to, invalid("a sequence that nobody made")
	}
	to = b.append(packed.Begin(to, packed.Betting))
	to = packed.AppendCount(packed.AppendCount(to, int64(math.Round(1/b.step))), int64(b.first))
	for _, capitals := range [][]float64{b.above, b.below} {
		to = packed.AppendFloat(packed.AppendCount(to, int64(len(capitals))), capitals...)
	}
	return to, nil
}

// MarshalBinary returns the state's bytes.
func (b *Betting) MarshalBinary() ([]byte, error) { return b.AppendBinary(nil) }

// UnmarshalBinary reads a state. Its errors are *[survey.Error] with the code Invalid.
func (b *Betting) UnmarshalBinary(data []byte) error {
	r := packed.Open(packed.Betting, data)
	shared, fault := readStream(r)
	steps, first := r.Count("steps"), r.Count("first candidate")
	read := Betting{
		stream: shared, first: int(first), above: r.Floats("capital above"), below: r.Floats("capital below"),
		step: 1 / float64(steps), required: math.Log(2 / (1 - shared.plan.Confidence)),
	}
	left := int64(len(read.above))
	switch {
	case fault != "":
	case steps < stepsLeast || steps > stepsMost:
		fault = "a grid with too few steps or too many"
	case left != int64(len(read.below)) || first > steps || left > steps+1-first:
		fault = "candidates off the grid"
	}
	return keep(b, read, fault, r)
}
