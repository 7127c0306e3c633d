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
// variance.
const LeastResponses = 2

// question is one statistic of one window.
type question struct {
	startMs   int64
	statistic string
}

// tally is what is known of one stratum of a question.
type tally struct{ population, panel, responses int64 }

// answer is what a stored stratum becomes in an export.
type answer struct {
	stratum    string
	population int64
	weight     float64
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
}

func stratumColumnsOf(rec arrow.Record) (c stratumColumns, err error) {
	var ok [4]bool
	get := func(name string) arrow.Array { return columnOf(rec, name) }
	c.starts, ok[0] = get(colWindowStart).(*array.Timestamp)
	c.statistics, ok[1] = get(colStatistic).(*array.String)
	c.strata, ok[2] = get(colStratum).(*array.String)
	c.populations, ok[3] = get(colPopulation).(*array.Int64)
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
		t.responses++
	}
	return nil
}

// CountStrata takes the populations and panels of a record of strata, so that those without any report count too.
func (w *Weights) CountStrata(rec arrow.Record) error {
	c, err := stratumColumnsOf(rec)
	if err != nil {
		return err
	}
	var panels *array.Int64
	if at := rec.Schema().FieldIndices(colPanel); len(at) == 1 {
		panels, _ = rec.Column(at[0]).(*array.Int64)
	}
	if panels == nil {
		return &Error{Code: Malformed, Detail: "the records lack the panels of strata"}
	}
	for i := range int(rec.NumRows()) {
		t := w.tally(question{startMs: int64(c.starts.Value(i)), statistic: c.statistics.Value(i)}, c.strata.Value(i))
		t.population, t.panel = c.populations.Value(i), panels.Value(i)
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
	var samples []survey.Sample
	for name, t := range w.tallies[q] {
		if silent := t.responses == 0 && t.panel >= w.least; t.population > 0 && !silent {
			samples = append(samples, survey.Sample{Stratum: name, Population: t.population, Panel: t.responses, Responses: t.responses})
		}
	}
	slices.SortFunc(samples, func(a, b survey.Sample) int { return strings.Compare(a.Stratum, b.Stratum) })
	merged, mapping, _ := survey.Collapse(samples, w.least)
	out := make(map[string]answer, len(samples))
	for i, s := range samples {
		m := merged[mapping[i]]
		out[s.Stratum] = answer{stratum: m.Stratum, population: m.Population, weight: float64(m.Population) / float64(m.Responses)}
	}
	w.answers[q] = out
	return out
}

// Apply is a record of reports with stratum, stratum_population and weight as the estimate used them: strata that were
// estimated as one have one name. Reports of a cluster sample keep their own stratum and the design's weight 1/pi: what
// silence does to it depends on the sizes of clusters, which aren't stored. The caller releases it. Count everything first.
func (w *Weights) Apply(rec arrow.Record, alloc memory.Allocator) (arrow.Record, error) {
	c, err := stratumColumnsOf(rec)
	if err != nil {
		return nil, err
	}
	clusters, _ := columnOf(rec, colCluster).(*array.String)
	designed, _ := columnOf(rec, colWeight).(*array.Float64)
	strata, populations, weights := array.NewStringBuilder(alloc), array.NewInt64Builder(alloc), array.NewFloat64Builder(alloc)
	defer strata.Release()
	defer populations.Release()
	defer weights.Release()
	var last question
	var answers map[string]answer
	for i := range int(rec.NumRows()) {
		q := question{startMs: int64(c.starts.Value(i)), statistic: c.statistics.Value(i)}
		if answers == nil || q != last {
			last, answers = q, w.collapse(q)
		}
		if clusters != nil && designed != nil && clusters.Value(i) != "" {
			strata.Append(c.strata.Value(i))
			populations.Append(c.populations.Value(i))
			weights.Append(designed.Value(i))
			continue
		}
		a, ok := answers[c.strata.Value(i)]
		if !ok {
			return nil, &Error{Code: Malformed, Detail: "a report belongs to a stratum that was not counted"}
		}
		strata.Append(a.stratum)
		populations.Append(a.population)
		weights.Append(a.weight)
	}
	columns := slices.Clone(rec.Columns())
	for name, b := range map[string]array.Builder{colStratum: strata, colPopulation: populations, colWeight: weights} {
		column := b.NewArray()
		defer column.Release()
		columns[rec.Schema().FieldIndices(name)[0]] = column
	}
	return array.NewRecord(rec.Schema(), columns, rec.NumRows()), nil
}

// ScanWeighted streams the committed reports of a kappa as ScanReports does, with the strata and weights that the newest
// estimates used. It reads the span twice and keeps a small entry in memory for each stratum of each statistic and
// window.
func (s *Store) ScanWeighted(ctx context.Context, ref string, since, until time.Time) Records {
	return func(yield func(arrow.Record, error) bool) {
		windows, segments := spanOf(since, until), s.Segments()
		w := NewWeights(LeastResponses)
		names := []string{colWindowStart, colStatistic, colStratum, colPopulation}
		for rec, err := range s.scan(ctx, segments, KindReports, ref, windows, names) {
			if err == nil {
				err = w.CountReports(rec)
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
		for rec, err := range s.scan(ctx, segments, KindStrata, ref, windows, append(slices.Clone(names), colPanel)) {
			if err == nil {
				err = w.CountStrata(rec)
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
		for rec, err := range s.scan(ctx, segments, KindReports, ref, windows, nil) {
			if err != nil {
				yield(nil, err)
				return
			}
			weighted, err := w.Apply(rec, s.cfg.Allocator)
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
