package design_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/survey/design"
)

func TestBadInput(t *testing.T) {
	ab := design.NewFactor([]string{"a", "a", "b", "b"})
	gap := design.NewFactor([]string{"a", "a", "", "b"})
	ones := []float64{1, 1, 1, 1}
	for name, c := range map[string]struct {
		spec design.Spec
		want string
	}{
		"no rows":               {design.Spec{}, "invalid input: no rows"},
		"negative weight":       {design.Spec{Rows: 4, Weight: []float64{1, 1, -1, 1}}, "invalid input: weight: row 3: negative"},
		"no weight":             {design.Spec{Rows: 4, Weight: []float64{1, math.NaN(), 1, 1}}, "missing value: weight: row 2"},
		"infinite weight":       {design.Spec{Rows: 4, Weight: []float64{1, 1, 1, math.Inf(1)}}, "invalid input: weight: row 4: infinite"},
		"short weight":          {design.Spec{Rows: 4, Weight: []float64{1}}, "invalid input: weight: not as long as the table"},
		"population below n":    {design.Spec{Rows: 4, Stages: []design.Stage{{Stratum: ab, Size: []float64{9, 9, 1.5, 1.5}}}}, `invalid input: fpc: row 3: stratum "b": population below the number of sampled units`},
		"population differs":    {design.Spec{Rows: 4, Stages: []design.Stage{{Stratum: ab, Size: []float64{9, 8, 7, 7}}}}, `invalid input: fpc: row 2: stratum "a": not constant within its stratum`},
		"none to borrow from":   {design.Spec{Rows: 1, Lonely: design.LonelyBorrow, Stages: []design.Stage{{Unit: design.NewFactor([]string{"x"}), Size: ones[:1]}, {Size: []float64{5}}}}, "one unit only: one unit of its only cluster: nothing to borrow from"},
		"second stage":          {design.Spec{Rows: 4, Stages: []design.Stage{{Unit: ab, Size: []float64{9, 9, 9, 9}}, {Size: []float64{5, 5, 1.1, 1.1}}}}, "invalid input: fpc of stage 2: row 3: population below the number of sampled units"},
		"no population":         {design.Spec{Rows: 4, Stages: []design.Stage{{Size: []float64{9, 0, 9, 9}}}}, "invalid input: fpc: row 2: not positive"},
		"no stratum":            {design.Spec{Rows: 4, Stages: []design.Stage{{Stratum: gap}}}, "missing value: stratum: row 3"},
		"no cluster":            {design.Spec{Rows: 4, Stages: []design.Stage{{Unit: gap}}}, "missing value: cluster: row 3"},
		"lonely":                {design.Spec{Rows: 4, Stages: []design.Stage{{Stratum: design.NewFactor([]string{"a", "a", "a", "b"})}}}, `one unit only: stratum "b": stage 1`},
		"no probabilities":      {design.Spec{Rows: 4, Method: design.Brewer}, "invalid input: pi: the method needs inclusion probabilities"},
		"probability above one": {design.Spec{Rows: 4, Method: design.Brewer, Pi: []float64{1, 1, 1, 1.1}}, "invalid input: pi: row 4: not in (0, 1]"},
		"joint too small":       {design.Spec{Rows: 4, Method: design.SenYatesGrundy, Pi: ones, Joint: [][]float64{{1}}}, "invalid input: joint: not one row for each sampled unit"},
		"joint not a number":    {design.Spec{Rows: 1, Method: design.HorvitzThompson, Pi: []float64{1}, Joint: [][]float64{{math.NaN()}}, Lonely: design.LonelyCertainty}, "invalid input: joint: row 1"},
		"probability differs":   {design.Spec{Rows: 4, Method: design.Brewer, Pi: []float64{.5, .5, .5, .6}, Stages: []design.Stage{{Unit: ab}}}, "invalid input: pi: row 4: not constant within its cluster"},
		"nobody responded":      {design.Spec{Rows: 4, Phase2: &design.Phase2{Responded: []bool{true, true, false, false}, Class: ab}}, `no response: phase2: stratum "b"`},
		"one responded":         {design.Spec{Rows: 4, Phase2: &design.Phase2{Responded: []bool{true, true, false, true}, Class: ab}}, `one unit only: phase2: stratum "b"`},
	} {
		_, err := design.New(c.spec)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// A census has no variance, whatever the stages.
func TestCensus(t *testing.T) {
	d, err := design.New(design.Spec{Rows: 4, Stages: []design.Stage{
		{Unit: design.NewFactor([]string{"a", "a", "b", "b"}), Size: []float64{2, 2, 2, 2}}, {Size: []float64{2, 2, 2, 2}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if v := d.Variance([]float64{1, 5, 2, 8}); v != 0 {
		t.Errorf("variance %v", v)
	}
	if !slices.Equal(d.Weights(), []float64{1, 1, 1, 1}) {
		t.Errorf("weights %v", d.Weights())
	}
}

// Fractions and population sizes say the same.
func TestFractionsOrSizes(t *testing.T) {
	u := []float64{1, 5, 2, 8}
	var v [2]float64
	for i, size := range [][]float64{{10, 10, 10, 10}, {.4, .4, .4, .4}} {
		d, err := design.New(design.Spec{Rows: 4, Stages: []design.Stage{{Size: size}}})
		if err != nil {
			t.Fatal(err)
		}
		v[i] = d.Variance(u)
	}
	if math.Abs(v[0]-v[1]) > 1e-12 || v[0] <= 0 {
		t.Errorf("variances %v", v)
	}
}
