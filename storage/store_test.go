package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const testRef = "k7f3q2"

// baseMs is 2027-01-14T23:58:00Z, two minutes before midnight, so that small tests cross a date.
var baseMs = time.Date(2027, 1, 14, 23, 58, 0, 0, time.UTC).UnixMilli()

// makeReports is n reports from a stream position on, 50 to a minute's window, in a random order of devices.
func makeReports(rng *rand.Rand, first uint64, n int) []column.Report {
	rows := make([]column.Report, n)
	for i := range rows {
		seq := first + uint64(i)
		start := baseMs + int64(seq/50)*60_000
		rows[i] = column.Report{
			WindowStartMs: start, WindowEndMs: start + 60_000, Device: rng.Uint64(),
			Statistic: []string{"mean(temperature)", "proportion(temperature > 26)"}[rng.IntN(2)],
			Stratum:   fmt.Sprint("region", rng.IntN(3)), Cell: column.Cell(map[string]string{"cooling": fmt.Sprint(rng.IntN(2))}),
			Pi: 1 / float64(1+rng.IntN(9)), StratumPopulation: int64(40 + rng.IntN(3)), Score: rng.NormFloat64()*10 + 20,
			NoiseVariance: rng.Float64() * 100, Mechanism: "hybrid", Epsilon: 4, PlanRevision: 1, Sequence: seq,
		}
	}
	return rows
}

func recordOf(t testing.TB, rows []column.Report) arrow.Record {
	t.Helper()
	b := column.NewReports(memory.NewGoAllocator(), "indoor", testRef)
	defer b.Release()
	for i := range rows {
		b.Append(&rows[i])
	}
	return b.NewRecord()
}

func makeResult(window int, revision uint32, value float64) *quadratv1.Result {
	start := time.UnixMilli(baseMs + int64(window)*60_000)
	return &quadratv1.Result{
		Kappa: "indoor", Ref: testRef, WindowStart: timestamppb.New(start), WindowEnd: timestamppb.New(start.Add(time.Minute)),
		Revision: revision, Final: true, Cell: map[string]string{"cooling": "1"}, Statistic: "mean(temperature)",
		Value: new(value), Confidence: 0.95, Population: 12, Warnings: []string{"a", "b"}[:window%3%2+window%2],
	}
}

func open(t testing.TB, dir string, cfg Config) *Store {
	t.Helper()
	s, err := Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// collect is all rows of a stream as text, one JSON object each.
func collect(t testing.TB, records Records) []string {
	t.Helper()
	var out []string
	for rec, err := range records {
		must(t, err)
		for i := range int(rec.NumRows()) {
			row := rec.NewSlice(int64(i), int64(i+1))
			b, err := row.MarshalJSON()
			must(t, err)
			row.Release()
			out = append(out, string(b))
		}
	}
	return out
}

func scanAll(t testing.TB, s *Store) []string {
	t.Helper()
	return collect(t, s.ScanReports(context.Background(), testRef, time.Time{}, time.Time{}))
}

func sorted(rows []string) []string {
	rows = slices.Clone(rows)
	slices.Sort(rows)
	return rows
}

// expected is rows as collect gives them.
func expected(t testing.TB, rows []column.Report) []string {
	t.Helper()
	rec := recordOf(t, rows)
	defer rec.Release()
	return collect(t, func(yield func(arrow.Record, error) bool) { yield(rec, nil) })
}

// tree is the bytes of all files below a folder by their relative path.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = string(b)
		return err
	}))
	return out
}

func TestWhatWasCommittedComesBack(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	dir := t.TempDir()
	s := open(t, dir, Config{Allocator: alloc, RowsPending: 150})
	must(t, s.Restore(0))
	rng := rand.New(rand.NewPCG(1, 1))
	var all []column.Report
	for batch := range 5 {
		rows := makeReports(rng, uint64(batch*100+1), 100)
		all = append(all, rows...)
		rec := recordOf(t, rows)
		must(t, s.Reports(rec))
		rec.Release()
		if batch%2 == 0 {
			must(t, s.Commit(uint64(batch*100+100)))
		}
	}
	must(t, s.Commit(500))
	want := sorted(expected(t, all))
	if got := sorted(scanAll(t, s)); !reflect.DeepEqual(got, want) {
		t.Fatalf("%d rows came back, want %d", len(got), len(want))
	}
	again := open(t, dir, Config{Allocator: alloc})
	if again.Position() != 500 {
		t.Fatalf("position %d", again.Position())
	}
	since, until := time.UnixMilli(baseMs+120_000), time.UnixMilli(baseMs+300_000)
	var some []column.Report
	for _, r := range all {
		if r.WindowStartMs >= since.UnixMilli() && r.WindowStartMs < until.UnixMilli() {
			some = append(some, r)
		}
	}
	got := collect(t, again.ScanReports(context.Background(), testRef, since, until))
	if !reflect.DeepEqual(sorted(got), sorted(expected(t, some))) {
		t.Fatalf("%d rows between two moments, want %d", len(got), len(some))
	}
	for name := range tree(t, dir) {
		ok, err := filepath.Match("reports/kappa="+testRef+"/date=2027-01-1[45]/part-*-*.parquet", name)
		must(t, err)
		if !ok && name != catalogName {
			t.Errorf("unexpected file %s", name)
		}
	}
}

