// Package reanalysis answers questions about the reports that a kappa has stored: over other windows, in other cells, with
// other intervals. Stored reports are randomised already, so that whatever is done with them costs no further privacy.
//
// It reads the Parquet files column by column on all cores, keeps sums by (window, statistic, stratum, cell), and estimates from
// them as the engine did: over the kappa's own windows and cells the answers are the live results. It stands behind POST /query
// and takes what it reads from whoever keeps it ([Archive]); it never sees a reading or an identity.
//
//	q, err := script.ParseStored("SELECT mean(temperature) FROM kappa.indoor WINDOW 1h SINCE 1d")
//	answer, err := reanalysis.Answer(ctx, archive, record, q, reanalysis.Config{Now: clock.Now()})
package reanalysis
