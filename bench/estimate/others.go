package main

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the other engine
)

// duck is DuckDB in this process: its time is that of the query alone, without a program's start.
type duck struct {
	db                *sql.DB
	plain, stratified string
}

func openDuck(ctx context.Context, c config) (*duck, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, fmt.Sprintf("SET threads = %d", c.threads)); err != nil {
		return nil, err
	}
	return &duck{db: db, plain: fmt.Sprintf("SELECT avg(x), stddev(x) FROM '%s'", c.table), stratified: stratified(c.table)}, nil
}

// stratified is the same estimate in SQL: Σ (1 − n/N) n s² of the linearised scores.
func stratified(table string) string {
	return fmt.Sprintf(`WITH m AS (SELECT sum(weight * x) / sum(weight) AS mean, sum(weight) AS size FROM '%[1]s'),
h AS (SELECT stratum, count(*) AS n, any_value(fpc) AS population, var_samp(weight * (x - mean) / size) AS s2
      FROM '%[1]s', m GROUP BY stratum)
SELECT any_value(mean), sqrt(sum((1 - n / population::DOUBLE) * n * s2)) FROM h, m`, table)
}

func (d *duck) run(ctx context.Context, query string) (answer, spent, error) {
	var a answer
	start, cpu := time.Now(), ownCPU()
	err := d.db.QueryRowContext(ctx, query).Scan(&a.value, &a.se)
	return a, spent{time.Since(start), ownCPU() - cpu}, err
}

//go:embed svymean.R
var script string

// runR measures R on a slice of the table. It says so when R or its package isn't there.
func runR(ctx context.Context, c config, d *duck, r *report) error {
	if _, err := exec.LookPath("Rscript"); err != nil {
		return errors.New("R isn't installed: no ratio with svymean (apt-get install r-base-core r-cran-survey)")
	}
	if err := os.WriteFile(c.rScript, []byte(script), 0o600); err != nil {
		return err
	}
	copied := fmt.Sprintf("COPY (SELECT * FROM '%s' LIMIT %d) TO '%s' (HEADER)", c.table, c.rRows, c.slice)
	if _, err := d.db.ExecContext(ctx, copied); err != nil {
		return err
	}
	own := contestant{"quadrat_beside_r", func() (answer, spent, error) { return runQuadrat(ctx, c, c.table) }}
	before, err := repeated(own, c.runs/2+1)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "Rscript", c.rScript, c.slice)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("R: %w\n%s", err, said.String())
	}
	after, err := repeated(own, c.runs/2+1)
	if err != nil {
		return err
	}
	r.Timings[own.name] = summarised(append(before, after...))
	var from struct {
		Rows      int
		Value, SE float64
		Svymean   [2]float64 // elapsed and processor seconds
		Svydesign [2]float64
	}
	if err := json.Unmarshal(out, &from); err != nil {
		return fmt.Errorf("R says %s: %w", out, err)
	}
	a, _, err := runQuadrat(ctx, c, c.slice)
	if err != nil {
		return err
	}
	if b := (answer{from.Value, from.SE}); !agree(a, b) {
		return fmt.Errorf("quadrat says %+v, R %+v", a, b)
	}
	r.Timings["r_svymean"] = timing{Rows: from.Rows, Best: from.Svymean[0], Median: from.Svymean[0], MedianCPU: from.Svymean[1]}
	both := [2]float64{from.Svymean[0] + from.Svydesign[0], from.Svymean[1] + from.Svydesign[1]}
	r.Timings["r_svydesign_and_svymean"] = timing{Rows: from.Rows, Best: both[0], Median: both[0], MedianCPU: both[1]}
	return nil
}
