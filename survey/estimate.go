package survey

import (
	"fmt"
	"math"
)

// fewReports is the number of reports in a domain below which an estimate carries a warning: the t interval rests on a
// mean that is near normal.
const fewReports = 10

// Estimate is one number for the population with what is known about its error. All numbers are finite, and
// Low ≤ Value ≤ High. It carries Confidence · 100 % intervals that hold over repeated samples and noise.
type Estimate struct {
	Value            float64  // unbiased (to first order for a mean), never clipped
	StdError         float64  // √(VarianceSampling + VariancePrivacy)
	Low, High        float64  // the interval at Confidence
	Confidence       float64  // in (0, 1)
	VarianceSampling float64  // what asking only some of the units costs: max(0, V̂ − Σ a² σ²)
	VariancePrivacy  float64  // what the devices' noise costs: V̂ − VarianceSampling
	DegreesOfFreedom float64  // of the t interval, at least 1
	DesignEffect     float64  // V̂ over that of a simple random sample with as many reports, same noise; 0 where it is not known
	Panel            int64    // units due, in all strata
	Reports          int64    // reports in the domain
	ResponseRate     float64  // units that reported / units due, in all strata, in [0, 1]
	Warnings         []string // what a reader should know, in words
}

// Mean returns the stratified Hájek mean of the domain, Σ w_h y / Σ w_h 1 with w_h = N_h/m_h.
//
// Its variance is that of the linearised scores z = 1_d (y − ȳ_d)/N̂_d (Särndal, Swensson and Wretman 1992, §5.6–5.8):
// every unit that reported keeps its place in the design, with score 0 outside the domain. To v̂_design it adds
// Σ π a² σ² with π = m_h/N_h, a = w_h/N̂_d: the design variance of noisy scores holds the share 1 − π of their noise
// already. Nonresponse is taken as random within a stratum, and the responding m_h stands for the sample size.
//
// DegreesOfFreedom counts domain members minus strata that have any, the smaller of the two usual conventions (the
// other counts all units of the design). Units outside the domain bring neither spread nor noise of their own; counting
// them makes intervals of small, noisy domains too short.
//
// Errors are *[Error]: Invalid, NoReports, Lonely, NoDomain, NoFreedom, Range. A stratum whose only unit
// reported is not lonely: nothing of it is left unobserved.
func Mean(strata []Sample, confidence float64) (Estimate, error) {
	return MeanOf(strata, nil, confidence)
}

