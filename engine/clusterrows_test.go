package engine

import (
	"math"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/attr"
)

// Rows for the sink hold what the weights of a cluster sample are made of, also after a restart: the devices of the cluster,
// the clusters of the stratum.
func TestRowsHoldSizesOfClusters(t *testing.T) {
	e := goldenClusters(t)
	before := e.kappas["k1"].windows[firstWindow]
	s, err := decodeCheckpoint(e.encode())
	if err != nil {
		t.Fatal(err)
	}
	again := goldenClusters(t)
	again.kappas["k1"].windows = map[int64]*window{}
	again.adopt(&s.kappas[0])
	sizes := map[string]int64{"a": 3, "b": 2, "c": 1, "d": 2, attr.Missing: 1} // two devices have no building
	const clusters = 4 + 2
	for name, w := range map[string]*window{"before": before, "after": again.kappas["k1"].windows[firstWindow]} {
		rows := column.NewRows("one", "k1")
		for d := range before.frame.everyDevice() {
			rows.Add(rows.Share(w.design(before.frame.group(d.berth), 0, w.plan.statistics[0].noise)), d.key, math.Float64bits(1), 1)
		}
		record := rows.NewBatch().Record(memory.NewGoAllocator())
		defer record.Release()
		if record.NumRows() != 10 {
			t.Fatalf("%d rows", record.NumRows())
		}
		for i := range int(record.NumRows()) {
			cluster := record.Column(column.ReportCluster).(*array.String).Value(i)
			size, of := record.Column(column.ReportClusterPopulation).(*array.Int64), record.Column(column.ReportStratumClusters).(*array.Int64)
			if size.Value(i) != sizes[cluster] || of.Value(i) != clusters || size.IsNull(i) || of.IsNull(i) {
				t.Errorf("%s: cluster %s has %d devices and is one of %d, want %d and %d", name, cluster, size.Value(i), of.Value(i), sizes[cluster], clusters)
			}
		}
		for _, stratum := range w.strataOf().strata {
			if stratum.Clusters != clusters || stratum.Population != 10 {
				t.Errorf("%s: %+v", name, stratum)
			}
		}
	}
}
