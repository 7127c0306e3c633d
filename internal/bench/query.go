package bench

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/quadrat-dev/quadrat/internal/bench/stored"
)

const (
	queryWindows  = 20
	queryFile     = 4 // windows of one file
	queryPanel    = 1_000_000
	queryGoal     = 0.4   // seconds for all reports, which DuckDB took when the goal was set
	sampledGoal   = 0.025 // seconds for a hundredth
	queryExact    = "SELECT mean(temperature) FROM kappa.indoor GROUP BY region"
	querySampled  = "SELECT mean(temperature) FROM kappa.indoor GROUP BY region SAMPLE 1 PERCENT"
	queryMeasured = 7
	exportWindows = 1
)

// queryRows measures questions about twenty million stored reports, by region. The other side of the first goal, DuckDB over
// the same files, is in bench/query.
func queryRows(ctx context.Context, config Config) ([]Row, error) {
	folder, err := stored.Make(filepath.Join(config.Dir, "query"), stored.Config{Windows: queryWindows, Panel: queryPanel, Seed: 1})
	if err != nil {
		return nil, err
	}
	var out []Row
	for _, windows := range []int{queryFile, 2 * queryFile, queryWindows} {
		t, err := queryTimes(ctx, folder, windows)
		if err != nil {
			return nil, err
		}
		sampled := Row{
			Name: "query sampled", Goal: "≤ 25 ms for 1 % of 20 M reports, with intervals", Figure: median(t.sampled), Unit: "s",
			Reference: "all reports", ReferenceFigure: median(t.exact),
			Note: fmt.Sprintf("%d of %d rows decoded; %.3f s of processor time", t.read, t.stored, median(t.sampledWork)),
		}.atMost(sampledGoal).on(curveQuery, int(t.stored))
		if windows < queryWindows {
			sampled.Name += ", " + tens(int(t.stored)) + " reports"
			out = append(out, sampled)
			continue
		}
		out = append(out, Row{
			Name: "query exact", Goal: "faster than DuckDB on the same files and threads, 0.4 s for 20 M reports by region", Figure: median(t.exact), Unit: "s",
			Note: fmt.Sprintf("%d reports; %.3f s of processor time; DuckDB beside it: make bench-query", t.stored, median(t.exactWork)),
		}.atMost(queryGoal), sampled)
	}
	exported, err := exportRow(ctx, folder)
	return append(out, exported), err
}

// exportRow measures an export as a client gets it, without the way there. The reference reads the same rows and throws them away.
func exportRow(ctx context.Context, folder *stored.Folder) (Row, error) {
	const reports = exportWindows * queryPanel
	figure, read, err := turns(
		func() (float64, error) {
			began := time.Now()
			err := folder.Export(ctx, io.Discard, exportWindows)
			return reports / time.Since(began).Seconds(), err
		},
		func() (float64, error) {
			began, rows := time.Now(), int64(0)
			for rec, err := range folder.Scan(ctx, exportWindows) {
				if err != nil {
					return 0, err
				}
				rows += rec.NumRows()
			}
			if rows != reports {
				return 0, fmt.Errorf("%d reports were read, not %d", rows, reports)
			}
			return reports / time.Since(began).Seconds(), nil
		})
	return Row{
		Name: "export", Goal: "≥ 250,000 reports/s: no slower than the intake takes them", Figure: figure, Unit: "reports/s",
		Reference: "the same rows read and thrown away", ReferenceFigure: read, Note: fmt.Sprintf("%d reports as one Arrow IPC stream, by zstd", reports),
	}.atLeast(intakeGoal), err
}

// asked is how long questions took, in seconds, how many reports they were about, and how many rows the last one decoded.
type asked struct {
	exact, exactWork, sampled, sampledWork []float64
	stored, read                           int64
}

// queryTimes asks about the first windows of a folder, about all reports and a part in turns.
func queryTimes(ctx context.Context, folder *stored.Folder, windows int) (t asked, err error) {
	until := fmt.Sprintf(" UNTIL '%s'", stored.End(windows).Format(time.RFC3339))
	for turn := range queryMeasured + 1 {
		for _, q := range []struct {
			text        string
			times, work *[]float64
		}{{queryExact, &t.exact, &t.exactWork}, {querySampled, &t.sampled, &t.sampledWork}} {
			began, worked := time.Now(), processor()
			answer, err := folder.Ask(ctx, q.text+until)
			if err != nil {
				return t, err
			}
			if t.read = answer.Rows; q.times == &t.exact {
				t.stored = int64(answer.Results[0].GetReports()) // the whole stands before its regions
			}
			if turn > 0 { // the first fills the page cache
				*q.times, *q.work = append(*q.times, time.Since(began).Seconds()), append(*q.work, (processor()-worked).Seconds())
			}
		}
	}
	if want := int64(windows * queryPanel); t.stored != want {
		err = fmt.Errorf("%d reports were asked about, not %d", t.stored, want)
	}
	return t, err
}
