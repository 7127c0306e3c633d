package estimate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/internal/restate"
	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey/design"
)

// question is one --stat that names a statistic of exported reports as the script does, or change(…) of one.
type question struct {
	text   string
	stored string // name of the statistic; of a ratio that of its first part
	second string // of a ratio that of its second part; empty for others
	change bool
}

// Words behind the name of a ratio, in the rows of its parts.
const (
	numerator   = " numerator"
	denominator = " denominator"
)

// plain is a text without blanks.
func plain(text string) string { return strings.Join(strings.Fields(text), "") }

// servedRun answers what the server answered, where the data is an export of reports, --stat names its statistics and nothing is said
// of a design. ok is false where that is not so.
func (c *Config) servedRun() (results []Result, ok bool, err error) {
	names, err := tabular.Columns(c.Data)
	if err != nil || reportsOf(names) == nil {
		return nil, false, nil //nolint:nilerr // whoever reads the table as a sample meets it again
	}
	designed, odd := c.designed(), c.odd(names)
	if designed != "" && odd == "" {
		return nil, false, nil
	}
	w := tabular.Want{Labels: []string{statisticColumn}}
	if slices.Contains(names, clusterColumn) {
		w.Labels = append(w.Labels, clusterColumn)
	}
	t, err := tabular.Read(c.Data, w)
	if err != nil {
		return nil, false, err
	}
	stored := t.Label(statisticColumn).Levels
	var questions []question
	for _, text := range c.Stats {
		if q, known := askedOf(text, stored); known {
			questions = append(questions, q)
		}
	}
	switch {
	case len(questions) == 0 && odd == "":
		return nil, false, nil
	case len(questions) == 0:
		return nil, false, &UsageError{"stat", fmt.Sprintf("%q is no statistic of this export, which has %s; of columns %s", odd, told(stored), forms)}
	case len(questions) < len(c.Stats):
		return nil, false, &UsageError{"stat", "statistics of the export can't be asked for together with others"}
	case designed != "":
		return nil, false, &UsageError{designed, "is not for a statistic of the export, whose design its columns tell"}
	}
	clusters := t.Label(clusterColumn)
	r, err := c.server(questions, names, clusters != nil && len(clusters.Levels) > 0)
	if err != nil {
		return nil, false, err
	}
	results, err = r.run()
	return results, true, err
}

// designed is a flag that says something of a design; empty when none is given.
func (c *Config) designed() string {
	for _, flag := range []struct {
		name  string
		given bool
	}{
		{"stratum", c.Stratum != ""},
		{"cluster", len(c.Cluster) > 0},
		{"weight", c.Weight != ""},
		{"fpc", len(c.FPC) > 0},
		{"noise-variance", c.NoiseVariance != ""},
		{"poststratify", c.Poststratify != nil},
		{"rake", c.Rake != nil},
		{"calibrate", c.Calibrate != nil},
		{"calfun", c.Calfun != ""},
		{"bounds", c.Bounds != nil},
		{"pps", c.PPS != ""},
		{"pi", c.Pi != ""},
		{"joint", c.Joint != ""},
		{"phase2", c.Phase2 != ""},
		{"phase2-stratum", c.Phase2Stratum != ""},
		{"replicates", c.Replicates != ""},
		{"lonely", c.Lonely != ""},
		{"interval", c.Interval != "" && c.Interval != "t"},
	} {
		if flag.given {
			return flag.name
		}
	}
	return ""
}

// askedOf finds the statistic that a text names, blanks aside.
func askedOf(text string, stored []string) (q question, known bool) {
	find := func(name string) (string, bool) {
		i := slices.IndexFunc(stored, func(s string) bool { return plain(s) == plain(name) })
		if i < 0 {
			return "", false
		}
		return stored[i], true
	}
	q.text = text
	if q.stored, known = find(text); known {
		return q, true
	}
	if q.stored, known = find(text + numerator); known {
		q.second = strings.TrimSuffix(q.stored, numerator) + denominator
		return q, true
	}
	inner, isCall := strings.CutPrefix(plain(text), "change(")
	if inner, closed := strings.CutSuffix(inner, ")"); isCall && closed {
		q.change = true
		q.stored, known = find(inner)
	}
	return q, known
}

