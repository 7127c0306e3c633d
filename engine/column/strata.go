package column

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Stratum is what one stratum brought to one statistic of a closed window, whether anybody answered or not. Reports
// alone don't tell of strata where nobody did, which the estimate collapsed into others.
type Stratum struct {
	WindowStartMs, WindowEndMs int64  // in milliseconds from the UTC epoch
	Statistic, Stratum         string // names as in the reports
	Population                 int64  // devices of the frame in the stratum
	Panel                      int64  // devices that were due for the statistic
	Clusters                   int64  // clusters of the frame in the stratum; 0 when devices were drawn
	PlanRevision               int64  // revision of the plan, from 1; 0 where nobody stored it, as the following
	WindowPanes                int64  // windows like this one that a result is about: d/e with WINDOW d EVERY e, otherwise 1
	TurnPanes                  int64  // windows from one answer of a device to the statistic to its next one
}

// StratumFields gives the columns of a stratum, in order. Clusters are null when devices were drawn, the last three
// where nobody stored them.
func StratumFields() []arrow.Field {
	return []arrow.Field{
		{Name: "window_start", Type: timestampMs},
		{Name: "window_end", Type: timestampMs},
		{Name: "statistic", Type: arrow.BinaryTypes.String},
		{Name: "stratum", Type: arrow.BinaryTypes.String},
		{Name: "stratum_population", Type: arrow.PrimitiveTypes.Int64},
		{Name: "panel", Type: arrow.PrimitiveTypes.Int64},
		{Name: "clusters", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "plan_revision", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "window_panes", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "turn_panes", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	}
}

// StratumSchema gives the schema of strata of one kappa, which stands in the metadata.
func StratumSchema(kappa, ref string) *arrow.Schema {
	meta := arrow.NewMetadata([]string{MetaKappa, MetaRef}, []string{kappa, ref})
	return arrow.NewSchema(StratumFields(), &meta)
}

// NewStrata makes a record of strata of one kappa, which the caller releases.
func NewStrata(alloc memory.Allocator, kappa, ref string, strata []Stratum) arrow.Record {
	b := array.NewRecordBuilder(alloc, StratumSchema(kappa, ref))
	defer b.Release()
	for i := range strata {
		s := &strata[i]
		row := appender{builder: b}
		row.moment(s.WindowStartMs)
		row.moment(s.WindowEndMs)
		row.text(s.Statistic)
		row.text(s.Stratum)
		row.field().(*array.Int64Builder).Append(s.Population)
		row.field().(*array.Int64Builder).Append(s.Panel)
		for _, n := range []int64{s.Clusters, s.PlanRevision, s.WindowPanes, s.TurnPanes} {
			positiveOrNull(row.field().(*array.Int64Builder), n)
		}
	}
	return b.NewRecord()
}
