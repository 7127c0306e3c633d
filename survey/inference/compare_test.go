package inference_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
	"github.com/quadrat-dev/quadrat/survey/interval"
)

// atLeast is how many numbers of each table must be compared; fewer means that the test has lost some.
var atLeast = map[string]int{"external/survey_oracle.json": 1146, "external/survey45_wilson.json": 25, "fleet/fleet_oracle.json": 386}

const testdata = "../testdata"

// question is one number of an entry: a statistic in a domain.
type question struct {
	statistic inference.Statistic
	in        []bool
}

// questions unfolds an entry into its numbers, in the order of the table.
func (r entry) questions(t *testing.T, tab table) []question {
	t.Helper()
	var in []bool
	if r.Spec.Domain != "" {
		in = tab.where(t, r.Spec.Domain)
	}
	kind := inference.Mean
	if r.Kind == "total" || r.Spec.Stat == "total" {
		kind = inference.Total
	}
	switch {
	case r.Kind == "ratio":
		return []question{{inference.Statistic{Kind: inference.Ratio, Y: tab.number(t, r.Spec.Num), X: tab.number(t, r.Spec.Den)}, in}}
	case r.Kind == "var":
		return []question{{inference.Statistic{Kind: inference.Variance, Y: tab.number(t, r.Spec.Var)}, in}}
	case r.Kind == "ciprop" && r.Spec.Cond != "":
		return []question{{inference.Statistic{Kind: inference.Proportion, Y: bits(tab.where(t, r.Spec.Cond))}, in}}
	case r.Kind == "quantile":
		var qs []question
		for _, p := range r.Quantiles {
			qs = append(qs, question{inference.Statistic{Kind: inference.Quantile, P: p, Y: tab.number(t, r.Spec.Var)}, in})
		}
		return qs
	case r.Spec.Factor != "":
		var qs []question
		for _, level := range slices.Sorted(slices.Values(tab.factor(t, r.Spec.Factor).Levels)) {
			qs = append(qs, question{inference.Statistic{Kind: kind, Y: bits(tab.where(t, r.Spec.Factor+"=='"+level+"'"))}, in})
		}
		return qs
	}
	groups := [][]bool{in}
	if r.Spec.By != "" {
		groups = nil
		for _, level := range slices.Sorted(slices.Values(tab.factor(t, r.Spec.By).Levels)) {
			groups = append(groups, tab.where(t, r.Spec.By+"=='"+level+"'"))
		}
	}
	names := r.Spec.Vars
	if names == nil {
		names = []string{r.Spec.Var}
	}
	var qs []question
	for _, name := range names {
		for _, group := range groups {
			qs = append(qs, question{inference.Statistic{Kind: kind, Y: tab.number(t, name)}, group})
		}
	}
	return qs
}

// intervalOf returns the method, and false for one that isn't ours.
func (r entry) intervalOf() (interval.Method, bool) {
	name := r.Spec.Method + r.Spec.Interval
	method, ok := map[string]interval.Method{
		"": interval.T, "mean": interval.T, "wilson": interval.Wilson, "logit": interval.Logit, "xlogit": interval.Logit,
		"asin": interval.Asin, "beta": interval.Beta,
	}[name]
	return method, ok
}

// tally compares numbers and counts them.
type tally struct {
	t        *testing.T
	id       string
	compared int
	keys     map[string]bool // "result key" of what was compared
}

// saw notes that a key of a result was compared.
func (c *tally) saw(result, key string) {
	if c.keys == nil {
		c.keys = make(map[string]bool)
	}
	c.keys[result+" "+key] = true
}

func (c *tally) check(what string, got, want float64) {
	c.t.Helper()
	c.compared++
	if !close(got, want, tolerance) {
		c.t.Errorf("%s: %s %.12g, want %.12g", c.id, what, got, want)
	}
}

func close(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*math.Max(math.Abs(want), math.Abs(got))
}

func (r entry) compare(t *testing.T, tab table, f frames, c *tally) {
	study := r.study(t, tab, f)
	method, ours := r.intervalOf()
	study.Interval = method
	switch r.Spec.QRule {
	case "school":
		study.Rule = inference.School
	case "hf8":
		study.Rule = inference.Interpolated
	}
	a, err := inference.New(study)
	if err != nil {
		t.Errorf("%s: %v", r.ID, err)
		return
	}
	if r.Kind == "weights" {
		c.saw(r.ID, "weights")
		for i, w := range r.Weights {
			c.check(fmt.Sprintf("weight %d", i+1), a.Weights()[i], w)
		}
		return
	}
	if r.Kind == "contrast" {
		terms := []inference.Term{
			{Factor: 1, Statistic: inference.Statistic{Kind: inference.Mean, Y: tab.number(t, "api00")}},
			{Factor: -1, Statistic: inference.Statistic{Kind: inference.Mean, Y: tab.number(t, "api99")}},
		}
		e, err := a.Contrast(terms)
		r.result(c, 0, e, err, ours, study)
		return
	}
	qs := r.questions(t, tab)
	if len(qs) != len(r.Estimate) {
		t.Fatalf("%s: %d questions for %d numbers", r.ID, len(qs), len(r.Estimate))
	}
	var terms []inference.Term
	for i, q := range qs {
		e, err := a.Estimate(q.statistic, q.in)
		r.result(c, i, e, err, ours, study)
		terms = append(terms, inference.Term{Factor: 1, Statistic: q.statistic, In: q.in})
	}
	if r.VCov == nil {
		return
	}
	matrix, err := a.Covariance(terms)
	if err != nil {
		t.Errorf("%s: %v", r.ID, err)
		return
	}
	c.saw(r.ID, "vcov")
	for i := range matrix {
		for j := range i + 1 {
			c.check(fmt.Sprintf("covariance %d,%d", i, j), matrix[i][j], r.VCov[i][j])
		}
	}
}

