package tabular_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/quadrat-dev/quadrat/internal/tabular"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const sample = "id,class,x,ok\n1,in,1.5,TRUE\n2,out,,FALSE\n3,NA,-2e1,TRUE\n"

func TestCSV(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "a.csv"), "\ufeff"+sample)
	table, err := tabular.Read(path, tabular.Want{Numbers: []string{"x", "ok"}, Labels: []string{"class", "id"}})
	if err != nil {
		t.Fatal(err)
	}
	x := table.Number("x")
	if table.Rows != 3 || x[0] != 1.5 || !math.IsNaN(x[1]) || x[2] != -20 || !slices.Equal(table.Number("ok"), []float64{1, 0, 1}) {
		t.Errorf("%d rows, x %v, ok %v", table.Rows, x, table.Number("ok"))
	}
	if c := table.Label("class"); !slices.Equal(c.Codes, []int32{0, 1, -1}) || !slices.Equal(c.Levels, []string{"in", "out"}) {
		t.Errorf("class %v %v", c.Codes, c.Levels)
	}
	if !table.Has("id") || table.Has("y") || table.Number("id") != nil {
		t.Error("wrong columns")
	}
}

// Faults name file, column and row, and never what stood there.
func TestFaults(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"x\n1\n17.5secret\n": `a.csv: column "x": row 2: not a finite number`,
		"x\nNaN\n":           `a.csv: column "x": row 1: not a finite number`,
		"x\n1e999\n":         `a.csv: column "x": row 1: not a finite number`,
		"y\n1\n":             `a.csv: column "x": there is no such column`,
		"x,x\n1,2\n":         `a.csv: column "x": the header has it twice`,
		"x,y\n1,2\n3\n":      `a.csv: row 2: wrong number of fields`,
		"":                   `a.csv: the file is empty`,
		"x\n":                `a.csv: no rows`,
		"PAR1 no Parquet":    `a.csv: it can't be opened as Parquet`,
	} {
		path := write(t, filepath.Join(dir, "a.csv"), text)
		_, err := tabular.Read(path, tabular.Want{Numbers: []string{"x"}})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := tabular.Read(filepath.Join(dir, "none.csv"), tabular.Want{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that the file doesn't exist", err)
	}
}

type row struct {
	At    time.Time `parquet:"at,timestamp(millisecond)"`
	Class *string   `parquet:"class,optional"`
	X     *float64  `parquet:"x,optional"`
	N     int64     `parquet:"n"`
	Small int32     `parquet:"small"`
	F     float32   `parquet:"f"`
	OK    bool      `parquet:"ok"`
	Tags  []string  `parquet:"tags,list"`
}

func parquetBytes(t *testing.T) []byte {
	t.Helper()
	in, x := "in", 1.5
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	var b bytes.Buffer
	err := parquet.Write(&b, []row{
		{At: at, Class: &in, X: &x, N: 7, Small: 3, F: 0.5, OK: true, Tags: []string{"a", "b"}},
		{At: at.Add(1500 * time.Millisecond), N: -1, Small: -3, F: 2},
	}, parquet.Compression(&parquet.Zstd))
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestParquet(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "no-extension"), string(parquetBytes(t)))
	all := []string{"n", "small", "f", "ok"}
	table, err := tabular.Read(path, tabular.Want{Numbers: append([]string{"x"}, all...), Labels: append([]string{"at", "class"}, all...)})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float64{"n": {7, -1}, "small": {3, -3}, "f": {.5, 2}, "ok": {1, 0}} {
		if got := table.Number(name); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if x := table.Number("x"); x[0] != 1.5 || !math.IsNaN(x[1]) {
		t.Errorf("x: %v", x)
	}
	for name, want := range map[string][]string{
		"at": {"2026-11-20T10:00:00Z", "2026-11-20T10:00:01.5Z"}, "class": {"in"}, "n": {"7", "-1"}, "ok": {"true", "false"}, "f": {"0.5", "2"},
	} {
		if got := table.Label(name).Levels; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if table.Has("tags") {
		t.Error("a list is a column")
	}
	for _, w := range []tabular.Want{{Numbers: []string{"class"}}, {Numbers: []string{"tags"}}} {
		if _, err := tabular.Read(path, w); err == nil {
			t.Errorf("%v: no error", w)
		}
	}
}

func TestHiveFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "kappa=k%201", "date=2026-11-20", "part-1.csv"), "x\n1\n2\n")
	write(t, filepath.Join(dir, "kappa=k2", "date=2026-11-21", "part-1.csv"), "x\n3\n")
	write(t, filepath.Join(dir, "_marker.csv"), "nonsense")
	write(t, filepath.Join(dir, ".part-2.csv"), "nonsense")
	table, err := tabular.Read(dir, tabular.Want{Numbers: []string{"x"}, Labels: []string{"kappa", "date"}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(table.Number("x"), []float64{1, 2, 3}) || !slices.Equal(table.Label("kappa").Codes, []int32{0, 0, 1}) ||
		!slices.Equal(table.Label("kappa").Levels, []string{"k 1", "k2"}) || len(table.Label("date").Codes) != 3 {
		t.Errorf("x %v, kappa %v", table.Number("x"), table.Label("kappa"))
	}
	if e := table.At("x", 3, "bad"); e.Row != 1 || e.File != "part-1.csv" {
		t.Errorf("row 3 is said to be %v", e)
	}
	write(t, filepath.Join(dir, "kappa=k3", "part-1.csv"), "y\n3\n")
	if _, err := tabular.Read(dir, tabular.Want{Numbers: []string{"x"}}); err == nil {
		t.Error("a file without the column: no error")
	}
}

func TestConditions(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "a.csv"), "class,x,sch.wide\nin,1,Yes\nout,2,No\nin,3,Yes\n,4,No\nin,,No\n")
	for text, want := range map[string]string{
		"class = 'in'":                         "TFTUT",
		"class == 'in' and x > 1":              "FFTUU",
		"class <> 'in' or x >= 4":              "FTFTU",
		"not (x < 3)":                          "FFTTU",
		"x != 2 & sch.wide='Yes'":              "TFTFF",
		`"sch.wide" in ('Yes', 'Maybe') | x=2`: "TTTFU",
		"x = -1e-3 or x <= 1.5":                "TFFFU",
		"!class='out' && !(x=1 || x=3)":        "FFFUU",
		"class = 'it''s'":                      "FFFUF",
		"((x=1))":                              "TFFFU",
		"AND_ = 1":                             "error: column",
		"class":                                "error: after",
		"class = ":                             "error: after",
		"class = in":                           "error: want a number",
		"x = 1 x":                              "error: ",
		"(x = 1":                               "error: a parenthesis",
		"class in ('a'":                        "error: a parenthesis",
		"class = 'a":                           "error: a quote",
		"x ; 1":                                "error: unexpected",
		strings.Repeat("(", 1000) + "x=1":      "error: nested",
		strings.Repeat("not ", 1000) + "x = 1": "error: nested",
		"x = 1 and (class = 'in' or )":         "error: a column's name",
	} {
		got := evaluate(t, path, text)
		cause, fails := strings.CutPrefix(want, "error: ")
		if ok := got == want || (fails && strings.HasPrefix(got, "error: ") && strings.Contains(got, cause)); !ok {
			t.Errorf("%.40s: %s, want %s", text, got, want)
		}
	}
}

// evaluate says T, F or U for each row, or the error.
func evaluate(t *testing.T, path, text string) string {
	t.Helper()
	c, err := tabular.Parse(text)
	if err != nil {
		return "error: " + err.Error()
	}
	var w tabular.Want
	c.Want(&w)
	table, err := tabular.Read(path, w.Distinct())
	if err != nil {
		return "error: " + err.Error()
	}
	out := ""
	for _, truth := range c.Eval(table) {
		out += string("FTU"[truth])
	}
	return out
}

func FuzzParse(f *testing.F) {
	f.Add("class = 'in' and not (x > 1e-5 or y in ('a','b'))")
	f.Fuzz(func(_ *testing.T, text string) {
		if c, err := tabular.Parse(text); err == nil {
			c.Want(&tabular.Want{})
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(sample))
	var t testing.T
	f.Add(parquetBytes(&t))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		table, err := tabular.Read(path, tabular.Want{Numbers: []string{"x"}, Labels: []string{"class"}})
		if err != nil {
			return
		}
		if len(table.Number("x")) != table.Rows || len(table.Label("class").Codes) != table.Rows {
			t.Errorf("%d rows, %d numbers, %d labels", table.Rows, len(table.Number("x")), len(table.Label("class").Codes))
		}
	})
}
