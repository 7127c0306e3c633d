package storage

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// row is a report as an outside reader of Parquet sees it; the library maps columns by name.
type row struct {
	WindowStart int64   `parquet:"window_start"`
	Statistic   string  `parquet:"statistic"`
	Stratum     string  `parquet:"stratum"`
	Device      string  `parquet:"device"`
	Cell        string  `parquet:"cell"`
	Weight      float64 `parquet:"weight"`
	Pi          float64 `parquet:"pi"`
	Population  int64   `parquet:"stratum_population"`
	Score       float64 `parquet:"score"`
	Noise       float64 `parquet:"noise_variance"`
	Sequence    uint64  `parquet:"sequence"`
}

func readRows(t *testing.T, dir string) []row {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "reports", "kappa="+testRef, "date=*", "*.parquet"))
	must(t, err)
	var out []row
	for _, path := range paths {
		rows, err := parquet.ReadFile[row](path)
		must(t, err)
		out = append(out, rows...)
	}
	return out
}

// surveyed is a store of one window: strata of given populations and responses.
func surveyed(t *testing.T, populations map[string]int64, responses map[string]int, tell bool) (*Store, []column.Report) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 5))
	var rows []column.Report
	var strata []column.Stratum
	for name, n := range populations {
		for range responses[name] {
			rows = append(rows, column.Report{
				WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000, Device: rng.Uint64(), Statistic: "mean(x)", Stratum: name,
				Cell: column.Cell(nil), Pi: float64(responses[name]) / float64(n), StratumPopulation: n,
				Score: rng.NormFloat64()*5 + float64(len(name)), NoiseVariance: 3 + rng.Float64(), Mechanism: "hybrid", Epsilon: 1, PlanRevision: 1, Sequence: 1,
			})
		}
		strata = append(strata, column.Stratum{
			WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000,
			Statistic: "mean(x)", Stratum: name, Population: n, Panel: min(n, int64(responses[name]+1)),
		})
	}
	s := open(t, t.TempDir(), Config{})
	rec := recordOf(t, rows)
	defer rec.Release()
	must(t, s.Reports(rec))
	if tell {
		must(t, s.Strata("indoor", testRef, strata))
	}
	must(t, s.Commit(1))
	return s, rows
}

// fromExport is the mean and its standard error as docs/format/parquet.md tells an analyst to compute them from weight,
// stratum, stratum_population, score and noise_variance.
func fromExport(rows []row) (mean, stdError float64) {
	type group struct {
		rows []row
	}
	groups := map[string]*group{}
	var sumW, sumWY float64
	for _, r := range rows {
		sumW, sumWY = sumW+r.Weight, sumWY+r.Weight*r.Score
		if groups[r.Stratum] == nil {
			groups[r.Stratum] = &group{}
		}
		groups[r.Stratum].rows = append(groups[r.Stratum].rows, r)
	}
	mean = sumWY / sumW
	variance := 0.0
	for _, g := range groups {
		m, n := float64(len(g.rows)), float64(g.rows[0].Population)
		a := g.rows[0].Weight / sumW
		var t, squares, noise float64
		for _, r := range g.rows {
			t += (r.Score - mean) / m
			noise += r.Noise
		}
		for _, r := range g.rows {
			squares += (r.Score - mean - t) * (r.Score - mean - t)
		}
		if m < n {
			variance += (1 - m/n) * m / (m - 1) * a * a * squares
		}
		variance += m / n * a * a * noise
	}
	return mean, math.Sqrt(variance)
}

func TestExportGivesTheServedEstimate(t *testing.T) {
	populations := map[string]int64{"asia": 500, "europe": 300, "oceania": 20, "africa": 1, "arctic": 7}
	responses := map[string]int{"asia": 40, "europe": 25, "oceania": 5, "africa": 1, "arctic": 0}
	s, rows := surveyed(t, populations, responses, true)
	dir := t.TempDir()
	summary, err := WriteFolder(Export{Dir: dir, What: KindReports, Format: FormatParquet},
		s.ScanWeighted(context.Background(), testRef, time.Time{}, time.Time{}))
	must(t, err)
	read := readRows(t, dir)
	if len(read) != len(rows) || summary.Rows != int64(len(rows)) || summary.Files != 1 {
		t.Fatalf("%d rows read of %d, summary %+v", len(read), len(rows), summary)
	}
	samples := map[string]*survey.Sample{}
	for name, n := range populations {
		samples[name] = &survey.Sample{Stratum: name, Population: n, Panel: min(n, int64(responses[name]+1)), Responses: int64(responses[name])}
	}
	for _, r := range rows {
		samples[r.Stratum].Domain.Add(r.Score, r.NoiseVariance)
	}
	var list []survey.Sample
	for _, sample := range samples {
		list = append(list, *sample)
	}
	merged, _, notes := survey.Collapse(list, LeastResponses)
	if len(notes) == 0 {
		t.Fatal("nothing was collapsed; the case is too easy")
	}
	want, err := survey.Mean(merged, 0.95)
	must(t, err)
	mean, stdError := fromExport(read)
	if math.Abs(mean-want.Value) > 1e-9 || math.Abs(stdError-want.StdError) > 1e-9 {
		t.Fatalf("from the export %v ± %v, served %v ± %v", mean, stdError, want.Value, want.StdError)
	}
	for _, r := range read {
		if r.Stratum == "africa" || r.Stratum == "arctic" {
			t.Fatal("a collapsed stratum kept its name")
		}
	}
}

