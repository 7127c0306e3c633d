package estimate

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// unit is a row of a table that is read both ways.
type unit struct {
	Stratum string   `parquet:"s,dict"`
	Weight  float64  `parquet:"w,dict"`
	Even    float64  `parquet:"even,dict"` // the same within a stratum
	Size    int64    `parquet:"n,dict"`
	Share   float64  `parquet:"f"`
	Y       float64  `parquet:"y"`
	X       float32  `parquet:"x"`
	Z       *float64 `parquet:"z,optional"` // with missing values
	Label   *string  `parquet:"l,optional,dict"`
}

// units returns rows in a random order, or sorted by stratum. Values lie far from 0, weights vary, some are 0.
func units(rows, strata int, sorted bool, seed uint64) []unit {
	random := rand.New(rand.NewPCG(seed, 1))
	out, counts := make([]unit, rows), make([]int64, strata)
	for i := range out {
		h := random.IntN(strata)
		if sorted {
			h = i * strata / rows
		}
		counts[h]++
		u := unit{Stratum: "s" + strconv.Itoa(h), Weight: math.Exp(random.NormFloat64()), Even: float64(1 + h), Share: 1 / float64(2+h)}
		if random.IntN(20) == 0 {
			u.Weight = 0
		}
		u.Y = 1000 + 10*float64(h) + 5*random.NormFloat64()
		u.X = float32(u.Y/3 + random.NormFloat64())
		if random.IntN(9) > 0 {
			label := strconv.Itoa(random.IntN(4))
			u.Z, u.Label = &u.Y, &label
		}
		out[i] = u
	}
	for i := range out {
		h, err := strconv.Atoi(out[i].Stratum[1:])
		if err != nil {
			panic(err)
		}
		out[i].Size = counts[h] * int64(2+h)
	}
	return out
}

func parquetOf[T any](t *testing.T, rows []T) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.MaxRowsPerRowGroup(7000), parquet.PageBufferSize(9000))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "units.parquet")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// both answers from moments and from rows.
func both(t *testing.T, c Config) (moments, rows []Result, streamed, err error) {
	t.Helper()
	p, w, reports, err := c.prepared()
	if err != nil {
		t.Fatal(err)
	}
	if !p.streams(reports) {
		t.Fatalf("%+v is not for moments", c)
	}
	moments, streamed = p.stream(w)
	rows, err = p.whole(w, reports)
	return moments, rows, streamed, err
}

// differs says in what two results differ by more than 1e-12 relative.
func differs(a, b Result) string {
	for name, pair := range map[string][2]*float64{
		"value": {a.Value, b.Value}, "standard error": {a.StdError, b.StdError}, "low": {a.CILow, b.CILow}, "high": {a.CIHigh, b.CIHigh},
		"degrees of freedom": {a.DegreesOfFreedom, b.DegreesOfFreedom}, "design effect": {a.DesignEffect, b.DesignEffect},
	} {
		x, y := *pair[0], *pair[1]
		if math.Abs(x-y) > 1e-12*math.Abs(y) {
			return fmt.Sprintf("%s %.17g, %.17g", name, x, y)
		}
	}
	if a.Statistic != b.Statistic || !reflect.DeepEqual(a.By, b.By) || !reflect.DeepEqual(a.Warnings, b.Warnings) {
		return fmt.Sprintf("%+v, %+v", a, b)
	}
	return ""
}

// The oracle of the moments are the rows.
func TestMomentsAnswerWhatRowsAnswer(t *testing.T) {
	compared := 0
	for _, shape := range []struct {
		rows, strata int
		sorted       bool
	}{{20_000, 6, false}, {20_000, 6, true}, {3000, 400, false}, {7, 2, true}} {
		path := parquetOf(t, units(shape.rows, shape.strata, shape.sorted, uint64(shape.rows)))
		for _, weight := range []string{"", "w", "even"} {
			for _, fpc := range []string{"", "n", "f"} {
				for _, stratum := range []string{"", "s"} {
					if fpc != "" && stratum == "" {
						continue
					}
					c := Config{
						Data: path, Stratum: stratum, Weight: weight, DropMissing: true,
						Stats: []string{"mean(y)", "total(y)", "ratio(y,x)", "proportion(l='2')", "mean(z)", "total(z)", "ratio(x,z)", "proportion(y > 1030)"},
					}
					if fpc != "" {
						c.FPC = []string{fpc}
					}
					moments, rows, streamed, err := both(t, c)
					if streamed != nil || err != nil {
						t.Fatalf("%+v: %v, %v", c, streamed, err)
					}
					for i := range rows {
						compared++
						if d := differs(moments[i], rows[i]); d != "" {
							t.Errorf("%v %+v: %s: %s", shape, c, rows[i].Statistic, d)
						}
					}
				}
			}
		}
	}
	if t.Logf("compared %d results", compared); compared < 384 {
		t.Errorf("compared %d results only", compared)
	}
}

