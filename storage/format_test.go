package storage

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// goldenStore holds rows that never change, those that a version of the results could hold.
func goldenStore(t *testing.T, version int) *Store {
	t.Helper()
	s := open(t, t.TempDir(), Config{})
	report := column.Report{
		WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000, Device: 0xfeedfacecafebeef, Statistic: "mean(temperature)",
		Stratum: "asia", Cluster: "c1", Cell: `{"cooling":"1"}`, Pi: 0.25, StratumPopulation: 1 << 40, Score: -17.5,
		NoiseVariance: 0.125, Mechanism: "hybrid", Epsilon: 4, PlanRevision: 3, Sequence: 1 << 63,
	}
	second := report
	if version >= 2 {
		second.Score, second.NoiseVariance, second.Mechanism = 0, 0, "subset"
		second.Answer, second.Categories, second.Size, second.Include = 1<<63|1, 64, 2, 0.75
		second.ClusterPopulation, second.StratumClusters = 1<<41, 1<<39
	}
	rows := []column.Report{report, second}
	if version >= 4 {
		coded := report
		coded.Score, coded.NoiseVariance, coded.Mechanism = 0, 0, "olh"
		coded.Coded, coded.Code, coded.Categories, coded.Size = true, 1<<63|1, 1024, 4
		coded.Include, coded.Other, coded.Seeds, coded.Root = 0.75, 1e-300, 1033, 5
		zero := coded
		zero.Code, zero.Seeds, zero.Root, zero.Size, zero.Mechanism = 0, 0, 0, 1, "subset"
		rows = append(rows, coded, zero)
	}
	if version >= 5 {
		sum := report
		sum.Mechanism, sum.Units = "laplace", 1<<32-1
		rows = append(rows, sum)
	}
	if version >= 6 {
		counts := report
		counts.Score, counts.Mechanism, counts.Units, counts.Categories, counts.Size, counts.Include = 0, "laplace", 4, 3, 1, 1
		counts.Kind, counts.Share, counts.Low, counts.High, counts.UnitCounts = "quantile", 0.9, -1e-300, 40, "[-3,1,9223372036854775807]"
		rows = append(rows, counts)
	}
	rec := recordOf(t, rows)
	defer rec.Release()
	must(t, s.Reports(rec))
	third := &quadratv1.Result{
		Kappa: "indoor", Ref: testRef, WindowStart: makeResult(0, 1, 0).GetWindowStart(), WindowEnd: makeResult(0, 1, 0).GetWindowEnd(),
		Privacy: &quadratv1.Privacy{Model: "local"}, Running: &quadratv1.Running{Windows: 2, Value: 3},
	}
	if version >= 2 {
		third.Change = &quadratv1.Change{
			Value: -0.5, StdError: 0.25, CiLow: -1, CiHigh: 0.125, VarianceSampling: 0.0625, VariancePrivacy: 1e-300,
			Since: makeResult(0, 1, 0).GetWindowStart(), Matched: 1 << 31,
		}
	}
	if version >= 3 {
		third.Bin = &quadratv1.Bin{Index: 63, Low: -1, High: 1e-300, Consistent: new(0.5)}
	}
	if version >= 4 {
		third.Privacy.Delta, third.Privacy.EpsilonToDate = new(0.0), new(1e6)
	}
	if version >= 5 {
		third.Privacy.EpsilonPerValue = 1e-300
		third.Privacy.Shuffle = &quadratv1.Shuffle{Assumes: "an office shuffles", Reports: 1 << 31, Epsilon: 0.125, Delta: 1e-6, Bound: "fmt21-numeric"}
	}
	if version >= 6 {
		third.Privacy.Observer = "who reported, and when"
	}
	must(t, s.Results([]*quadratv1.Result{makeResult(1, 1, 0.1), makeResult(0, 2, -1e300), third}))
	stratum := column.Stratum{
		WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000, Statistic: "mean(temperature)", Stratum: "asia", Population: 5, Panel: 2,
	}
	if version >= 2 {
		stratum.Clusters = 1 << 40
	}
	if version >= 3 {
		stratum.PlanRevision, stratum.WindowPanes, stratum.TurnPanes = 3, 12, 1<<42
	}
	must(t, s.Strata("indoor", testRef, []column.Stratum{stratum}))
	must(t, s.Commit(1<<63))
	return s
}

func goldenScan(s *Store, k Kind) Records { return goldenScanOf(&s.Rows, k) }

func goldenScanOf(rows *Rows, k Kind) Records {
	return rows.latest(context.Background(), k, testRef, spanOf(time.Time{}, time.Time{}))
}

