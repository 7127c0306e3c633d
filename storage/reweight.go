package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/survey"
)

// LeastResponses is the floor of survey.Collapse that a window's estimate uses: a stratum needs two reports for a
// variance, of a cluster sample two clusters with a report.
const LeastResponses = 2

// question is one statistic of one window.
type question struct {
	startMs   int64
	statistic string
}

// tally is what is known of one stratum of a question.
type tally struct {
	population, panel, responses int64
	clusters                     int64            // of the frame in the stratum; 0 when devices were drawn, or when nobody stored it
	reports                      map[string]int64 // by cluster; those of clusters that are one device each under attr.Missing
	hops                         bool             // the window is a pane: results are about several
}

// answer is what a stored stratum becomes in an export.
type answer struct {
	stratum    string
	population int64
	weight     float64 // of a report; of a cluster sample of a cluster
	clusters   int64
	merged     bool // with other strata
}

// Weights is the weights that the estimates used, for every stratum of every statistic and window. They come from all
// responses of the window, so make them from all its reports before using them on some.
type Weights struct {
	tallies map[question]map[string]*tally
	answers map[question]map[string]answer // made at first use from tallies
	least   int64
}

// NewWeights makes empty weights; least is the fewest responses that a stratum may stand alone with.
func NewWeights(least int64) *Weights {
	return &Weights{tallies: map[question]map[string]*tally{}, answers: map[question]map[string]answer{}, least: least}
}

func (w *Weights) tally(q question, stratum string) *tally {
	strata := w.tallies[q]
	if strata == nil {
		strata = map[string]*tally{}
		q.statistic = strings.Clone(q.statistic)
		w.tallies[q] = strata
	}
	t := strata[stratum]
	if t == nil {
		t = &tally{}
		strata[strings.Clone(stratum)] = t
	}
	return t
}

// stratumColumns is the columns that reports and strata share.
type stratumColumns struct {
	starts             *array.Timestamp
	statistics, strata *array.String
	populations        *array.Int64

	clusters                *array.String // of reports, as the following; nil when a record lacks them
	clusterSizes, inStratum *array.Int64
	units                   *array.Int64
}

// stands is how many units a row stands for.
func (c *stratumColumns) stands(i int) int64 {
	if c.units == nil || c.units.IsNull(i) {
		return 1
	}
	return c.units.Value(i)
}

// sized says whether a report is of a cluster sample whose clusters' sizes were stored.
func (c *stratumColumns) sized(i int) bool {
	return c.clusters != nil && c.clusters.Value(i) != "" && c.clusterSizes != nil && c.inStratum != nil &&
		!c.clusterSizes.IsNull(i) && !c.inStratum.IsNull(i)
}

func stratumColumnsOf(rec arrow.Record) (c stratumColumns, err error) {
	var ok [4]bool
	get := func(name string) arrow.Array { return columnOf(rec, name) }
	c.starts, ok[0] = get(colWindowStart).(*array.Timestamp)
	c.statistics, ok[1] = get(colStatistic).(*array.String)
	c.strata, ok[2] = get(colStratum).(*array.String)
	c.populations, ok[3] = get(colPopulation).(*array.Int64)
	c.clusters, _ = get(colCluster).(*array.String)
	c.clusterSizes, _ = get(colClusterSize).(*array.Int64)
	c.inStratum, _ = get(colInStratum).(*array.Int64)
	c.units, _ = get(colUnits).(*array.Int64)
	if slices.Contains(ok[:], false) {
		return c, &Error{Code: Malformed, Detail: "the records lack the columns of strata"}
	}
	return c, nil
}

// columnOf is a column of a record, nil when it has none or several of that name.
func columnOf(rec arrow.Record, name string) arrow.Array {
	if at := rec.Schema().FieldIndices(name); len(at) == 1 {
		return rec.Column(at[0])
	}
	return nil
}

// CountReports counts the responses of a record of reports.
func (w *Weights) CountReports(rec arrow.Record) error {
	c, err := stratumColumnsOf(rec)
	if err != nil {
		return err
	}
	var last question
	var name string
	var t *tally
	for i := range int(rec.NumRows()) {
		q := question{startMs: int64(c.starts.Value(i)), statistic: c.statistics.Value(i)}
		if t == nil || q != last || c.strata.Value(i) != name {
			last, name = q, c.strata.Value(i)
			t = w.tally(q, name)
		}
		t.population = c.populations.Value(i)
		t.responses += c.stands(i)
		if c.sized(i) {
			t.clusters = c.inStratum.Value(i)
			t.heard(c.clusters.Value(i), c.stands(i))
		}
	}
	return nil
}

// CountStrata takes the populations and panels of a record of strata, so that those without any report count too.
func (w *Weights) CountStrata(rec arrow.Record) error {
	c, err := stratumColumnsOf(rec)
	if err != nil {
		return err
	}
	panels, _ := columnOf(rec, colPanel).(*array.Int64)
	clusters, _ := columnOf(rec, colClusters).(*array.Int64)
	panes, _ := columnOf(rec, colPanes).(*array.Int64)
	if panels == nil {
		return &Error{Code: Malformed, Detail: "the records lack the panels of strata"}
	}
	for i := range int(rec.NumRows()) {
		t := w.tally(question{startMs: int64(c.starts.Value(i)), statistic: c.statistics.Value(i)}, c.strata.Value(i))
		t.population, t.panel = c.populations.Value(i), panels.Value(i)
		if clusters != nil && !clusters.IsNull(i) {
			t.clusters = clusters.Value(i)
		}
		t.hops = panes != nil && !panes.IsNull(i) && panes.Value(i) > 1
	}
	return nil
}

