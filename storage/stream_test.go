package storage

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/prometheus/client_golang/prometheus"
)

// windowed is a store with one segment, in each row group of which are exactly four windows.
func windowed(t *testing.T, groups int, registry *prometheus.Registry) *Store {
	t.Helper()
	const perWindow = rowGroupRows / 4
	cfg := Config{FS: newFaultyFS(), RowsPending: 1 << 30, Clock: at(0)}
	if registry != nil {
		cfg.Registerer = registry
	}
	s := open(t, t.TempDir(), cfg)
	must(t, s.Restore(0))
	rng := rand.New(rand.NewPCG(1, 1))
	for w := range groups * 4 {
		rows := makeReports(rng, 1, perWindow)
		for i := range rows {
			rows[i].WindowStartMs = baseMs + 120_000 + int64(w)*60_000 // of one date
			rows[i].WindowEndMs = rows[i].WindowStartMs + 60_000
			rows[i].StratumPopulation = perWindow
		}
		rec := recordOf(t, rows)
		must(t, s.Reports(rec))
		rec.Release()
	}
	must(t, s.Commit(perWindow))
	return s
}

// counted is a counter of reports.
func counted(t *testing.T, from *prometheus.Registry, name string) int {
	t.Helper()
	families, err := from.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == string(KindReports) {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// TestOnlyRowGroupsOfTheSpanAreRead counts the row groups that spans read whose ends are those of windows.
func TestOnlyRowGroupsOfTheSpanAreRead(t *testing.T) {
	const groups, perWindow = 3, rowGroupRows / 4
	registry := prometheus.NewRegistry()
	s := windowed(t, groups, registry)
	start := func(w int) time.Time { return time.UnixMilli(baseMs + 120_000 + int64(w)*60_000) }
	for _, c := range []struct {
		name         string
		since, until time.Time
		read, rows   int
	}{
		{"all", time.Time{}, time.Time{}, 3, 12 * perWindow},
		{"the first row group's windows", start(0), start(4), 1, 4 * perWindow},
		{"the second's", start(4), start(8), 1, 4 * perWindow},
		{"its last window", start(7), start(8), 1, perWindow},
		{"a window on either side of a border", start(7), start(9), 2, 2 * perWindow},
		{"from a moment inside a window", start(7).Add(time.Millisecond), start(8).Add(time.Millisecond), 1, perWindow},
		{"the last window", start(11), time.Time{}, 1, perWindow},
		{"up to the first window", time.Time{}, start(0), 0, 0},
		{"after the last window", start(11).Add(time.Millisecond), time.Time{}, 0, 0},
	} {
		before := counted(t, registry, "quadrat_storage_row_groups_read_total")
		rows := 0
		for rec, err := range s.ScanReports(context.Background(), testRef, c.since, c.until) {
			must(t, err)
			rows += int(rec.NumRows())
		}
		read := counted(t, registry, "quadrat_storage_row_groups_read_total") - before
		if read != c.read || rows != c.rows {
			t.Errorf("%s: %d row groups and %d rows, want %d and %d", c.name, read, rows, c.read, c.rows)
		}
	}
}

// TestExportStreams exports reports with their weights. At each record it collects garbage and looks at what is left: never more
// than a few row groups, and in the end no more than in the beginning. Which of two neighbouring records are still in use is the
// runtime's affair, so the beginning and the end are each the least of three looks.
func TestExportStreams(t *testing.T) {
	const groups, most, more = 10, 96 << 20, 6 << 20 // bytes
	s := windowed(t, groups, nil)
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before, all := heap(), int64(0)
	var grown []int64
	records := func(yield func(arrow.Record, error) bool) {
		for rec, err := range s.ScanWeighted(context.Background(), testRef, time.Time{}, time.Time{}) {
			if err == nil {
				all += bytesOf(rec)
				grown = append(grown, heap()-before)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
	summary, err := WriteFolder(Export{Dir: t.TempDir(), What: KindReports, Format: FormatParquet, FS: newFaultyFS()}, records)
	must(t, err)
	if summary.Rows != groups*rowGroupRows || len(grown) != groups {
		t.Fatalf("%d rows in %d records, want %d in %d", summary.Rows, len(grown), groups*rowGroupRows, groups)
	}
	peak, leak := slices.Max(grown), slices.Min(grown[groups-3:])-slices.Min(grown[1:4])
	if peak > most || leak > more || all < most*3/2 {
		t.Errorf("the heap grew by up to %d bytes, and by %d from beginning to end, for records of %d bytes: %v", peak, leak, all, grown)
	}
}

// bytesOf is the length of a record's buffers.
func bytesOf(rec arrow.Record) (n int64) {
	for _, a := range rec.Columns() {
		for _, b := range a.Data().Buffers() {
			if b != nil {
				n += int64(b.Len())
			}
		}
	}
	return n
}
