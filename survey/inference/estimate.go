package inference

import (
	"errors"
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/survey/calibrate"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/interval"
	"github.com/quadrat-dev/quadrat/survey/replicate"
)

// fewRows is the number of rows below which an estimate carries a warning.
const fewRows = 10

// Estimate answers a statistic for the domain in (nil for all rows). Errors are *[design.Error]; with replicates they may
// also be *[calibrate.Error].
func (a *Analysis) Estimate(q Statistic, in []bool) (Estimate, error) {
	if a.Interval == interval.Log && q.Kind != Variance {
		return Estimate{}, &design.Error{Code: design.Unsupported, Detail: "the interval log is for variances"}
	}
	if q.Kind == Quantile {
		return a.quantile(q, in)
	}
	if a.Interval.Proportion() && q.Kind != Mean && q.Kind != Proportion && (q.Kind != Total || a.Interval != interval.Wilson) {
		return Estimate{}, unproportional(a.Interval)
	}
	l, err := a.linearise(q, in)
	if err != nil {
		return Estimate{}, err
	}
	e, err := a.conclude(l, func(w []float64) (float64, error) {
		s, err := q.sums(l.in, w)
		return s.value, err
	})
	if err != nil {
		return Estimate{}, err
	}
	if q.Kind == Variance && e.Value < 0 {
		e.Warnings = append(e.Warnings, "the values spread less than the noise alone would: the estimate is negative")
	}
	return e, nil
}

// Term is a part of a contrast.
type Term struct {
	Factor    float64
	Statistic Statistic // of any kind but Quantile
	In        []bool    // its domain
}

// Contrast returns Σ Factor · statistic with the variance of the sum: the scores add up, and so the covariances are in
// it. Noise is taken as one draw for each row and variable: terms with the same Y share it, others have their own.
func (a *Analysis) Contrast(terms []Term) (Estimate, error) {
	if len(terms) == 0 || a.Interval > interval.Z {
		return Estimate{}, &design.Error{Code: design.Invalid, Detail: "a contrast needs a term, and an interval t or z"}
	}
	sum := &linear{in: make([]bool, a.Design.Rows()), score: make([]float64, a.Design.Rows()), whole: true}
	slopes := make(map[*float64]*shared)
	parts := make([]*linear, len(terms))
	for i, t := range terms {
		if t.Statistic.Kind == Quantile {
			return Estimate{}, &design.Error{Code: design.Unsupported, Detail: "a contrast of quantiles"}
		}
		l, err := a.linearise(t.Statistic, t.In)
		if err != nil {
			return Estimate{}, err
		}
		parts[i] = l
		sum.add(l, t, slopes)
	}
	sum.noise = noiseOf(slopes, len(sum.in))
	return a.conclude(sum, func(w []float64) (float64, error) {
		value := 0.0
		for i, t := range terms {
			s, err := t.Statistic.sums(parts[i].in, w)
			if err != nil {
				return 0, err
			}
			value += t.Factor * s.value
		}
		return value, nil
	})
}

// shared is the signed standard deviation that one variable's noise gives to the rows of a contrast, and the variance of
// what can't be added with a sign.
type shared struct{ signed, apart []float64 }

func (l *linear) add(term *linear, t Term, slopes map[*float64]*shared) {
	l.value += t.Factor * term.value
	for k, z := range term.score {
		l.score[k] += t.Factor * z
		if term.in[k] && !l.in[k] {
			l.in[k] = true
			l.rows++
		}
	}
	if term.noise == nil {
		return
	}
	s := slopes[&t.Statistic.Y[0]]
	if s == nil {
		s = &shared{signed: make([]float64, len(l.in)), apart: make([]float64, len(l.in))}
		slopes[&t.Statistic.Y[0]] = s
	}
	for k, v := range term.noise {
		if t.Statistic.Kind == Ratio || term.bound {
			s.apart[k] += t.Factor * t.Factor * v
		} else {
			s.signed[k] += t.Factor * math.Sqrt(v)
		}
	}
}

