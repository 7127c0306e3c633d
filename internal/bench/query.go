package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/quadrat-dev/quadrat/internal/bench/stored"
)

const (
	queryWindows  = 20
	queryPanel    = 1_000_000
	queryGoal     = 0.4   // seconds for all reports, which DuckDB took when the goal was set
	sampledGoal   = 0.025 // seconds for a hundredth
	queryExact    = "SELECT mean(temperature) FROM kappa.indoor GROUP BY region"
	querySampled  = "SELECT mean(temperature) FROM kappa.indoor GROUP BY region SAMPLE 1 PERCENT"
	queryMeasured = 7
)

// queryRows measures questions about twenty million stored reports, by region. The other side of the first goal, DuckDB over
// the same files, is in bench/query.
func queryRows(ctx context.Context, config Config) ([]Row, error) {
	folder, err := stored.Make(filepath.Join(config.Dir, "query"), stored.Config{Windows: queryWindows, Panel: queryPanel, Seed: 1})
	if err != nil {
		return nil, err
	}
	var exact, sampled, exactWork, sampledWork []float64
	read := int64(0)
	for turn := range queryMeasured + 1 {
		for _, q := range []struct {
			text        string
			times, work *[]float64
		}{{queryExact, &exact, &exactWork}, {querySampled, &sampled, &sampledWork}} {
			began, worked := time.Now(), processor()
			answer, err := folder.Ask(ctx, q.text)
			if err != nil {
				return nil, err
			}
			if read = answer.Rows; turn > 0 { // the first fills the page cache
				*q.times, *q.work = append(*q.times, time.Since(began).Seconds()), append(*q.work, (processor()-worked).Seconds())
			}
		}
	}
	return []Row{
		Row{
			Name: "query exact", Goal: "faster than DuckDB on the same files and threads, 0.4 s for 20 M reports by region", Figure: median(exact), Unit: "s",
			Note: fmt.Sprintf("%d reports; %.3f s of processor time; DuckDB beside it: make bench-query", folder.Rows(), median(exactWork)),
		}.atMost(queryGoal),
		Row{
			Name: "query sampled", Goal: "≤ 25 ms for 1 % of 20 M reports, with intervals", Figure: median(sampled), Unit: "s",
			Reference: "all reports", ReferenceFigure: median(exact),
			Note: fmt.Sprintf("%d of %d rows decoded; %.3f s of processor time", read, folder.Rows(), median(sampledWork)),
		}.atMost(sampledGoal),
	}, nil
}
