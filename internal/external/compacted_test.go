package external_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The data folder is for everybody's database, too, also after the server has made larger files of small ones: the same
// rows as in an export, in the order that docs/format/parquet.md promises.
func TestDuckDBReadsTheCompactedFolder(t *testing.T) {
	t.Parallel()
	server := serve(t, "--checkpoint-every", "100ms")
	question := strings.NewReplacer("3s", "1s", "15s", "6s").Replace(script) // many small commits
	ref, _ := ask(t, server, question, "--windows", "12")
	until(t, "compaction", func() bool {
		return metric(t, server, `quadrat_storage_segments_compacted_total{kind="reports"}`) > 0
	})
	db := server.reports(t, ref, t.TempDir())
	stored := filepath.Join(server.data, "store", "reports", "*", "*", "*.parquet")
	if files, err := filepath.Glob(filepath.Join(server.data, "store", "reports", "*", "*", "*-g*.parquet")); err != nil || len(files) == 0 {
		t.Fatalf("no compacted file: %v", err)
	}
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf("CREATE VIEW stored AS SELECT * FROM read_parquet('%s', "+
		"hive_partitioning = true, filename = true, file_row_number = true)", stored)); err != nil {
		t.Fatal(err)
	}
	one := func(query string) (n int64) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const columns = "window_start, window_end, device, statistic, cell, pi, score, noise_variance, epsilon, sequence, random, kappa, date"
	rows := one("SELECT count(*) FROM stored")
	for _, pair := range [][2]string{{"stored", "reports"}, {"reports", "stored"}} {
		if n := one(fmt.Sprintf("SELECT count(*) FROM (SELECT %s FROM %s EXCEPT ALL SELECT %s FROM %s)", columns, pair[0], columns, pair[1])); n != 0 || rows == 0 {
			t.Errorf("%d of %d rows of %s are not among %s", n, rows, pair[0], pair[1])
		}
	}
	if n := one(`SELECT count(*) FROM (SELECT window_start w, random r, lag(window_start) OVER o lw, lag(random) OVER o lr
		FROM stored WINDOW o AS (PARTITION BY filename ORDER BY file_row_number)) WHERE w < lw OR w = lw AND r < lr`); n != 0 {
		t.Errorf("%d rows are out of order", n)
	}
	// A Bernoulli sample of a quarter: beyond 4.9 standard deviations lies less than 1e-6.
	if x, n := float64(one("SELECT count(*) FROM stored WHERE random < 0.25")), float64(rows); math.Abs(x-n/4) > 4.9*math.Sqrt(n*3/16) {
		t.Errorf("%g of %g rows have a random number below a quarter", x, n)
	}
}

// metric reads a metric, 0 when there is none.
func metric(t *testing.T, server *program, name string) float64 {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.http+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	hit := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(text)
	if hit == nil {
		return 0
	}
	x, err := strconv.ParseFloat(string(hit[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}
