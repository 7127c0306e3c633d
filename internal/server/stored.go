package server

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/query/reanalysis"
	"github.com/quadrat-dev/quadrat/storage"
)

// stored lets questions about stored reports read what storage keeps.
type stored struct {
	rows  *storage.Rows
	desks desks
}

// ReportFiles opens the files with the reports of a span.
func (s stored) ReportFiles(ctx context.Context, ref string, since, until time.Time) (files []tabular.File, release func(), err error) {
	leave, err := s.desks.sit()
	if err != nil {
		return nil, nil, err
	}
	sources, closeAll, err := s.rows.Open(ctx, storage.KindReports, ref, since, until)
	if err != nil {
		leave()
		return nil, nil, err //nolint:wrapcheck // the caller wraps
	}
	for _, source := range sources {
		files = append(files, source)
	}
	return files, func() { closeAll(); leave() }, nil
}

// Strata gives the strata of a span.
func (s stored) Strata(ctx context.Context, ref string, since, until time.Time) iter.Seq2[reanalysis.Stratum, error] {
	return func(yield func(reanalysis.Stratum, error) bool) {
		leave, err := s.desks.sit()
		if err != nil {
			yield(reanalysis.Stratum{}, err)
			return
		}
		defer leave()
		for record, err := range s.rows.ScanStrata(ctx, ref, since, until) {
			if err != nil {
				yield(reanalysis.Stratum{}, err)
				return
			}
			schema := record.Schema()
			column := func(name string) int { return schema.FieldIndices(name)[0] }
			starts, known := record.Column(column("window_start")).(*array.Timestamp)
			statistics, knownToo := record.Column(column("statistic")).(*array.String)
			strata, sizes := record.Column(column("stratum")).(*array.String), record.Column(column("stratum_population")).(*array.Int64)
			panels, clusters := record.Column(column("panel")).(*array.Int64), record.Column(column("clusters")).(*array.Int64)
			if !known || !knownToo {
				yield(reanalysis.Stratum{}, fmt.Errorf("stored strata: unexpected columns %s", schema))
				return
			}
			for i := range int(record.NumRows()) {
				next := reanalysis.Stratum{
					WindowStartMs: int64(starts.Value(i)), Statistic: strings.Clone(statistics.Value(i)), Stratum: strings.Clone(strata.Value(i)),
					Population: sizes.Value(i), Panel: panels.Value(i),
				}
				if clusters.IsValid(i) {
					next.Clusters = clusters.Value(i)
				}
				if !yield(next, nil) {
					return
				}
			}
		}
	}
}
