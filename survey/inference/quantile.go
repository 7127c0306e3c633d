package inference

import (
	"cmp"
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/interval"
)

// Rule is how a quantile is read off the weighted distribution function.
type Rule uint8

// The rules. p·Σ w is compared with cumulative weights up to a relative 1e-11, so that ties don't hang on rounding.
const (
	Inverse      Rule = iota // the least y with F̂(y) ≥ p; R calls it "math"
	School                   // the same, but the midpoint of two values when F̂ is p exactly between them
	Interpolated             // linear between the points (W_k − w_k/3)/(W + w_n/3) (Hyndman and Fan 1996, type 8)
)

// tie is the relative distance below which a cumulative weight counts as equal to p·Σ w.
const tie = 1e-11

// distribution is a weighted sample in order.
type distribution struct {
	values, cumulated []float64
	last              float64 // the last weight
}

func newDistribution(y []float64, in []bool, weight []float64) distribution {
	var rows []int
	for k, ok := range in {
		if ok && weight[k] != 0 {
			rows = append(rows, k)
		}
	}
	slices.SortStableFunc(rows, func(i, j int) int { return cmp.Compare(y[i], y[j]) })
	d := distribution{values: make([]float64, len(rows)), cumulated: make([]float64, len(rows))}
	sum := 0.0
	for i, k := range rows {
		sum += weight[k]
		d.values[i], d.cumulated[i], d.last = y[k], sum, weight[k]
	}
	return d
}

func (d distribution) at(p float64, rule Rule) float64 {
	n := len(d.values)
	total := d.cumulated[n-1]
	if rule == Interpolated {
		return d.between(p, total)
	}
	want, slack := p*total, tie*total
	i, _ := slices.BinarySearchFunc(d.cumulated, want-slack, cmp.Compare[float64])
	switch {
	case i >= n:
		return d.values[n-1]
	case rule == School && i+1 < n && math.Abs(d.cumulated[i]-want) <= slack:
		return (d.values[i] + d.values[i+1]) / 2
	}
	return d.values[i]
}

func (d distribution) between(p, total float64) float64 {
	point := func(i int) float64 {
		w := d.cumulated[i]
		if i > 0 {
			w -= d.cumulated[i-1]
		}
		return (d.cumulated[i] - w/3) / (total + d.last/3)
	}
	n := len(d.values)
	for i := range n {
		if p > point(i) {
			continue
		}
		if i == 0 {
			return d.values[0]
		}
		share := (p - point(i-1)) / (point(i) - point(i-1))
		return d.values[i-1] + share*(d.values[i]-d.values[i-1])
	}
	return d.values[n-1]
}

// quantile maps the interval of F̂(q̂), a proportion, back through F̂⁻¹ (Woodruff 1952). With BRR or bootstrap replicates the
// standard error is theirs.
func (a *Analysis) quantile(q Statistic, in []bool) (Estimate, error) {
	switch {
	case !(q.P > 0 && q.P < 1):
		return Estimate{}, &design.Error{Code: design.Invalid, Detail: "a quantile needs a share between 0 and 1"}
	case q.Noise != nil:
		return Estimate{}, &design.Error{Code: design.Unsupported, Detail: "quantiles of noisy values are biased"}
	case a.jackknifed():
		return Estimate{}, &design.Error{Code: design.Unsupported, Detail: "the jackknife doesn't work for quantiles; use brr or bootstrap"}
	}
	kept, _, err := a.domain(q, in)
	if err != nil {
		return Estimate{}, err
	}
	d := newDistribution(q.Y, kept, a.weight)
	if len(d.values) == 0 || !(d.cumulated[len(d.values)-1] > 0) {
		return Estimate{}, &design.Error{Code: design.NoDomain}
	}
	value := d.at(q.P, a.Rule)
	below := make([]float64, len(q.Y))
	for k, y := range q.Y {
		if kept[k] && y <= value {
			below[k] = 1
		}
	}
	share := *a
	share.Replicates = nil
	if share.Interval == interval.Z {
		share.Interval = interval.T
	}
	e, err := share.Estimate(Statistic{Kind: Proportion, Y: below}, kept)
	if err != nil {
		return Estimate{}, err
	}
	t := interval.TQuantile(a.Confidence, e.DegreesOfFreedom)
	if e.Low <= 0 || e.High >= 1 {
		e.Warnings = append(e.Warnings, "too few rows for the interval: an end of it is that of the sample, the true one lies beyond")
	}
	e.Value, e.Low, e.High = value, d.at(e.Low, a.Rule), d.at(e.High, a.Rule)
	e.StdError = (e.High - e.Low) / (2 * t)
	if a.Replicates != nil {
		v, err := a.replicated(func(w []float64) (float64, error) {
			again := newDistribution(q.Y, kept, w)
			if len(again.values) == 0 {
				return 0, &design.Error{Code: design.NoDomain}
			}
			return again.at(q.P, a.Rule), nil
		})
		if err != nil {
			return Estimate{}, err
		}
		e.StdError = math.Sqrt(v)
		e.Low, e.High = value-t*e.StdError, value+t*e.StdError
	}
	e.VarianceSampling, e.VariancePrivacy = e.StdError*e.StdError, 0
	return e, nil
}
