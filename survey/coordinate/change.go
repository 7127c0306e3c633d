package coordinate

import (
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/survey"
)

// Pairs is the mergeable, centred state of the units that answered in both of two windows. The zero value is empty. It is a
// plain value for one goroutine at a time; its fields are all that a checkpoint needs.
type Pairs struct {
	Count                 int64
	MeanFirst, MeanSecond float64
	M2First, M2Second     float64 // Σ of squared deviations
	Cross                 float64 // Σ of their products
}

// Add counts one unit with its score in either window.
func (p *Pairs) Add(first, second float64) {
	p.Count++
	n := float64(p.Count)
	a, b := first-p.MeanFirst, second-p.MeanSecond
	p.MeanFirst += a / n
	p.MeanSecond += b / n
	p.M2First += a * (first - p.MeanFirst)
	p.M2Second += b * (second - p.MeanSecond)
	p.Cross += a * (second - p.MeanSecond)
}

// Merge adds the state of other units (Chan, Golub and LeVeque 1983).
func (p *Pairs) Merge(o Pairs) {
	if o.Count == 0 {
		return
	}
	n := float64(p.Count + o.Count)
	share, both := float64(o.Count)/n, float64(p.Count)*float64(o.Count)/n
	a, b := o.MeanFirst-p.MeanFirst, o.MeanSecond-p.MeanSecond
	p.MeanFirst += a * share
	p.MeanSecond += b * share
	p.M2First += o.M2First + a*a*both
	p.M2Second += o.M2Second + b*b*both
	p.Cross += o.Cross + a*b*both
	p.Count += o.Count
}

// correlation returns r in [−1, 1], and whether there is one: two pairs at least.
func (p Pairs) correlation() (r float64, known bool) {
	if p.Count < 2 {
		return 0, false
	}
	scale := math.Sqrt(p.M2First) * math.Sqrt(p.M2Second)
	if scale == 0 {
		return 0, true
	}
	return max(-1, min(1, p.Cross/scale)), true
}

// Covariance returns the covariance of the means of two simple random samples, of n and m of the same N units, that have
// common units in common, where the two variables have the covariance s over the N units: (common/(nm) − 1/N)·s (Tam 1984).
func Covariance(population, n, m, common int64, s float64) float64 {
	return (float64(common)/(float64(n)*float64(m)) - 1/float64(population)) * s
}

// Stratum is what one stratum says about change: a coordinated simple random sample in each of two windows of the same
// Population units, the scores of all that answered, and those of the units that answered in both.
type Stratum struct {
	Stratum       string
	Population    int64
	First, Second survey.Moments
	Both          Pairs
}

// Change is the difference of two means with what is known about its error. Low ≤ Value ≤ High.
type Change struct {
	Value            float64 // second minus first
	StdError         float64 // √(VarianceSampling + VariancePrivacy)
	Low, High        float64 // the t interval at the confidence asked for
	VarianceSampling float64
	VariancePrivacy  float64
	Covariance       float64 // of the two means: what the overlap takes off, once, from half the variance
	DegreesOfFreedom float64 // answers of the smaller window less strata
	Common           int64   // units that answered in both windows
}