// TestGoldenFiles reads files that each version wrote, as bytes in testdata. Never write them anew: a change of the columns is
// a new version with golden files of its own. QUADRAT_GOLDEN=1 writes those that are missing.
func TestGoldenFiles(t *testing.T) {
	read := 0
	for version := 1; version <= max(KindResults.version(), KindReports.version()); version++ {
		s := goldenStore(t, version)
		for _, seg := range s.Segments() {
			if version <= seg.Kind.version() {
				checkGolden(t, s, seg, version)
				read++
			}
		}
	}
	if read != 15 {
		t.Errorf("%d golden files, want 15", read)
	}
}

func checkGolden(t *testing.T, s *Store, seg Segment, version int) {
	t.Helper()
	path := filepath.Join("testdata", fmt.Sprintf("v%d-%s.parquet", version, seg.Kind))
	now, err := os.ReadFile(seg.path(s.dir))
	must(t, err)
	content, err := os.ReadFile(path)
	if os.IsNotExist(err) && os.Getenv("QUADRAT_GOLDEN") != "" {
		content = now
		err = os.WriteFile(path, content, 0o600)
	}
	must(t, err)
	got := readParquet(t, seg.Kind, string(content), memory.NewGoAllocator())
	if want := collect(t, goldenScan(s, seg.Kind)); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", path, got, want)
	}
	want, err := parquet.OpenFile(strings.NewReader(string(content)), int64(len(content)))
	must(t, err)
	have, err := parquet.OpenFile(strings.NewReader(string(now)), int64(len(now)))
	must(t, err)
	if version == seg.Kind.version() && want.Schema().String() != have.Schema().String() {
		t.Errorf("%s: the schema changed:\n%s\n%s", seg.Kind, want.Schema(), have.Schema())
	}
}

// TestDocumentNamesEveryColumn holds docs/format/parquet.md against the schemas.
func TestDocumentNamesEveryColumn(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "format", "parquet.md"))
	must(t, err)
	types := map[arrow.Type]string{
		arrow.STRING: "text", arrow.INT64: "int64", arrow.UINT64: "uint64", arrow.FLOAT64: "double",
		arrow.TIMESTAMP: "timestamp ms", arrow.BOOL: "boolean", arrow.LIST: "list of text",
	}
	for _, k := range kinds() {
		_, section, ok := strings.Cut(string(text), "\n## "+strings.ToUpper(string(k)[:1])+string(k)[1:]+"\n")
		if !ok {
			t.Fatalf("no section for %s", k)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		var got []string
		for line := range strings.Lines(section) {
			if cells := strings.Split(line, "|"); len(cells) == 5 && strings.Contains(cells[1], "`") {
				got = append(got, strings.Trim(cells[1], " `")+": "+strings.TrimSpace(cells[2]))
			}
		}
		var want []string
		for _, f := range stored(Schema(k, "", "")) {
			text := f.Name + ": " + types[f.Type.ID()]
			if f.Nullable {
				text += ", null"
			}
			want = append(want, text)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the document has %v, want %v", k, got, want)
		}
	}
}

func TestCatalogIsRefusedWhenDamaged(t *testing.T) {
	s := goldenStore(t, KindResults.version())
	path := filepath.Join(s.dir, catalogName)
	good, err := os.ReadFile(path)
	must(t, err)
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 1
		c, err := decodeCatalog(bad)
		if err == nil && (c.position != s.catalog.position || !reflect.DeepEqual(c.segments, s.catalog.segments)) {
			t.Fatalf("a bit flipped at %d went unseen", i)
		}
	}
}

func FuzzCatalog(f *testing.F) {
	c := catalog{position: 7, segments: []Segment{{Kind: KindReports, Ref: "k1", Date: "2027-01-14", Name: "part-1-7.parquet", First: 1, Last: 7, Rows: 1}}}
	b, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for _, name := range []string{"catalog-v1.jsonl", "catalog-v2.jsonl", "catalog-v2-archive.jsonl", "catalog-v3.jsonl"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCatalog(b)
		if err != nil {
			return
		}
		for i := range c.segments {
			rel, err := filepath.Rel("/data", c.segments[i].path("/data"))
			if err != nil || strings.HasPrefix(rel, "..") {
				t.Fatal("a segment lies outside the store")
			}
		}
		for _, o := range c.condemned {
			name := o.Object
			if filepath.Clean(name) != name || strings.HasPrefix(name, "..") || filepath.IsAbs(name) {
				t.Fatal("an object lies outside the archive")
			}
		}
	})
}

func FuzzParquet(f *testing.F) {
	for _, k := range kinds() {
		b, err := os.ReadFile(filepath.Join("testdata", "v1-"+string(k)+".parquet"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, k := range kinds() {
			table, err := openTable(bytes.NewReader(b), int64(len(b)), k, nil)
			if err != nil {
				continue
			}
			for _, g := range table.groups(spanOf(time.Time{}, time.Time{})) {
				rec, err := table.read(g, memory.NewGoAllocator())
				if err != nil {
					break
				}
				rec.Release()
			}
		}
	})
}
