package estimate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey/calibrate"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
)

// Run reads the table and answers every statistic in every group. In a run by groups, a group that allows no estimate is
// a Result that says why; without groups it is an error. So is everything that is wrong with the table.
func Run(c Config) ([]Result, error) {
	c.Data, c.strata = exported(c.Data)
	if results, ok, err := c.servedRun(); ok || err != nil {
		return results, err
	}
	p, w, reports, err := c.prepared()
	if err != nil {
		return nil, err
	}
	if p.streams(reports) {
		if results, err := p.stream(w); err == nil {
			return results, nil
		}
	}
	return p.whole(w, reports)
}

// prepared returns the plan, the columns that it needs, and those that tell apart the samples in exported reports.
func (c Config) prepared() (p *plan, w tabular.Want, reports []string, err error) {
	if p, err = c.plan(); err != nil {
		return nil, w, nil, err
	}
	names, err := tabular.Columns(p.Data)
	if err != nil {
		return nil, w, nil, err
	}
	reports = reportsOf(names)
	if reports != nil {
		p.recognise(names)
	}
	if p.clustered {
		w.Labels = append(w.Labels, clusterColumn, deviceColumn)
		w.Numbers = append(w.Numbers, populationColumn)
		if slices.Contains(names, unitsColumn) {
			w.Numbers = append(w.Numbers, unitsColumn)
		}
	}
	p.want(&w)
	for i := range p.statistics {
		p.statistics[i].want(&w)
	}
	if p.where != nil {
		p.where.Want(&w)
	}
	w.Labels = append(w.Labels, reports...)
	return p, w.Distinct(), reports, nil
}

// whole reads the table and answers from its rows.
func (p *plan) whole(w tabular.Want, reports []string) ([]Result, error) {
	t, err := tabular.Read(p.Data, w)
	if err != nil {
		return nil, err
	}
	if t, err = p.spread(t); err != nil {
		return nil, err
	}
	r := &runner{plan: p, table: t, reports: reports}
	return r.run()
}

// scored refuses exported answers of categories, whose score is empty, before they count as missing values.
func (r *runner) scored() error {
	reports := r.reports != nil && slices.ContainsFunc(r.statistics, func(s statistic) bool { return s.y == scoreColumn })
	for k := 0; reports && k < r.table.Rows; k++ {
		if math.IsNaN(r.table.Number(scoreColumn)[k]) && (r.inside == nil || r.inside[k]) {
			l := r.table.Label("statistic")
			return r.table.At(scoreColumn, k+1, "empty: an answer of "+l.Levels[l.Codes[k]]+
				" is a set of categories, which docs/format/parquet.md scores; --where takes other statistics")
		}
	}
	return nil
}

// scoreColumn is the column of exported reports that is estimated from.
const scoreColumn = "score"

// windowColumn is the column by which the windows of exported reports differ.
const windowColumn = "window_start"

// reportsOf returns the columns that tell apart the samples in reports that were exported, and nil for another table.
func reportsOf(names []string) []string {
	for _, name := range []string{windowColumn, "statistic", "stratum", "stratum_population", "score", "noise_variance", "plan_revision"} {
		if !slices.Contains(names, name) {
			return nil
		}
	}
	columns := []string{windowColumn, "statistic"}
	if slices.Contains(names, "kappa") {
		columns = append(columns, "kappa")
	}
	return columns
}

// runner is a plan at work on a table.
type runner struct {
	*plan
	table   *tabular.Table
	reports []string // columns that tell samples apart, for exported reports
	inside  []bool   // --where; nil for all rows
	summed  bool     // the sample at hand has sums of gateways
	results []Result
}

func (r *runner) run() ([]Result, error) {
	if err := r.filter(); err != nil {
		return nil, err
	}
	if err := r.clusters(); err != nil {
		return nil, err
	}
	if err := r.scored(); err != nil {
		return nil, err
	}
	r.normalise()
	for _, name := range r.reports { // several statistics or kappas are never mixed
		if name != windowColumn && !slices.Contains(r.By, name) && r.several(name) {
			r.By = append(r.By, name)
		}
	}
	samples, nest := r.samples()
	for _, rows := range samples {
		if err := r.sample(rows, nest); err != nil {
			return nil, err
		}
	}
	if len(r.results) == 0 {
		return nil, &design.Error{Code: design.NoDomain, Detail: "--where and --by leave none"}
	}
	slices.SortStableFunc(r.results, func(a, b Result) int {
		if c := cmp.Compare(r.order(a.Statistic), r.order(b.Statistic)); c != 0 {
			return c
		}
		for _, name := range r.By {
			if c := strings.Compare(a.By[name], b.By[name]); c != 0 {
				return c
			}
		}
		return 0
	})
	return r.results, nil
}

func (r *runner) order(text string) int {
	return slices.IndexFunc(r.statistics, func(s statistic) bool { return s.text == text })
}

// filter evaluates --where.
func (r *runner) filter() error {
	if r.where == nil {
		return nil
	}
	r.inside = make([]bool, r.table.Rows)
	for k, truth := range r.where.Eval(r.table) {
		if truth == tabular.Unknown && !r.DropMissing {
			return r.table.At("", k+1, "the condition of --where meets a missing value; --na drop leaves such rows out")
		}
		r.inside[k] = truth == tabular.True
	}
	return nil
}

