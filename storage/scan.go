package storage

import (
	"context"
	"fmt"
	"iter"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Records is a stream of records of one schema. A record is valid until the next one; who keeps it retains it. An error
// ends the stream.
type Records = iter.Seq2[arrow.Record, error]

// spanOf is the half-open span of window starts; a zero time stands for no bound.
func spanOf(since, until time.Time) span {
	s := span{since: math.MinInt64, until: math.MaxInt64}
	if !since.IsZero() {
		s.since = since.UnixMilli()
	}
	if !until.IsZero() {
		s.until = until.UnixMilli()
	}
	return s
}

// Rows reads what is committed: the reading side of a [Store] and of a [Reader]. Its methods are safe for use by many goroutines.
type Rows struct {
	begin   func(context.Context) (*view, error)
	open    func(context.Context, *Segment) (ReadFile, error)
	metrics *metrics
	alloc   memory.Allocator
}

// ScanReports streams the committed reports of a kappa, by reference, whose windows start in [since, until); a zero
// time stands for no bound. Rows are in order inside a segment, segments by date and position. Weights are 1/pi.
func (r *Rows) ScanReports(ctx context.Context, ref string, since, until time.Time) Records {
	return r.latest(ctx, KindReports, ref, spanOf(since, until))
}

// ScanStrata streams the committed strata of a kappa as ScanReports does its reports.
func (r *Rows) ScanStrata(ctx context.Context, ref string, since, until time.Time) Records {
	return r.latest(ctx, KindStrata, ref, spanOf(since, until))
}

// Gone tells what retention has removed of a kappa's reports or results; ok is false when it was nothing.
func (r *Rows) Gone(ctx context.Context, k Kind, ref string) (gone Gone, ok bool, err error) {
	seen, err := r.begin(ctx)
	if err != nil {
		return Gone{}, false, err
	}
	defer seen.done()
	c := catalog{gone: seen.gone}
	if g := c.goneOf(k, ref); g != nil {
		return *g, true, nil
	}
	return Gone{}, false, nil
}

// Source is an open file of committed rows.
type Source struct {
	ReadFile

	Name string // of the file, without its folder
}

// Open opens the committed files of one kind of a kappa that may hold windows that start in [since, until), a zero time leaving that side
// open. A file whose rows lie elsewhere is read piece by piece, as it is asked for. Close closes all of them; before it is called they stay, or, in
// a share, for its Delay. Closing a single one is permitted.
func (r *Rows) Open(ctx context.Context, k Kind, ref string, since, until time.Time) (files []Source, closeAll func(), err error) {
	seen, err := r.begin(ctx)
	if err != nil {
		return nil, nil, err
	}
	closeAll = func() {
		for _, f := range files {
			_ = f.Close() // only read, and perhaps closed already
		}
		seen.done()
	}
	for _, seg := range seen.of(k, ref, spanOf(since, until)) {
		file, err := r.open(ctx, &seg)
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("segment %s: %w", seg.Name, err)
		}
		files = append(files, Source{ReadFile: file, Name: seg.Name})
	}
	return files, closeAll, nil
}