// MeanOf is [Mean] from strata in which units answer more than once.
func MeanOf(strata []Sample, repeats *Repeats, confidence float64) (Estimate, error) {
	kept, err := live(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	value, size := hajek(kept) // ȳ_d, N̂_d
	members := int64(0)
	var p parts
	for _, s := range kept {
		members += s.Domain.Count
		a := s.weight() / size
		p.design += s.variance(a, value)
		p.noise += a * a * s.Domain.Noise
		p.share += (a / size) * s.Domain.Noise
	}
	p.repeated = repeats.add(strata, linear{weight: func(s Sample) float64 { return s.weight() / size }, centre: value})
	e, err := p.estimate(kept, value, confidence)
	if err != nil {
		return Estimate{}, err
	}
	e.DesignEffect = ratio(p.total(), simpleMean(kept, value, size, members))
	return e.checked()
}

// Total returns the Horvitz–Thompson total of the domain adjusted for nonresponse by stratum, Σ w_h y with
// w_h = N_h/m_h. Scores outside the domain count as 0, so the uncertain size of a domain is part of the variance.
// Variance, degrees of freedom and errors are those of [Mean] with a = w_h and centre 0.
func Total(strata []Sample, confidence float64) (Estimate, error) {
	return TotalOf(strata, nil, confidence)
}

// TotalOf is [Total] from strata in which units answer more than once.
func TotalOf(strata []Sample, repeats *Repeats, confidence float64) (Estimate, error) {
	kept, err := live(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	var value float64
	var p parts
	for _, s := range kept {
		w := s.weight()
		if s.Domain.Count > 0 {
			value += w * float64(s.Domain.Count) * s.Domain.Mean
		}
		p.design += s.variance(w, 0)
		p.noise += w * w * s.Domain.Noise
		p.share += w * s.Domain.Noise
	}
	p.repeated = repeats.add(strata, linear{weight: Sample.weight, all: true})
	e, err := p.estimate(kept, value, confidence)
	if err != nil {
		return Estimate{}, err
	}
	e.DesignEffect = ratio(p.total(), simpleTotal(kept, value))
	return e.checked()
}

// parts is a variance on its way: v̂_design of the noisy scores, Σ a² σ², Σ π a² σ², and what units that answer twice add.
type parts struct {
	design, noise, share float64
	repeated             added
}

// total returns V̂ = v̂_design + Σ π a² σ². With what repeats add it is the noise at least.
func (p parts) total() float64 {
	if p.repeated.variance != 0 {
		return max(p.noise, p.design+p.share+p.repeated.variance)
	}
	return p.design + p.share
}

// estimate returns everything but the design effect.
func (p parts) estimate(strata []Sample, value, confidence float64) (Estimate, error) {
	e := Estimate{Value: value, Confidence: confidence}
	responses, degrees := int64(0), int64(0)
	for _, s := range strata {
		e.Panel += s.Panel
		e.Reports += s.Domain.Count
		responses += s.Responses
		if s.Domain.Count > 0 {
			degrees += s.Domain.Count - 1
		}
	}
	e.ResponseRate = float64(responses) / float64(e.Panel)
	if degrees < 1 {
		return Estimate{}, &Error{Code: NoFreedom, Detail: fmt.Sprintf("%d reports in the domain", e.Reports)}
	}
	e.DegreesOfFreedom = max(1, float64(degrees)-p.repeated.lost)
	total := p.total()
	e.VariancePrivacy = min(p.noise, total) // so that VarianceSampling is max(0, V̂ − Σ a² σ²)
	e.VarianceSampling = total - e.VariancePrivacy
	e.StdError = math.Sqrt(total)
	half := quantileT(confidence, e.DegreesOfFreedom) * e.StdError
	e.Low, e.High = value-half, value+half
	if e.Reports < fewReports {
		e.Warnings = append(e.Warnings, fmt.Sprintf("only %d reports: the interval is approximate", e.Reports))
	}
	return e, nil
}

// Over is the estimate of a sum divided by a number above 0: a total over n windows as that of one.
func (e Estimate) Over(n float64) Estimate {
	e.Value, e.StdError, e.Low, e.High = e.Value/n, e.StdError/n, e.Low/n, e.High/n
	e.VarianceSampling, e.VariancePrivacy = e.VarianceSampling/(n*n), e.VariancePrivacy/(n*n)
	return e
}

// checked returns e, or an error when floating point could not hold its numbers.
func (e Estimate) checked() (Estimate, error) {
	if finite(e.Value, e.StdError, e.Low, e.High, e.VarianceSampling, e.VariancePrivacy, e.DesignEffect) {
		return e, nil
	}
	return Estimate{}, &Error{Code: Range}
}

// simpleMean returns the variance that the domain's mean would have in a simple random sample with as many reports in the
// domain: (1−f)S²/n + f·σ̄²/n, with S² of the noisy scores estimated by the weights, f = n/N̂_d.
func simpleMean(strata []Sample, value, size float64, members int64) float64 {
	squares, noise := weighted(strata, value, size)
	return simple(squares, noise, float64(members), size)
}

// weighted returns Σ w (y − ȳ)² / Σ w, and the mean of σ² by the same weights.
func weighted(strata []Sample, value, size float64) (squares, noise float64) {
	for _, s := range strata {
		w := s.weight() / size
		shift := s.Domain.Mean - value
		squares += w * (s.Domain.M2 + float64(s.Domain.Count)*shift*shift)
		noise += w * s.Domain.Noise
	}
	return squares, noise
}

// simpleTotal returns the variance that the total would have in a simple random sample with as many responses, scores
// outside the domain being 0.
func simpleTotal(strata []Sample, value float64) float64 {
	var population, responses float64
	for _, s := range strata {
		population += float64(s.Population)
		responses += float64(s.Responses)
	}
	mean := value / population
	var squares, noise float64
	for _, s := range strata {
		w := s.weight() / population
		d, outside := float64(s.Domain.Count), float64(s.Responses-s.Domain.Count)
		squares += w * (s.Domain.M2 + d*(s.Domain.Mean-mean)*(s.Domain.Mean-mean) + outside*mean*mean)
		noise += w * s.Domain.Noise
	}
	return population * population * simple(squares, noise, responses, population)
}

// simple returns (1−f)·S²/n + f·σ²/n with S² = squares·n/(n−1).
func simple(squares, noise, n, population float64) float64 {
	f := min(1, n/population)
	v := f * noise / n
	if n > 1 {
		v += (1 - f) * squares / (n - 1)
	}
	return v
}

// ratio returns a/b, and 1 when b is 0: then there is nothing that a design could have made better or worse.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 1
	}
	return a / b
}