func noiseOf(slopes map[*float64]*shared, rows int) []float64 {
	if len(slopes) == 0 {
		return nil
	}
	noise := make([]float64, rows)
	for _, s := range slopes {
		for k := range noise {
			noise[k] += s.signed[k]*s.signed[k] + s.apart[k]
		}
	}
	return noise
}

// Covariance returns the estimated design covariance matrix of several statistics, by linearisation and without the
// privacy part.
func (a *Analysis) Covariance(terms []Term) ([][]float64, error) {
	us := make([][]float64, len(terms))
	for i, t := range terms {
		if t.Statistic.Kind == Quantile {
			return nil, &design.Error{Code: design.Unsupported, Detail: "the covariance of a quantile"}
		}
		l, err := a.linearise(t.Statistic, t.In)
		if err != nil {
			return nil, err
		}
		us[i] = a.weighted(l.score)
		for k := range us[i] {
			us[i][k] *= t.Factor
		}
	}
	matrix := make([][]float64, len(us))
	for i := range us {
		matrix[i] = make([]float64, len(us))
		for j := range i {
			matrix[i][j] = a.Design.Covariance(us[i], us[j])
			matrix[j][i] = matrix[i][j]
		}
		matrix[i][i] = a.Design.Variance(us[i])
	}
	return matrix, nil
}

// weighted returns u = w g e: the calibrated weights times the calibration residuals of the scores.
func (a *Analysis) weighted(score []float64) []float64 {
	e := score
	if a.fit != nil {
		e = a.fit.Residuals(score)
	}
	u := make([]float64, len(e))
	for k, w := range a.weight {
		u[k] = w * e[k]
	}
	return u
}

// conclude goes from scores to the interval.
func (a *Analysis) conclude(l *linear, again func([]float64) (float64, error)) (Estimate, error) {
	e := Estimate{Value: l.value, Rows: l.rows}
	freedom := a.freedom(l)
	if freedom < 1 {
		return Estimate{}, noFreedom(l.rows)
	}
	e.DegreesOfFreedom = float64(freedom)
	v, noise, err := a.variance(l, again)
	if err != nil {
		return Estimate{}, err
	}
	e.VariancePrivacy = min(noise, v)
	e.VarianceSampling = v - e.VariancePrivacy
	e.StdError = math.Sqrt(v)
	e.DesignEffect, e.DesignEffectWR = a.designEffect(l, v)
	in := interval.Input{Confidence: a.Confidence, Noise: noise, Taken: l.taken}
	if noise > 0 || a.Interval == interval.Wilson {
		in.Kish = a.kish(l)
	}
	if l.whole && a.Interval == interval.Wilson {
		return e, e.count(a, v, in)
	}
	return e, e.bracket(a.Interval, v, in)
}

// bracket makes the interval of an estimate with the variance v, and checks that all its numbers are some.
func (e *Estimate) bracket(method interval.Method, v float64, in interval.Input) error {
	in.Value, in.Variance, in.Degrees, in.Rows = e.Value, v, e.DegreesOfFreedom, e.Rows
	var note string
	var err error
	if e.Low, e.High, note, err = interval.Of(method, in); err != nil {
		return &design.Error{Code: design.Unsupported, Detail: err.Error()}
	}
	if note != "" {
		e.Warnings = append(e.Warnings, note)
	}
	if e.Rows < fewRows {
		e.Warnings = append(e.Warnings, few(e.Rows))
	}
	return e.check()
}

// tooLarge is the detail of a Range error.
const tooLarge = "numbers too large, or weights"

func few(rows int) string {
	if rows == 1 {
		return "only 1 row: nothing is known of the spread within the domain"
	}
	return fmt.Sprintf("only %d rows: the interval is approximate", rows)
}

func noFreedom(rows int) error {
	return &design.Error{Code: design.NoFreedom, Detail: fmt.Sprintf("rows in the domain: %d", rows)}
}

func unproportional(method interval.Method) error {
	return &design.Error{Code: design.Unsupported, Detail: "the interval " + method.String() + " is for proportions"}
}

