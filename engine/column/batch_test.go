package column_test

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// sorts is a report of each sort, all of one window.
func sorts() []column.Report {
	base := column.Report{
		WindowStartMs: 60_000, WindowEndMs: 120_000, Device: 7, Statistic: "mean(t)", Stratum: "north", Cell: "{}", Pi: 0.5,
		StratumPopulation: 10, Mechanism: "hybrid", Epsilon: 4, PlanRevision: 1, Sequence: 3,
	}
	scored, set, coded, sum := base, base, base, base
	scored.Score, scored.NoiseVariance = -1.5, 2
	set.Categories, set.Size, set.Include, set.Answer, set.Device = 7, 2, 0.75, 0b1010, 8
	coded.Categories, coded.Coded, coded.Code, coded.Include, coded.Other, coded.Seeds, coded.Root = 900, true, 1<<63, 0.75, 0.25, 257, 3
	sum.Score, sum.Units, sum.ClusterPopulation, sum.StratumClusters, sum.Cluster, sum.Sequence = 2, 3, 5, 6, "b", 4
	scored.Kind, scored.Low, scored.High = "mean", -10, 40
	set.Kind, set.Share = "quantile", 0.9
	return []column.Report{scored, set, coded, sum, scored}
}

// TestBatchHoldsReports takes reports of every sort through a batch, one by one and as a record.
func TestBatchHoldsReports(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	rows, plain := column.NewRows("indoor", "k7f3q2"), column.NewReports(alloc, "indoor", "k7f3q2")
	defer plain.Release()
	want := sorts()
	for i := range want {
		rows.Append(&want[i])
		plain.Append(&want[i])
	}
	batch := rows.NewBatch()
	for i := range want {
		if got := batch.Row(i); got != want[i] {
			t.Errorf("row %d is %+v, want %+v", i, got, want[i])
		}
	}
	got, record := batch.Record(alloc), plain.NewRecord()
	defer got.Release()
	defer record.Release()
	if !array.RecordEqual(got, record) || !got.Schema().Equal(record.Schema()) {
		t.Errorf("the record is\n%v\nwant\n%v", got, record)
	}
	picked := batch.Pick([]int{3, 1})
	if picked.Len() != 2 || picked.Row(0) != want[3] || picked.Row(1) != want[1] {
		t.Errorf("picked %+v", picked)
	}
}

// TestDesignsEndWithTheBatch holds the law that what a caller remembers of designs does not outlive the batch they belong to, and that
// a batch stays as it was when its builder goes on.
func TestDesignsEndWithTheBatch(t *testing.T) {
	rows := column.NewRows("indoor", "k7f3q2")
	all := sorts()
	count := func(row *column.Report, window int64, group int) {
		designs := rows.Designs(window, 2)
		if designs[group] == 0 {
			designs[group] = rows.Share(row) + 1
		}
		rows.Add(designs[group]-1, row.Device, 0, row.Sequence)
	}
	count(&all[0], 0, 0)
	count(&all[1], 0, 1)
	count(&all[3], 60_000, 1)
	count(&all[0], 0, 0)
	first := rows.NewBatch()
	count(&all[3], 60_000, 0)
	count(&all[1], 0, 1)
	second := rows.NewBatch()
	if len(first.Designs) != 3 || first.Row(2).Units != 3 || first.Row(3).NoiseVariance != 2 {
		t.Errorf("the first batch has %+v", first)
	}
	if len(second.Designs) != 2 || second.Row(0).Units != 3 || second.Row(1).Categories != 7 {
		t.Errorf("the second batch has %+v", second)
	}
}

// TestAddingAllocatesNothing takes reports into a builder that has grown.
func TestAddingAllocatesNothing(t *testing.T) {
	rows, row := column.NewRows("indoor", "k7f3q2"), sorts()[0]
	fill := func() {
		for i := range uint64(1000) {
			designs := rows.Designs(0, 1)
			if designs[0] == 0 {
				designs[0] = rows.Share(&row) + 1
			}
			rows.Add(designs[0]-1, i, i, i)
		}
	}
	fill()
	const perBatch = 12 // the batch, its five columns, the window
	if n := testing.AllocsPerRun(20, func() { rows.NewBatch(); fill() }); n > perBatch {
		t.Errorf("%v allocations for 1,000 reports", n)
	}
}
