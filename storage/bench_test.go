package storage

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// BenchmarkToParquet takes 200,000 reports of twenty windows from batches to a committed segment.
func BenchmarkToParquet(b *testing.B) {
	const n, batch = 200_000, 10_000
	rng := rand.New(rand.NewPCG(1, 1))
	s := open(b, b.TempDir(), Config{RowsPending: n})
	position := uint64(0)
	batches := batchesOf(benchReports(rng, 1, n, batch), batch)
	b.SetBytes(n) // so that MB/s reads as million reports a second
	for b.Loop() {
		for _, reports := range batches {
			must(b, s.Batch(reports))
		}
		position += n
		must(b, s.Commit(position))
	}
	bytes, stored := int64(0), int64(0)
	for _, seg := range s.Segments() {
		bytes, stored = bytes+seg.Bytes, stored+seg.Rows
	}
	b.ReportMetric(float64(bytes)/float64(stored), "bytes/report")
}

// BenchmarkScan reads a committed segment of 200,000 reports back into Arrow.
func BenchmarkScan(b *testing.B) {
	const n = 200_000
	s := open(b, b.TempDir(), Config{})
	rec := recordOf(b, makeReports(rand.New(rand.NewPCG(1, 1)), 1, n))
	defer rec.Release()
	must(b, s.Reports(rec))
	must(b, s.Commit(n))
	b.SetBytes(n)
	for b.Loop() {
		rows := int64(0)
		for rec, err := range s.ScanReports(context.Background(), testRef, time.Time{}, time.Time{}) {
			must(b, err)
			rows += rec.NumRows()
		}
		if rows != n {
			b.Fatal(rows)
		}
	}
}

// BenchmarkCompact merges 64 segments of 8,192 reports each, of one minute's windows.
func BenchmarkCompact(b *testing.B) {
	const segments, rows = 64, 8192
	b.SetBytes(segments * rows)
	for b.Loop() {
		b.StopTimer()
		s := open(b, b.TempDir(), Config{Clock: at(30), RowsMerging: segments * rows})
		must(b, s.Restore(0))
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range uint64(segments) {
			made := makeReports(rng, i*rows+1, rows)
			for j := range made {
				made[j].WindowStartMs = baseMs + 120_000 + int64(i/8)*60_000
				made[j].WindowEndMs = made[j].WindowStartMs + 60_000
			}
			rec := recordOf(b, made)
			must(b, s.Reports(rec))
			rec.Release()
			must(b, s.Commit((i+1)*rows))
		}
		s.Permanent(segments * rows)
		b.StartTimer()
		must(b, s.Upkeep(context.Background()))
		b.StopTimer()
		if left := s.Segments(); len(left) != 1 || left[0].Rows != segments*rows {
			b.Fatal(left)
		}
		b.ReportMetric(float64(s.Segments()[0].Bytes)/(segments*rows), "bytes/report")
		b.StartTimer()
	}
}

// benchReports is reports as an engine counts them: of one-minute windows of so many reports each, in ten strata and three cells,
// with scores of a mechanism that has 62 of them, in messages of 64.
func benchReports(rng *rand.Rand, first uint64, n, window int) []column.Report {
	cells, mechanism := []string{`{"cooling":"c0"}`, `{"cooling":"c1"}`, `{"cooling":"c2"}`}, "hybrid"
	rows := make([]column.Report, n)
	for i := range rows {
		start := baseMs + int64(i/window)*60_000
		rows[i] = column.Report{
			WindowStartMs: start, WindowEndMs: start + 60_000, Device: rng.Uint64(), Statistic: "mean(temperature)",
			Stratum: "r" + strconv.Itoa(rng.IntN(10)), Cell: cells[rng.IntN(3)], Pi: 1, StratumPopulation: 100_000,
			Score: 10 + float64(rng.IntN(62)), NoiseVariance: 4.5, Mechanism: mechanism, Epsilon: 4, PlanRevision: 1, Sequence: first + uint64(i/64),
		}
	}
	return rows
}
