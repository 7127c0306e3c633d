package storage

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
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

// ScanReports streams the committed reports of a kappa, by reference, whose windows start in [since, until); a zero
// time stands for no bound. Rows are in order inside a segment, segments by date and position. Weights are 1/pi.
func (s *Store) ScanReports(ctx context.Context, ref string, since, until time.Time) Records {
	return s.latest(ctx, KindReports, ref, spanOf(since, until))
}

// ScanStrata streams the committed strata of a kappa as ScanReports does its reports.
func (s *Store) ScanStrata(ctx context.Context, ref string, since, until time.Time) Records {
	return s.latest(ctx, KindStrata, ref, spanOf(since, until))
}

// Refs is the references of all kappas that have committed rows, sorted.
func (s *Store) Refs() []string {
	var refs []string
	for _, seg := range s.Segments() {
		refs = append(refs, seg.Ref)
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

// latest streams all columns of the rows that are committed when the stream begins.
func (s *Store) latest(ctx context.Context, k Kind, ref string, windows span) Records {
	return func(yield func(arrow.Record, error) bool) {
		segments, done := s.read()
		defer done()
		s.scan(ctx, segments, k, ref, windows, nil)(yield)
	}
}

// scan streams rows of one kind from the given segments, only the named columns, or all when names is empty. Whoever
// scans more than once takes the segments once, so that every pass sees the same commits.
func (s *Store) scan(ctx context.Context, of []Segment, k Kind, ref string, windows span, names []string) Records {
	return func(yield func(arrow.Record, error) bool) {
		segments := slices.DeleteFunc(slices.Clone(of), func(g Segment) bool {
			return g.Kind != k || g.Ref != ref || !windows.overlaps(g.WindowFirstMs, g.WindowLastMs)
		})
		slices.SortStableFunc(segments, func(a, b Segment) int {
			return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.First, b.First))
		})
		for i := range segments {
			more, err := s.scanSegment(ctx, &segments[i], windows, names, yield)
			if err != nil {
				yield(nil, fmt.Errorf("segment %s: %w", segments[i].Name, err))
				return
			}
			if !more {
				return
			}
		}
	}
}

func (s *Store) scanSegment(ctx context.Context, seg *Segment, windows span, names []string, yield func(arrow.Record, error) bool) (more bool, err error) {
	file, err := s.openSegment(ctx, seg)
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
	s.metrics.passed.WithLabelValues(string(seg.Kind)).Add(float64(len(table.file.RowGroups()) - len(groups)))
	for _, group := range groups {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		s.metrics.groupsRead.WithLabelValues(string(seg.Kind)).Inc()
		rec, err := table.read(group, s.cfg.Allocator)
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

// openSegment opens a segment's file, here or from the archive.
func (s *Store) openSegment(ctx context.Context, seg *Segment) (ReadFile, error) {
	if seg.Remote {
		return s.fetch(ctx, seg)
	}
	return s.cfg.FS.Open(seg.path(s.dir))
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
func (s *Store) ScanResults(ctx context.Context, ref string, since, until time.Time, newest bool) Records {
	windows := spanOf(since, until)
	return func(yield func(arrow.Record, error) bool) {
		segments, done := s.read()
		defer done()
		chosen := map[resultKey]int64{} // newest revision, by key without revision; −1 once told
		for rec, err := range s.scan(ctx, segments, KindResults, ref, windows, resultKeyColumns()) {
			if err != nil {
				yield(nil, err)
				return
			}
			eachResult(rec, func(_ int, k resultKey) {
				if r := k.revision; newest {
					k.revision = 0
					chosen[k] = max(chosen[k], r)
				} else {
					chosen[k] = r
				}
			})
		}
		for rec, err := range s.scan(ctx, segments, KindResults, ref, windows, nil) {
			if err != nil {
				yield(nil, err)
				return
			}
			var rows []int
			eachResult(rec, func(i int, k resultKey) {
				r := k.revision
				if newest {
					k.revision = 0
				}
				if chosen[k] == r {
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
