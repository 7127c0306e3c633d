package calibrate

import (
	"math"
	"slices"
)

// Column is an auxiliary variable with its known total over the population.
type Column struct {
	Name   string
	Values []float64 // one for each row
	Total  float64
}

// Spec is what weights are to meet.
type Spec struct {
	Columns  []Column
	Function Function
	Bounds   Bounds    // Logit needs them
	Scale    []float64 // σ² of each row, > 0; nil for 1. With one column x and σ² = x it is the ratio estimator
}

// Fit is a calibration that was reached.
type Fit struct {
	G          []float64 // calibrated weight over base weight, for each row
	Dropped    []string  // columns that say nothing new
	Iterations int
	LeastG     float64 // over rows with a weight
	MostG      float64
	weight     []float64
	scale      []float64
	columns    [][]float64 // kept, each divided by its norm
	kept       []string    // their names
	factor     [][]float64 // Cholesky factor of Σ w x x'/σ²
}

const (
	converged     = 1e-12 // largest |Σ w g x − t| over max(|t|, Σ w|x|)
	mostSteps     = 100
	dependent     = 1e-10 // share of a column's norm that must be its own
	contradiction = 1e-7  // share by which the total of a dependent column may differ
)

// New solves Σ w F(x'λ/σ²) x = t by Newton's method with step halving. Base weights must not be negative. A column that
// is a combination of those before it is dropped when its total is that combination of theirs; otherwise the error has
// the code Collinear. Errors are *[Error].
func New(weight []float64, s Spec) (*Fit, error) {
	if err := s.check(weight); err != nil {
		return nil, err
	}
	f := &Fit{weight: weight, scale: s.Scale}
	totals, err := f.reduce(s)
	if err != nil {
		return nil, err
	}
	if err := f.solve(s, totals); err != nil {
		return nil, err
	}
	f.LeastG, f.MostG = math.Inf(1), math.Inf(-1)
	for k, g := range f.G {
		if weight[k] > 0 {
			f.LeastG, f.MostG = min(f.LeastG, g), max(f.MostG, g)
		}
	}
	return f, nil
}

func (s Spec) check(weight []float64) error {
	if len(s.Columns) == 0 {
		return &Error{Code: Invalid, Detail: "no columns"}
	}
	b := s.Bounds
	free, around := b.none() && s.Function != Logit, b.Low < 1 && b.High > 1 && finite(b.Low) && finite(b.High)
	if !free && !around {
		return &Error{Code: Invalid, Detail: "bounds must lie on both sides of 1"}
	}
	if s.Scale != nil && len(s.Scale) != len(weight) {
		return &Error{Code: Invalid, Detail: "scale is not as long as the weights"}
	}
	for k, x := range s.Scale {
		if !(x > 0) || !finite(x) {
			return &Error{Code: Invalid, Row: k + 1, Detail: "scale must be positive"}
		}
	}
	for k, w := range weight {
		if !(w >= 0) || !finite(w) {
			return &Error{Code: Invalid, Row: k + 1, Detail: "weights must not be negative"}
		}
	}
	for _, c := range s.Columns {
		if len(c.Values) != len(weight) || !finite(c.Total) {
			return &Error{Code: Invalid, Column: c.Name, Detail: "want one value for each row and a finite total"}
		}
		if err := s.feasible(weight, c); err != nil {
			return err
		}
	}
	return nil
}

// feasible refuses totals that no weights within the bounds can meet: those outside [Σ w min(Lx, Ux), Σ w max(Lx, Ux)].
func (s Spec) feasible(weight []float64, c Column) error {
	low, high := s.Bounds.Low, s.Bounds.High
	if s.Bounds.none() {
		low, high = math.Inf(-1), math.Inf(1)
		if s.Function == Raking {
			low = 0
		}
	}
	var least, most, size float64
	for k, x := range c.Values {
		if !finite(x) {
			return &Error{Code: Invalid, Column: c.Name, Row: k + 1, Detail: "not a number"}
		}
		if x == 0 || weight[k] == 0 {
			continue
		}
		a, b := weight[k]*x*low, weight[k]*x*high
		least += min(a, b)
		most += max(a, b)
		size += weight[k] * math.Abs(x)
	}
	slack := contradiction * max(size, math.Abs(c.Total))
	switch {
	case size == 0 && c.Total != 0:
		return &Error{Code: Infeasible, Column: c.Name, Detail: "no row with a weight has any of it"}
	case size > 0 && (c.Total < least-slack || c.Total > most+slack):
		return &Error{Code: Infeasible, Column: c.Name, Detail: "the total can't be met within the bounds"}
	case size > 0 && s.Function == Raking && s.Bounds.none() && c.Total <= least+slack && least == 0:
		return &Error{Code: Infeasible, Column: c.Name, Detail: "the total needs weights of 0"}
	}
	return nil
}

