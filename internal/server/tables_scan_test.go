package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/internal/clock"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/flight"
	"github.com/quadrat-dev/quadrat/storage"
)

// TestTablesTakeTheNewestRevision stores a result and its revision, of which settling commits the second.
func TestTablesTakeTheNewestRevision(t *testing.T) {
	start := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	store, err := storage.Open(t.TempDir(), storage.Config{Clock: clock.NewManual(start)})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Restore(0); err != nil {
		t.Fatal(err)
	}
	commit := func(revision uint32) error {
		return errors.Join(store.Results([]*quadratv1.Result{{
			Kappa: "indoor", Ref: "k7f3q2", WindowStart: timestamppb.New(start), WindowEnd: timestamppb.New(start.Add(time.Minute)),
			Statistic: "mean(t)", Revision: revision, Privacy: &quadratv1.Privacy{},
		}}), store.Commit(uint64(revision)))
	}
	if err := commit(1); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("nothing can be settled")
	for _, c := range []struct {
		settle func(context.Context) error
		kind   string
		fails  error
	}{
		{func(context.Context) error { return commit(2) }, "results", nil},
		{func(context.Context) error { return broken }, "results", broken},
	} {
		var revisions []int64
		var failed error
		for record, err := range (tables{rows: &store.Rows, settle: c.settle}).Scan(t.Context(), flight.Span{Kind: c.kind, Ref: "k7f3q2"}) {
			if failed = err; err == nil {
				revisions = append(revisions, record.Column(record.Schema().FieldIndices("revision")[0]).(*array.Int64).Int64Values()...)
			}
		}
		if !errors.Is(failed, c.fails) || c.fails == nil && (len(revisions) != 1 || revisions[0] != 2) {
			t.Errorf("revisions %v, %v", revisions, failed)
		}
	}
	for _, err := range (tables{rows: &store.Rows, settle: func(context.Context) error { return nil }}).Scan(t.Context(), flight.Span{Kind: "shuffled", Ref: "k7f3q2"}) {
		if err == nil {
			t.Error("rows of a kind that is no table")
		}
	}
}
