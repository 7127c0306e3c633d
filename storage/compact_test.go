package storage

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

// at is a clock that stands a number of days after the dates of makeReports.
func at(days int) clock.Clock {
	return clock.NewManual(time.UnixMilli(baseMs).Add(time.Duration(days) * 24 * time.Hour))
}

// fill commits batches of 60 reports, and with each a result and two strata.
func fill(t testing.TB, s *Store, from, to int) {
	t.Helper()
	for batch := from; batch < to; batch++ {
		rec := recordOf(t, fillReports(batch))
		must(t, s.Reports(rec))
		rec.Release()
		must(t, s.Results(fillResults(batch)))
		must(t, s.Strata("indoor", testRef, fillStrata(batch)))
		must(t, s.Commit(uint64(batch+1)*60))
	}
}

// answers is all that a store answers, sorted.
func answers(t testing.TB, s *Rows) map[string][]string {
	t.Helper()
	ctx := context.Background()
	since, until := time.UnixMilli(baseMs+120_000), time.UnixMilli(baseMs+420_000)
	return map[string][]string{
		"reports": sorted(collect(t, goldenScanOf(s, KindReports))), "results": sorted(collect(t, goldenScanOf(s, KindResults))),
		"strata":  sorted(collect(t, goldenScanOf(s, KindStrata))),
		"some":    sorted(collect(t, s.ScanReports(ctx, testRef, since, until))),
		"newest":  sorted(collect(t, s.ScanResults(ctx, testRef, time.Time{}, time.Time{}, true))),
		"weights": sorted(collect(t, s.ScanWeighted(ctx, testRef, time.Time{}, time.Time{}))),
	}
}

func parquetFiles(t testing.TB, dir string) (names []string) {
	t.Helper()
	for name := range tree(t, dir) {
		if strings.HasSuffix(name, ".parquet") {
			names = append(names, name)
		}
	}
	return names
}

func TestCompactionChangesNoAnswer(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	for _, days := range []int{0, 1, 30} {
		dir := t.TempDir()
		s := open(t, dir, Config{FS: newFaultyFS(), Allocator: alloc, Clock: at(days)})
		must(t, s.Restore(0))
		fill(t, s, 0, 20)
		s.Permanent(1200)
		want, before := answers(t, &s.Rows), len(s.Segments())
		must(t, s.Upkeep(context.Background()))
		for what, rows := range answers(t, &s.Rows) {
			if !reflect.DeepEqual(rows, want[what]) {
				t.Errorf("after %d days: compaction changed %s", days, what)
			}
		}
		if n := len(s.Segments()); n > before/2 || days == 30 && n != 6 { // three kinds, two dates
			t.Errorf("after %d days: %d segments of %d are left", days, n, before)
		}
		if n := len(parquetFiles(t, dir)); n != len(s.Segments()) {
			t.Errorf("after %d days: %d files for %d segments", days, n, len(s.Segments()))
		}
		files := tree(t, dir)
		must(t, s.Upkeep(context.Background()))
		if !reflect.DeepEqual(tree(t, dir), files) {
			t.Errorf("after %d days: a second round changed files", days)
		}
		again := open(t, dir, Config{FS: newFaultyFS(), Allocator: alloc})
		must(t, again.Restore(1200))
		if got := answers(t, &again.Rows); !reflect.DeepEqual(got, want) {
			t.Errorf("after %d days and a restart: another answer", days)
		}
	}
}

// TestCompactedRowsAreInOrder reads compacted segments as they lie: by window, and inside one by random number.
func TestCompactedRowsAreInOrder(t *testing.T) {
	s := open(t, t.TempDir(), Config{FS: newFaultyFS(), Clock: at(30)})
	must(t, s.Restore(0))
	fill(t, s, 0, 12)
	s.Permanent(720)
	must(t, s.Upkeep(context.Background()))
	for _, seg := range s.Segments() {
		var last *keys
		var at int
		_, err := s.scanSegment(context.Background(), &seg, spanOf(time.Time{}, time.Time{}), nil, func(rec arrow.Record, _ error) bool {
			k, err := keysOf(rec, seg.Kind)
			must(t, err)
			for i := range int(rec.NumRows()) {
				if last != nil && last.compare(at, &k, i) > 0 {
					t.Errorf("%s: row %d is out of order", seg.Name, i)
				}
				last, at = &k, i
			}
			rec.Retain()
			return true
		})
		must(t, err)
	}
}

