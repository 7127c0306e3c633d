package inference

import (
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/survey/design"
)

// Kind is an estimator.
type Kind uint8

// The kinds. ȳ, R̂ and so on are of the domain, weights those of the study.
const (
	Mean       Kind = iota + 1 // Σ w y / Σ w (Hájek 1971)
	Total                      // Σ w y (Horvitz and Thompson 1952)
	Ratio                      // Σ w y / Σ w x
	Proportion                 // Mean of bits
	Variance                   // n/(n−1) · (Σ w (y − ȳ)² − Σ w σ² (1 − w/Σ w)) / Σ w
	Quantile                   // F̂⁻¹(p), with Woodruff's interval (1952)
)

// squaresLeast is the least number of rows that a variance is estimated from: two have the same squared deviation from
// their mean, which makes an error of 0, and three are little better.
const squaresLeast = 4

// Statistic is a question about one variable. NaN in Y and X is a missing value. Rows without a weight are not looked
// at.
type Statistic struct {
	Kind   Kind
	Y      []float64
	X      []float64 // Ratio: the denominator
	P      float64   // Quantile: in (0, 1)
	Noise  []float64 // variance σ² of the noise in Y, for each row; nil for none
	XNoise []float64 // Ratio: the same for X
}

// linear is a statistic at work: its value and what each row has to do with it.
type linear struct {
	value float64
	in    []bool    // rows of the domain with a weight and without a missing value
	score []float64 // z: the change of the value by a unit weight, 0 outside the domain
	rows  int
	size  float64   // Σ w over the domain
	whole bool      // the design effect compares with a sample of all rows, not of the domain
	noise []float64 // variance of the noise in the score, c² σ²; nil for none
	bound bool      // noise bounds the variance, and is no estimate of it
	taken float64   // Variance: the variance of the noise, which was taken out of the value
}

// domain returns the rows that a statistic looks at.
func (a *Analysis) domain(q Statistic, in []bool) ([]bool, int, error) {
	if len(q.Y) != a.Design.Rows() || (q.Kind == Ratio && len(q.X) != len(q.Y)) || (in != nil && len(in) != len(q.Y)) {
		return nil, 0, &design.Error{Code: design.Invalid, Role: design.RoleY, Detail: "not as long as the table"}
	}
	kept, rows := make([]bool, len(q.Y)), 0
	base := a.Design.Weights()
	for k := range kept {
		if base[k] == 0 || (in != nil && !in[k]) {
			continue
		}
		if q.plain(k) {
			kept[k] = true
			rows++
			continue
		}
		missing, err := q.check(k)
		switch {
		case err != nil:
			return nil, 0, err
		case missing == "":
			kept[k] = true
			rows++
		case !a.DropMissing:
			return nil, 0, &design.Error{Code: design.Missing, Role: missing, Row: k + 1}
		}
	}
	if rows == 0 {
		return nil, 0, &design.Error{Code: design.NoDomain, Detail: "none with a weight and without a missing value"}
	}
	return kept, rows, nil
}

// plain says quickly of most rows that nothing is wrong with them.
func (q *Statistic) plain(k int) bool {
	x := q.Y[k]
	if q.X != nil {
		x += q.X[k]
	}
	for _, noise := range [...][]float64{q.Noise, q.XNoise} {
		if noise != nil {
			if !(noise[k] >= 0) {
				return false
			}
			x += noise[k]
		}
	}
	return x-x == 0 // finite, and so is every part
}

// check says which column of row k is missing, if any, and refuses numbers that are none.
func (q *Statistic) check(k int) (design.Role, error) {
	columns := [...]struct {
		values []float64
		role   design.Role
	}{{q.Y, design.RoleY}, {q.X, design.RoleX}, {q.Noise, design.RoleNoise}, {q.XNoise, design.RoleNoise}}
	for _, c := range columns {
		if c.values == nil {
			continue
		}
		x := c.values[k]
		switch {
		case math.IsNaN(x):
			return c.role, nil
		case math.IsInf(x, 0):
			return "", &design.Error{Code: design.Invalid, Role: c.role, Row: k + 1, Detail: "infinite"}
		case c.role == design.RoleNoise && x < 0:
			return "", &design.Error{Code: design.Invalid, Role: c.role, Row: k + 1, Detail: "negative"}
		}
	}
	return "", nil
}

