package storage

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// givenReports are reports of two windows and two strata, whose scores say whose they are, in the order of devices.
func givenReports(each int) []column.Report {
	var out []column.Report
	for window := range 2 {
		for _, stratum := range []string{"north", "south"} {
			for device := range each {
				out = append(out, column.Report{
					WindowStartMs: baseMs + int64(window)*60_000, WindowEndMs: baseMs + int64(window+1)*60_000, Device: uint64(len(out)),
					Statistic: "mean(x)", Stratum: stratum, Cell: "{}", Pi: 0.5, StratumPopulation: 10, Score: float64(device),
					Mechanism: "hybrid", Epsilon: 1, PlanRevision: 1, Sequence: uint64(len(out)) + 1,
				})
			}
		}
	}
	return out
}

func inTurn(records ...arrow.Record) Records {
	return func(yield func(arrow.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// shuffledCSV exports reports, in two records, and gives header and rows.
func shuffledCSV(t *testing.T, reports []column.Report) (header string, rows []string) {
	t.Helper()
	first, second := recordOf(t, reports[:3]), recordOf(t, reports[3:])
	defer first.Release()
	defer second.Release()
	records, err := Shuffle(inTurn(first, second), "indoor", testRef, rand.Reader)
	must(t, err)
	dir := t.TempDir()
	_, err = WriteFolder(Export{Dir: dir, What: KindShuffled, Format: FormatCSV, Kappa: "indoor", Ref: testRef}, records)
	must(t, err)
	files, err := filepath.Glob(filepath.Join(dir, "shuffled", "*", "*", "*.csv"))
	must(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		header, rows = lines[0], append(rows, lines[1:]...)
	}
	return header, rows
}

// TestShuffledTellsNoDevice looks at the columns, and finds every report in its batch, once.
func TestShuffledTellsNoDevice(t *testing.T) {
	header, rows := shuffledCSV(t, givenReports(40))
	for _, gone := range []string{"device", "sequence", "random", "weight", "pi", "cluster", "plan_revision", "stratum_clusters"} {
		if slices.Contains(strings.Split(header, ","), gone) {
			t.Errorf("a shuffled export has the column %s", gone)
		}
	}
	if len(rows) != 160 || !slices.IsSortedFunc(rows, func(a, b string) int {
		return strings.Compare(strings.Join(strings.Split(a, ",")[:5], ","), strings.Join(strings.Split(b, ",")[:5], ","))
	}) {
		t.Errorf("%d rows, or batches that are torn apart", len(rows))
	}
	scores := map[string]map[string]int{}
	for _, row := range rows {
		cells := strings.Split(row, ",")
		batch := cells[0] + cells[3]
		if scores[batch] == nil {
			scores[batch] = map[string]int{}
		}
		scores[batch][cells[6]]++
	}
	for batch, found := range scores {
		if len(found) != 40 || slices.Max(slices.Collect(maps.Values(found))) != 1 {
			t.Errorf("batch %s has %d different scores of 40", batch, len(found))
		}
	}
	if len(scores) != 4 {
		t.Errorf("%d batches, want 4", len(scores))
	}
}

// TestShuffledOrdersAreAlike counts the orders of batches of three: six of them, each as often as any other.
func TestShuffledOrdersAreAlike(t *testing.T) {
	const runs = 3000 // with four batches each
	counts := map[string]float64{}
	records := make([]column.Report, 0, 12)
	rec := recordOf(t, append(records, givenReports(3)...))
	defer rec.Release()
	for run := range runs {
		// A seed for each run that is fixed: the test can't fail by chance.
		shuffled, err := Shuffle(inTurn(rec), "indoor", testRef, strings.NewReader(fmt.Sprintf("%032d", run)))
		must(t, err)
		scores := ""
		for rec, err := range shuffled {
			must(t, err)
			for i := range int(rec.NumRows()) {
				text, err := csvText(rec.Column(6), i)
				must(t, err)
				scores += text
			}
		}
		for ; len(scores) >= 3; scores = scores[3:] {
			counts[scores[:3]]++
		}
	}
	chi := 0.0
	for _, n := range counts {
		const expected = 4 * runs / 6
		chi += (n - expected) * (n - expected) / expected
	}
	// χ² of five degrees of freedom exceeds 36 once in a million seeds.
	if len(counts) != 6 || chi > 36 {
		t.Errorf("orders %v, χ² %g", counts, chi)
	}
}

func TestShuffleRefuses(t *testing.T) {
	rec := recordOf(t, givenReports(2))
	defer rec.Release()
	if _, err := Shuffle(inTurn(rec), "indoor", testRef, iotest.ErrReader(os.ErrClosed)); err == nil {
		t.Error("shuffles without randomness")
	}
	if _, err := Shuffle(inTurn(rec), "indoor", testRef, bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("shuffles with too little randomness")
	}
}
