package estimate

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/quadrat-dev/quadrat/internal/restate"
	"github.com/quadrat-dev/quadrat/internal/tabular"
)

// Columns of exported reports that only their own statistics need.
const (
	cellColumn       = "cell"
	kappaColumn      = "kappa"
	endColumn        = "window_end"
	noiseColumn      = "noise_variance"
	mechanismColumn  = "mechanism"
	epsilonColumn    = "epsilon"
	revisionColumn   = "plan_revision"
	answerColumn     = "answer"
	codeColumn       = "answer_code"
	categoriesColumn = "answer_categories"
	sizeOfSetColumn  = "answer_size"
	includeColumn    = "answer_include"
	otherColumn      = "answer_other"
	kindColumn       = "kind"
	shareColumn      = "share"
	lowColumn        = "bounds_low"
	highColumn       = "bounds_high"
	countsColumn     = "unit_counts"
)

// wanted is the columns that the questions need and the export has.
func (r *server) wanted() tabular.Want {
	labels := []string{windowColumn, endColumn, statisticColumn, stratumColumn, cellColumn, mechanismColumn, kindColumn, countsColumn, kappaColumn}
	numbers := []string{
		populationColumn, scoreColumn, noiseColumn, epsilonColumn, revisionColumn, categoriesColumn, sizeOfSetColumn, includeColumn, otherColumn,
		shareColumn, lowColumn, highColumn, unitsColumn,
	}
	if r.clustered {
		labels, numbers = append(labels, clusterColumn), append(numbers, sizeColumn, numberColumn)
	}
	for _, q := range r.questions {
		if kind, _, ok := restate.Named(q.stored); !ok || (&restate.Asked{Kind: kind}).Categorical() {
			labels = append(labels, answerColumn, codeColumn)
		}
		if q.change || r.clustered || len(r.hops) > 0 {
			labels = append(labels, deviceColumn)
		}
	}
	lacks := func(name string) bool { return !slices.Contains(r.names, name) }
	w := tabular.Want{Labels: slices.DeleteFunc(labels, lacks), Numbers: slices.DeleteFunc(numbers, lacks)}
	if r.where != nil {
		r.where.Want(&w)
	}
	return w.Distinct()
}

// rows reads columns of exported reports; one that the export lacks is empty everywhere.
type rows struct{ *tabular.Table }

func (t rows) text(name string, row int) string {
	l := t.Label(name)
	if l == nil || l.Codes[row] < 0 {
		return ""
	}
	return l.Levels[l.Codes[row]]
}

// number is 0 where it is missing.
func (t rows) number(name string, row int) float64 {
	if x := t.maybe(name, row); !math.IsNaN(x) {
		return x
	}
	return 0
}

// maybe is NaN where it is missing.
func (t rows) maybe(name string, row int) float64 {
	if values := t.Number(name); values != nil {
		return values[row]
	}
	return missing
}

// whole is a column of numbers that must be whole.
func (t rows) whole(name string, row int) int64 { return int64(t.number(name, row)) }

// moments reads the levels of a column of moments.
func (t rows) moments(name string) ([]time.Time, error) {
	l := t.Label(name)
	if l == nil {
		return nil, &UsageError{"data", "the export lacks the column " + name}
	}
	out := make([]time.Time, len(l.Levels))
	for i, level := range l.Levels {
		moment, err := time.Parse(time.RFC3339Nano, level)
		if err != nil {
			return nil, t.At(name, 0, "not a moment as RFC 3339 writes it")
		}
		out[i] = moment.UTC()
	}
	return out, nil
}