// What moments can't answer, they leave to the rows, whose errors name row and column.
func TestMomentsLeaveFaultsToTheRows(t *testing.T) {
	for want, c := range map[string]struct {
		spoil  func([]unit)
		config Config
	}{
		`column "w": row 20000: invalid input: negative`:        {func(u []unit) { u[19_999].Weight = -1 }, Config{}},
		`column "w": row 20000: not a finite number`:            {func(u []unit) { u[19_999].Weight = math.NaN() }, Config{}},
		`column "y": row 20000: not a finite number`:            {func(u []unit) { u[19_999].Y = math.NaN() }, Config{DropMissing: true}},
		`column "y": row 20000: not a finite number `:           {func(u []unit) { u[19_999].Y = math.Inf(1) }, Config{}},
		`column "z": row 14: missing value`:                     {func(u []unit) {}, Config{Stats: []string{"mean(z)"}}},
		`column "s": row 20000: missing value`:                  {func(u []unit) { u[19_999].Stratum = "" }, Config{}},
		`column "n": row 20000: invalid input: stratum "s`:      {func(u []unit) { u[19_999].Size++ }, Config{FPC: []string{"n"}}},
		`column "n": row 20000: invalid input: not positive`:    {func(u []unit) { u[19_999].Size = 0 }, Config{FPC: []string{"n"}}},
		`column "n": row 1: invalid input: stratum "s`:          {func(u []unit) { resize(u, u[0].Stratum, 2) }, Config{FPC: []string{"n"}}},
		`column "s": one unit only: stratum "alone"`:            {func(u []unit) { u[19_999].Stratum = "alone" }, Config{}},
		`unsupported: the interval logit is for proportions`:    {func(u []unit) {}, Config{Stats: []string{"total(y)"}, Interval: "logit"}},
		`column "x": invalid input: the denominator's total is`: {func(u []unit) { zero(u) }, Config{Stats: []string{"ratio(y,x)"}}},
	} {
		rows := units(20_000, 6, false, 3)
		c.spoil(rows)
		config := c.config
		config.Data, config.Stratum, config.Weight = parquetOf(t, rows), "s", "w"
		if config.Stats == nil {
			config.Stats = []string{"mean(y)"}
		}
		_, _, streamed, err := both(t, config)
		_, run := Run(config)
		if streamed == nil || err == nil || run == nil || run.Error() != err.Error() || !strings.Contains(err.Error()+" ", want) {
			t.Errorf("moments: %v; rows: %v; both: %v; want %s", streamed, err, run, want)
		}
	}
}

func resize(rows []unit, stratum string, size int64) {
	for i := range rows {
		if rows[i].Stratum == stratum {
			rows[i].Size = size
		}
	}
}

func zero(rows []unit) {
	for i := range rows {
		rows[i].X = 0
	}
}

// Scores that are nearly equal in each stratum cancel in moments; then the rows answer.
func TestMomentsLeaveCancellationToTheRows(t *testing.T) {
	rows := units(5000, 3, false, 8)
	for i := range rows {
		rows[i].Y = 1e6 / max(rows[i].Weight, 1e-3) // w y is nearly the same
		rows[i].Weight = max(rows[i].Weight, 1e-3)
	}
	c := Config{Data: parquetOf(t, rows), Stratum: "s", Weight: "w", Stats: []string{"total(y)"}}
	if _, _, streamed, err := both(t, c); streamed == nil || err != nil {
		t.Errorf("%v, %v", streamed, err)
	}
}
