package survey

import (
	"errors"
	"fmt"
	"math"
)

// shakyDenominator is the coefficient of variation of a ratio's denominator above which the estimate carries a warning:
// below it linearisation is safe (Cochran 1977, §6.4).
const shakyDenominator = 0.1

// Ratio returns the ratio R̂ = ȳ_a/ȳ_b of two means of one domain that two disjoint sub-panels answered, each a simple
// random sample within strata: numerator are the strata of the one, denominator those of the other. Both are Hájek means
// as in [Mean].
//
// Its variance is linearised (Särndal, Swensson and Wretman 1992, §5.6): V̂ = (V̂_a + R̂²·V̂_b)/ȳ_b². V̂_a and V̂_b are those of
// samples with replacement: no finite-population correction. Two disjoint samples of one population are not independent.
// In a stratum the true variance is S²_a/n_a + R²S²_b/n_b − S²_{a−Rb}/N, and since no unit answers both questions, the
// last term can't be estimated; it is 0 when a = Rb for all units and positive otherwise, so leaving it out is safe and
// the best that holds for all populations (Neyman 1923, who has the same of two treatments). Keeping each sample's own
// correction instead would make intervals too short, by up to a factor √2.
//
// The noise of the devices is a part of both, Σ a²σ² divided by ȳ_b² and, for the denominator, times R̂². Degrees of
// freedom are Satterthwaite's (1946) for the two parts, between the smaller of them and their sum.
//
// The estimate exists only when the denominator can be told from 0: when its own t interval at the confidence holds 0,
// the error is [Denominator]. Then no bounded interval for R has the coverage (Fieller 1954; Gleser and Hwang 1987).
// Where its standard error is more than a tenth of it, a warning says that the interval is approximate. The bias of R̂ is
// about R·V_b/ȳ_b², so means of R̂ over many windows do not converge to R; there is no running interval for a ratio.
//
// Other errors are those of [Mean]; a stratum with one response is Lonely, even when that is all of it.
func Ratio(numerator, denominator []Sample, confidence float64) (Estimate, error) {
	a, err := apart("numerator", numerator, confidence)
	if err != nil {
		return Estimate{}, err
	}
	b, err := apart("denominator", denominator, confidence)
	if err != nil {
		return Estimate{}, err
	}
	if reach := quantileT(confidence, b.degrees) * math.Sqrt(b.variance); !(math.Abs(b.mean) > reach) {
		return Estimate{}, &Error{Code: Denominator, Detail: fmt.Sprintf("by %d reports", b.reports)}
	}
	r := a.mean / b.mean
	scaleA, scaleB := 1/(b.mean*b.mean), r*r/(b.mean*b.mean)
	va, vb := scaleA*a.variance, scaleB*b.variance
	e := Estimate{
		Value: r, Confidence: confidence, StdError: math.Sqrt(va + vb),
		VariancePrivacy:  scaleA*a.noise + scaleB*b.noise,
		DegreesOfFreedom: satterthwaite(va, a.degrees, vb, b.degrees),
		DesignEffect:     ratio(va+vb, scaleA*a.simple+scaleB*b.simple),
		Panel:            a.panel + b.panel, Reports: a.reports + b.reports,
		ResponseRate: float64(a.responses+b.responses) / float64(a.panel+b.panel),
	}
	e.VariancePrivacy = min(e.VariancePrivacy, va+vb)
	e.VarianceSampling = va + vb - e.VariancePrivacy
	half := quantileT(confidence, e.DegreesOfFreedom) * e.StdError
	e.Low, e.High = r-half, r+half
	if few := min(a.reports, b.reports); few < fewReports {
		e.Warnings = append(e.Warnings, fmt.Sprintf("only %d reports for one part of the ratio: the interval is approximate", few))
	}
	if share := math.Sqrt(b.variance) / math.Abs(b.mean); share > shakyDenominator {
		e.Warnings = append(e.Warnings, fmt.Sprintf(
			"the standard error of the denominator is %.0f %% of it: the interval is approximate", 100*share))
	}
	return e.checked()
}

// part is one of the two means of a ratio.
type part struct {
	mean      float64
	variance  float64 // V̂ without finite-population correction, its noise included
	noise     float64 // the noise in it, at most variance
	simple    float64 // what a simple random sample with as many reports would have
	degrees   float64
	panel     int64
	reports   int64 // in the domain
	responses int64 // in every cell
}

// apart estimates the mean of a sub-panel with the variance of a sample with replacement. Its errors name the part.
func apart(name string, strata []Sample, confidence float64) (part, error) {
	kept, err := live(strata, confidence)
	if e, ok := errors.AsType[*Error](err); ok {
		named := *e
		named.Detail = name + ": " + e.Detail
		return part{}, &named
	}
	mean, size := hajek(kept)
	out := part{mean: mean}
	for _, s := range kept {
		if s.Responses < 2 {
			return part{}, &Error{Code: Lonely, Stratum: s.Stratum, Detail: fmt.Sprintf("%s: of %d units", name, s.Population)}
		}
		m, a := float64(s.Responses), s.weight()/size
		out.variance += m / (m - 1) * a * a * s.Domain.spreadWithZeros(s.Responses, mean)
		out.noise += a * a * s.Domain.Noise
		out.panel += s.Panel
		out.reports += s.Domain.Count
		out.responses += s.Responses
		out.degrees += float64(max(0, s.Domain.Count-1))
	}
	if out.degrees < 1 {
		return part{}, &Error{Code: NoFreedom, Detail: fmt.Sprintf("%s: %d reports in the domain", name, out.reports)}
	}
	out.noise = min(out.noise, out.variance)
	squares, _ := weighted(kept, mean, size)
	out.simple = simple(squares, 0, float64(out.reports), math.Inf(1))
	return out, nil
}

// hajek returns Σ w y / Σ w and Σ w over the domain.
func hajek(strata []Sample) (mean, size float64) {
	for _, s := range strata {
		if w := s.weight() * float64(s.Domain.Count); w > 0 {
			size += w
			mean += (s.Domain.Mean - mean) * (w / size)
		}
	}
	return mean, size
}

// satterthwaite returns (v+w)²/(v²/f + w²/g), never less than the smaller of f and g. It is the smaller one when both
// variances are 0.
func satterthwaite(v, f, w, g float64) float64 {
	least := min(f, g)
	sum := v + w
	if !(sum > 0) || math.IsInf(sum, 1) {
		return least
	}
	v, w = v/sum, w/sum
	return max(least, 1/(v*v/f+w*w/g))
}