// said is an answer of categories; both columns hold numbers of 64 bits, which Parquet may tell with a sign.
func (t rows) said(row int) (said uint64, ok bool) {
	text := t.text(answerColumn, row)
	if text == "" {
		text = t.text(codeColumn, row)
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return uint64(n), err == nil
}

// place is where a row belongs.
type place struct {
	sampleKey

	wanted bool
}

// gather reads the rows into windows.
func (r *server) gather() error {
	t := rows{r.table}
	places, err := r.places(t)
	if err != nil {
		return err
	}
	if err := r.make(t, places); err != nil {
		return err
	}
	var truths []tabular.Truth
	if r.where != nil {
		truths = r.where.Eval(r.table)
	}
	for row, at := range places {
		if !at.wanted {
			continue
		}
		inside := truths == nil || truths[row] == tabular.True
		if truths != nil && truths[row] == tabular.Unknown && !r.DropMissing {
			return r.table.At("", row+1, "the condition of --where meets a missing value; --na drop leaves such rows out")
		}
		if err := r.add(t, row, at.sampleKey, inside); err != nil {
			return err
		}
	}
	return nil
}

// places finds the sample of each row, and what windows tell of the plan: their length, and how many statistics take turns.
func (r *server) places(t rows) ([]place, error) {
	starts, err := t.moments(windowColumn)
	if err != nil {
		return nil, err
	}
	ends, err := t.moments(endColumn)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, q := range r.questions {
		wanted[q.stored], wanted[q.second] = true, true
	}
	type plan struct {
		kappa    string
		revision int64
	}
	statistics, plans := map[plan]map[string]bool{}, map[sampleKey]plan{}
	places := make([]place, t.Rows)
	for row := range places {
		start, end, statistic := t.Label(windowColumn).Codes[row], t.Label(endColumn).Codes[row], t.text(statisticColumn, row)
		if start < 0 || end < 0 || statistic == "" {
			return nil, t.At(windowColumn, row+1, "a row without a window or a statistic")
		}
		key := sampleKey{t.text(kappaColumn, row), statistic, starts[start]}
		of := plan{key.kappa, t.whole(revisionColumn, row)}
		if statistics[of] == nil {
			statistics[of] = map[string]bool{}
		}
		statistics[of][statistic] = true
		places[row] = place{key, wanted[statistic] && (!r.hops[key.series()] || r.drawn[key] != nil)} // other panes haven't closed
		if places[row].wanted {
			plans[key], r.spans[key] = of, ends[end].Sub(starts[start])
		}
	}
	for key, of := range plans {
		r.turns[key] = len(statistics[of])
	}
	return places, nil
}

// make makes the windows of the rows, from what the first report of each says of the question. Where only gateways answered, that is
// what a report of the same statistic in another window says.
func (r *server) make(t rows, places []place) error {
	first, others := map[sampleKey]int{}, map[seriesKey]int{}
	for row, at := range places {
		if !at.wanted {
			continue
		}
		of := at.series()
		if _, known := first[at.sampleKey]; !known {
			first[at.sampleKey] = row
		}
		if math.IsNaN(t.maybe(unitsColumn, row)) {
			if known, seen := first[at.sampleKey]; seen && !math.IsNaN(t.maybe(unitsColumn, known)) {
				first[at.sampleKey] = row
			}
			if _, known := others[of]; !known {
				others[of] = row
			}
		}
	}
	changes := slices.ContainsFunc(r.questions, func(q question) bool { return q.change })
	for key, row := range first {
		a, err := r.askedAt(t, row)
		if err != nil {
			return err
		}
		if other, known := others[key.series()]; known && !math.IsNaN(t.maybe(unitsColumn, row)) {
			of, err := r.askedAt(t, other)
			if err != nil {
				return err
			}
			a.Mechanism, a.Size, a.Include, a.Other = of.Mechanism, of.Size, of.Include, of.Other
		}
		w, err := restate.NewWindow(a, changes || r.hops[key.series()])
		if err != nil {
			return t.At(statisticColumn, row+1, key.statistic+": "+err.Error())
		}
		r.asked[key], r.windows[key] = a, w
	}
	return r.draw()
}

// askedAt is what a row says of its statistic.
func (r *server) askedAt(t rows, row int) (restate.Asked, error) {
	name := t.text(statisticColumn, row)
	a := restate.Asked{
		Kind: t.text(kindColumn, row), Share: t.number(shareColumn, row), Low: t.number(lowColumn, row), High: t.number(highColumn, row),
		Mechanism: t.text(mechanismColumn, row), Epsilon: t.number(epsilonColumn, row), Categories: int(t.whole(categoriesColumn, row)),
		Size: int(t.whole(sizeOfSetColumn, row)), Include: t.number(includeColumn, row), Other: t.number(otherColumn, row),
	}
	if !math.IsNaN(t.maybe(unitsColumn, row)) {
		a.Mechanism = ""
	}
	if a.Kind == "" {
		var ok bool
		if a.Kind, a.Share, ok = restate.Named(name); !ok {
			return a, t.At(statisticColumn, row+1, name+" doesn't tell its kind, which reports have as a column from format version 6 on")
		}
	}
	if a.Low >= a.High && r.Between != nil {
		a.Low, a.High = r.Between[0], r.Between[1]
	}
	if a.Categorical() && a.Low >= a.High {
		return a, &UsageError{"between", "these reports were stored without their bounds, as up to format version 5: give those of the script, --between LO,HI"}
	}
	return a, nil
}

// add puts a row into its window.
func (r *server) add(t rows, row int, key sampleKey, inside bool) error {
	one := restate.Row{
		Device: t.text(deviceColumn, row), Stratum: t.text(stratumColumn, row), Cluster: t.text(clusterColumn, row), Cell: t.text(cellColumn, row),
		Population: t.whole(populationColumn, row), Inside: inside, Score: t.maybe(scoreColumn, row), Noise: t.maybe(noiseColumn, row),
		Units: t.whole(unitsColumn, row), Counts: t.text(countsColumn, row),
	}
	if one.Cluster != "" {
		one.ClusterSize, one.Clusters = t.whole(sizeColumn, row), t.whole(numberColumn, row)
	}
	if a := r.asked[key]; a.Categorical() && one.Units == 0 {
		var ok bool
		if one.Said, ok = t.said(row); !ok {
			return t.At(answerColumn, row+1, "an answer is missing or no number of 64 bits")
		}
	}
	if err := r.windows[key].Add(one); err != nil {
		return t.At(statisticColumn, row+1, err.Error())
	}
	return nil
}
