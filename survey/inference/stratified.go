package inference

import (
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/interval"
)

// Stratum is a stratum of elements, summed up.
type Stratum struct {
	Name    string
	Size    float64 // how many elements it has in the population, or, when no stratum's is above 1, the sampling fraction; 0 for with replacement
	Moments Moments
}

// Stratified is a sample of elements, simple random in each stratum, of which only moments are kept. It gives what an
// [Analysis] of the rows gives, to rounding.
type Stratified struct {
	Strata     []Stratum
	Weighted   bool            // the moments hold weights; otherwise 1 for each row, and the design implies the weights
	Confidence float64         // 0 for 0.95
	Interval   interval.Method // as in a Study
}

// least is the share of a sum's parts that must be left after they cancel: 1e-3 costs three of sixteen digits.
const least = 1e-3

// Estimate answers a mean, total, proportion or ratio. Errors are *[design.Error]; beside those that an Analysis would
// give there is Unsupported, where rows are needed: for other kinds of statistics, and where the scores are so nearly
// equal within strata that moments lose too many digits.
func (s Stratified) Estimate(kind Kind) (Estimate, error) {
	if s.Interval.Proportion() && kind != Mean && kind != Proportion {
		return Estimate{}, unproportional(s.Interval)
	}
	if kind != Mean && kind != Proportion && kind != Total && kind != Ratio {
		return Estimate{}, &design.Error{Code: design.Unsupported, Detail: "moments are kept of means, totals, proportions and ratios"}
	}
	strata, fractions, err := s.prepared()
	if err != nil {
		return Estimate{}, err
	}
	var sum Moments
	for _, h := range strata {
		sum.Merge(h.Moments)
	}
	if sum.Rows == 0 {
		return Estimate{}, &design.Error{Code: design.NoDomain}
	}
	l, err := linearised(kind, sum)
	if err != nil {
		return Estimate{}, err
	}
	v, parts, freedom := 0.0, 0.0, 0
	for i, h := range strata {
		m := h.Moments
		if m.Weighted > 0 {
			freedom += int(m.Weighted) - 1
		}
		if m.Units < 2 {
			continue
		}
		d := m.Centre - l.centre
		factor := (1 - fractions[i]) * float64(m.Units) / float64(m.Units-1) * l.slope * l.slope
		parts += factor * (m.AA + 2*math.Abs(d*m.AB) + d*d*m.BB)
		m.recentre(l.centre)
		v += factor * m.AA
	}
	switch {
	case freedom < 1:
		return Estimate{}, noFreedom(int(sum.Rows))
	case v < least*parts:
		return Estimate{}, &design.Error{Code: design.Unsupported, Detail: "the scores are too nearly equal for moments"}
	case v == 0 && s.Interval == interval.Wilson:
		return Estimate{}, &design.Error{Code: design.Unsupported, Detail: "what rows leave open that all agree"}
	}
	e := Estimate{Value: l.value, Rows: int(sum.Rows), DegreesOfFreedom: float64(freedom), VarianceSampling: v, StdError: math.Sqrt(v)}
	e.DesignEffect, e.DesignEffectWR = l.effects(sum, v)
	confidence := s.Confidence
	if confidence == 0 {
		confidence = 0.95
	}
	return e, e.bracket(s.Interval, v, interval.Input{Confidence: confidence})
}

// prepared returns the strata with the weights that the design implies, when there are no others, and the fraction of each.
func (s Stratified) prepared() ([]Stratum, []float64, error) {
	strata, fractions := slices.Clone(s.Strata), make([]float64, len(s.Strata))
	sizes := slices.ContainsFunc(strata, func(h Stratum) bool { return h.Size > 1 })
	for i := range strata {
		h := &strata[i]
		if h.Moments.Units == 0 {
			continue
		}
		f := h.Size
		if sizes && f > 0 {
			f = float64(h.Moments.Units) / h.Size
		}
		if f > 1+1e-9 {
			return nil, nil, &design.Error{
				Code: design.Invalid, Role: design.RoleFPC, Stratum: h.Name, Detail: "population below the number of sampled units",
			}
		}
		fractions[i] = min(f, 1)
		if h.Moments.Units == 1 && fractions[i] < 1 {
			return nil, nil, &design.Error{Code: design.Lonely, Stratum: h.Name, Detail: "its variance can't be estimated"}
		}
		if !s.Weighted && f > 0 {
			h.Moments.scale(1 / fractions[i])
		}
	}
	return strata, fractions, nil
}

// line is a value with the centre and the slope of its scores.
type line struct {
	value, centre, slope float64
	total                bool
}

func linearised(kind Kind, m Moments) (line, error) {
	total := m.A + m.Centre*m.B
	if kind == Total {
		return line{value: total, slope: 1, total: true}, nil
	}
	if m.B == 0 {
		return line{}, &design.Error{Code: design.Invalid, Role: design.RoleX, Detail: "the denominator's total is 0"}
	}
	value := m.Centre + m.A/m.B
	return line{value: value, centre: value, slope: 1 / m.B}, nil
}

// effects returns the design effects, as designEffect does of rows.
func (l line) effects(m Moments, v float64) (without, with float64) {
	if !l.total {
		m.recentre(l.centre)
		return overSimple(v, float64(m.Rows), m.Size, m.DD*l.slope*l.slope, 0)
	}
	mean := l.value / m.All
	m.recentre(mean)
	return overSimple(v, float64(m.Weighted), m.All, m.DD+(m.All-m.Size)*mean*mean, 0)
}
