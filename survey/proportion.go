package survey

import "math"

// Proportion returns the share of the domain's units for which a condition holds. The scores are bits, or unbiased
// scores of randomised bits; value, variance and errors are those of [Mean].
//
// The interval is a score interval (Wilson 1927, with the effective sample size of the design): all shares p whose
// distance from the value p̂ is at most t·√V(p), where V(p) = V̂ + A·(p(1−p) − p̂(1−p̂)) follows the variance of bits as p
// moves. A·p̂(1−p̂) is the sampling part of V̂, so that A holds what strata gain and weights lose; with noise, A is at most
// Kish's Σ a²(1−π) with a = w/N̂_d. Unlike the t interval it keeps its coverage for rare conditions and in small domains,
// and it has a length when all bits agree.
//
// The value is never clipped, so with noise it may lie outside [0, 1]; the interval then reaches out to it. An end of
// the interval is cut at 0 or 1 when the value lies on the feasible side of it: the true share lies in [0, 1], so this
// never removes the truth and leaves the coverage as it is.
func Proportion(strata []Sample, confidence float64) (Estimate, error) {
	return ProportionOf(strata, nil, confidence)
}

// ProportionOf is [Proportion] from strata in which units answer more than once.
func ProportionOf(strata []Sample, repeats *Repeats, confidence float64) (Estimate, error) {
	e, err := MeanOf(strata, repeats, confidence)
	if err != nil {
		return Estimate{}, err
	}
	size := 0.0
	for _, s := range strata {
		if s.Population > 0 {
			size += s.weight() * float64(s.Domain.Count)
		}
	}
	more := repeats.add(strata, linear{weight: func(s Sample) float64 { return s.weight() / size }, centre: e.Value})
	e.score(strata, func(s Sample) int64 { return s.Domain.Count }, size, scored{scale: 1, kish: max(0, more.kish)})
	return e.checked()
}

// Share returns the share of the domain's units that have one category, from reports that support it as how says; the
// moments are those of [Support.Bin]. Value and variance are those of [Proportion]. The interval holds all shares that the
// value would not be too far from if they were the truth: with them not only the sampling variance changes but also the
// noise's, which is p(1−p) for a report of the category and q(1−q) for another one. Where q is small and reports are few,
// the noise is as skewed as a rare event is, and an interval that took it as estimated would be too short. For one stratum
// of a large population it is Wilson's (1927) for the rate of support.
func Share(strata []Sample, how Pure, confidence float64) (Estimate, error) {
	if err := how.Check(); err != nil {
		return Estimate{}, err
	}
	e, err := Mean(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	size, squares := 0.0, 0.0
	for _, s := range strata {
		if s.Population > 0 {
			size += s.weight() * float64(s.Domain.Count)
			squares += s.weight() * s.weight() * float64(s.Domain.Count)
		}
	}
	slope := (how.Noise(1) - how.Noise(0)) * squares / (size * size)
	e.score(strata, func(s Sample) int64 { return s.Domain.Count }, size, scored{scale: 1, slope: slope})
	return e.checked()
}

// Count returns the number of the domain's units for which a condition holds: [Total] of bits, with the interval of
// [Proportion] for the share of the whole population, times the population. Units outside the domain count as not
// holding, without noise.
func Count(strata []Sample, confidence float64) (Estimate, error) {
	return CountOf(strata, nil, confidence)
}

// CountOf is [Count] from strata in which units answer more than once.
func CountOf(strata []Sample, repeats *Repeats, confidence float64) (Estimate, error) {
	e, err := TotalOf(strata, repeats, confidence)
	if err != nil {
		return Estimate{}, err
	}
	population := 0.0
	for _, s := range strata {
		population += float64(s.Population)
	}
	more := repeats.add(strata, linear{weight: func(s Sample) float64 { return s.weight() / population }, all: true})
	e.score(strata, func(s Sample) int64 { return s.Responses }, population, scored{scale: population, kish: max(0, more.kish)})
	return e.checked()
}

// scored is what a score interval rests on, for the share that an estimate stands for.
type scored struct {
	scale float64 // what a share of 1 is worth
	kish  float64 // Σ a²(1−π)
	noise float64 // Σ a²σ²
	slope float64 // by how much that noise would grow were the share 1 in place of 0
}

// score replaces the interval by the score interval. A unit's share of the estimate is its weight over size.
func (e *Estimate) score(strata []Sample, reports func(Sample) int64, size float64, by scored) {
	for _, s := range strata {
		if s.Population == 0 {
			continue
		}
		w := s.weight() / size
		rest := float64(s.Population-s.Responses) / float64(s.Population)
		by.kish += w * w * rest * float64(reports(s))
		by.noise += w * w * s.Domain.Noise
	}
	e.scoreFrom(by)
}

// scoreFrom replaces the interval by the score interval.
func (e *Estimate) scoreFrom(by scored) {
	p, total := e.Value/by.scale, e.StdError*e.StdError/(by.scale*by.scale)
	// Outside [0, 1] p(1−p) is negative, and so much does V̂ fall short of the noise.
	a, bits := by.kish, p*(1-p)
	if bits > 0 {
		a = max(0, total-by.noise) / bits
		if by.noise > 0 {
			a = min(a, by.kish)
		}
	}
	t := quantileT(e.Confidence, e.DegreesOfFreedom)
	if low, high, ok := scoreInterval(p, t*t*a, t*t*(total-a*bits), t*t*by.slope); ok {
		e.Low, e.High = min(by.scale*low, e.Value), max(by.scale*high, e.Value)
	}
	if e.Value >= 0 {
		e.Low = max(e.Low, 0)
	}
	if e.Value <= by.scale {
		e.High = min(e.High, by.scale)
	}
}

// scoreInterval solves (value − p)² ≤ a·p(1−p) + b + slope·(p − value) for p. It is false when no p does, which takes a value so far outside
// [0, 1] that noise hardly explains it.
func scoreInterval(value, a, b, slope float64) (low, high float64, ok bool) {
	root := (a+slope)*(a+slope)/4 + a*value*(1-value) - a*slope*value + b*(1+a)
	if root < 0 {
		return 0, 0, false
	}
	centre, half := (value+(a+slope)/2)/(1+a), math.Sqrt(root)/(1+a)
	return centre - half, centre + half, true
}
