package calibrate_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/survey/calibrate"
)

// population makes base weights with a constant, a size and a group.
func population(rows int) (weight []float64, columns []calibrate.Column) {
	rng := rand.New(rand.NewPCG(1, 2))
	weight = make([]float64, rows)
	one, size, group := make([]float64, rows), make([]float64, rows), make([]float64, rows)
	for k := range weight {
		weight[k], one[k], size[k] = 5+5*rng.Float64(), 1, math.Exp(rng.NormFloat64())
		if rng.Float64() < 0.3 {
			group[k] = 1
		}
	}
	return weight, []calibrate.Column{{Name: "1", Values: one}, {Name: "size", Values: size}, {Name: "group", Values: group}}
}

func sum(weight, g, x []float64) float64 {
	total := 0.0
	for k, w := range weight {
		total += w * g[k] * x[k]
	}
	return total
}

func TestCalibrationMeetsTotals(t *testing.T) {
	weight, columns := population(300)
	ones := slices.Repeat([]float64{1}, 300)
	for i, factor := range []float64{1.05, 0.9, 1.2} {
		columns[i].Total = factor * sum(weight, ones, columns[i].Values)
	}
	for _, s := range []calibrate.Spec{
		{Function: calibrate.Linear},
		{Function: calibrate.Linear, Bounds: calibrate.Bounds{Low: 0.5, High: 1.6}},
		{Function: calibrate.Raking},
		{Function: calibrate.Raking, Bounds: calibrate.Bounds{Low: 0.3, High: 1.8}},
		{Function: calibrate.Logit, Bounds: calibrate.Bounds{Low: 0.2, High: 2}},
	} {
		s.Columns = columns
		fit, err := calibrate.New(weight, s)
		if err != nil {
			t.Errorf("function %d, bounds %v: %v", s.Function, s.Bounds, err)
			continue
		}
		for _, c := range columns {
			if got := sum(weight, fit.G, c.Values); math.Abs(got-c.Total) > 1e-9*c.Total {
				t.Errorf("function %d: total of %s is %.12g, want %.12g", s.Function, c.Name, got, c.Total)
			}
		}
		if b := s.Bounds; b != (calibrate.Bounds{}) && (fit.LeastG < b.Low || fit.MostG > b.High) {
			t.Errorf("function %d: g in [%v, %v], bounds %v", s.Function, fit.LeastG, fit.MostG, b)
		}
		for _, c := range columns { // residuals are orthogonal to the columns
			if e := fit.Residuals(c.Values); slices.ContainsFunc(e, func(x float64) bool { return math.Abs(x) > 1e-9 }) {
				t.Errorf("function %d: %s has residuals", s.Function, c.Name)
			}
		}
	}
}

func TestDependentColumns(t *testing.T) {
	weight, columns := population(100)
	ones := slices.Repeat([]float64{1}, 100)
	for i := range columns {
		columns[i].Total = 1.1 * sum(weight, ones, columns[i].Values)
	}
	double := calibrate.Column{Name: "double", Values: make([]float64, 100), Total: 2*columns[1].Total + columns[0].Total}
	for k, x := range columns[1].Values {
		double.Values[k] = 2*x + 1
	}
	fit, err := calibrate.New(weight, calibrate.Spec{Columns: append(slices.Clone(columns), double)})
	if err != nil || !slices.Equal(fit.Dropped, []string{"double"}) {
		t.Errorf("a column that fits the others: %v", err)
	}
	double.Total *= 1.01
	_, err = calibrate.New(weight, calibrate.Spec{Columns: append(slices.Clone(columns), double)})
	if calibrate.CodeOf(err) != calibrate.Collinear {
		t.Errorf("%v, want collinear", err)
	}
}

func TestWhatCannotBeCalibrated(t *testing.T) {
	weight := []float64{2, 2, 2, 2}
	one := calibrate.Column{Name: "1", Values: []float64{1, 1, 1, 1}, Total: 8}
	x := calibrate.Column{Name: "x", Values: []float64{1, 2, 3, 4}, Total: 20}
	with := func(c calibrate.Column, total float64) calibrate.Column {
		c.Total = total
		return c
	}
	for name, c := range map[string]struct {
		spec calibrate.Spec
		want calibrate.Code
	}{
		"total beyond the bounds": {calibrate.Spec{Columns: []calibrate.Column{with(one, 20)}, Function: calibrate.Logit, Bounds: calibrate.Bounds{Low: .5, High: 2}}, calibrate.Infeasible},
		"negative total, raking":  {calibrate.Spec{Columns: []calibrate.Column{with(x, -1)}, Function: calibrate.Raking}, calibrate.Infeasible},
		"zero total, raking":      {calibrate.Spec{Columns: []calibrate.Column{with(x, 0)}, Function: calibrate.Raking}, calibrate.Infeasible},
		"nobody has it":           {calibrate.Spec{Columns: []calibrate.Column{{Name: "z", Values: make([]float64, 4), Total: 3}}}, calibrate.Infeasible},
		// each total lies within its bounds, both together don't: a mean of x above its largest value
		"not both":          {calibrate.Spec{Columns: []calibrate.Column{with(one, 4), with(x, 36)}, Function: calibrate.Raking}, calibrate.NotConverged},
		"bounds above one":  {calibrate.Spec{Columns: []calibrate.Column{one}, Function: calibrate.Linear, Bounds: calibrate.Bounds{Low: 1.1, High: 2}}, calibrate.Invalid},
		"logit, no bounds":  {calibrate.Spec{Columns: []calibrate.Column{one}, Function: calibrate.Logit}, calibrate.Invalid},
		"not a number":      {calibrate.Spec{Columns: []calibrate.Column{{Name: "z", Values: []float64{1, math.NaN(), 1, 1}, Total: 3}}}, calibrate.Invalid},
		"infinite total":    {calibrate.Spec{Columns: []calibrate.Column{with(x, math.Inf(1))}}, calibrate.Invalid},
		"too few values":    {calibrate.Spec{Columns: []calibrate.Column{{Name: "z", Values: []float64{1}, Total: 3}}}, calibrate.Invalid},
		"no columns at all": {calibrate.Spec{}, calibrate.Invalid},
	} {
		_, err := calibrate.New(weight, c.spec)
		if calibrate.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := calibrate.New([]float64{1, -1, 1, 1}, calibrate.Spec{Columns: []calibrate.Column{one}}); calibrate.CodeOf(err) != calibrate.Invalid {
		t.Errorf("negative weight: %v", err)
	}
}

func TestMargin(t *testing.T) {
	levels, totals := []string{"a", "b"}, map[string]float64{"a": 10, "b": 20}
	if _, err := calibrate.Margin("m", []int32{0, 1, -1}, levels, totals); calibrate.CodeOf(err) != calibrate.Invalid {
		t.Errorf("missing label: %v", err)
	}
	if _, err := calibrate.Margin("m", []int32{0, 1}, levels, map[string]float64{"a": 1}); calibrate.CodeOf(err) != calibrate.Invalid {
		t.Errorf("level without a total: %v", err)
	}
	if _, err := calibrate.Margin("m", []int32{0, 1}, levels, map[string]float64{"a": 1, "b": 1, "c": 1}); calibrate.CodeOf(err) != calibrate.Infeasible {
		t.Errorf("level without a row: %v", err)
	}
}
