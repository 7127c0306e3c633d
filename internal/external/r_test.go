package external_test

import (
	"encoding/csv"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What the server answered comes again from an export as CSV, in base R: means and proportions over all cells and in each, their standard
// errors, and both parts of the variance.
func TestRComputesTheServedResults(t *testing.T) {
	t.Parallel()
	rscript, err := exec.LookPath("Rscript")
	if err != nil {
		t.Fatalf("R reads an export as CSV: install Debian's r-base-core, or R from elsewhere: %v", err)
	}
	server := serve(t)
	ref, served := ask(t, server, script, "--windows", "2", "--offline", "0.1")
	dir := t.TempDir()
	server.run(t, "export", ref, "--what", "reports", "--format", "csv", "--out", dir)
	said, err := exec.CommandContext(t.Context(), rscript, filepath.Join("testdata", "means.R"), filepath.Join(dir, "reports")).Output()
	if err != nil {
		t.Fatalf("R: %v", err)
	}
	told, err := csv.NewReader(strings.NewReader(string(said))).ReadAll()
	if err != nil || len(told) < 2 {
		t.Fatalf("R said %s, %v", said, err)
	}
	numbers := map[string][]float64{} // value, standard error, variances of sampling and of privacy, by window, statistic and cell
	for _, row := range told[1:] {
		start, err := time.Parse(time.RFC3339, row[0])
		if err != nil {
			t.Fatal(err)
		}
		key := strings.Join([]string{start.UTC().Format(time.RFC3339), row[1], strings.TrimSpace(row[2])}, " ")
		for _, text := range row[3:] {
			x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			numbers[key] = append(numbers[key], x)
		}
	}
	compared := 0
	for _, r := range served {
		if r.Value == nil {
			continue
		}
		cell, err := json.Marshal(r.Cell)
		if err != nil {
			t.Fatal(err)
		}
		got := numbers[strings.Join([]string{r.WindowStart, r.Statistic, string(cell)}, " ")]
		if len(got) != 4 {
			t.Errorf("%s: R has no estimate", r.name())
			continue
		}
		for i, want := range []float64{*r.Value, *r.StdError, r.Sampling, r.Privacy} {
			if far(got[i], want) {
				t.Errorf("%s: R says %.12g, served %.12g", r.name(), got[i], want)
			}
		}
		compared++
	}
	if compared < 8 {
		t.Errorf("only %d estimates were compared", compared)
	}
}