// collapse decides, for one question, what each stratum becomes: by survey.Collapse, as the engine does when it closes
// the window, and then weight = population / responses. A stratum in which enough were due and nobody answered is left
// out, as there: estimates that need it have no value.
func (w *Weights) collapse(q question) map[string]answer {
	if a, ok := w.answers[q]; ok {
		return a
	}
	q.statistic = strings.Clone(q.statistic) // as a key it would keep the column that it is read from
	out := w.collapseClusters(q)
	if out != nil {
		w.answers[q] = out
		return out
	}
	var samples []survey.Sample
	for name, t := range w.tallies[q] {
		if silent := t.responses == 0 && t.panel >= w.least; t.population > 0 && !silent {
			samples = append(samples, survey.Sample{Stratum: name, Population: t.population, Panel: t.responses, Responses: t.responses})
		}
	}
	slices.SortFunc(samples, func(a, b survey.Sample) int { return strings.Compare(a.Stratum, b.Stratum) })
	merged, mapping, _ := survey.Collapse(samples, w.least)
	out = make(map[string]answer, len(samples))
	for i, s := range samples {
		m := merged[mapping[i]]
		out[s.Stratum] = answer{stratum: m.Stratum, population: m.Population, weight: float64(m.Population) / float64(m.Responses)}
	}
	w.answers[q] = out
	return out
}

// Apply is a record of reports with stratum, stratum_population and weight as the estimate used them: strata that were
// estimated as one have one name. Reports of a cluster sample have the number of clusters of the stratum that was
// estimated, too, and where strata were estimated as one, names of clusters that say from which they are. Reports of a
// cluster sample that were stored without the sizes of clusters keep their stratum and the design's weight 1/pi. So do all
// reports of panes keep their stratum, since what is estimated as one differs between the windows that hold the pane; their weight is
// that of an estimate of the pane alone. The caller releases it. Count everything first.
func (w *Weights) Apply(rec arrow.Record, alloc memory.Allocator) (arrow.Record, error) {
	c, err := stratumColumnsOf(rec)
	if err != nil {
		return nil, err
	}
	out := newReweighed(alloc)
	defer out.release()
	designed, _ := columnOf(rec, colWeight).(*array.Float64)
	var last question
	var answers map[string]answer
	for i := range int(rec.NumRows()) {
		q := question{startMs: int64(c.starts.Value(i)), statistic: c.statistics.Value(i)}
		if answers == nil || q != last {
			last, answers = q, w.collapse(q)
		}
		name := c.strata.Value(i)
		if designed != nil && c.clusters != nil && c.clusters.Value(i) != "" && !c.sized(i) {
			out.append(answer{stratum: name, population: c.populations.Value(i), weight: designed.Value(i)}, c.clusters.Value(i))
			continue
		}
		a, ok := answers[name]
		if !ok {
			return nil, &Error{Code: Malformed, Detail: "a report belongs to a stratum that was not counted"}
		}
		if t := w.tallies[q][name]; t.hops {
			a = answer{stratum: name, population: t.population, clusters: t.clusters, weight: a.weight}
		}
		if !c.sized(i) {
			out.append(a, "")
			continue
		}
		cluster := c.clusters.Value(i)
		a.weight *= float64(c.clusterSizes.Value(i)) / float64(w.tallies[q][name].of(cluster))
		out.append(a, a.label(name, cluster))
	}
	return out.record(rec), nil
}

// ScanWeighted streams the committed reports of a kappa as ScanReports does, with the strata and weights that the newest
// estimates used. It reads the span twice and keeps a small entry in memory for each stratum, and each cluster with a
// report, of each statistic and window.
func (r *Rows) ScanWeighted(ctx context.Context, ref string, since, until time.Time) Records {
	return func(yield func(arrow.Record, error) bool) {
		windows := spanOf(since, until)
		seen, err := r.begin(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer seen.done()
		w := NewWeights(LeastResponses)
		names := []string{colWindowStart, colStatistic, colStratum, colPopulation}
		counted := append(slices.Clone(names), colCluster, colClusterSize, colInStratum, colUnits)
		for rec, err := range r.scan(ctx, seen, KindReports, ref, windows, counted) {
			if err == nil {
				err = w.CountReports(rec)
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
		for rec, err := range r.scan(ctx, seen, KindStrata, ref, windows, append(slices.Clone(names), colPanel, colClusters, colPanes)) {
			if err == nil {
				err = w.CountStrata(rec)
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
		for rec, err := range r.scan(ctx, seen, KindReports, ref, windows, nil) {
			if err != nil {
				yield(nil, err)
				return
			}
			weighted, err := w.Apply(rec, r.alloc)
			if err != nil {
				yield(nil, fmt.Errorf("weights: %w", err))
				return
			}
			more := yield(weighted, nil)
			weighted.Release()
			if !more {
				return
			}
		}
	}
}
