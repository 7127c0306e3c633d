package column_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

func TestReports(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	b := column.NewReports(alloc, "indoor", "k7f3q2")
	defer b.Release()
	for i := range 3 {
		b.Append(&column.Report{
			WindowStartMs: 60_000, WindowEndMs: 120_000, Device: 0xab + uint64(i), Statistic: "mean(t)", Stratum: "asia",
			Cell: column.Cell(map[string]string{"b": "2", "a": "1"}), Pi: 0.25, StratumPopulation: 40, Score: 21.5, ClusterPopulation: int64(i), Units: uint32(3 * i),
			NoiseVariance: 3, Mechanism: "hybrid", Epsilon: 4, PlanRevision: 2, Sequence: 9, Kind: "mean", Low: -1, High: float64(i),
		})
	}
	record := b.NewRecord()
	defer record.Release()
	if b.Len() != 0 || record.NumRows() != 3 || int(record.NumCols()) != column.ReportUnitCounts+1 {
		t.Fatalf("%d rows, %d columns, %d left", record.NumRows(), record.NumCols(), b.Len())
	}
	if kappa, ref := column.Ref(record.Schema()); kappa != "indoor" || ref != "k7f3q2" {
		t.Errorf("metadata %q, %q", kappa, ref)
	}
	rows, err := record.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(rows, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"window_start": "1970-01-01 00:01:00Z", "window_end": "1970-01-01 00:02:00Z", "device": "00000000000000ad",
		"statistic": "mean(t)", "stratum": "asia", "cluster": "", "cell": `{"a":"1","b":"2"}`, "weight": 4.0, "pi": 0.25,
		"stratum_population": 40.0, "score": 21.5, "noise_variance": 3.0, "mechanism": "hybrid", "epsilon": 4.0,
		"plan_revision": 2.0, "sequence": 9.0, "answer": nil, "answer_categories": nil, "answer_size": nil, "answer_include": nil,
		"cluster_population": 2.0, "stratum_clusters": nil, "random": column.ShuffleOf("k7f3q2", 60_000).Of(0xad), "units": 6.0,
		"kind": "mean", "share": nil, "bounds_low": -1.0, "bounds_high": 2.0, "unit_counts": nil,
		"answer_code": nil, "answer_other": nil, "answer_seeds": nil, "answer_root": nil,
	}
	for name, value := range want {
		if got[2][name] != value {
			t.Errorf("%s is %v, want %v", name, got[2][name], value)
		}
	}
	if len(got[2]) != len(want) {
		t.Errorf("%d columns, want %d", len(got[2]), len(want))
	}
}

// TestResultsAreTheMessage holds the columns against the field names of the message.
func TestResultsAreTheMessage(t *testing.T) {
	var want []string
	fields := (&quadratv1.Result{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := string(f.Name())
		if name != "privacy" && name != "running" && name != "change" && name != "bin" {
			want = append(want, name)
			continue
		}
		for j := range f.Message().Fields().Len() {
			part := f.Message().Fields().Get(j)
			if part.Name() != "shuffle" {
				want = append(want, name+"_"+string(part.Name()))
				continue
			}
			for l := range part.Message().Fields().Len() {
				want = append(want, name+"_shuffle_"+string(part.Message().Fields().Get(l).Name()))
			}
		}
	}
	schema := column.ResultSchema()
	if schema.NumFields() != len(want) {
		t.Fatalf("%d columns, want %d", schema.NumFields(), len(want))
	}
	for i, name := range want {
		if schema.Field(i).Name != name {
			t.Errorf("column %d is %q, want %q", i, schema.Field(i).Name, name)
		}
	}
}

func TestResults(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	full := &quadratv1.Result{
		Kappa: "indoor", Ref: "k7f3q2", WindowStart: timestamppb.New(time.UnixMilli(60_000)),
		WindowEnd: timestamppb.New(time.UnixMilli(120_000)), Revision: 2, Final: true, Cell: map[string]string{"a": "1"},
		Statistic: "mean(t)", Value: proto.Float64(1), StdError: proto.Float64(2), Confidence: 0.95, CiLow: proto.Float64(-3),
		CiHigh: proto.Float64(5), VarianceSampling: proto.Float64(1), VariancePrivacy: proto.Float64(3), Population: 10, Panel: 9,
		Reports: 8, ResponseRate: 8.0 / 9, DesignEffect: new(1.5), DegreesOfFreedom: proto.Float64(7),
		Privacy: &quadratv1.Privacy{Model: "local", Mechanism: "hybrid", EpsilonPerReport: 4, Unit: "device", Period: "1h", EpsilonPerPeriod: 4, Delta: new(0.0), EpsilonToDate: new(8.0), EpsilonPerValue: 2, Shuffle: &quadratv1.Shuffle{Assumes: "x", Reports: 9, Epsilon: 0.5, Delta: 1e-6, Bound: "fmt21-numeric"}, Observer: "who"},
		Running: &quadratv1.Running{Windows: 3, Value: 1, Low: 0, High: 2}, Warnings: []string{"one", "two"}, PlanRevision: 1, Frame: "f",
		Change: &quadratv1.Change{Value: 1, Since: timestamppb.New(time.UnixMilli(1)), Matched: 2},
		Bin:    &quadratv1.Bin{Index: 1, Low: 2, High: 3, Consistent: new(0.5)},
	}
	record := column.NewResults(alloc, []*quadratv1.Result{full, {Statistic: "empty"}})
	defer record.Release()
	for i, column := range record.Columns() {
		if column.IsNull(0) {
			t.Errorf("column %s of a full result is null", record.ColumnName(i))
		}
		if nullable := record.Schema().Field(i).Nullable; column.IsNull(1) != nullable {
			t.Errorf("column %s of an empty result: null is %v", record.ColumnName(i), column.IsNull(1))
		}
	}
	if got := record.Column(8).(*array.Float64).Value(0); got != 1 {
		t.Errorf("value %v", got)
	}
	if got := record.Column(40).(*array.List).ListValues().Len(); got != 2 {
		t.Errorf("%d warnings", got)
	}
}
