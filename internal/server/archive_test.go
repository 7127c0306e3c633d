package server

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/clock"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
	"github.com/quadrat-dev/quadrat/storage"
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

// TestExportTellsWhatIsGone exports reports of two dates, of which retention has removed one.
func TestExportTellsWhatIsGone(t *testing.T) {
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	store, err := storage.Open(t.TempDir(), storage.Config{
		Clock: clock.NewManual(day.Add(60 * time.Hour)), Retain: storage.Retention{ReportsAge: 24 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := column.NewReports(memory.DefaultAllocator, "indoor", "k7f3q2")
	defer rows.Release()
	for i, start := range []time.Time{day, day.Add(25 * time.Hour)} {
		rows.Append(&column.Report{
			WindowStartMs: start.UnixMilli(), WindowEndMs: start.UnixMilli() + 60_000, Device: uint64(i), Statistic: "mean(t)", Stratum: "all",
			Cell: "{}", Pi: 1, StratumPopulation: 1, Mechanism: "none", PlanRevision: 1, Sequence: 1,
		})
	}
	record := rows.NewRecord()
	defer record.Release()
	for _, step := range []func() error{
		func() error { return store.Restore(0) },
		func() error { return store.Reports(record) },
		func() error { return store.Commit(1) },
		func() error { store.Permanent(1); return store.Upkeep(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	a := archive{rows: &store.Rows, settle: func(context.Context) error { return nil }, name: func(string) string { return "indoor" }}
	for _, c := range []struct {
		what  string
		since time.Time
		gone  string
		rows  int64
	}{
		{"reports", time.Time{}, "2026-11-21", 1},
		{"reports", day.Add(time.Hour), "2026-11-21", 1},
		{"reports", day.Add(24 * time.Hour), "", 1},
		{"results", time.Time{}, "", 0},
	} {
		var out bytes.Buffer
		if err := a.Export(t.Context(), &out, c.what, service.Span{Ref: "k7f3q2", Since: c.since}); err != nil {
			t.Fatal(err)
		}
		in, err := ipc.NewReader(&out)
		if err != nil {
			t.Fatal(err)
		}
		meta := in.Schema().Metadata()
		gone, _ := meta.GetValue(column.MetaGoneBefore)
		n := int64(0)
		for in.Next() {
			n += in.Record().NumRows()
		}
		in.Release()
		if gone != c.gone || n != c.rows {
			t.Errorf("%s since %v: %d rows, gone before %q; want %d, %q", c.what, c.since, n, gone, c.rows, c.gone)
		}
	}
}