func TestWeightsWithoutStoredStrata(t *testing.T) {
	s, _ := surveyed(t, map[string]int64{"a": 100, "bb": 10}, map[string]int{"a": 4, "bb": 1}, false)
	for rec, err := range s.ScanWeighted(context.Background(), testRef, time.Time{}, time.Time{}) {
		must(t, err)
		for i := range int(rec.NumRows()) {
			if got := rec.Column(column.ReportWeight).(interface{ Value(int) float64 }).Value(i); got != 110.0/5 {
				t.Fatalf("weight %v, want 22", got)
			}
			if got := rec.Column(column.ReportStratum).(interface{ Value(int) string }).Value(i); got != "a+bb" {
				t.Fatalf("stratum %q", got)
			}
		}
	}
}

func filledStore(t *testing.T) (*Store, []column.Report) {
	t.Helper()
	rows := makeReports(rand.New(rand.NewPCG(2, 2)), 1, 400)
	s := open(t, t.TempDir(), Config{})
	rec := recordOf(t, rows)
	defer rec.Release()
	must(t, s.Reports(rec))
	must(t, s.Results([]*quadratv1.Result{makeResult(0, 1, 1), makeResult(3, 1, math.Pi), makeResult(3, 2, 1e-300)}))
	must(t, s.Commit(400))
	return s, rows
}

func TestExportFormatsAgree(t *testing.T) {
	alloc := memory.NewGoAllocator()
	s, _ := filledStore(t)
	scans := map[Kind]Records{
		KindReports: s.ScanReports(context.Background(), testRef, time.Time{}, time.Time{}),
		KindResults: s.ScanResults(context.Background(), testRef, time.Time{}, time.Time{}, false),
	}
	for what, scan := range scans {
		want := collect(t, scan)
		dirs := map[Format]string{}
		for _, format := range []Format{FormatParquet, FormatArrow, FormatCSV} {
			dirs[format] = t.TempDir()
			summary, err := WriteFolder(Export{Dir: dirs[format], What: what, Format: format}, scan)
			must(t, err)
			if summary.Rows != int64(len(want)) || summary.Files != 2 {
				t.Fatalf("%s as %s: %+v", what, format, summary)
			}
		}
		var fromParquet, fromArrow []string
		lines := 0
		for path, content := range tree(t, dirs[FormatParquet]) {
			if filepath.Ext(path) == ".parquet" {
				fromParquet = append(fromParquet, readParquet(t, what, content, alloc)...)
			}
		}
		for path := range tree(t, dirs[FormatArrow]) {
			if filepath.Ext(path) == ".arrow" {
				fromArrow = append(fromArrow, readArrow(t, filepath.Join(dirs[FormatArrow], path))...)
			}
		}
		for path := range tree(t, dirs[FormatCSV]) {
			if filepath.Ext(path) == ".csv" {
				lines += checkCSV(t, what, filepath.Join(dirs[FormatCSV], path))
			}
		}
		if !reflect.DeepEqual(sorted(fromParquet), sorted(want)) || !reflect.DeepEqual(sorted(fromArrow), sorted(want)) || lines != len(want) {
			t.Fatalf("%s: %d rows in Parquet, %d in Arrow, %d in CSV, want %d", what, len(fromParquet), len(fromArrow), lines, len(want))
		}
	}
}

func readParquet(t *testing.T, k Kind, content string, alloc memory.Allocator) []string {
	t.Helper()
	table, err := openTable(strings.NewReader(content), int64(len(content)), k, nil)
	must(t, err)
	return collect(t, func(yield func(arrow.Record, error) bool) {
		for _, g := range table.groups(spanOf(time.Time{}, time.Time{})) {
			if !yield(table.read(g, alloc)) {
				return
			}
		}
	})
}

func readArrow(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	r, err := ipc.NewFileReader(f)
	must(t, err)
	defer r.Close()
	return collect(t, func(yield func(arrow.Record, error) bool) {
		for i := range r.NumRecords() {
			if !yield(r.Record(i)) {
				return
			}
		}
	})
}

func checkCSV(t *testing.T, k Kind, path string) int {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	must(t, err)
	schema := Schema(k, "", "")
	for _, line := range lines[1:] {
		for i, text := range line {
			switch schema.Field(i).Type.ID() {
			case arrow.TIMESTAMP:
				if text != "" || !schema.Field(i).Nullable {
					_, err = time.Parse(time.RFC3339, text)
				}
			case arrow.FLOAT64:
				if text != "" {
					_, err = strconv.ParseFloat(text, 64)
				}
			case arrow.LIST:
				err = json.Unmarshal([]byte(text), &[]string{})
			}
			must(t, err)
		}
	}
	return len(lines) - 1
}

