package inference_test

import (
	"encoding/csv"
	"encoding/json"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/survey/calibrate"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
	"github.com/quadrat-dev/quadrat/survey/interval"
	"github.com/quadrat-dev/quadrat/survey/replicate"
)

// tolerance is relative, as the notes of the tables ask.
const tolerance = 1e-6

// numbers is a number, a list of numbers, or null, in JSON.
type numbers []float64

// UnmarshalJSON takes all three.
func (n *numbers) UnmarshalJSON(text []byte) error {
	if strings.HasPrefix(string(text), "[") {
		return json.Unmarshal(text, (*[]float64)(n))
	}
	if string(text) == "null" {
		return nil
	}
	*n = make(numbers, 1)
	return json.Unmarshal(text, &(*n)[0])
}

type bounds struct{ Lower, Upper numbers }

// entry is one result of R, with the R text that made it.
type entry struct {
	ID, Dataset, Kind string
	Design, Pre       string
	Names             any
	Spec              struct {
		Var, Factor, Num, Den, Cond, Domain, By, Stat, Method, Interval, QRule, Replicates, Post, Calfun, Centre, Variance string
		Vars                                                                                                               []string
		PostTotals                                                                                                         map[string]float64 `json:"post_totals"`
		Cal                                                                                                                map[string]float64
		Rake                                                                                                               map[string]map[string]float64
		Bounds                                                                                                             []float64
		Design                                                                                                             struct{ Variance string }
	}
	Quantiles, Estimate, SE, Deff, Weights numbers
	DF                                     float64
	CIZ                                    *bounds `json:"ci95_z"`
	CIT                                    *bounds `json:"ci95_t"`
	CI                                     *bounds `json:"ci95"`
	VCov                                   [][]float64
}

// table is a CSV file by columns.
type table struct {
	rows    int
	columns map[string][]string
}

func readTable(t *testing.T, path string) table {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	tab := table{rows: len(records) - 1, columns: map[string][]string{}}
	for j, name := range records[0] {
		for _, r := range records[1:] {
			tab.columns[name] = append(tab.columns[name], r[j])
		}
	}
	return tab
}

func (tab table) number(t *testing.T, name string) []float64 {
	t.Helper()
	texts, ok := tab.columns[name]
	if !ok {
		t.Fatalf("no column %q", name)
	}
	xs := make([]float64, tab.rows)
	for i, text := range texts {
		switch text {
		case "", "NA":
			xs[i] = math.NaN()
		case "TRUE":
			xs[i] = 1
		case "FALSE":
			xs[i] = 0
		default:
			x, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatalf("column %q: %v", name, err)
			}
			xs[i] = x
		}
	}
	return xs
}

func (tab table) factor(t *testing.T, name string) *design.Factor {
	t.Helper()
	if tab.columns[name] == nil {
		t.Fatalf("no column %q", name)
	}
	return design.NewFactor(tab.columns[name])
}

// where evaluates conditions like stype=='H' & ell==0, x>4.
func (tab table) where(t *testing.T, condition string) []bool {
	t.Helper()
	in := make([]bool, tab.rows)
	for i := range in {
		in[i] = true
	}
	for part := range strings.SplitSeq(condition, " & ") {
		if name, value, ok := strings.Cut(part, "=="); ok {
			value = strings.Trim(value, "'")
			for i, text := range tab.columns[name] {
				in[i] = in[i] && text == value
			}
			continue
		}
		name, value, _ := strings.Cut(part, ">")
		least, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range tab.number(t, name) {
			in[i] = in[i] && x > least
		}
	}
	return in
}

func bits(in []bool) []float64 {
	y := make([]float64, len(in))
	for i, ok := range in {
		if ok {
			y[i] = 1
		}
	}
	return y
}

var argument = regexp.MustCompile(`(id|ids|strata|strat|weights|weight|fpc|prob|probs)=~([\w.+]+)`) //nolint:misspell // R's words

// frames are what the design needs besides the data set.
type frames struct {
	joint  func() [][]float64
	square func() float64
}

// study reads the R text of the design and of what came before the call.
func (r entry) study(t *testing.T, tab table, f frames) inference.Study {
	t.Helper()
	s := design.Spec{Rows: tab.rows}
	if strings.HasPrefix(r.Design, "twophase") {
		s.Phase2 = &design.Phase2{Responded: make([]bool, tab.rows)}
		for i, x := range tab.number(t, "resp") {
			s.Phase2.Responded[i] = x == 1
		}
		size, class := "fpc", "stype"
		stage := design.Stage{}
		if r.Dataset == "f_strat" { //nolint:misspell // a file's name
			size, class = "N", "class"
			stage.Stratum = tab.factor(t, "country")
		}
		stage.Size = tab.number(t, size)
		s.Stages, s.Phase2.Class = []design.Stage{stage}, tab.factor(t, class)
	} else {
		r.onePhase(t, tab, f, &s)
	}
	d, err := design.New(s)
	if err != nil {
		t.Fatalf("%s: %v", r.ID, err)
	}
	study := inference.Study{Design: d, DropMissing: true, Interval: interval.T}
	r.calibration(t, tab, &study)
	switch name, _, _ := strings.Cut(r.Spec.Replicates, " "); name {
	case "JK1":
		study.Replicates = &replicate.Plan{Kind: replicate.JK1, MSE: strings.HasPrefix(r.Spec.Centre, "full")}
	case "JKn":
		study.Replicates = &replicate.Plan{Kind: replicate.JKn}
	}
	return study
}

