package external_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const clustered = `KAPPA houses AS
SELECT   mean(temperature), proportion(temperature > 26)
FROM     sense.temperature
SAMPLE   ALL STRATIFIED BY region CLUSTERED BY building
WINDOW   3s GRACE 2s
PRIVACY  LOCAL EPSILON 4 PER 15s BETWEEN 10 AND 40`

// The query that docs/format/parquet.md gives for cluster samples answers what the server answered, a fifth of the devices
// being silent.
func TestDuckDBComputesTheServedResultsOfClusters(t *testing.T) {
	t.Parallel()
	server := serve(t)
	ref, served := ask(t, server, clustered, "--windows", "2", "--offline", "0.2")
	dir := t.TempDir()
	db := server.reports(t, ref, dir)
	query := documented(t, dir)
	compared := 0
	for _, r := range served {
		if r.Value == nil {
			continue
		}
		text := strings.NewReplacer("2026-11-20 10:00:00Z", r.WindowStart, "mean(temperature)", r.Statistic).Replace(query)
		var mean, stdError float64
		if err := db.QueryRowContext(t.Context(), text).Scan(&mean, &stdError); err != nil {
			t.Fatalf("%s: %v", r.name(), err)
		}
		if far(mean, *r.Value) || far(stdError, *r.StdError) {
			t.Errorf("%s: SQL says %.12g ± %.12g, served %.12g ± %.12g %v", r.name(), mean, stdError, *r.Value, *r.StdError, r.Warnings)
		}
		compared++
	}
	if compared < 4 {
		t.Errorf("only %d estimates were compared", compared)
	}
}

// documented returns the document's query for cluster samples, for a folder.
func documented(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "format", "parquet.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(text), "```") {
		if query, ok := strings.CutPrefix(block, "sql\n"); ok && i%2 == 1 && strings.Contains(query, "stratum_clusters") {
			return strings.ReplaceAll(query, "'export/reports/", "'"+dir+"/reports/")
		}
	}
	t.Fatal("the document has no query for cluster samples")
	return ""
}
