package storage

import (
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// TestPanesKeepTheirStrata exports a window whose results are about several panes: its reports keep the strata that were drawn, as the
// strata beside them have them, and the weight that an estimate of the pane alone has. One that was stored before strata told of panes
// is as it was.
func TestPanesKeepTheirStrata(t *testing.T) {
	for panes, want := range map[int64]string{0: "a+b", 1: "a+b", 12: "a"} {
		s := open(t, t.TempDir(), Config{})
		of := column.Report{
			WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000, Statistic: "mean(x)", Stratum: "a", Cell: "{}", Pi: 0.5, StratumPopulation: 30,
			Mechanism: "none", PlanRevision: 1, Sequence: 1,
		}
		other := of
		other.Stratum, other.StratumPopulation, other.Device = "b", 10, 1
		rec := recordOf(t, []column.Report{of, of, of, other})
		must(t, s.Reports(rec))
		rec.Release()
		strata := []column.Stratum{
			{WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000, Statistic: "mean(x)", Stratum: "a", Population: 30, Panel: 4, WindowPanes: panes},
			{WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000, Statistic: "mean(x)", Stratum: "b", Population: 10, Panel: 1, WindowPanes: panes},
		}
		must(t, s.Strata("indoor", testRef, strata))
		must(t, s.Commit(1))
		rows := 0
		for rec, err := range s.ScanWeighted(t.Context(), testRef, time.Time{}, time.Time{}) {
			must(t, err)
			for i := range int(rec.NumRows()) {
				rows++
				stratum := rec.Column(column.ReportStratum).(*array.String).Value(i)
				size := rec.Column(column.ReportStratumPopulation).(*array.Int64).Value(i)
				if weight := rec.Column(column.ReportWeight).(*array.Float64).Value(i); weight != 10 {
					t.Errorf("%d panes: weight %v, want 10", panes, weight)
				}
				if stratum != want && stratum != "b" || panes < 2 && stratum == "b" || size != map[string]int64{"a": 30, "b": 10, "a+b": 40}[stratum] {
					t.Errorf("%d panes: stratum %s of %d devices", panes, stratum, size)
				}
			}
		}
		if rows != 4 {
			t.Errorf("%d panes: %d rows, want 4", panes, rows)
		}
	}
}