// latest streams all columns of the rows that are committed when the stream begins.
func (r *Rows) latest(ctx context.Context, k Kind, ref string, windows span) Records {
	return func(yield func(arrow.Record, error) bool) {
		seen, err := r.begin(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer seen.done()
		r.scan(ctx, seen, k, ref, windows, nil)(yield)
	}
}

// scan streams rows of one kind as one reader sees them, only the named columns, or all when names is empty. Whoever
// scans more than once begins once, so that every pass sees the same commits.
func (r *Rows) scan(ctx context.Context, seen *view, k Kind, ref string, windows span, names []string) Records {
	return func(yield func(arrow.Record, error) bool) {
		for _, seg := range seen.of(k, ref, windows) {
			more, err := r.scanSegment(ctx, &seg, windows, names, yield)
			if err != nil {
				yield(nil, fmt.Errorf("segment %s: %w", seg.Name, err))
				return
			}
			if !more {
				return
			}
		}
	}
}

func (r *Rows) scanSegment(ctx context.Context, seg *Segment, windows span, names []string, yield func(arrow.Record, error) bool) (more bool, err error) {
	file, err := r.open(ctx, seg)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // only read
	size, err := file.Size()
	if err != nil {
		return false, err
	}
	table, err := openTable(file, size, seg.Kind, names)
	if err != nil {
		return false, fmt.Errorf("%s: %w", seg.Name, err)
	}
	groups := table.groups(windows)
	r.metrics.passed.WithLabelValues(string(seg.Kind)).Add(float64(len(table.file.RowGroups()) - len(groups)))
	for _, group := range groups {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		r.metrics.groupsRead.WithLabelValues(string(seg.Kind)).Inc()
		rec, err := table.read(group, r.alloc)
		if err != nil {
			return false, fmt.Errorf("%s: %w", seg.Name, err)
		}
		cut := cutWindows(rec, windows)
		rec.Release()
		more := cut.NumRows() == 0 || yield(cut, nil)
		cut.Release()
		if !more {
			return false, nil
		}
	}
	return true, nil
}

// cutWindows is the rows whose windows lie in the span; rows are ordered by window.
func cutWindows(rec arrow.Record, windows span) arrow.Record {
	starts := rec.Column(rec.Schema().FieldIndices(colWindowStart)[0]).(*array.Timestamp)
	from := sort.Search(starts.Len(), func(i int) bool { return int64(starts.Value(i)) >= windows.since })
	to := sort.Search(starts.Len(), func(i int) bool { return int64(starts.Value(i)) >= windows.until })
	return rec.NewSlice(int64(from), int64(max(from, to)))
}

// ScanResults streams the committed results of a kappa as ScanReports does its reports. With newest, of each result only
// its newest revision comes. It keeps one small entry in memory for each result in the span.
func (r *Rows) ScanResults(ctx context.Context, ref string, since, until time.Time, newest bool) Records {
	windows := spanOf(since, until)
	return func(yield func(arrow.Record, error) bool) {
		seen, err := r.begin(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer seen.done()
		chosen := map[resultKey]int64{} // newest revision, by key without revision; −1 once told
		for rec, err := range r.scan(ctx, seen, KindResults, ref, windows, resultKeyColumns()) {
			if err != nil {
				yield(nil, err)
				return
			}
			eachResult(rec, func(_ int, k resultKey) {
				if revision := k.revision; newest {
					k.revision = 0
					chosen[k] = max(chosen[k], revision)
				} else {
					chosen[k] = revision
				}
			})
		}
		for rec, err := range r.scan(ctx, seen, KindResults, ref, windows, nil) {
			if err != nil {
				yield(nil, err)
				return
			}
			var rows []int
			eachResult(rec, func(i int, k resultKey) {
				revision := k.revision
				if newest {
					k.revision = 0
				}
				if chosen[k] == revision {
					chosen[k] = -1
					rows = append(rows, i)
				}
			})
			if !yieldRuns(rec, rows, yield) {
				return
			}
		}
	}
}

// yieldRuns yields the given rows of a record, ascending, as slices of neighbours.
func yieldRuns(rec arrow.Record, rows []int, yield func(arrow.Record, error) bool) bool {
	for from := 0; from < len(rows); {
		to := from + 1
		for to < len(rows) && rows[to] == rows[to-1]+1 {
			to++
		}
		run := rec.NewSlice(int64(rows[from]), int64(rows[to-1]+1))
		more := yield(run, nil)
		run.Release()
		if !more {
			return false
		}
		from = to
	}
	return true
}

// resultKeyColumns is the columns that a resultKey is read from.
func resultKeyColumns() []string {
	return []string{colWindowStart, colStatistic, colCell, colRevision, colBin}
}

// eachResult calls with with the key of each row of a record of results; the reference stays empty.
func eachResult(rec arrow.Record, with func(int, resultKey)) {
	get := func(name string) arrow.Array { return rec.Column(rec.Schema().FieldIndices(name)[0]) }
	starts, statistics := get(colWindowStart).(*array.Timestamp), get(colStatistic).(*array.String)
	cells, revisions := get(colCell).(*array.String), get(colRevision).(*array.Int64)
	bins := get(colBin).(*array.Int64)
	for i := range int(rec.NumRows()) {
		k := resultKey{
			startMs: int64(starts.Value(i)), statistic: strings.Clone(statistics.Value(i)),
			cell: strings.Clone(cells.Value(i)), revision: revisions.Value(i),
		}
		if bins.IsValid(i) {
			k.bin = uint32(bins.Value(i))
		}
		with(i, k)
	}
}