func TestReplayWritesTheSameBytes(t *testing.T) {
	dir := t.TempDir()
	run := func(from int) {
		s := open(t, dir, Config{RowsPending: 80})
		must(t, s.Restore(uint64(from*100)))
		for batch := from; batch < 4; batch++ {
			rec := recordOf(t, makeReports(rand.New(rand.NewPCG(7, uint64(batch))), uint64(batch*100+1), 100))
			must(t, s.Reports(rec))
			rec.Release()
			must(t, s.Results([]*quadratv1.Result{makeResult(batch*2, 1, float64(batch)), makeResult(batch*2+1, 1, 0.5)}))
			must(t, s.Strata("indoor", testRef, []column.Stratum{{
				WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000,
				Statistic: "mean(temperature)", Stratum: fmt.Sprint("s", batch), Population: 10, Panel: 5,
			}}))
			must(t, s.Commit(uint64(batch*100+100)))
		}
	}
	run(0)
	want := tree(t, dir)
	for _, from := range []int{3, 1, 0, 4} {
		run(from)
		if got := tree(t, dir); !reflect.DeepEqual(got, want) {
			t.Fatalf("after a replay from %d the files differ", from)
		}
	}
}

func TestRestoreRefusesWhatItCannotGoTo(t *testing.T) {
	s := open(t, t.TempDir(), Config{})
	rec := recordOf(t, makeReports(rand.New(rand.NewPCG(1, 1)), 1, 10))
	defer rec.Release()
	must(t, s.Reports(rec))
	var e *Error
	if err := s.Commit(9); !errors.As(err, &e) || e.Code != Position {
		t.Fatalf("commit before its rows: %v", err)
	}
	must(t, s.Commit(10))
	for _, position := range []uint64{5, 11} {
		if err := s.Restore(position); !errors.As(err, &e) || e.Code != Position {
			t.Errorf("restore to %d: %v", position, err)
		}
	}
	if len(scanAll(t, s)) != 10 {
		t.Error("a refused restore changed the store")
	}
}

func TestACommitThatRepeatsAPosition(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{})
	must(t, s.Restore(0))
	must(t, s.Results([]*quadratv1.Result{makeResult(0, 1, 1)}))
	must(t, s.Commit(7))
	must(t, s.Results([]*quadratv1.Result{makeResult(1, 1, 1)}))
	must(t, s.Commit(7))
	must(t, s.Results([]*quadratv1.Result{makeResult(2, 1, 1)}))
	must(t, s.Commit(7))
	results := func(s *Store, newest bool) int {
		return len(collect(t, s.ScanResults(context.Background(), testRef, time.Time{}, time.Time{}, newest)))
	}
	if n := results(s, false); n != 3 {
		t.Fatalf("%d results, want 3", n)
	}
	again := open(t, dir, Config{})
	must(t, again.Restore(7))
	must(t, again.Results([]*quadratv1.Result{makeResult(1, 1, 1), makeResult(2, 1, 1), makeResult(2, 2, 3), makeResult(3, 1, 1)}))
	must(t, again.Commit(8))
	if n := results(again, false); n != 5 {
		t.Fatalf("%d results after a replay, want 5", n)
	}
	got := collect(t, again.ScanResults(context.Background(), testRef, time.Time{}, time.Time{}, true))
	want := collect(t, func(yield func(arrow.Record, error) bool) {
		rec := column.NewResults(memory.NewGoAllocator(), []*quadratv1.Result{
			makeResult(0, 1, 1), makeResult(1, 1, 1), makeResult(2, 2, 3), makeResult(3, 1, 1),
		})
		defer rec.Release()
		yield(rec, nil)
	})
	if !reflect.DeepEqual(sorted(got), sorted(want)) {
		t.Fatalf("newest revisions: got %v, want %v", got, want)
	}
}

// TestCategoriesAreResultsOfTheirOwn stores the categories of a histogram, one result each, which share statistic, cell and
// revision, and makes them again after a restart at the same position.
func TestCategoriesAreResultsOfTheirOwn(t *testing.T) {
	const bins = 5
	var results []*quadratv1.Result
	for bin := range uint32(bins) {
		r := makeResult(0, 1, float64(bin))
		r.Statistic, r.Bin = "histogram(temperature, 5)", &quadratv1.Bin{Index: bin, Low: float64(bin), High: float64(bin + 1)}
		results = append(results, r)
	}
	dir := t.TempDir()
	s := open(t, dir, Config{})
	must(t, s.Restore(0))
	must(t, s.Results(results))
	must(t, s.Commit(7))
	again := open(t, dir, Config{})
	must(t, again.Restore(7))
	must(t, again.Results(results))
	must(t, again.Commit(8))
	for _, newest := range []bool{false, true} {
		if n := len(collect(t, again.ScanResults(context.Background(), testRef, time.Time{}, time.Time{}, newest))); n != bins {
			t.Errorf("newest %v: %d results, want %d", newest, n, bins)
		}
	}
	if n := len(collect(t, goldenScan(again, KindResults))); n != bins {
		t.Errorf("%d rows are stored, want %d", n, bins)
	}
}

func TestReportsTakesAllRowsOrNone(t *testing.T) {
	s := open(t, t.TempDir(), Config{})
	rows := makeReports(rand.New(rand.NewPCG(1, 1)), 1, 100)
	breaks := []func(*column.Report){
		func(r *column.Report) { r.Pi = 2 },
		func(r *column.Report) { r.WindowEndMs = r.WindowStartMs },
		func(r *column.Report) { r.Score = math.NaN() },
	}
	for i, change := range breaks {
		bad := slices.Clone(rows)
		change(&bad[99])
		rec := recordOf(t, bad)
		var e *Error
		if err := s.Reports(rec); !errors.As(err, &e) || e.Code != Malformed {
			t.Errorf("case %d: %v", i, err)
		}
		rec.Release()
	}
	rec := recordOf(t, rows)
	defer rec.Release()
	must(t, s.Reports(rec))
	must(t, s.Commit(100))
	if n := len(scanAll(t, s)); n != 100 {
		t.Fatalf("%d rows, want 100", n)
	}
}
