package coordinate

import (
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/interval"
)

// Overlap is what one stratum's panels of two windows have in common: the units that answered in both, whatever their domain,
// and the scores of those of them that lie in the domain. Common ≥ Domain.Count ≥ 0.
type Overlap struct {
	Common int64
	Domain Pairs
}

// Scale says what the scores of a panel are put together to.
type Scale uint8

// The scales.
const (
	Mean  Scale = iota + 1 // [survey.Mean] and [survey.Proportion]
	Total                  // [survey.Total] and [survey.Count]
)

// Between returns the change of a domain's mean or total between two windows of a coordinated stratified sample, from
// what each window's estimate rests on and what the two have in common: first[h], second[h] and both[h] speak of the same
// stratum. Its Value is exactly the difference of the two windows' estimates.
//
// Its variance is V̂_1 + V̂_2 − 2 Σ_h A_1h A_2h Ĉov_h, where V̂ is that of the windows' own estimates, with all that they say of
// silence, domains and noise. Ĉov_h = (c/(m₁m₂) − 1/N)·r·s₁s₂ is the covariance of the two means of the linearised scores in the
// stratum, 0 outside the domain, over m₁ and m₂ answers and c common ones (Tam 1984; Qualité and Tillé 2008), and A = N_h/N̂_d for a
// mean, N_h for a total. N is the larger one when the stratum's size changed between the windows; that makes V̂ too large
// rather than too small, wherever scores are positively correlated. Units that changed their stratum or cell must be
// left out of both. Noise is drawn anew in each window and takes no part in the covariance; the finite-population correction
// never shrinks it. With fewer than two common units r is what makes V̂ largest.
//
// The interval is the t interval with the degrees of freedom of the window that has fewer. Errors are *[survey.Error]: those
// of the estimators, and Invalid for slices of different length and overlaps that no panels have.
func Between(scale Scale, first, second []survey.Sample, both []Overlap, confidence float64) (Change, error) {
	if len(first) != len(second) || len(first) != len(both) {
		return Change{}, invalid("%d and %d strata with %d overlaps", len(first), len(second), len(both))
	}
	estimator := survey.Mean
	switch scale {
	case Mean:
	case Total:
		estimator = survey.Total
	default:
		return Change{}, invalid("scale %d", scale)
	}
	before, err := estimator(first, confidence)
	if err != nil {
		return Change{}, err
	}
	now, err := estimator(second, confidence)
	if err != nil {
		return Change{}, err
	}
	a, b := side{samples: first}, side{samples: second}
	if scale == Mean {
		a.linearise(before.Value)
		b.linearise(now.Value)
	}
	c := Change{Value: now.Value - before.Value, DegreesOfFreedom: min(before.DegreesOfFreedom, now.DegreesOfFreedom)}
	for h := range first {
		if err := checkOverlap(first[h], second[h], both[h]); err != nil {
			return Change{}, err
		}
		c.Common += both[h].Domain.Count
		c.Covariance += covary(a, b, h, both[h])
	}
	variance := max(0, before.StdError*before.StdError+now.StdError*now.StdError-2*c.Covariance)
	c.VariancePrivacy = min(variance, before.VariancePrivacy+now.VariancePrivacy)
	return c.finish(variance, confidence)
}

// finish fills in what follows from the variance.
func (c Change) finish(variance, confidence float64) (Change, error) {
	c.VarianceSampling = variance - c.VariancePrivacy
	c.StdError = math.Sqrt(variance)
	half := c.StdError * interval.TQuantile(confidence, c.DegreesOfFreedom)
	c.Low, c.High = c.Value-half, c.Value+half
	if width := c.High - c.Low; math.IsInf(width, 0) || math.IsNaN(width) {
		return Change{}, &survey.Error{Code: survey.Range, Detail: "coordination: change"}
	}
	return c, nil
}

// side is one window: its strata, and centre and size of the mean of its domain; a size of 0 stands for a total.
type side struct {
	samples      []survey.Sample
	centre, size float64
}

func (s *side) linearise(mean float64) {
	s.centre = mean
	for _, h := range s.samples {
		if h.Population > 0 {
			s.size += float64(h.Population) / float64(h.Responses) * float64(h.Domain.Count)
		}
	}
}

// factor is A_h: what the mean of the linearised scores in the stratum is worth in the estimate.
func (s *side) factor(h int) float64 {
	population := float64(s.samples[h].Population)
	if s.size == 0 {
		return population
	}
	return population / s.size
}

// spread is Σ(t − t̄)² of the linearised scores, 0 outside the domain, over units answers.
func (s *side) spread(m2, mean float64, inside, units int64) float64 {
	d := float64(inside)
	shift := mean - s.centre
	return m2 + d*(1-d/float64(units))*shift*shift
}

// deviation is s, the standard deviation of the linearised scores of a stratum.
func (s *side) deviation(h int) float64 {
	x := s.samples[h]
	return math.Sqrt(s.spread(x.Domain.M2, x.Domain.Mean, x.Domain.Count, x.Responses) / float64(x.Responses-1))
}

// covary returns what a stratum adds to the covariance of the two estimates.
func covary(a, b side, h int, both Overlap) float64 {
	x, y := a.samples[h], b.samples[h]
	if x.Responses < 2 || y.Responses < 2 {
		return 0 // a stratum that is empty, or has one unit, observed
	}
	cov := a.factor(h) * b.factor(h) * a.deviation(h) * b.deviation(h) *
		Covariance(max(x.Population, y.Population), x.Responses, y.Responses, both.Common, 1)
	if both.Common < 2 {
		return -math.Abs(cov)
	}
	p := both.Domain
	first := a.spread(p.M2First, p.MeanFirst, p.Count, both.Common)
	second := b.spread(p.M2Second, p.MeanSecond, p.Count, both.Common)
	if first == 0 || second == 0 {
		return 0
	}
	d := float64(p.Count)
	cross := p.Cross + d*(1-d/float64(both.Common))*(p.MeanFirst-a.centre)*(p.MeanSecond-b.centre)
	return cov * max(-1, min(1, cross/math.Sqrt(first)/math.Sqrt(second)))
}

// checkOverlap reports the first law that an overlap breaks. The samples were checked by their estimator.
func checkOverlap(first, second survey.Sample, both Overlap) error {
	p := both.Domain
	sums := p.MeanFirst + p.MeanSecond + p.M2First + p.M2Second + p.Cross
	switch {
	case p.Count < 0 || p.Count > both.Common || both.Common > min(first.Responses, second.Responses) ||
		p.Count > min(first.Domain.Count, second.Domain.Count):
		return &survey.Error{Code: survey.Invalid, Stratum: second.Stratum, Detail: fmt.Sprintf(
			"%d answers in common, %d of them in the domain", both.Common, p.Count)}
	case math.IsNaN(sums) || math.IsInf(sums, 0) || p.M2First < 0 || p.M2Second < 0:
		return &survey.Error{Code: survey.Invalid, Stratum: second.Stratum, Detail: "pairs that no scores have"}
	}
	return nil
}
