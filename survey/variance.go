package survey

import (
	"fmt"
	"math"
)

// squaresLeast is the least number of reports that a variance is estimated from. Two scores always have the same squared
// deviation from their mean, so that the variance would seem to be known without error; three are little better.
const squaresLeast = 4

// Powers is how the powers of a noisy score z follow the true value x, both on the scale of [Centre − Scale, Centre +
// Scale] as [−1, 1]: E z = x, E z² = x² + Variance, E z³ = Third[0] x³ + Third[1] x and
// E z⁴ = Fourth[0] x⁴ + Fourth[1] x² + Fourth[2]. Third[0] and Fourth[0] are positive. The zero value says that it isn't
// known, or that there is no noise.
type Powers struct {
	Centre, Scale float64 // the middle of the bounds and half their span
	Variance      float64
	Third         [2]float64
	Fourth        [3]float64
}

// Variance returns the variance S² = Σ (y − ȳ)²/(N−1) of the domain's true values, estimated by
//
//	S² = n/(n−1) · (Σ w (z − z̄)² − Σ w σ² (1 − w/Σw)) / Σ w
//
// over the n reports of the domain, weighted as in [Mean]. Without noise it is what R's svyvar gives. With noise whose
// variance σ² is known exactly and is the same for every true value its mean over the noise, the sample being given, is that
// svyvar of the true values. So it is not for mechanisms of which only a bound is known. It can come out negative where the
// noise is large; it is not clipped, and a warning says so. Its bias is of order S²/n, so means over many windows do not
// converge to S²; there is no running interval for a variance. It needs the Tails of the samples.
//
// The variance of the estimate is that of the linearised scores t = 1_d (n/(n−1)·(z − z̄)² − σ² − S²)/N̂_d. The noise in t
// has a variance that depends on the true value, and the finite-population correction must not shrink it: where there is noise
// Σ π t² is added, which is never less than the missing share π of the noise, so the interval is too wide rather than too
// short where π is large. VariancePrivacy is Σ Var(t | y), estimated without bias from the powers of the scores by what powers
// says of the noise, and cut to [0, V̂]; when powers is the zero value, all of V̂ is put down to the noise.
//
// The interval is symmetric for the logarithm of the variance of the noisy scores, S² + σ², which is always positive: the
// sampling distribution of a variance is skewed. Degrees of freedom and errors are those of [Mean];
// NoFreedom also stands for a domain with fewer than four reports, which tell nothing of the estimate's own error.
func Variance(strata []Sample, powers Powers, confidence float64) (Estimate, error) {
	kept, err := live(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	s, err := newSpread(kept)
	if err != nil {
		return Estimate{}, err
	}
	var p parts
	var square, known float64 // Σ w t²/Σ w with the scale of t taken out, and the noise in t as powers has it
	for _, each := range kept {
		t := s.scores(each)
		a := each.weight() / s.size
		p.design += t.variance(each, a)
		square += a * t.squares
		if each.Domain.Noise > 0 {
			p.noise += a * a * t.squares
			p.share += float64(each.Responses) / float64(each.Population) * a * a * t.squares
			known += a * a * s.factor * s.factor * powers.noise(each, s.mean)
		}
	}
	e, err := p.estimate(kept, s.value, confidence)
	if err != nil {
		return Estimate{}, err
	}
	if powers != (Powers{}) {
		e.VariancePrivacy = max(0, min(known, p.total()))
		e.VarianceSampling = p.total() - e.VariancePrivacy
	}
	noise := 0.0
	if p.noise > 0 {
		noise = square
	}
	e.DesignEffect = ratio(p.total(), simple(square, noise, float64(s.count), s.size))
	e.Low, e.High = spreadInterval(e, s.noise)
	if e.Value < 0 {
		e.Warnings = append(e.Warnings, "the values spread less than the noise alone would: the estimate is negative")
	}
	return e.checked()
}

// spread is what all strata together say of a variance.
type spread struct {
	count  int64   // n, reports of the domain
	size   float64 // N̂_d
	mean   float64 // z̄
	factor float64 // n/(n−1)
	value  float64 // S²
	noise  float64 // what was taken out of the variance of the scores
	scale  float64 // by which σ² is multiplied to be taken out: noise / (Σ w σ²/Σ w)
}

func newSpread(strata []Sample) (spread, error) {
	var s spread
	s.mean, s.size = hajek(strata)
	var square, noise, own float64
	for _, each := range strata {
		if !each.Tails.valid(each.Domain) {
			return s, &Error{Code: Invalid, Stratum: each.Stratum, Detail: "tails that the scores of the moments don't have"}
		}
		s.count += each.Domain.Count
		w := each.weight() / s.size
		shift := each.Domain.Mean - s.mean
		square += w * (each.Domain.M2 + float64(each.Domain.Count)*shift*shift)
		noise += w * each.Domain.Noise
		own += w * w * each.Domain.Noise
	}
	if s.count < squaresLeast {
		return s, &Error{Code: NoFreedom, Detail: fmt.Sprintf("%d reports in the domain, a variance needs %d", s.count, squaresLeast)}
	}
	s.factor = float64(s.count) / float64(s.count-1)
	s.noise = s.factor * (noise - own)
	s.value = s.factor*square - s.noise
	if noise > 0 {
		s.scale = s.noise / noise
	}
	return s, nil
}

// squareScores sums t = n/(n−1)·(z − z̄)² − σ² − S² over a stratum's reports in the domain.
type squareScores struct {
	mean    float64
	about   float64 // Σ (t − mean)²
	squares float64 // Σ t²
}

func (s spread) scores(each Sample) squareScores {
	m := each.Domain
	if m.Count == 0 {
		return squareScores{}
	}
	d, shift := float64(m.Count), m.Mean-s.mean
	// With e the deviation from the stratum's own mean, (z − z̄)² = e² + 2·shift·e + shift².
	about := max(0, each.Tails.M4-m.M2*m.M2/d+4*shift*each.Tails.M3+4*shift*shift*m.M2)
	t := squareScores{
		mean:  s.factor*(m.M2/d+shift*shift) - s.scale*m.Noise/d - s.value,
		about: s.factor * s.factor * about,
	}
	t.squares = t.about + d*t.mean*t.mean
	return t
}

// variance is [Sample.variance] of t, 0 outside the domain.
func (t squareScores) variance(each Sample, a float64) float64 {
	units, d := float64(each.Responses), float64(each.Domain.Count)
	if each.Responses == each.Population {
		return 0
	}
	rest := float64(each.Population-each.Responses) / float64(each.Population)
	outside := float64(each.Responses-each.Domain.Count) / units
	return rest * (units / (units - 1)) * a * a * (t.about + d*outside*t.mean*t.mean)
}

// noise returns an unbiased estimate of Σ Var((z − c)² | x) over a stratum's reports in the domain:
// Σ (z − c)⁴ − Σ (E (z − c)²)², where E (z − c)² = x² − 2cx + c² + V is a polynomial in x whose square the powers of z
// estimate.
func (p Powers) noise(each Sample, centre float64) float64 {
	if p.Scale == 0 || each.Domain.Count == 0 {
		return 0
	}
	n, unit := float64(each.Domain.Count), p.Scale
	mean := (each.Domain.Mean - p.Centre) / unit
	c := (centre - p.Centre) / unit
	m2, m3, m4 := each.Domain.M2/n/(unit*unit), each.Tails.M3/n/(unit*unit*unit), each.Tails.M4/n/(unit*unit*unit*unit)
	about := func(shift float64) (two, three, four float64) { // mean powers of z − (mean − shift)
		square := shift * shift
		return m2 + square, m3 + 3*shift*m2 + shift*square, m4 + 4*shift*m3 + 6*square*m2 + square*square
	}
	two, three, four := about(mean)
	x := [5]float64{1, mean, two - p.Variance}
	x[3] = (three - p.Third[1]*x[1]) / p.Third[0]
	x[4] = (four - p.Fourth[1]*x[2] - p.Fourth[2]) / p.Fourth[0]
	rest := c*c + p.Variance
	expected := x[4] - 4*c*x[3] + (4*c*c+2*rest)*x[2] - 4*c*rest*x[1] + rest*rest
	_, _, observed := about(mean - c)
	return n * unit * unit * unit * unit * (observed - expected)
}

// spreadInterval returns the interval of a variance from which so much noise was taken out.
func spreadInterval(e Estimate, noise float64) (low, high float64) {
	half := quantileT(e.Confidence, e.DegreesOfFreedom)
	noisy := e.Value + noise
	if !(noisy > 0) {
		return e.Value - half*e.StdError, e.Value + half*e.StdError
	}
	reach := math.Exp(half * e.StdError / noisy)
	return noisy/reach - noise, noisy*reach - noise
}
