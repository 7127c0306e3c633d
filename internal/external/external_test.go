package external_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2" // the independent reader
)

const script = `KAPPA indoor AS
SELECT   mean(temperature), proportion(temperature > 26)
FROM     sense.temperature
WHERE    building_type <> 'others'
GROUP BY cooling_type
SAMPLE   ALL STRATIFIED BY region ROTATING
WINDOW   3s GRACE 2s
PRIVACY  LOCAL EPSILON 4 PER 15s BETWEEN 10 AND 40`

// duckComputes holds what was served against what DuckDB computes from the export.
func duckComputes(t *testing.T, server *program, ref string, served []result) {
	t.Helper()
	dir := t.TempDir()
	server.run(t, "export", ref, "--what", "results", "--format", "parquet", "--out", dir)
	db := server.reports(t, ref, dir)
	view(t, db, dir, "results")
	compareCounts(t, db, ref, served)
	compareEstimates(t, db, served)
}

// What the server answered can be computed again, by someone else's database, from the exported columns score, weight,
// stratum and noise_variance alone.
func TestDuckDBComputesTheServedResults(t *testing.T) {
	t.Parallel()
	server := serve(t)
	ref, served := ask(t, server, script, "--windows", "3")
	duckComputes(t, server, ref, served)
}

// ask lets 3,000 simulated devices answer a question, and returns what the server serves once it has all their reports.
func ask(t *testing.T, server *program, question string, simulate ...string) (ref string, served []result) {
	t.Helper()
	return askWhile(t, server, question, func() {}, simulate...)
}

// askWhile does something else while the devices answer.
func askWhile(t *testing.T, server *program, question string, while func(), simulate ...string) (ref string, served []result) {
	t.Helper()
	fleet := exec.CommandContext(t.Context(), server.path, append([]string{
		"simulate", "--nats", server.nats, "--devices", "3000", "--seed", "7",
	}, simulate...)...)
	ended := make(chan error, 1)
	var said []byte
	go func() {
		var err error
		said, err = fleet.Output()
		ended <- err
	}()
	until(t, "the fleet", func() bool {
		var devices struct{ Total int }
		server.call(t, "GET", "/devices?limit=1", "", &devices)
		return devices.Total == 3000
	})
	var put struct{ Ref string }
	if code := server.call(t, "PUT", "/kappa", question, &put); code != 201 {
		t.Fatalf("PUT: %d", code)
	}
	while()
	if err := <-ended; err != nil {
		t.Fatalf("simulate: %v\n%s", err, said)
	}
	var fleets struct{ Summary struct{ Heard int } }
	if err := json.Unmarshal(said, &fleets); err != nil || fleets.Summary.Heard == 0 {
		t.Fatalf("simulate said %s, %v", said, err)
	}
	return put.Ref, results(t, server, put.Ref, fleets.Summary.Heard)
}

// results waits until every report that the devices know to be stored is in a final result, and returns the results.
func results(t *testing.T, server *program, ref string, answered int) []result {
	t.Helper()
	var out []result
	until(t, "final results", func() bool {
		out = server.results(t, ref)
		reports := 0
		for _, r := range out {
			if first := r.Bin == nil || r.Bin.Index == 0; r.Final && first && len(r.Cell) == 0 {
				reports += r.Reports
			}
		}
		return reports == answered
	})
	return out
}

// reports exports the reports of a kappa into a folder and opens them.
func (p *program) reports(t *testing.T, ref, dir string) *sql.DB {
	t.Helper()
	p.run(t, "export", ref, "--what", "reports", "--format", "parquet", "--out", dir)
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	view(t, db, dir, "reports")
	return db
}

// view makes a kind of an export a table.
func view(t *testing.T, db *sql.DB, dir, what string) {
	t.Helper()
	glob := filepath.Join(dir, what, "*", "*", "*.parquet")
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf(
		"CREATE VIEW %s AS SELECT * FROM read_parquet('%s', hive_partitioning = true)", what, glob)); err != nil {
		t.Fatal(err)
	}
}