func (r entry) onePhase(t *testing.T, tab table, f frames, s *design.Spec) {
	t.Helper()
	given := map[string][]string{}
	for _, match := range argument.FindAllStringSubmatch(r.Design, -1) {
		given[match[1][:2]] = strings.Split(match[2], "+")
	}
	pi := given["pr"]
	if strings.Contains(r.Design, "pps=") && pi == nil {
		pi = given["fp"]
		delete(given, "fp")
	}
	ids := given["id"]
	if ids[0] == "1" {
		ids = nil
	}
	s.Stages = make([]design.Stage, max(1, len(ids), len(given["fp"])))
	for i, id := range ids {
		s.Stages[i].Unit = tab.factor(t, id)
	}
	for i, size := range given["fp"] {
		s.Stages[i].Size = tab.number(t, size)
	}
	if strata := given["st"]; strata != nil {
		s.Stages[0].Stratum = tab.factor(t, strata[0])
	}
	if weights := given["we"]; weights != nil {
		s.Weight = tab.number(t, weights[0])
	}
	if pi == nil {
		return
	}
	s.Pi = tab.number(t, pi[0])
	variance := r.Spec.Variance
	if variance == "" {
		variance = r.Spec.Design.Variance
	}
	methods := map[string]design.Method{
		"poisson": design.Poisson, "": design.Poisson, "wr": design.WithReplacement, "br": design.Brewer, "brewer": design.Brewer,
		"hr": design.HartleyRao, "hr1": design.HartleyRao, "hryg": design.HartleyRaoYates, "ov": design.Overton,
		"yg": design.SenYatesGrundy, "ht": design.HorvitzThompson,
	}
	method, ok := methods[variance]
	if !ok {
		t.Fatalf("%s: variance %q", r.ID, variance)
	}
	s.Method = method
	if method == design.SenYatesGrundy || method == design.HorvitzThompson {
		s.Joint = f.joint()
	}
	if variance == "hr" || variance == "hryg" {
		s.Square = f.square()
	}
}

// calibration reads post-stratification, raking and calibration.
func (r entry) calibration(t *testing.T, tab table, study *inference.Study) {
	t.Helper()
	var spec calibrate.Spec
	margin := func(name string, totals map[string]float64) {
		f := tab.factor(t, name)
		columns, err := calibrate.Margin(name, f.Codes, f.Levels, totals)
		if err != nil {
			t.Fatal(err)
		}
		spec.Columns = append(spec.Columns, columns...)
	}
	if r.Spec.Post != "" {
		margin(r.Spec.Post, r.Spec.PostTotals)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Spec.Rake)) {
		margin(name, r.Spec.Rake[name])
		spec.Function = calibrate.Raking
	}
	for _, name := range slices.Sorted(maps.Keys(r.Spec.Cal)) {
		spec.Columns = append(spec.Columns, calibrate.Column{Name: name, Values: r.auxiliary(t, tab, name), Total: r.Spec.Cal[name]})
	}
	switch r.Spec.Calfun {
	case "raking":
		spec.Function = calibrate.Raking
	case "logit":
		spec.Function = calibrate.Logit
		spec.Bounds = calibrate.Bounds{Low: r.Spec.Bounds[0], High: r.Spec.Bounds[1]}
	}
	if strings.Contains(r.Spec.Variance, "lambda=1") {
		spec.Scale = spec.Columns[0].Values
	}
	if spec.Columns != nil {
		study.Calibration = &spec
	}
}

// auxiliary returns a column of ones, a number, or the indicator of a level named like stypeH.
func (r entry) auxiliary(t *testing.T, tab table, name string) []float64 {
	t.Helper()
	if name == "1" {
		return slices.Repeat([]float64{1}, tab.rows)
	}
	if _, ok := tab.columns[name]; ok {
		return tab.number(t, name)
	}
	for column := range tab.columns {
		if level, ok := strings.CutPrefix(name, column); ok && slices.Contains(tab.columns[column], level) {
			return bits(tab.where(t, column+"=='"+level+"'"))
		}
	}
	t.Fatalf("%s: no column %q", r.ID, name)
	return nil
}