// MeanChange returns the change of the stratified mean Σ W_h ȳ_h between two windows: V̂ = V̂_1 + V̂_2 − 2Ĉov by stratum, with
// V̂ = (1−f)s²/n + f·σ̄²/n (the finite-population correction never shrinks the devices' noise σ²) and Ĉov = (m/(n₁n₂) −
// 1/N)·r·s₁s₂, r the correlation over the m common units. Noise is drawn anew in each window, so that it takes no part in
// the covariance; r is of noisy scores as s₁ and s₂ are. V̂ is never negative, because |r| ≤ 1. With fewer than two common
// units r is taken as what makes V̂ largest, which is much only when m/(n₁n₂) is far from 1/N.
//
// It assumes one population in both windows, nonresponse at random within strata, and an overlap that the scores had no
// part in. Errors are *[survey.Error]: Invalid, NoReports, Lonely (one answer of several units), NoFreedom.
func MeanChange(strata []Stratum, confidence float64) (Change, error) {
	if !(confidence > 0 && confidence < 1) {
		return Change{}, invalid("the confidence must lie between 0 and 1")
	}
	population := 0.0
	for _, s := range strata {
		if err := s.check(); err != nil {
			return Change{}, err
		}
		population += float64(s.Population)
	}
	var c Change
	variance := 0.0
	for _, s := range strata {
		if s.Population == 0 {
			continue
		}
		w := float64(s.Population) / population
		covariance := s.covariance()
		c.Value += w * (s.Second.Mean - s.First.Mean)
		c.Covariance += w * w * covariance
		variance += w * w * max(0, meanVariance(s.First, s.Population)+meanVariance(s.Second, s.Population)-2*covariance)
		c.VariancePrivacy += w * w * (noise(s.First) + noise(s.Second))
		c.DegreesOfFreedom += float64(min(s.First.Count, s.Second.Count) - 1)
		c.Common += s.Both.Count
	}
	if c.DegreesOfFreedom < 1 {
		return Change{}, &survey.Error{Code: survey.NoFreedom, Detail: "coordination: change"}
	}
	c.VariancePrivacy = min(c.VariancePrivacy, variance)
	return c.finish(variance, confidence)
}

// meanVariance returns (1−f)s²/n + f·σ̄²/n.
func meanVariance(m survey.Moments, population int64) float64 {
	n := float64(m.Count)
	f := n / float64(population)
	share := f * noise(m)
	if m.Count == population {
		return share
	}
	return (1-f)*m.M2/(n-1)/n + share
}

// noise returns σ̄²/n, what the devices' noise adds to the variance of the mean.
func noise(m survey.Moments) float64 {
	n := float64(m.Count)
	return m.Noise / n / n
}

// covariance returns Ĉov of the two means.
func (s Stratum) covariance() float64 {
	if s.First.Count < 2 || s.Second.Count < 2 {
		return 0 // a stratum of one unit, observed
	}
	spread := math.Sqrt(s.First.M2/float64(s.First.Count-1)) * math.Sqrt(s.Second.M2/float64(s.Second.Count-1))
	r, known := s.Both.correlation()
	covariance := Covariance(s.Population, s.First.Count, s.Second.Count, s.Both.Count, spread)
	if !known {
		return -math.Abs(covariance)
	}
	return r * covariance
}

func (s Stratum) check() error {
	fault := func(code survey.Code, format string, args ...any) error {
		return &survey.Error{Code: code, Stratum: s.Stratum, Detail: fmt.Sprintf(format, args...)}
	}
	both := s.Both.Count
	if s.Population < 0 || both < 0 || both < s.First.Count+s.Second.Count-s.Population {
		return fault(survey.Invalid, "%d units, %d in both windows", s.Population, both)
	}
	for _, m := range []survey.Moments{s.First, s.Second} {
		finite := !math.IsNaN(m.Mean+m.M2+m.Noise) && !math.IsInf(m.Mean+m.M2+m.Noise, 0)
		switch {
		case m.Count < both || m.Count > s.Population || !finite || m.M2 < 0 || m.Noise < 0:
			return fault(survey.Invalid, "%d of %d units answered, %d in both windows, or moments that no scores have",
				m.Count, s.Population, both)
		case m.Count == 0 && s.Population > 0:
			return fault(survey.NoReports, "%d units", s.Population)
		case m.Count == 1 && s.Population > 1:
			return fault(survey.Lonely, "of %d units", s.Population)
		}
	}
	total := s.Both.M2First + s.Both.M2Second + s.Both.Cross
	if math.IsNaN(total) || math.IsInf(total, 0) || s.Both.M2First < 0 || s.Both.M2Second < 0 {
		return fault(survey.Invalid, "pairs that no scores have")
	}
	return nil
}
