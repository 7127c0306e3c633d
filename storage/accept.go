package storage

import (
	"math"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// reportReader reads the columns of a record of reports by name. Texts may be plain or by dictionary, whole numbers of
// any width, moments of any unit; the device is a number or 16 hexadecimal digits.
type reportReader struct {
	statistic, stratum, cluster, cell, mechanism       func(int) string
	start, end, device, population, revision, sequence func(int) int64
	pi, score, noise, epsilon, include                 func(int) float64
	answer, categories, size, clusterSize, clusters    func(int) int64
	code, seeds, root                                  func(int) int64
	other                                              func(int) float64
	coded                                              func(int) bool
	units                                              func(int) int64
	kind, counts                                       func(int) string
	share, low, high                                   func(int) float64
	rows                                               int
	columns                                            map[string]arrow.Array
	nulls                                              bool // permitted in the column that is being looked for
	err                                                error
}

// newReportReader finds the columns, or says which one is missing, has the wrong type or holds a null.
func newReportReader(rec arrow.Record) (*reportReader, error) {
	r := &reportReader{rows: int(rec.NumRows()), columns: map[string]arrow.Array{}}
	for i, f := range rec.Schema().Fields() {
		r.columns[f.Name] = rec.Column(i)
	}
	r.statistic, r.stratum, r.cell, r.mechanism = r.text(colStatistic), r.text(colStratum), r.text(colCell), r.text("mechanism")
	r.cluster = func(int) string { return "" }
	if r.columns["cluster"] != nil {
		r.cluster = r.text("cluster")
	}
	r.start, r.end, r.device = r.whole(colWindowStart), r.whole("window_end"), r.key(colDevice)
	r.population, r.revision, r.sequence = r.whole(colPopulation), r.whole("plan_revision"), r.whole(colSequence)
	r.pi, r.epsilon = r.number("pi"), r.number("epsilon")
	r.score, r.noise = orZero(r, "score", r.number), orZero(r, "noise_variance", r.number)
	r.answers()
	r.clusterSize, r.clusters = r.perhaps(colClusterSize), r.perhaps(colInStratum)
	r.units = r.perhaps(colUnits)
	r.asked()
	return r, r.err
}

func (r *reportReader) fail(name, what string) {
	if r.err == nil {
		r.err = &Error{Code: Malformed, Detail: "column " + name + " " + what}
	}
}

// column is a column without nulls, unless they are permitted.
func (r *reportReader) column(name string) arrow.Array {
	a := r.columns[name]
	switch {
	case a == nil:
		r.fail(name, "is missing")
	case a.NullN() > 0 && !r.nulls:
		r.fail(name, "holds nulls")
	}
	return a
}

// answers finds the columns of statistics of categories, which a record may lack: then it has no such statistic.
func (r *reportReader) answers() {
	if r.columns["answer"] == nil {
		none := func(int) int64 { return 0 }
		r.answer, r.categories, r.size, r.include = none, none, none, func(int) float64 { return 0 }
	} else {
		r.answer, r.include = orZero(r, "answer", r.whole), orZero(r, "answer_include", r.number)
		r.categories, r.size = orZero(r, "answer_categories", r.whole), orZero(r, "answer_size", r.whole)
	}
	r.seeds, r.root, r.code = r.perhaps("answer_seeds"), r.perhaps("answer_root"), r.perhaps(colCode)
	r.other, r.coded = func(int) float64 { return 0 }, func(int) bool { return false }
	if a := r.columns[colCode]; a != nil {
		r.other, r.coded = orZero(r, "answer_other", r.number), a.IsValid
	}
}

// asked finds the columns of what was asked, which a record may lack.
func (r *reportReader) asked() {
	texts := func(name string) func(int) string {
		if r.columns[name] == nil {
			return func(int) string { return "" }
		}
		r.nulls = true
		defer func() { r.nulls = false }()
		value, a := r.text(name), r.columns[name]
		return func(i int) string {
			if a.IsNull(i) {
				return ""
			}
			return value(i)
		}
	}
	numbers := func(name string) func(int) float64 {
		if r.columns[name] == nil {
			return func(int) float64 { return 0 }
		}
		return orZero(r, name, r.number)
	}
	r.kind, r.counts = texts(colKind), texts(colCounts)
	r.share, r.low, r.high = numbers("share"), numbers("bounds_low"), numbers("bounds_high")
}

// perhaps reads whole numbers that a record may lack; a null is 0.
func (r *reportReader) perhaps(name string) func(int) int64 {
	if r.columns[name] == nil {
		return func(int) int64 { return 0 }
	}
	return orZero(r, name, r.whole)
}

// orZero reads a column in which a null is 0.
func orZero[T int64 | float64](r *reportReader, name string, read func(string) func(int) T) func(int) T {
	r.nulls = true
	value, a := read(name), r.columns[name]
	r.nulls = false
	if value == nil || a.NullN() == 0 {
		return value
	}
	return func(i int) T {
		if a.IsNull(i) {
			return 0
		}
		return value(i)
	}
}

func (r *reportReader) text(name string) func(int) string {
	switch a := r.column(name).(type) {
	case *array.String:
		last := ""
		return func(i int) string {
			if v := a.Value(i); v != last {
				last = strings.Clone(v) // the record may be released before the row is written
			}
			return last
		}
	case *array.Dictionary:
		words, ok := a.Dictionary().(*array.String)
		if !ok {
			break
		}
		own := make([]string, words.Len())
		for i := range own {
			own[i] = strings.Clone(words.Value(i))
		}
		return func(i int) string { return own[a.GetValueIndex(i)] }
	}
	r.fail(name, "is no text")
	return nil
}

func (r *reportReader) whole(name string) func(int) int64 {
	switch a := r.column(name).(type) {
	case *array.Int64:
		return a.Value
	case *array.Int32:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Uint32:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Uint64:
		return func(i int) int64 { return int64(a.Value(i)) }
	case *array.Timestamp:
		per := int64(a.DataType().(*arrow.TimestampType).Unit.Multiplier())
		if per >= int64(time.Millisecond) {
			return func(i int) int64 { return int64(a.Value(i)) * (per / int64(time.Millisecond)) }
		}
		return func(i int) int64 { return int64(a.Value(i)) / (int64(time.Millisecond) / per) }
	}
	r.fail(name, "is no whole number or moment")
	return nil
}

func (r *reportReader) number(name string) func(int) float64 {
	if a, ok := r.column(name).(*array.Float64); ok {
		return a.Value
	}
	r.fail(name, "is no number")
	return nil
}

func (r *reportReader) key(name string) func(int) int64 {
	a, ok := r.column(name).(*array.String)
	if !ok {
		return r.whole(name)
	}
	return func(i int) int64 {
		key, ok := parseKey(a.Value(i))
		if !ok {
			r.fail(name, "is not 16 hexadecimal digits")
		}
		return int64(key)
	}
}

func parseKey(s string) (key uint64, ok bool) {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			key = key<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			key = key<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return key, len(s) == 16
}

// read is row i, or an error that names the first law that it breaks.
func (r *reportReader) read(i int) (row column.Report, err error) {
	row = column.Report{
		WindowStartMs: r.start(i), WindowEndMs: r.end(i), Device: uint64(r.device(i)),
		Statistic: r.statistic(i), Stratum: r.stratum(i), Cluster: r.cluster(i), Cell: r.cell(i),
		Pi: r.pi(i), StratumPopulation: r.population(i), Score: r.score(i), NoiseVariance: r.noise(i),
		Mechanism: r.mechanism(i), Epsilon: r.epsilon(i), PlanRevision: uint32(r.revision(i)), Sequence: uint64(r.sequence(i)),
		Answer: uint64(r.answer(i)), Categories: uint32(r.categories(i)), Size: uint32(r.size(i)), Include: r.include(i),
		ClusterPopulation: r.clusterSize(i), StratumClusters: r.clusters(i),
		Coded: r.coded(i), Code: uint64(r.code(i)), Other: r.other(i), Seeds: uint32(r.seeds(i)), Root: uint32(r.root(i)),
		Units: uint32(r.units(i)), Kind: r.kind(i), Share: r.share(i), Low: r.low(i), High: r.high(i), UnitCounts: r.counts(i),
	}
	switch {
	case r.err != nil:
		return row, r.err
	case r.units(i) < 0 || r.units(i) > math.MaxUint32:
		return row, &Error{Code: Malformed, Detail: "a number of units is out of range"}
	case row.Categories == 0 && (r.columns["score"].IsNull(i) || r.columns["noise_variance"].IsNull(i)):
		return row, &Error{Code: Malformed, Detail: "a report has neither a score nor an answer"}
	}
	return row, lawful(&row)
}

// lawful is nil, or an error that names the first law that a report breaks.
func lawful(row *column.Report) error {
	switch {
	case row.WindowStartMs < 0 || row.WindowEndMs <= row.WindowStartMs:
		return &Error{Code: Malformed, Detail: "a window does not end after its start"}
	case !finite(row.Score) || !finite(row.NoiseVariance) || !finite(row.Epsilon) || !finite(row.Include) || !finite(row.Other):
		return &Error{Code: Malformed, Detail: "a number is not finite"}
	case !finite(row.Share) || !finite(row.Low) || !finite(row.High):
		return &Error{Code: Malformed, Detail: "a share or a bound is not finite"}
	case row.UnitCounts != "" && (row.Units == 0 || row.Categories == 0):
		return &Error{Code: Malformed, Detail: "counts of units without units or categories"}
	case row.ClusterPopulation < 0 || row.StratumClusters < 0 || row.ClusterPopulation > 0 != (row.StratumClusters > 0):
		return &Error{Code: Malformed, Detail: "a cluster's size and the number of clusters don't go together"}
	case !(row.Pi > 0 && row.Pi <= 1):
		return &Error{Code: Malformed, Detail: "an inclusion probability does not lie in (0, 1]"}
	case row.Coded && row.Categories == 0:
		return &Error{Code: Malformed, Detail: "a report of a category doesn't say how many there are"}
	}
	return nil
}

// lawfulBatch is lawful for all reports of a batch, whose columns must have one length.
func lawfulBatch(b *column.Batch) error {
	if n := b.Len(); len(b.Design) != n || len(b.Said) != n || len(b.Sequence) != n {
		return &Error{Code: Malformed, Detail: "the columns of a batch have different lengths"}
	}
	scored := make([]bool, len(b.Designs))
	for i := range b.Designs {
		if err := lawful(&b.Designs[i]); err != nil {
			return err
		}
		scored[i] = b.Designs[i].Categories == 0
	}
	for i, d := range b.Design {
		if int(d) >= len(scored) {
			return &Error{Code: Malformed, Detail: "a row of a batch has a design that is not there"}
		}
		if scored[d] && !finite(math.Float64frombits(b.Said[i])) {
			return &Error{Code: Malformed, Detail: "a number is not finite"}
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// validRef guards the folders: a reference becomes a part of a path.
func validRef(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 64
}

// day is the UTC date of a moment as it stands in the layout.
func day(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateOnly) }

// dayLengthMs is the length of a UTC day, in milliseconds.
const dayLengthMs = 24 * 60 * 60 * 1000