// normalise writes the moments of exported reports as the server does, whatever the file's format was.
func (r *runner) normalise() {
	if r.reports == nil {
		return
	}
	levels := r.table.Label(windowColumn).Levels
	for i, level := range levels {
		if moment, err := time.Parse(time.RFC3339Nano, level); err == nil {
			levels[i] = moment.UTC().Format(time.RFC3339Nano)
		}
	}
}

// several says whether a column has more than one label inside.
func (r *runner) several(name string) bool {
	first := int32(-1)
	for k, code := range r.table.Label(name).Codes {
		if r.inside != nil && !r.inside[k] {
			continue
		}
		if first < 0 {
			first = code
		}
		if code != first {
			return true
		}
	}
	return false
}

// samples returns the rows of each sample of its own, and the columns within which strata lie. Reports of different
// statistics and kappas are samples of their own; so are windows when they are asked for one by one.
func (r *runner) samples() (samples [][]int32, nest []string) {
	if r.reports == nil {
		return [][]int32{nil}, nil
	}
	var key *design.Factor
	for _, name := range r.reports {
		if name == windowColumn && !slices.Contains(r.By, name) {
			nest = append(nest, name)
			continue
		}
		key = cross(key, factor(r.table, name, nil))
	}
	samples = make([][]int32, len(key.Levels))
	for k, code := range key.Codes {
		if code >= 0 {
			samples[code] = append(samples[code], int32(k))
		}
	}
	return samples, nest
}

// sample answers for the groups of one sample.
func (r *runner) sample(rows []int32, nest []string) error {
	groups, err := r.groups(rows)
	if err != nil {
		return err
	}
	if len(groups.names) == 0 {
		if len(r.By) > 0 || r.reports != nil {
			return nil
		}
		return &design.Error{Code: design.NoDomain, Detail: "--where holds for none"}
	}
	study, err := r.study(r.table, rows, nest)
	if err != nil {
		return r.located(err, rows, nil)
	}
	study.DomainFreedom = r.reports != nil // as the engine counts
	a, err := inference.New(study)
	if err != nil {
		return r.located(err, rows, nil)
	}
	var noise []float64
	if r.NoiseVariance != "" {
		noise = pick(r.table.Number(r.NoiseVariance), rows)
	}
	questions := make([]inference.Statistic, len(r.statistics))
	for i := range questions {
		questions[i] = r.statistics[i].on(r.table, rows, noise)
	}
	r.summed = r.sums(r.table, rows)
	in := make([]bool, count(r.table, rows))
	for group, names := range groups.names {
		mask := groups.mask(group, in)
		for i, question := range questions {
			e, err := a.Estimate(question, mask)
			if err = r.answer(&r.statistics[i], names, e, err); err != nil {
				return r.located(err, rows, &r.statistics[i])
			}
		}
	}
	return nil
}

// answer adds a result. A group without an estimate is told as one, when there are groups.
func (r *runner) answer(s *statistic, names map[string]string, e inference.Estimate, err error) error {
	result := Result{Statistic: s.text, By: names, Warnings: e.Warnings}
	if caveat := r.caveat(); caveat != "" {
		result.Warnings = append(result.Warnings, caveat)
	}
	switch code := design.CodeOf(err); {
	case err == nil:
		result.Value, result.StdError, result.CILow, result.CIHigh = &e.Value, &e.StdError, &e.Low, &e.High
		result.DegreesOfFreedom = &e.DegreesOfFreedom
		if !r.summed { // a sum of the sample doesn't tell how its units differ
			result.DesignEffect = &e.DesignEffect
		}
		if r.NoiseVariance != "" {
			result.VarianceSampling, result.VariancePrivacy = &e.VarianceSampling, &e.VariancePrivacy
		}
	case len(r.By) > 0 && (code == design.NoDomain || code == design.NoFreedom || code == design.Negative):
		result.Warnings = []string{"no estimate: " + err.Error()}
	default:
		return err
	}
	r.results = append(r.results, result)
	return nil
}

// located turns roles and rows of a sample into columns and rows of the table.
func (r *runner) located(err error, rows []int32, s *statistic) error {
	e, ok := errors.AsType[*design.Error](err)
	if ok && e.Code == design.Lonely && e.Role == "" && e.Stage == 1 && e.Stratum != "" {
		named := *e
		named.Role = design.RoleStratum
		e = &named
	}
	if ok && e.Role != "" {
		name := r.column(e, s)
		if name == "" && e.Row == 0 {
			return err
		}
		cause := e.Code.String()
		if e.Stratum != "" {
			cause += fmt.Sprintf(": stratum %q", e.Stratum)
		}
		if e.Detail != "" {
			cause += ": " + e.Detail
		}
		if name == "" {
			cause = string(e.Role) + ": " + cause
		}
		return r.table.At(name, rowOf(rows, e.Row), cause)
	}
	if e, ok := errors.AsType[*calibrate.Error](err); ok && e.Row > 0 {
		return r.table.At(e.Column, rowOf(rows, e.Row), "calibration: "+e.Code.String()+": "+e.Detail)
	}
	return err
}
