// Command query measures questions about stored reports beside DuckDB on the same files, in one process, with as many threads each,
// in turns. It prints JSON with seconds and ratios, and fails when the answers differ.
//
//	cd bench && go run ./query
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

	"github.com/quadrat-dev/quadrat/internal/bench/stored"
	"github.com/quadrat-dev/quadrat/query/reanalysis"
)

// config is what the flags say.
type config struct {
	dir                  string
	windows, panel, runs int
	threads              int
	seed                 uint64
}

func main() {
	var c config
	flag.StringVar(&c.dir, "dir", filepath.Join(os.TempDir(), "quadrat-bench-query"), "where the reports are made; those that are there are used again")
	flag.IntVar(&c.windows, "windows", 20, "windows with reports")
	flag.IntVar(&c.panel, "panel", 1_000_000, "reports of a window")
	flag.IntVar(&c.runs, "runs", 7, "how often each is run")
	flag.IntVar(&c.threads, "threads", runtime.NumCPU(), "threads of Quadrat and of DuckDB")
	flag.Uint64Var(&c.seed, "seed", 1, "of the reports")
	flag.Parse()
	if err := run(context.Background(), c); err != nil {
		fmt.Fprintln(os.Stderr, "query:", err)
		os.Exit(1)
	}
}

// report is what is printed.
type report struct {
	Rows, Bytes    int64
	Files, Threads int
	SampledRows    int64 // that were decoded for a hundredth
	Timings        map[string]timing
	Ratios         map[string]float64 // of medians, over Quadrat's; above 1 where Quadrat is faster
}

const (
	exact   = "SELECT mean(temperature) FROM kappa.indoor GROUP BY region"
	sampled = "SELECT mean(temperature) FROM kappa.indoor GROUP BY region SAMPLE 1 PERCENT"
)

func run(ctx context.Context, c config) error {
	runtime.GOMAXPROCS(c.threads)
	dir := filepath.Join(c.dir, fmt.Sprintf("%d-%d-%d", c.windows, c.panel, c.seed))
	folder, err := stored.Make(dir, stored.Config{Windows: c.windows, Panel: c.panel, Seed: c.seed})
	if err != nil {
		return err
	}
	duck, err := openDuck(ctx, c.threads, folder.Paths())
	if err != nil {
		return err
	}
	defer duck.db.Close()
	r := report{Rows: folder.Rows(), Files: len(folder.Paths()), Threads: c.threads, Ratios: map[string]float64{}}
	ours := func(question string) func() (means, error) {
		return func() (means, error) {
			answer, err := folder.Ask(ctx, question)
			if err != nil {
				return nil, err
			}
			if question == sampled {
				r.SampledRows = answer.Rows
			}
			return meansOf(answer), nil
		}
	}
	contestants := []contestant{
		{"quadrat_exact", ours(exact)},
		{"duckdb_avg_by_region", duck.asks(averages)},
		{"duckdb_estimate_by_region", duck.asks(estimates)},
		{"quadrat_sampled", ours(sampled)},
		{"duckdb_bernoulli", duck.asks(bernoulli)},
		{"duckdb_random_below", duck.asks(below)},
	}
	answers, err := r.takeTurns(contestants, c.runs)
	if err != nil {
		return err
	}
	if r.Bytes, err = sizeOf(folder.Paths()); err != nil {
		return err
	}
	r.compare("quadrat_exact", "duckdb_avg_by_region", "duckdb_estimate_by_region")
	r.compare("quadrat_sampled", "duckdb_bernoulli", "duckdb_random_below", "quadrat_exact")
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return errors.Join(out.Encode(r), agree(answers))
}

// means are the answers of one question by region.
type means map[string]float64

func meansOf(a *reanalysis.Answered) means {
	out := means{}
	for _, r := range a.Results {
		if region := r.GetCell()["region"]; region != "" {
			out[region] = r.GetValue()
		}
	}
	return out
}

// agree holds the answers from the same rows against each other.
func agree(answers map[string]means) error {
	for _, pair := range [][2]string{{"quadrat_exact", "duckdb_avg_by_region"}, {"quadrat_sampled", "duckdb_random_below"}} {
		ours, theirs := answers[pair[0]], answers[pair[1]]
		if len(ours) == 0 || len(ours) != len(theirs) {
			return fmt.Errorf("%d and %d regions", len(ours), len(theirs))
		}
		for region, x := range theirs {
			if !(math.Abs(ours[region]-x) <= 1e-9*math.Abs(x)) {
				return fmt.Errorf("%s: %s says %g, %s %g", region, pair[0], ours[region], pair[1], x)
			}
		}
	}
	return nil
}

func sizeOf(paths []string) (int64, error) {
	bytes := int64(0)
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		bytes += info.Size()
	}
	return bytes, nil
}
