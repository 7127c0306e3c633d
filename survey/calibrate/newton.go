package calibrate

import (
	"fmt"
	"math"
	"slices"
)

// solve finds λ and sets G.
func (f *Fit) solve(s Spec, totals []float64) error {
	sizes := make([]float64, len(totals))
	for j, column := range f.columns {
		sizes[j] = math.Abs(totals[j])
		absolute := 0.0
		for k, x := range column {
			absolute += f.weight[k] * math.Abs(x)
		}
		sizes[j] = max(sizes[j], absolute)
	}
	lambda := make([]float64, len(totals))
	f.G = make([]float64, len(f.weight))
	slope := make([]float64, len(f.weight))
	gap, worst := f.gap(s, lambda, totals, sizes, slope)
	for f.Iterations = 0; worst > converged; f.Iterations++ {
		if f.Iterations == mostSteps {
			return f.farthest(gap, sizes, fmt.Sprintf("after %d steps its total is far off", mostSteps))
		}
		step, ok := f.step(slope, gap)
		if !ok {
			return f.farthest(gap, sizes, "too many weights stand at the bounds")
		}
		before := worst
		for halving := 0; ; halving++ {
			next := slices.Clone(lambda)
			for j := range next {
				next[j] += step[j]
				step[j] /= 2
			}
			gap, worst = f.gap(s, next, totals, sizes, slope)
			if worst < before || worst <= converged {
				lambda = next
				break
			}
			if halving == 40 {
				if before < 1e-9 { // rounding allows no more
					f.gap(s, lambda, totals, sizes, slope)
					return nil
				}
				return f.farthest(gap, sizes, "no step comes nearer to its total")
			}
		}
	}
	return nil
}

// farthest is the error that names the column whose total is missed most.
func (f *Fit) farthest(gap, sizes []float64, detail string) error {
	most, column := -1.0, ""
	for j, x := range gap {
		if miss := math.Abs(x) / sizes[j]; !(miss <= most) {
			most, column = miss, f.kept[j]
		}
	}
	return &Error{Code: NotConverged, Column: column, Detail: detail}
}

// gap sets G and the slopes for λ and returns t − Σ w g x and the largest relative entry; infinity for no number.
func (f *Fit) gap(s Spec, lambda, totals, sizes, slope []float64) (gap []float64, worst float64) {
	gap = slices.Clone(totals)
	for k, w := range f.weight {
		u := 0.0
		for j, column := range f.columns {
			u += lambda[j] * column[k]
		}
		if f.scale != nil {
			u /= f.scale[k]
		}
		f.G[k], slope[k] = s.Function.at(u, s.Bounds)
		for j, column := range f.columns {
			gap[j] -= w * f.G[k] * column[k]
		}
	}
	for j, x := range gap {
		relative := math.Abs(x) / sizes[j]
		if math.IsNaN(relative) {
			return gap, math.Inf(1)
		}
		worst = max(worst, relative)
	}
	return gap, worst
}

// step solves Σ w F' x x'/σ² · step = gap. It is false when the matrix has lost its rank.
func (f *Fit) step(slope, gap []float64) ([]float64, bool) {
	n := len(f.columns)
	matrix := make([][]float64, n)
	for i := range matrix {
		matrix[i] = make([]float64, i+1)
	}
	for k, w := range f.weight {
		v := w * slope[k]
		if f.scale != nil {
			v /= f.scale[k]
		}
		if v == 0 {
			continue
		}
		for i := range n {
			x := v * f.columns[i][k]
			if x == 0 {
				continue
			}
			for j := range i + 1 {
				matrix[i][j] += x * f.columns[j][k]
			}
		}
	}
	for i := range n {
		diagonal := matrix[i][i]
		for j := range i {
			for l := range j {
				matrix[i][j] -= matrix[i][l] * matrix[j][l]
			}
			matrix[i][j] /= matrix[j][j]
			matrix[i][i] -= matrix[i][j] * matrix[i][j]
		}
		if !(matrix[i][i] > 1e-14*diagonal) || !finite(matrix[i][i]) {
			return nil, false
		}
		matrix[i][i] = math.Sqrt(matrix[i][i])
	}
	return backward(matrix, forward(matrix, slices.Clone(gap))), true
}
