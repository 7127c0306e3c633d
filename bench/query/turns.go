package main

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the other engine
)

// The questions that DuckDB is asked. The first is the plain grouped aggregate; the second keeps what an estimate with its error
// needs, as Quadrat does: moments and noise by window and region. The last takes the same rows as Quadrat, the third others.
const (
	averages  = "SELECT stratum, avg(score) FROM reports GROUP BY stratum"
	estimates = `SELECT stratum, sum(mean * size) / sum(size) FROM (SELECT window_start, stratum, avg(score) AS mean, var_samp(score) AS s2,
		avg(noise_variance) AS noise, count(*) AS size FROM reports GROUP BY window_start, stratum) GROUP BY stratum HAVING sum(s2 + noise) > 0`
	bernoulli = "SELECT stratum, avg(score) FROM reports TABLESAMPLE 1 PERCENT (bernoulli) GROUP BY stratum"
	below     = `SELECT stratum, avg(mean) FROM (SELECT window_start, stratum, avg(score) AS mean FROM reports WHERE random < 0.01
		GROUP BY window_start, stratum) GROUP BY stratum`
)

// duck is DuckDB in this process.
type duck struct{ db *sql.DB }

func openDuck(ctx context.Context, threads int, paths []string) (*duck, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	view := fmt.Sprintf("CREATE VIEW reports AS SELECT * FROM read_parquet(['%s'])", strings.Join(paths, "', '"))
	for _, statement := range []string{fmt.Sprintf("SET threads = %d", threads), view} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	return &duck{db: db}, nil
}

// asks runs a query and reads its answer.
func (d *duck) asks(query string) func() (means, error) {
	return func() (means, error) {
		rows, err := d.db.Query(query)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		out := means{}
		for rows.Next() {
			var region string
			var mean float64
			if err := rows.Scan(&region, &mean); err != nil {
				return nil, err
			}
			out[region] = mean
		}
		return out, rows.Err()
	}
}

// contestant is something that is measured.
type contestant struct {
	name string
	run  func() (means, error)
}

// timing is what the runs of one contestant cost, in seconds.
type timing struct{ Best, Median, MedianCPU float64 }

// takeTurns runs each contestant once unmeasured, and then in turns.
func (r *report) takeTurns(contestants []contestant, runs int) (map[string]means, error) {
	walls, work, answers := map[string][]float64{}, map[string][]float64{}, map[string]means{}
	for turn := range runs + 1 {
		for _, c := range contestants {
			began, worked := time.Now(), processor()
			answer, err := c.run()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if answers[c.name] = answer; turn > 0 {
				walls[c.name] = append(walls[c.name], time.Since(began).Seconds())
				work[c.name] = append(work[c.name], (processor() - worked).Seconds())
			}
		}
	}
	r.Timings = map[string]timing{}
	for name := range walls {
		slices.Sort(walls[name])
		slices.Sort(work[name])
		r.Timings[name] = timing{Best: walls[name][0], Median: walls[name][runs/2], MedianCPU: work[name][runs/2]}
	}
	return answers, nil
}

// compare fills in the ratios of some contestants over one.
func (r *report) compare(ours string, others ...string) {
	own := r.Timings[ours]
	for _, name := range others {
		t := r.Timings[name]
		r.Ratios[name+"_over_"+ours] = t.Median / own.Median
		r.Ratios[name+"_over_"+ours+"_cpu"] = t.MedianCPU / own.MedianCPU
	}
}

// processor is what this process has spent so far.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
