package tabular_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/quadrat-dev/quadrat/internal/tabular"
)

// wide has each kind of page: arrays, dictionaries, with and without nulls.
type wide struct {
	Plain       float64  `parquet:"plain"`
	Dict        float64  `parquet:"dict,dict"`
	Null        *float64 `parquet:"null,optional"`
	Count       int64    `parquet:"count"`
	CountDict   int64    `parquet:"countdict,dict"`
	Label       string   `parquet:"label"`
	LabelDict   string   `parquet:"labeldict,dict"`
	LabelOption *string  `parquet:"labeloption,optional,dict"`
}

func wideRows(n int) []wide {
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([]wide, n)
	for i := range rows {
		label := "s" + strconv.Itoa(rng.IntN(20))
		rows[i] = wide{
			Plain: rng.NormFloat64(), Dict: float64(rng.IntN(7)), Count: rng.Int64N(1000), CountDict: rng.Int64N(5), Label: label, LabelDict: label,
		}
		if rng.IntN(10) > 0 {
			rows[i].Null, rows[i].LabelOption = &rows[i].Plain, &rows[i].Label
		}
	}
	return rows
}

func wideFile(t testing.TB, rows []wide) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[wide](&b, parquet.MaxRowsPerRowGroup(30_000), parquet.PageBufferSize(64<<10))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "wide.parquet")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var everyColumn = tabular.Want{
	Numbers: []string{"plain", "dict", "null", "count", "countdict"}, Labels: []string{"label", "labeldict", "labeloption", "countdict"},
}

// Whatever way a page is read, its values are those that were written.
func TestPagesOfEveryKind(t *testing.T) {
	rows := wideRows(100_000)
	table, err := tabular.Read(wideFile(t, rows), everyColumn)
	if err != nil {
		t.Fatal(err)
	}
	label := func(name string, row int) string {
		l := table.Label(name)
		if l.Codes[row] < 0 {
			return ""
		}
		return l.Levels[l.Codes[row]]
	}
	for i, r := range rows {
		null, option := math.NaN(), ""
		if r.Null != nil {
			null, option = *r.Null, *r.LabelOption
		}
		got := table.Number("null")[i]
		if got != null && !(math.IsNaN(got) && math.IsNaN(null)) {
			t.Fatalf("row %d: %v, want %v", i, got, null)
		}
		if table.Number("plain")[i] != r.Plain || table.Number("dict")[i] != r.Dict || table.Number("count")[i] != float64(r.Count) ||
			table.Number("countdict")[i] != float64(r.CountDict) || label("label", i) != r.Label || label("labeldict", i) != r.LabelDict ||
			label("labeloption", i) != option || label("countdict", i) != strconv.FormatInt(r.CountDict, 10) {
			t.Fatalf("row %d differs from %+v", i, r)
		}
	}
}

func TestParquetNaNIsAFault(t *testing.T) {
	rows := wideRows(10)
	for _, spoil := range []func(){
		func() { rows[7].Plain = math.NaN() }, func() { rows[7].Plain, rows[7].Dict = 0, math.Inf(1) },
	} {
		spoil()
		_, err := tabular.Read(wideFile(t, rows), tabular.Want{Numbers: []string{"plain", "dict"}})
		if e, ok := err.(*tabular.Error); !ok || e.Row != 8 {
			t.Errorf("%v, want row 8", err)
		}
	}
}

func BenchmarkReadParquet(b *testing.B) {
	const rows = 500_000
	path := wideFile(b, wideRows(rows))
	b.ResetTimer()
	for range b.N {
		if _, err := tabular.Read(path, tabular.Want{Numbers: []string{"plain", "count"}, Labels: []string{"labeldict"}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