func TestExportReplacesItselfAndNothingElse(t *testing.T) {
	s, rows := filledStore(t)
	scan := s.ScanReports(context.Background(), testRef, time.Time{}, time.Time{})
	dir := t.TempDir()
	e := Export{Dir: dir, What: KindReports, Format: FormatParquet}
	for range 2 {
		_, err := WriteFolder(e, scan)
		must(t, err)
	}
	if n := len(readRows(t, dir)); n != len(rows) {
		t.Fatalf("%d rows after two exports, want %d", n, len(rows))
	}
	before := tree(t, dir)
	broken := errors.New("connection lost")
	_, err := WriteFolder(e, func(yield func(arrow.Record, error) bool) {
		for rec, err := range scan {
			if !yield(rec, err) {
				return
			}
			yield(nil, broken)
			return
		}
	})
	if !errors.Is(err, broken) || !reflect.DeepEqual(before, tree(t, dir)) {
		t.Fatalf("an export that failed changed its target (%v)", err)
	}
	beside := Export{Dir: dir, What: KindResults, Format: FormatParquet, Kappa: "indoor", Ref: testRef}
	if _, err := WriteFolder(beside, s.ScanResults(context.Background(), testRef, time.Time{}, time.Time{}, true)); err != nil {
		t.Fatalf("results beside reports: %v", err)
	}
	if n := len(readRows(t, dir)); n != len(rows) {
		t.Fatalf("%d rows beside results, want %d", n, len(rows))
	}
	var occupied *Error
	e.Format = FormatCSV
	if _, err := WriteFolder(e, scan); !errors.As(err, &occupied) || occupied.Code != Occupied {
		t.Fatalf("another format in the same folder: %v", err)
	}
	foreign := t.TempDir()
	must(t, os.WriteFile(filepath.Join(foreign, "thesis.txt"), []byte("x"), 0o600))
	e = Export{Dir: foreign, What: KindReports, Format: FormatParquet}
	if _, err := WriteFolder(e, scan); !errors.As(err, &occupied) || occupied.Code != Occupied {
		t.Fatalf("a foreign folder: %v", err)
	}
	e.Force = true
	_, err = WriteFolder(e, scan)
	must(t, err)
	if tree(t, foreign)["thesis.txt"] != "x" {
		t.Fatal("force removed a foreign file")
	}
}

// hookFS is the disk, with a call before each file that is opened for reading.
type hookFS struct {
	Disk

	opened func()
}

// Open calls the hook first.
func (h *hookFS) Open(path string) (ReadFile, error) {
	h.opened()
	return h.Disk.Open(path)
}

// TestExportSeesOneCommit commits further windows and a further revision while weights are being counted and results
// chosen: what comes out is what was committed when the export began.
func TestExportSeesOneCommit(t *testing.T) {
	hook := &hookFS{opened: func() {}}
	s := open(t, t.TempDir(), Config{FS: hook})
	position := uint64(0)
	add := func(revision uint32) {
		rec := recordOf(t, makeReports(rand.New(rand.NewPCG(position, 1)), position+1, 200))
		defer rec.Release()
		position += 200
		must(t, s.Reports(rec))
		must(t, s.Results([]*quadratv1.Result{makeResult(0, revision, 20)}))
		must(t, s.Commit(position))
	}
	add(1)
	for name, scan := range map[string]func() Records{
		"reports": func() Records { return s.ScanWeighted(t.Context(), testRef, time.Time{}, time.Time{}) },
		"results": func() Records { return s.ScanResults(t.Context(), testRef, time.Time{}, time.Time{}, true) },
	} {
		want := collect(t, scan())
		revision := uint32(position/200) + 1
		hook.opened = func() {
			hook.opened = func() {}
			add(revision)
		}
		if got := collect(t, scan()); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d rows while a commit came, %d before it", name, len(got), len(want))
		}
	}
}

// Reports of a cluster sample keep the design's weight and their stratum, beside others that are weighed anew.
func TestClustersKeepTheirWeights(t *testing.T) {
	rows := makeReports(rand.New(rand.NewPCG(5, 5)), 1, 6)
	for i := range rows {
		rows[i].Statistic, rows[i].WindowStartMs, rows[i].Stratum, rows[i].Pi, rows[i].StratumPopulation = "m", baseMs, "a", 0.25, 60
		rows[i].Cluster = []string{"", "house", "(missing)"}[i%3]
	}
	rec := recordOf(t, rows)
	defer rec.Release()
	w := NewWeights(LeastResponses)
	must(t, w.CountReports(rec))
	out, err := w.Apply(rec, memory.NewGoAllocator())
	must(t, err)
	defer out.Release()
	for i := range rows {
		want := 4.0
		if rows[i].Cluster == "" {
			want = 60.0 / 6
		}
		if got := out.Column(column.ReportWeight).(interface{ Value(int) float64 }).Value(i); got != want {
			t.Errorf("row %d of cluster %q: weight %v, want %v", i, rows[i].Cluster, got, want)
		}
	}
}
