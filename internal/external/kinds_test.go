package external_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const binned = `KAPPA bins AS
SELECT   histogram(temperature, 8), histogram(temperature, 100)
FROM     sense.temperature
SAMPLE   ALL STRATIFIED BY region
WINDOW   3s GRACE 2s
PRIVACY  LOCAL EPSILON 2 PER 15s BETWEEN 10 AND 40`

// The queries that docs/format/parquet.md gives for answers of categories answer what the server answered, for sets in one word and
// for codes of hashes.
func TestDuckDBComputesTheServedShares(t *testing.T) {
	t.Parallel()
	server := serve(t)
	ref, served := ask(t, server, binned, "--windows", "2")
	dir := t.TempDir()
	db := server.reports(t, ref, dir)
	compareShares(t, db, served, "histogram(temperature, 8)", 8, query(t, dir, "answer >> 3"), "histogram(temperature, 10)", ">> 3", ">> %d")
	var mechanism string
	if err := db.QueryRowContext(t.Context(), "SELECT DISTINCT mechanism FROM reports WHERE answer_categories = 100").Scan(&mechanism); err != nil || mechanism != "olh" {
		t.Fatalf("mechanism %s, %v", mechanism, err)
	}
	compareShares(t, db, served, "histogram(temperature, 100)", 100, query(t, dir, "RECURSIVE"), "histogram(temperature, 1024)", "(3 + seed)", "(%d + seed)")
}

const gateways = `KAPPA homes AS
SELECT   mean(temperature), total(temperature), histogram(temperature, 8)
FROM     sense.temperature
GROUP BY cooling_type
SAMPLE   ALL
WINDOW   3s GRACE 2s
PRIVACY  GATEWAY EPSILON 4 PER 15s BETWEEN 10 AND 40`

// Sums and counts of gateways, which stand for several units each, beside reports of devices.
func TestDuckDBComputesTheServedResultsOfGateways(t *testing.T) {
	t.Parallel()
	server := serve(t)
	ref, served := ask(t, server, gateways, "--windows", "2", "--devices", "1800", "--gateways", "300", "--units", "4", "--offline", "0.1")
	dir := t.TempDir()
	db := server.reports(t, ref, dir)
	var sums, units int
	if err := db.QueryRowContext(t.Context(), "SELECT count(units), sum(units) FROM reports").Scan(&sums, &units); err != nil || sums == 0 || units <= sums {
		t.Fatalf("%d sums over %d units, %v", sums, units, err)
	}
	compareShares(t, db, served, "histogram(temperature, 8)", 8, query(t, dir, "unit_counts"), "histogram(temperature, 8)", ">> 3", ">> %d", "counts[4]", "counts[%d + 1]")
	compared := 0
	for _, r := range served {
		expression, known := map[string]string{
			"mean(temperature)":  "sum(weight * coalesce(units, 1) * score) / sum(weight * coalesce(units, 1))",
			"total(temperature)": "sum(weight * coalesce(units, 1) * score)",
		}[r.Statistic]
		if !known || r.Value == nil || len(r.Cell) > 0 {
			continue
		}
		var value float64
		text := "SELECT " + expression + " FROM reports WHERE strftime(window_start, '%Y-%m-%dT%H:%M:%SZ') = ? AND statistic = ?"
		if err := db.QueryRowContext(t.Context(), text, r.WindowStart, r.Statistic).Scan(&value); err != nil {
			t.Fatal(err)
		}
		if far(value, *r.Value) {
			t.Errorf("%s: SQL says %.12g, served %.12g", r.name(), value, *r.Value)
		}
		compared++
	}
	if compared < 4 {
		t.Errorf("only %d estimates were compared", compared)
	}
}

// query returns the document's query that has a mark, for a folder.
func query(t *testing.T, dir, mark string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "format", "parquet.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(text), "```") {
		if found, ok := strings.CutPrefix(block, "sql\n"); ok && i%2 == 1 && strings.Contains(found, mark) {
			return strings.ReplaceAll(found, "'export/reports/", "'"+dir+"/reports/")
		}
	}
	t.Fatalf("the document has no query with %q", mark)
	return ""
}

// compareShares holds the shares that were served over all cells against a query of the document for one category: named is the statistic that
// it asks for, places are what of it names the category, each with what stands for another one.
func compareShares(t *testing.T, db *sql.DB, served []result, statistic string, least int, query, named string, places ...string) {
	t.Helper()
	compared := 0
	for _, r := range served {
		if r.Statistic != statistic || r.Value == nil || len(r.Cell) > 0 {
			continue
		}
		where := "statistic = '" + named + "'"
		replace := []string{where, fmt.Sprintf("statistic = '%s' AND window_start = TIMESTAMPTZ '%s'", statistic, r.WindowStart)}
		for i := 0; i < len(places); i += 2 {
			replace = append(replace, places[i], fmt.Sprintf(places[i+1], r.Bin.Index))
		}
		if !strings.Contains(query, where) {
			t.Fatalf("the query does not ask for %s", named)
		}
		var share float64
		if err := db.QueryRowContext(t.Context(), strings.NewReplacer(replace...).Replace(query)).Scan(&share); err != nil {
			t.Fatalf("%s: %v", r.name(), err)
		}
		if far(share, *r.Value) {
			t.Errorf("%s category %d: SQL says %.12g, served %.12g", r.name(), r.Bin.Index, share, *r.Value)
		}
		compared++
	}
	if compared < least {
		t.Errorf("only %d shares of %s were compared", compared, statistic)
	}
}
