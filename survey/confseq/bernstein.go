package confseq

import "math"

// Range is the interval in which every value of a stream lies, ends included.
type Range struct{ Low, High float64 }

func (r Range) check() error {
	if !finite(r.Low) || !finite(r.High) || !(r.Low < r.High) || !finite(r.High-r.Low) {
		return invalid("want a range with low < high, not [%g, %g]", r.Low, r.High)
	}
	return nil
}

// unit maps a value to [0, 1], or says why it can't.
func (r Range) unit(x float64) (float64, error) {
	if !(x >= r.Low && x <= r.High) {
		return 0, invalid("a value lies outside [%g, %g]", r.Low, r.High)
	}
	return (x - r.Low) / (r.High - r.Low), nil
}

func (r Range) value(u float64) float64 { return r.Low + u*(r.High-r.Low) }

// EmpiricalBernstein is the sequence for the mean of bounded values that need not be independent or alike: it speaks of the
// mean of their conditional means so far (Howard et al. 2021, Theorem 4). V_t = Σ(x_i − x̄_{i−1})², and the gamma-exponential
// mixture with c = 1 bounds each side at half the level.
type EmpiricalBernstein struct {
	support       Range
	confidence    float64
	varianceBest  float64
	mixture       GammaExponential
	count         int64
	sum, variance float64
}

// NewEmpiricalBernstein returns an empty stream of values in the range. The sequence is tightest when the sum of squared
// deviations, with the range scaled to [0, 1], has reached varianceBest: the time to tune for, times the variance expected,
// chosen beforehand.
func NewEmpiricalBernstein(support Range, confidence, varianceBest float64) (*EmpiricalBernstein, error) {
	if err := support.check(); err != nil {
		return nil, err
	}
	if !inside01(confidence) {
		return nil, invalid("want a confidence in (0, 1), not %g", confidence)
	}
	m, err := NewGammaExponential(varianceBest, (1-confidence)/2, 1)
	if err != nil {
		return nil, err
	}
	return &EmpiricalBernstein{support: support, confidence: confidence, varianceBest: varianceBest, mixture: m}, nil
}

// Add takes a value; one outside the range is an error and is not counted.
func (e *EmpiricalBernstein) Add(x float64) error {
	u, err := e.support.unit(x)
	if err != nil {
		return err
	}
	before := 0.5
	if e.count > 0 {
		before = e.sum / float64(e.count)
	}
	e.count++
	e.sum += u
	e.variance += (u - before) * (u - before)
	return nil
}

// Interval returns the sequence's bounds, within the range; all of it while there is no value.
func (e *EmpiricalBernstein) Interval() (low, high float64) {
	if e.count == 0 {
		return e.support.Low, e.support.High
	}
	t := float64(e.count)
	half := e.mixture.Bound(e.variance, (1-e.confidence)/2) / t
	return e.support.value(math.Max(0, e.sum/t-half)), e.support.value(math.Min(1, e.sum/t+half))
}
