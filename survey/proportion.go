package survey

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Proportion returns the share of the domain's units for which a condition holds. The scores are bits, or unbiased
// scores of randomised bits; value, variance and errors are those of [Mean].
//
// The value is never clipped, so with noise it may lie outside [0, 1]. An end of the interval is cut at 0 or 1 when the
// value lies on the feasible side of it: the true share lies in [0, 1], so this never removes the truth and leaves the
// coverage as it is.
//
// When nothing varies (all bits equal, no noise) and units remain unobserved, the t interval would have no length. The
// interval is then that of Clopper and Pearson (1934) for Kish's effective number of reports (Σw)²/Σw², and a warning
// says so.
func Proportion(strata []Sample, confidence float64) (Estimate, error) {
	e, err := Mean(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	e.clip(1)
	if e.StdError == 0 {
		e.exact(strata, func(s Sample) int64 { return s.Domain.Count }, 1)
	}
	return e, nil
}

// Count returns the number of the domain's units for which a condition holds: [Total] of bits, with the interval rules of
// [Proportion] (the feasible set ends at the population).
func Count(strata []Sample, confidence float64) (Estimate, error) {
	e, err := Total(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	population := 0.0
	for _, s := range strata {
		population += float64(s.Population)
	}
	e.clip(population)
	if e.StdError == 0 {
		e.exact(strata, func(s Sample) int64 { return s.Responses }, population)
	}
	return e, nil
}

// clip cuts the interval to [0, most] on the sides where the value is feasible.
func (e *Estimate) clip(most float64) {
	if e.Value >= 0 {
		e.Low = max(e.Low, 0)
	}
	if e.Value <= most {
		e.High = min(e.High, most)
	}
}

// exact replaces an interval without length by that of Clopper and Pearson, when not all units were seen and the value is
// at an end of the feasible set.
func (e *Estimate) exact(strata []Sample, reports func(Sample) int64, most float64) {
	var sum, squares float64
	complete := true
	for _, s := range strata {
		n := reports(s)
		if s.Population == 0 || n == 0 {
			continue
		}
		w := s.weight()
		sum += w * float64(n)
		squares += w * w * float64(n)
		complete = complete && s.Responses == s.Population
	}
	if complete {
		return
	}
	n, tail := sum*sum/squares, (1-e.Confidence)/2
	switch share := e.Value / most; {
	case math.Abs(share) < 1e-9:
		e.High = max(e.Value, most*distuv.Beta{Alpha: 1, Beta: n}.Quantile(1-tail))
	case math.Abs(share-1) < 1e-9:
		e.Low = min(e.Value, most*distuv.Beta{Alpha: n, Beta: 1}.Quantile(tail))
	default:
		return
	}
	e.Warnings = append(e.Warnings, "all reports agree: the interval is Clopper and Pearson's")
}