// odd is the first --stat that is none of columns of the data; empty when all are.
func (c *Config) odd(names []string) string {
	for _, text := range c.Stats {
		s, err := parseStatistic(text)
		if err != nil {
			return text
		}
		w := tabular.Want{}
		s.want(&w)
		if slices.ContainsFunc(append(w.Numbers, w.Labels...), func(name string) bool { return !slices.Contains(names, name) }) {
			return text
		}
	}
	return ""
}

// told lists the statistics that reports answer.
func told(stored []string) string {
	var names []string
	for _, name := range stored {
		if !strings.HasSuffix(name, denominator) {
			names = append(names, strings.TrimSuffix(name, numerator))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// server answers questions about exported reports as the server did.
type server struct {
	*Config
	questions []question
	names     []string // columns
	clustered bool
	cells     bool // by cell
	where     *tabular.Condition
	table     *tabular.Table
	several   bool // kappas
	windows   map[sampleKey]*restate.Window
	asked     map[sampleKey]restate.Asked
	spans     map[sampleKey]time.Duration
	drawn     map[sampleKey]*drawnPane // panes whose strata are known, of kappas with EVERY
	hops      map[seriesKey]bool       // statistics of those
	turns     map[sampleKey]int        // windows from one answer of a device to the next to the same statistic, in a FIXED panel
	results   []Result
}

// seriesKey names a statistic of a kappa.
type seriesKey struct{ kappa, statistic string }

// sampleKey names a sample: one statistic of one kappa in one window.
type sampleKey struct {
	kappa, statistic string
	start            time.Time
}

func (c *Config) server(questions []question, names []string, clustered bool) (*server, error) {
	r := &server{
		Config: c, questions: questions, names: names, clustered: clustered, windows: map[sampleKey]*restate.Window{},
		asked: map[sampleKey]restate.Asked{}, spans: map[sampleKey]time.Duration{}, turns: map[sampleKey]int{},
		drawn: map[sampleKey]*drawnPane{}, hops: map[seriesKey]bool{},
	}
	for _, name := range c.By {
		switch name {
		case cellColumn:
			r.cells = true
		case windowColumn, statisticColumn, kappaColumn:
		default:
			return nil, &UsageError{"by", "of statistics of the export only cell, window_start, statistic and kappa can be told apart"}
		}
	}
	if c.Confidence == 0 {
		c.Confidence = 0.95
	}
	if c.Where == "" {
		return r, nil
	}
	condition, err := tabular.Parse(c.Where)
	if err != nil {
		return nil, &UsageError{"where", err.Error()}
	}
	r.where = &condition
	return r, nil
}

// run reads the rows, gathers them and answers.
func (r *server) run() ([]Result, error) {
	err := r.readStrata()
	if err != nil {
		return nil, err
	}
	if r.table, err = tabular.Read(r.Data, r.wanted()); err != nil {
		return nil, err
	}
	if err := r.gather(); err != nil {
		return nil, err
	}
	if err := r.hop(); err != nil {
		return nil, err
	}
	keys := make([]sampleKey, 0, len(r.windows))
	for key := range r.windows {
		keys = append(keys, key)
		r.several = r.several || key.kappa != keys[0].kappa
	}
	slices.SortFunc(keys, func(a, b sampleKey) int { return cmp.Or(strings.Compare(a.kappa, b.kappa), a.start.Compare(b.start)) })
	for _, q := range r.questions {
		for _, key := range keys {
			if key.statistic != q.stored {
				continue
			}
			if kind := r.asked[key].Kind; q.change && !restate.Changes(kind) {
				return nil, &UsageError{"stat", fmt.Sprintf("%q: a change is told of a mean, a total, a proportion and a count, not of a %s", q.text, kind)}
			}
			if q.change && r.hops[key.series()] {
				return nil, &UsageError{"stat", fmt.Sprintf("%q: no change is told of windows with EVERY, which share panes with the ones before", q.text)}
			}
			r.answer(&q, key)
		}
	}
	if len(r.results) == 0 {
		return nil, &design.Error{
			Code: design.NoDomain, Detail: "--where leaves no report, or no window has an earlier one in which its devices were asked the same",
		}
	}
	return r.results, nil
}

// answer answers a question in a window: over all cells, or by cell.
func (r *server) answer(q *question, key sampleKey) {
	w := r.windows[key]
	domains := []string{restate.AllCells}
	if r.cells {
		domains = w.Cells()
	}
	for _, domain := range domains {
		base := Result{Statistic: q.text, By: map[string]string{windowColumn: key.start.Format(time.RFC3339Nano)}}
		if r.cells {
			base.By[cellColumn] = domain
		}
		if r.several {
			base.By[kappaColumn] = key.kappa
		}
		switch {
		case q.change:
			r.change(base, key, domain)
		case q.second != "":
			other := r.windows[sampleKey{key.kappa, q.second, key.start}]
			if other == nil {
				base.Warnings = []string{"no estimate: nobody answered the denominator"}
				r.results = append(r.results, base)
				continue
			}
			r.tell(base, restate.Ratio(w, other, domain, r.Confidence))
		default:
			for _, a := range w.Answers(domain, r.Confidence) {
				r.tell(base, a)
			}
		}
	}
}

// tell adds an answer.
func (r *server) tell(result Result, a restate.Answer) {
	if a.Bin != nil {
		result.Bin = &Bin{Index: a.Bin.Index, Low: a.Bin.Low, High: a.Bin.High, Consistent: a.Bin.Consistent}
	}
	switch e := a.Estimate; {
	case a.Err != nil:
		result.Warnings = []string{"no estimate: " + a.Err.Error()}
	case a.Shape:
		result.Warnings = []string{"for display only: the share of a reconstructed shape (penalised likelihood), biased, without value and interval"}
	default:
		result.Value, result.StdError, result.CILow, result.CIHigh = &e.Value, &e.StdError, &e.Low, &e.High
		result.DegreesOfFreedom, result.VarianceSampling, result.VariancePrivacy = &e.DegreesOfFreedom, &e.VarianceSampling, &e.VariancePrivacy
		if e.DesignEffect > 0 {
			result.DesignEffect = &e.DesignEffect
		}
		result.Warnings = e.Warnings
	}
	r.results = append(r.results, result)
}

// change adds the change since the window in which the same devices were asked the same, with three statistics the third before;
// nothing where there is none.
func (r *server) change(result Result, key sampleKey, domain string) {
	earlier := key
	earlier.start = key.start.Add(-r.spans[key] * time.Duration(r.turns[key]))
	before, a, b := r.windows[earlier], r.asked[earlier], r.asked[key]
	if before == nil || a.Kind != b.Kind || a.Low != b.Low || a.High != b.High {
		return
	}
	c, err := restate.Change(before, r.windows[key], domain, r.Confidence)
	if err != nil {
		result.Warnings = []string{"no estimate: " + err.Error()}
		r.results = append(r.results, result)
		return
	}
	result.Value, result.StdError, result.CILow, result.CIHigh = &c.Value, &c.StdError, &c.Low, &c.High
	result.DegreesOfFreedom, result.VarianceSampling, result.VariancePrivacy = &c.DegreesOfFreedom, &c.VarianceSampling, &c.VariancePrivacy
	result.Since, result.Matched = earlier.start.Format(time.RFC3339Nano), &c.Common
	if c.Common == 0 {
		result.Warnings = []string{"nobody answered in both windows: the panel is not FIXED"}
	}
	r.results = append(r.results, result)
}
