// Command estimate measures `quadrat estimate` beside DuckDB and R's package survey: the stratified mean with its standard
// error over one Parquet file, all in one run on one machine. It prints JSON with seconds and ratios, and fails when the
// answers differ. The runs take turns, so that what else the machine does hits all of them.
//
//	go build -o bin/quadrat ./cmd/quadrat && cd bench && go run ./estimate -quadrat ../bin/quadrat
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// config is what the flags say.
type config struct {
	quadrat, dir          string
	rows, rRows, runs     int
	threads               int
	seed                  uint64
	table, slice, rScript string
}

func main() {
	var c config
	flag.StringVar(&c.quadrat, "quadrat", "quadrat", "the program to measure")
	flag.StringVar(&c.dir, "dir", os.TempDir(), "where the table is made; one that is there is used again")
	flag.IntVar(&c.rows, "rows", 10_000_000, "rows of the table")
	flag.IntVar(&c.rRows, "r-rows", 1_000_000, "rows of it that R gets")
	flag.IntVar(&c.runs, "runs", 9, "how often each is run")
	flag.IntVar(&c.threads, "threads", runtime.NumCPU(), "threads of quadrat and DuckDB; R has one")
	flag.Uint64Var(&c.seed, "seed", 1, "of the table")
	flag.Parse()
	if err := run(context.Background(), c); err != nil {
		fmt.Fprintln(os.Stderr, "estimate:", err)
		os.Exit(1)
	}
}

// report is what is printed.
type report struct {
	Rows, Threads, Runs int
	Bytes               int64
	Value, StdError     float64
	Timings             map[string]timing
	Ratios              map[string]float64 // of medians; above 1 where quadrat is faster
}

func run(ctx context.Context, c config) error {
	c.table = filepath.Join(c.dir, fmt.Sprintf("quadrat-bench-%d-%d.parquet", c.rows, c.seed))
	c.slice, c.rScript = filepath.Join(c.dir, "quadrat-bench-slice.csv"), filepath.Join(c.dir, "quadrat-bench.R")
	if _, err := os.Stat(c.table); errors.Is(err, os.ErrNotExist) {
		if err := makeTable(c.table, c.rows, c.seed); err != nil {
			return err
		}
	}
	info, err := os.Stat(c.table)
	if err != nil {
		return err
	}
	duck, err := openDuck(ctx, c)
	if err != nil {
		return err
	}
	defer duck.db.Close()
	contestants := []contestant{
		{"quadrat", func() (answer, spent, error) { return runQuadrat(ctx, c, c.table) }},
		{"duckdb_avg_stddev", func() (answer, spent, error) { return duck.run(ctx, duck.plain) }},
		{"duckdb_stratified", func() (answer, spent, error) { return duck.run(ctx, duck.stratified) }},
	}
	r := report{Rows: c.rows, Threads: c.threads, Runs: c.runs, Bytes: info.Size(), Ratios: map[string]float64{}}
	var answers map[string]answer
	if r.Timings, answers, err = takeTurns(contestants, c.runs); err != nil {
		return err
	}
	r.Value, r.StdError = answers["quadrat"].value, answers["quadrat"].se
	if !agree(answers["quadrat"], answers["duckdb_stratified"]) {
		return fmt.Errorf("quadrat says %+v, DuckDB %+v", answers["quadrat"], answers["duckdb_stratified"])
	}
	fromR := runR(ctx, c, duck, &r)
	own := r.Timings["quadrat"]
	for name, t := range r.Timings {
		own := own
		if strings.HasPrefix(name, "r_") {
			own = r.Timings["quadrat_beside_r"]
		}
		if !strings.HasPrefix(name, "quadrat") {
			r.Ratios[name] = t.perRow(c.rows) / own.perRow(c.rows)
			r.Ratios[name+"_cpu"] = t.MedianCPU / float64(t.rows(c.rows)) / (own.MedianCPU / float64(c.rows))
		}
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return errors.Join(e.Encode(r), fromR)
}

func agree(a, b answer) bool {
	near := func(x, y float64) bool { return math.Abs(x-y) <= 1e-9*math.Abs(y) }
	return near(a.value, b.value) && near(a.se, b.se)
}
