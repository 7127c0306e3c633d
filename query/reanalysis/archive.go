package reanalysis

import (
	"context"
	"iter"
	"time"

	"github.com/quadrat-dev/quadrat/internal/tabular"
)

// Archive keeps what a kappa has stored. It is safe for use by many goroutines.
type Archive interface {
	// ReportFiles opens the Parquet files that hold the committed reports of a kappa with windows that start in [since, until),
	// and perhaps others. They stay until release is called, which closes those that are still open.
	ReportFiles(ctx context.Context, ref string, since, until time.Time) (files []tabular.File, release func(), err error)
	// Strata gives the committed strata of the same windows, at least; a later one of the same window, statistic and stratum
	// replaces an earlier one.
	Strata(ctx context.Context, ref string, since, until time.Time) iter.Seq2[Stratum, error]
}

// Stratum is what the frame held of a stratum in one window, for one statistic.
type Stratum struct {
	WindowStartMs      int64
	Statistic, Stratum string
	Population, Panel  int64 // devices of the frame, and those that were due
	Clusters           int64 // of the frame; 0 when devices were drawn, and where nobody stored it
}