func (a *Analysis) freedom(l *linear) int {
	if a.DomainFreedom {
		return a.Design.DegreesOfFreedom(l.in)
	}
	return a.Design.DegreesOfFreedom(nil)
}

func (e *Estimate) check() error {
	for _, x := range []float64{e.Value, e.StdError, e.Low, e.High, e.DesignEffect, e.DesignEffectWR} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return &design.Error{Code: design.Range, Role: design.RoleY, Detail: tooLarge}
		}
	}
	return nil
}

// variance returns V̂ and Σ a² σ².
func (a *Analysis) variance(l *linear, again func([]float64) (float64, error)) (v, noise float64, err error) {
	share := a.Design.Share
	if a.Replicates == nil {
		v = a.Design.Variance(a.weighted(l.score))
	} else {
		share = func(k int) float64 { return a.Replicates.Share(a.clusters, k) }
		if v, err = a.replicated(again); err != nil {
			return 0, 0, err
		}
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, 0, &design.Error{Code: design.Range, Role: design.RoleY, Detail: tooLarge}
	}
	if v < 0 {
		return 0, 0, &design.Error{Code: design.Negative, Detail: "this form can be; for unequal probabilities choose brewer or syg"}
	}
	for k, s := range l.noise {
		if s > 0 {
			part := a.weight[k] * a.weight[k] * s
			noise += part
			v += share(k) * part
		}
	}
	return v, noise, nil
}

// replicated calibrates anew under each set of weights.
func (a *Analysis) replicated(again func([]float64) (float64, error)) (float64, error) {
	return a.Replicates.Variance(a.clusters, a.Design.Weights(), func(w []float64) (float64, error) {
		if a.Calibration != nil {
			fit, err := calibrate.New(w, *a.Calibration)
			if err != nil {
				return 0, err
			}
			w = calibrated(w, fit)
		}
		return again(w)
	})
}

// jackknifed says whether the replicates are those of a jackknife, which doesn't work for quantiles.
func (a *Analysis) jackknifed() bool {
	return a.Replicates != nil && (a.Replicates.Kind == replicate.JK1 || a.Replicates.Kind == replicate.JKn)
}

// designEffect returns V̂ over the variance of the same scores under simple random sampling of as many rows:
// N̂²((1−f)S² + f σ²)/n with S² = Σ w (z − z̄)²/N̂ · n/(n−1), over the domain or, for totals, over all rows, and rows without a
// weight left out; and the same with f = 0.
func (a *Analysis) designEffect(l *linear, v float64) (without, with float64) {
	var n, size, mean, square, noise float64
	each := func(visit func(w float64, k int)) {
		for k, w := range a.weight {
			if w != 0 && (l.whole || l.in[k]) {
				visit(w, k)
			}
		}
	}
	each(func(w float64, k int) {
		n++
		size += w
		mean += w * l.score[k]
	})
	if n < 2 || !(size > 0) {
		return 1, 1
	}
	if l.whole {
		size = a.extent(size)
	}
	mean /= size
	each(func(w float64, k int) {
		square += w * (l.score[k] - mean) * (l.score[k] - mean)
		if l.noise != nil {
			noise += w * l.noise[k]
		}
	})
	return overSimple(v, n, size, square, noise)
}

// overSimple returns v over N̂²((1−f)S² + f σ²)/n of n rows, where square is Σ w (z − z̄)² and noise Σ w σ², and the same with
// f = 0.
func overSimple(v, n, size, square, noise float64) (without, with float64) {
	if n < 2 || !(size > 0) {
		return 1, 1
	}
	f := min(1, n/size)
	simple := func(f float64) float64 { return size * ((1-f)*square/(n-1) + f*noise/n) }
	over := func(f float64) float64 {
		if s := simple(f); s > 0 {
			return v / s
		}
		return 1
	}
	return over(f), over(0)
}

// IsInfeasible says whether err is a calibration that can't be reached.
func IsInfeasible(err error) bool {
	_, ok := errors.AsType[*calibrate.Error](err)
	return ok
}
