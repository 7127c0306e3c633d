package server

import (
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestResultsComeBack holds the reader of stored results against their writer.
func TestResultsComeBack(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	at := func(s int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(s, 0)) }
	full := &quadratv1.Result{
		Kappa: "indoor", Ref: "k7f3q2", WindowStart: at(60), WindowEnd: at(120), Revision: 3, Final: true,
		Cell: map[string]string{"region": "asia", "floor": ""}, Statistic: "mean(t)", Value: new(1.0), StdError: new(2.0),
		Confidence: 0.95, CiLow: new(-3.0), CiHigh: new(5.0), VarianceSampling: new(1.0),
		VariancePrivacy: new(3.0), Population: 10, Panel: 9, Reports: 8, ResponseRate: 0.9, DesignEffect: new(1.5),
		DegreesOfFreedom: new(7.0), Warnings: []string{"one", "two"}, PlanRevision: 1, Frame: "f",
		Privacy: &quadratv1.Privacy{Model: "local", Mechanism: "hybrid", EpsilonPerReport: 4, Unit: "device", Period: "1h", EpsilonPerPeriod: 4},
		Running: &quadratv1.Running{Windows: 3, Value: 1, Low: -1, High: 2},
		Change: &quadratv1.Change{
			Value: -2, StdError: 0.5, CiLow: -3, CiHigh: -1, VarianceSampling: 0.125, VariancePrivacy: 0.25, Since: at(7), Matched: 5,
		},
	}
	bare := &quadratv1.Result{Ref: "k7f3q2", WindowStart: at(0), WindowEnd: at(60), Revision: 1, Privacy: &quadratv1.Privacy{}}
	record := column.NewResults(alloc, []*quadratv1.Result{full, bare})
	defer record.Release()
	got, err := resultsOf(record)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []*quadratv1.Result{full, bare} {
		if !proto.Equal(got[i], want) {
			t.Errorf("result %d comes back as %v, want %v", i, got[i], want)
		}
	}
}
