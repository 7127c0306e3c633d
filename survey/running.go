package survey

import "math"

// runningWindows is the number of windows at which the confidence sequence of [Running] is tightest. It must not depend
// on the data.
const runningWindows = 100

// Running is the mean of the window estimates so far, with a confidence sequence: an interval that holds at all windows
// at once, so that one may look after each window and stop at will. The zero value is empty. It is a plain value for one
// goroutine at a time; its exported fields are all its state.
//
// The sequence is the two-sided normal mixture (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021) in its
// asymptotic form for means that change with time (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024): it speaks of
// the mean of the windows' true values, whatever these were. It takes the windows' errors as uncorrelated, or
// negatively correlated as under rotation within a lap. Where the same devices answer in each window, or lap after lap while
// others rest, their sampling errors don't average out, and the sequence would be too short: it must not be shown then.
type Running struct {
	Windows  int64   // windows so far
	Mean     float64 // mean of their values
	Variance float64 // Σ of their estimated variances
}

// Add counts the estimate of one window and its variance (StdError²). A pair that isn't finite, or whose variance is
// negative, is no estimate and is not counted.
func (r *Running) Add(value, variance float64) {
	if !finite(value, variance) || variance < 0 {
		return
	}
	r.Windows++
	r.Mean += (value - r.Mean) / float64(r.Windows)
	r.Variance += variance
}

// Merge adds the state of other, disjoint windows.
func (r *Running) Merge(o Running) {
	if o.Windows == 0 {
		return
	}
	r.Windows += o.Windows
	r.Mean += (o.Mean - r.Mean) * (float64(o.Windows) / float64(r.Windows))
	r.Variance += o.Variance
}

// Interval returns the mean so far and the bounds of its confidence sequence. The bounds say nothing (the most negative
// and the largest number) while there is no window or when the confidence isn't inside (0, 1).
func (r Running) Interval(confidence float64) (value, low, high float64) {
	if r.Windows == 0 || !(confidence > 0 && confidence < 1) {
		return r.Mean, -math.MaxFloat64, math.MaxFloat64
	}
	t := float64(r.Windows)
	rho := mixtureRho(runningWindows, 1-confidence)
	half := math.Sqrt(r.Variance/t) * mixtureBound(t, rho, 1-confidence) / t
	return r.Mean, max(r.Mean-half, -math.MaxFloat64), min(r.Mean+half, math.MaxFloat64)
}

// mixtureBound returns the two-sided normal mixture boundary for a sum with the variance process v:
// √((v+ρ)(ln(1+v/ρ) + 2 ln(1/α))).
func mixtureBound(v, rho, alpha float64) float64 {
	return math.Sqrt((v + rho) * (math.Log1p(v/rho) - 2*math.Log(alpha)))
}

// mixtureRho returns the ρ that makes the boundary (nearly) tightest at the variance v.
func mixtureRho(v, alpha float64) float64 {
	twice := -2 * math.Log(alpha)
	return v / (twice + math.Log1p(twice))
}