func compareCounts(t *testing.T, db *sql.DB, ref string, served []result) {
	t.Helper()
	want := 0
	for _, r := range served {
		if len(r.Cell) == 0 {
			want += r.Reports
		}
	}
	var rows, devices, refs int
	query := "SELECT count(*), count(DISTINCT (window_start, device)), count(DISTINCT kappa) FROM reports WHERE kappa = ?"
	if err := db.QueryRowContext(t.Context(), query, ref).Scan(&rows, &devices, &refs); err != nil {
		t.Fatal(err)
	}
	if rows != want || devices != want || refs != 1 {
		t.Errorf("%d rows of %d (window, device) pairs and %d kappas, served %d reports", rows, devices, refs, want)
	}
	values, sum, newest := 0, 0.0, ""
	for _, r := range served {
		newest = max(newest, r.WindowStart)
		if r.Value != nil {
			values++
			sum += *r.Value
		}
	}
	// The export has every revision, the server answers with the newest; and windows without a report go on.
	query = `SELECT count(*), count(value), sum(value), any_value(typeof(window_start)) FROM (SELECT *, row_number() OVER (
		PARTITION BY window_start, statistic, cell ORDER BY revision DESC) AS age FROM results
		WHERE kappa = ? AND strftime(window_start, '%Y-%m-%dT%H:%M:%SZ') <= ?) WHERE age = 1`
	var stored, storedValues int
	var storedSum float64
	var moment string
	if err := db.QueryRowContext(t.Context(), query, ref, newest).Scan(&stored, &storedValues, &storedSum, &moment); err != nil {
		t.Fatal(err)
	}
	if stored != len(served) || storedValues != values || far(storedSum, sum) || !strings.HasPrefix(moment, "TIMESTAMP") {
		t.Errorf("%d results with %d values that sum to %g exported, %d with %d and %g served; window_start is %s",
			stored, storedValues, storedSum, len(served), values, sum, moment)
	}
}

// estimate is the stratified Hájek mean of a domain and its standard error with the noise outside the finite population
// correction, in SQL. The whole population is the domain where the cell is ”{}”.
const estimate = `
WITH s AS (
  SELECT stratum, score, weight, noise_variance, (? = '{}' OR cell::JSON = ?::JSON)::INT AS d,
         count(*) OVER (PARTITION BY stratum) AS m, sum(weight) OVER (PARTITION BY stratum) AS n
  FROM reports WHERE strftime(window_start, '%Y-%m-%dT%H:%M:%SZ') = ? AND statistic = ?),
t AS (SELECT sum(weight * d * score) / sum(weight * d) AS mean, sum(weight * d) AS size FROM s),
u AS (SELECT s.*, t.mean, weight * d * (score - mean) / size AS u, m / n AS pi, d * weight / size AS a FROM s, t),
v AS (SELECT stratum, any_value(mean) AS mean, any_value(m) AS m, any_value(pi) AS pi,
             var_samp(u) AS var_u, sum(pi * a * a * noise_variance) AS noise FROM u GROUP BY stratum)
SELECT any_value(mean), sqrt(sum((1 - pi) * m * var_u + noise)) FROM v`

func compareEstimates(t *testing.T, db *sql.DB, served []result) {
	t.Helper()
	compared := 0
	for _, r := range served {
		if r.Value == nil {
			continue
		}
		cell, err := json.Marshal(r.Cell)
		if err != nil {
			t.Fatal(err)
		}
		var mean, stdError float64
		if err := db.QueryRowContext(t.Context(), estimate, string(cell), string(cell), r.WindowStart, r.Statistic).Scan(&mean, &stdError); err != nil {
			t.Fatalf("%s: %v", r.name(), err)
		}
		if far(mean, *r.Value) || far(stdError, *r.StdError) {
			t.Errorf("%s: SQL says %.12g ± %.12g, served %.12g ± %.12g %v", r.name(), mean, stdError, *r.Value, *r.StdError, r.Warnings)
		}
		compared++
	}
	t.Logf("%d estimates compared", compared)
	if compared < 12 {
		t.Errorf("only %d estimates were compared", compared)
	}
}

// far allows a relative difference of 1e-9.
func far(a, b float64) bool { return math.Abs(a-b) > 1e-9*math.Max(1, math.Abs(b)) }