// TestCompactionTakesEveryVersion merges the golden files of all versions, of which the older are in another order.
func TestCompactionTakesEveryVersion(t *testing.T) {
	for _, k := range kinds() {
		dir := t.TempDir()
		c := catalog{position: 9}
		for version := 1; version <= k.version(); version++ {
			content, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("v%d-%s.parquet", version, k)))
			must(t, err)
			rows := int64(len(readParquet(t, k, string(content), memory.NewGoAllocator())))
			seg := Segment{
				Kind: k, Ref: testRef, Date: day(baseMs), Name: fmt.Sprintf("part-%d-%d.parquet", version, version), First: uint64(version),
				Last: uint64(version), Rows: rows, Bytes: int64(len(content)), WindowFirstMs: baseMs, WindowLastMs: baseMs + 60_000,
			}
			must(t, os.MkdirAll(filepath.Dir(seg.path(dir)), 0o700))
			must(t, os.WriteFile(seg.path(dir), content, 0o600))
			c.segments = append(c.segments, seg)
		}
		must(t, (&folder{dir: dir, fs: Disk{}}).save(t.Context(), &c))
		s := open(t, dir, Config{FS: newFaultyFS(), Clock: at(30)})
		must(t, s.Restore(9))
		want := sorted(collect(t, goldenScan(s, k)))
		must(t, s.Upkeep(context.Background()))
		if n := len(s.Segments()); n != 1 {
			t.Errorf("%s: %d segments, want 1", k, n)
		}
		if got := sorted(collect(t, goldenScan(s, k))); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", k, got, want)
		}
	}
}

// TestReadersThatBeganBeforeKeepTheirFiles reads across a compaction, and expects the files gone when the reader is.
func TestReadersThatBeganBeforeKeepTheirFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{FS: newFaultyFS(), Clock: at(30)})
	must(t, s.Restore(0))
	fill(t, s, 0, 12)
	s.Permanent(720)
	want := sorted(scanAll(t, s))
	next, stop := iter.Pull2(s.ScanReports(context.Background(), testRef, time.Time{}, time.Time{}))
	var got []string
	for n := 0; ; n++ {
		rec, err, ok := next()
		if !ok {
			break
		}
		must(t, err)
		got = append(got, collect(t, func(yield func(arrow.Record, error) bool) { yield(rec, nil) })...)
		if n == 0 {
			must(t, s.Upkeep(context.Background()))
		}
	}
	stop()
	if !reflect.DeepEqual(sorted(got), want) {
		t.Errorf("a reader saw %d rows, want %d", len(got), len(want))
	}
	if n := len(parquetFiles(t, dir)); n != len(s.Segments()) {
		t.Errorf("%d files for %d segments after the reader has gone", n, len(s.Segments()))
	}
}

// TestNothingBeyondTheCheckpointIsCompacted restores the position that was permanent, after a round of upkeep with more
// commits, and replays.
func TestNothingBeyondTheCheckpointIsCompacted(t *testing.T) {
	whole := open(t, t.TempDir(), Config{FS: newFaultyFS()})
	must(t, whole.Restore(0))
	fill(t, whole, 0, 20)
	want := answers(t, &whole.Rows)
	dir := t.TempDir()
	s := open(t, dir, Config{FS: newFaultyFS(), Clock: at(30)})
	must(t, s.Restore(0))
	fill(t, s, 0, 10)
	s.Permanent(600)
	fill(t, s, 10, 20)
	must(t, s.Upkeep(context.Background()))
	compacted := false
	for _, seg := range s.Segments() {
		compacted = compacted || seg.Generation > 0
		if seg.Generation > 0 && seg.Last > 600 {
			t.Errorf("%s holds rows beyond the checkpoint", seg.Name)
		}
	}
	if !compacted {
		t.Error("nothing was compacted")
	}
	again := open(t, dir, Config{FS: newFaultyFS(), Clock: at(30)})
	must(t, again.Restore(600))
	fill(t, again, 10, 20)
	for what, rows := range answers(t, &again.Rows) {
		if !reflect.DeepEqual(rows, want[what]) {
			t.Errorf("a replay after compaction gave other %s", what)
		}
	}
}