// reduce keeps the columns that are linearly independent, scaled to norm 1, factors Σ w x x'/σ², and returns the totals
// that belong to them.
func (f *Fit) reduce(s Spec) ([]float64, error) {
	var totals, sizes []float64
	for _, c := range s.Columns {
		norm := math.Sqrt(f.inner(c.Values, c.Values))
		if norm == 0 {
			f.Dropped = append(f.Dropped, c.Name)
			continue
		}
		column := make([]float64, len(c.Values))
		size := 0.0
		for k, x := range c.Values {
			column[k] = x / norm
			size += f.weight[k] * math.Abs(column[k])
		}
		row := make([]float64, len(f.columns)+1)
		for j, other := range f.columns {
			row[j] = f.inner(column, other)
		}
		rest := 1.0
		for j := range f.columns {
			for i := range j {
				row[j] -= row[i] * f.factor[j][i]
			}
			row[j] /= f.factor[j][j]
			rest -= row[j] * row[j]
		}
		if rest > dependent {
			row[len(row)-1] = math.Sqrt(rest)
			f.factor = append(f.factor, row)
			f.columns, f.kept = append(f.columns, column), append(f.kept, c.Name)
			totals, sizes = append(totals, c.Total/norm), append(sizes, size)
			continue
		}
		// column = Σ b_j columns[j], b from the factor; its total must be the same combination.
		b := f.backward(slices.Clone(row[:len(f.columns)]))
		want := 0.0
		scale := math.Max(size, math.Abs(c.Total/norm))
		for j := range b {
			want += b[j] * totals[j]
			scale = math.Max(scale, math.Abs(b[j]*sizes[j]))
		}
		if math.Abs(want-c.Total/norm) > contradiction*scale {
			return nil, &Error{Code: Collinear, Column: c.Name, Detail: "it is a combination of the columns before it, its total is not"}
		}
		f.Dropped = append(f.Dropped, c.Name)
	}
	if len(f.columns) == 0 {
		return nil, &Error{Code: Invalid, Detail: "every column is 0"}
	}
	return totals, nil
}

// inner returns Σ w x y/σ².
func (f *Fit) inner(x, y []float64) float64 {
	sum := 0.0
	for k, w := range f.weight {
		if f.scale != nil {
			w /= f.scale[k]
		}
		sum += w * x[k] * y[k]
	}
	return sum
}

// Residuals returns z − x'B with B = (Σ w x x'/σ²)⁻¹ Σ w x z/σ² and base weights w (Deville and Särndal 1992, (3.4); with
// base weights raking, too, has the right variance when they differ). They take the place of the scores z.
func (f *Fit) Residuals(z []float64) []float64 {
	b := make([]float64, len(f.columns))
	for j, column := range f.columns {
		b[j] = f.inner(column, z)
	}
	b = f.backward(forward(f.factor, b))
	e := slices.Clone(z)
	for j, column := range f.columns {
		for k, x := range column {
			e[k] -= b[j] * x
		}
	}
	return e
}

// forward solves L y = b in place.
func forward(factor [][]float64, b []float64) []float64 {
	for i, row := range factor {
		for j := range i {
			b[i] -= row[j] * b[j]
		}
		b[i] /= row[i]
	}
	return b
}

// backward solves L' y = b in place.
func (f *Fit) backward(b []float64) []float64 { return backward(f.factor, b) }

func backward(factor [][]float64, b []float64) []float64 {
	for i := len(b) - 1; i >= 0; i-- {
		for j := i + 1; j < len(b); j++ {
			b[i] -= factor[j][i] * b[j]
		}
		b[i] /= factor[i][i]
	}
	return b
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