// result compares number i. A null standard error is a negative variance, which must be refused.
func (r entry) result(c *tally, i int, e inference.Estimate, err error, ours bool, study inference.Study) {
	c.saw(r.ID, "estimate")
	c.saw(r.ID, "se")
	c.saw(r.ID, "df")
	if r.SE == nil {
		c.compared++
		if design.CodeOf(err) != design.Negative {
			c.t.Errorf("%s: %v, want a negative variance to be refused", r.ID, err)
		}
		return
	}
	if err != nil {
		c.t.Errorf("%s[%d]: %v", r.ID, i, err)
		return
	}
	c.id = fmt.Sprintf("%s[%d]", r.ID, i)
	c.check("estimate", e.Value, r.Estimate[i])
	c.check("standard error", e.StdError, r.SE[i])
	c.check("degrees of freedom", e.DegreesOfFreedom, r.DF)
	if i < len(r.Deff) {
		deff := e.DesignEffect
		if strings.Contains(r.ID, "strat_mean_api00_nofpc") { //nolint:misspell // R's name
			deff = e.DesignEffectWR // the call asks for deff='replace'
		}
		c.saw(r.ID, "deff")
		c.check("design effect", deff, r.Deff[i])
	}
	for key, ci := range map[string]*bounds{"ci95_t": r.CIT, "ci95": r.CI} {
		if ci != nil && ours {
			c.saw(r.ID, key)
			c.check("low", e.Low, ci.Lower[i])
			c.check("high", e.High, ci.Upper[i])
		}
	}
	if r.CIZ != nil {
		low, high, _, err := interval.Of(interval.Z, interval.Input{
			Value: e.Value, Variance: e.StdError * e.StdError, Degrees: e.DegreesOfFreedom, Confidence: 0.95,
		})
		if err != nil {
			c.t.Errorf("%s: %v", r.ID, err)
		}
		c.saw(r.ID, "ci95_z")
		c.check("z low", low, r.CIZ.Lower[i])
		c.check("z high", high, r.CIZ.Upper[i])
	}
}

func TestOracles(t *testing.T) {
	for file, want := range atLeast {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(testdata, file))
			if err != nil {
				t.Fatal(err)
			}
			var oracle struct{ Results []entry }
			if err := json.Unmarshal(text, &oracle); err != nil {
				t.Fatal(err)
			}
			c := &tally{t: t}
			tables := map[string]table{}
			for _, r := range oracle.Results {
				tab, ok := tables[r.Dataset]
				if !ok {
					tab = readTable(t, filepath.Join(testdata, filepath.Dir(file), r.Dataset+".csv"))
					tables[r.Dataset] = tab
				}
				r.compare(t, tab, framesOf(t, filepath.Dir(file)), c)
			}
			everyKey(t, text, c.keys)
			t.Logf("compared %d numbers of %d results with R's survey", c.compared, len(oracle.Results))
			if c.compared < want {
				t.Errorf("compared %d numbers, want at least %d", c.compared, want)
			}
		})
	}
}

// framesOf reads joint probabilities and the sum over the frame of squared inclusion probabilities.
func framesOf(t *testing.T, folder string) frames {
	joint, frame, column := "election_jointprob.csv", "election.csv", "p"
	if folder == "fleet" {
		joint, frame, column = "f_pps_joint.csv", "f_pps_frame.csv", "pi"
	}
	return frames{
		joint: func() [][]float64 { return readMatrix(t, filepath.Join(testdata, folder, joint)) },
		square: func() float64 {
			sum := 0.0
			for _, p := range readTable(t, filepath.Join(testdata, folder, frame)).number(t, column) {
				sum += p * p
			}
			return sum
		},
	}
}

func readMatrix(t *testing.T, path string) [][]float64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var matrix [][]float64
	for line := range strings.Lines(string(text)) {
		var row []float64
		if err := json.Unmarshal([]byte("["+strings.TrimSpace(line)+"]"), &row); err != nil {
			t.Fatal(err)
		}
		matrix = append(matrix, row)
	}
	return matrix
}