// TestCompactionIsWorthIt makes very many segments of one date on paper: small ones while the date goes on and when it is over,
// and such of which memory holds four row groups at once. Writing a byte again must stay about as rare as the logarithm of their
// number, and few files may be left that could still grow.
func TestCompactionIsWorthIt(t *testing.T) {
	for _, c := range []struct {
		name       string
		commits    uint64
		rows, size int64
		days       int
		again      float64
	}{
		{"small, today", 20_000, 10, 10_000, 0, 14}, // log₂(20,000) is 14.3
		{"small, over", 20_000, 10, 10_000, 1, 14},
		{"large, today", 4_000, 100_000, 2 << 20, 0, 6}, // 64 make one file
		{"large, over", 4_000, 100_000, 2 << 20, 1, 6},
	} {
		s := &Store{cfg: Config{}.withDefaults()}
		if c.rows < rowGroupRows {
			s.cfg.BytesTarget, s.cfg.RowsMerging = 1<<40, 1<<30
		}
		now := time.UnixMilli(baseMs).Add(time.Duration(c.days) * 24 * time.Hour)
		grown, most := compactOnPaper(s, c.commits, c.rows, c.size, now)
		if again := float64(grown) / float64(int64(c.commits)*c.size); again > c.again || most > 60 {
			t.Errorf("%s: each byte was written %.1f times more, up to %d files", c.name, again, most)
		}
	}
}

// compactOnPaper is how many bytes are written again, and the most files below half of the target, while segments come.
func compactOnPaper(s *Store, commits uint64, rows, size int64, now time.Time) (again int64, most int) {
	var segments []Segment
	for i := range commits {
		segments = append(segments, Segment{
			Kind: KindReports, Ref: testRef, Date: day(baseMs), First: i + 1, Last: i + 1, Rows: rows, Bytes: size, Format: KindReports.version(),
		})
		for {
			plan := s.plan(slices.Clone(segments), commits, now)
			if plan == nil {
				break
			}
			merged := Segment{Kind: KindReports, Ref: testRef, Date: day(baseMs), Format: KindReports.version()}
			for _, in := range plan[0].inputs {
				merged.Bytes, merged.Rows, merged.Last = merged.Bytes+in.Bytes, merged.Rows+in.Rows, max(merged.Last, in.Last)
				segments = slices.DeleteFunc(segments, func(o Segment) bool { return o == in })
			}
			again += merged.Bytes
			segments = append(segments, merged)
		}
		small := 0
		for _, seg := range segments {
			if seg.Bytes < s.cfg.BytesTarget/2 {
				small++
			}
		}
		most = max(most, small)
	}
	return again, most
}

// TestOldRowsAreSorted merges a file that version 2 wrote, in the order of statistic, stratum and pseudonym, with one of
// today.
func TestOldRowsAreSorted(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "v2-forty-reports.parquet"))
	must(t, err)
	dir := t.TempDir()
	old := Segment{
		Kind: KindReports, Ref: testRef, Date: day(baseMs), Name: "part-000000000001-000000000040.parquet", First: 1, Last: 40, Rows: 40,
		Bytes: int64(len(content)), WindowFirstMs: baseMs, WindowLastMs: baseMs,
	}
	must(t, os.MkdirAll(filepath.Dir(old.path(dir)), 0o700))
	must(t, os.WriteFile(old.path(dir), content, 0o600))
	must(t, (&folder{dir: dir, fs: Disk{}}).save(t.Context(), &catalog{position: 40, segments: []Segment{old}}))
	s := open(t, dir, Config{FS: newFaultyFS(), Clock: at(30)})
	must(t, s.Restore(40))
	rec := recordOf(t, makeReports(rand.New(rand.NewPCG(11, 12)), 1, 40))
	defer rec.Release()
	must(t, s.Reports(rec))
	must(t, s.Commit(80))
	s.Permanent(80)
	must(t, s.Upkeep(context.Background()))
	var last float64
	rows := 0
	for rec, err := range goldenScan(s, KindReports) {
		must(t, err)
		for _, x := range columnOf(rec, colRandom).(*array.Float64).Float64Values() {
			if x < last {
				t.Fatalf("row %d is out of order", rows)
			}
			last = x
			rows++
		}
	}
	if rows != 80 || len(s.Segments()) != 1 {
		t.Errorf("%d rows in %d segments, want 80 in one", rows, len(s.Segments()))
	}
}