// linearise returns value and scores under the study's weights.
func (a *Analysis) linearise(q Statistic, in []bool) (*linear, error) {
	kept, rows, err := a.domain(q, in)
	if err != nil {
		return nil, err
	}
	l := &linear{in: kept, rows: rows, score: make([]float64, len(kept)), whole: q.Kind == Total}
	s, err := q.sums(kept, a.weight)
	if err != nil {
		return nil, err
	}
	l.value, l.size, l.taken = s.value, s.size, s.taken
	slope := 1.0
	switch q.Kind {
	case Mean, Proportion, Variance:
		slope = 1 / s.size
	case Ratio:
		slope = 1 / s.denominator
	case Total, Quantile:
	}
	if q.Noise != nil || q.XNoise != nil {
		if q.Kind == Proportion {
			return nil, &design.Error{Code: design.Unsupported, Detail: "a condition on noisy values is biased; take the mean of unbiased scores"}
		}
		l.noise = make([]float64, len(kept))
		l.bound = q.Kind == Variance
	}
	for k, ok := range kept {
		if !ok {
			continue
		}
		l.score[k] = q.score(s, k) * slope
		if l.noise != nil {
			l.noise[k] = q.noise(s, k) * slope * slope
			if l.bound && l.noise[k] > 0 {
				l.noise[k] = l.score[k] * l.score[k]
			}
		}
	}
	return l, nil
}

// sums is what scores need to know of all rows.
type sums struct {
	value, size, mean, denominator, factor float64
	taken, share                           float64 // Variance: the noise that is taken out, and by what it multiplies σ²
}

// score returns the row's part of the estimating equation.
func (q *Statistic) score(s sums, k int) float64 {
	switch q.Kind {
	case Total:
		return q.Y[k]
	case Ratio:
		return q.Y[k] - s.value*q.X[k]
	case Variance:
		deviation := q.Y[k] - s.mean
		square := deviation * deviation * s.factor
		if q.Noise != nil {
			square -= s.share * q.Noise[k]
		}
		return square - s.value
	default:
		return q.Y[k] - s.mean
	}
}

// noise returns the variance of the noise in the score: σ_y², and σ_y² + R̂² σ_x² for a ratio.
func (q *Statistic) noise(s sums, k int) float64 {
	sum := 0.0
	if q.Noise != nil {
		sum += q.Noise[k]
	}
	if q.Kind == Ratio && q.XNoise != nil {
		sum += s.value * s.value * q.XNoise[k]
	}
	return sum
}

// sums computes the value under any weights.
func (q *Statistic) sums(in []bool, weight []float64) (sums, error) {
	var s sums
	total, denominator, rows := 0.0, 0.0, 0
	for k, ok := range in {
		if !ok || weight[k] == 0 {
			continue
		}
		w := weight[k]
		rows++
		s.size += w
		total += w * q.Y[k]
		if q.Kind == Ratio {
			denominator += w * q.X[k]
		}
	}
	s.value = total
	if q.Kind == Total {
		return s, s.check(rows)
	}
	if !(s.size > 0) {
		return s, &design.Error{Code: design.NoDomain, Detail: "the weights of the domain don't add up to a positive number"}
	}
	s.mean, s.denominator = total/s.size, denominator
	switch q.Kind {
	case Mean, Proportion:
		s.value = s.mean
	case Ratio:
		if denominator == 0 {
			return s, &design.Error{Code: design.Invalid, Role: design.RoleX, Detail: "the denominator's total is 0"}
		}
		s.value = total / denominator
	case Variance:
		if rows < squaresLeast {
			return s, &design.Error{Code: design.NoFreedom, Detail: fmt.Sprintf("%d rows in the domain, a variance needs %d", rows, squaresLeast)}
		}
		s.factor = float64(rows) / float64(rows-1)
		q.spread(in, weight, &s)
	case Total, Quantile:
	default:
		return s, &design.Error{Code: design.Invalid, Detail: fmt.Sprintf("unknown kind of statistic %d", q.Kind)}
	}
	return s, s.check(rows)
}

func (s sums) check(rows int) error {
	if rows == 0 {
		return &design.Error{Code: design.NoDomain}
	}
	if math.IsNaN(s.value) || math.IsInf(s.value, 0) {
		return &design.Error{Code: design.Range, Role: design.RoleY, Detail: tooLarge}
	}
	return nil
}

// spread computes n/(n−1)·(Σ w (y − ȳ)² − Σ w σ² (1 − w/Σ w))/Σ w. What is taken out is what the noise adds to the first sum
// on average, so that the result is one of the true values; it can come out negative.
func (q *Statistic) spread(in []bool, weight []float64, s *sums) {
	square, noise, own := 0.0, 0.0, 0.0
	for k, ok := range in {
		if !ok || weight[k] == 0 {
			continue
		}
		w := weight[k] / s.size
		square += w * (q.Y[k] - s.mean) * (q.Y[k] - s.mean)
		if q.Noise != nil {
			noise += w * q.Noise[k]
			own += w * w * q.Noise[k]
		}
	}
	s.taken = s.factor * (noise - own)
	if noise > 0 {
		s.share = s.taken / noise
	}
	s.value = s.factor*square - s.taken
}
