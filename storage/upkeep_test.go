package storage

import (
	"context"
	"reflect"
	"sync"
	"testing"
	"time"
)

// TestRunWhileOthersWork commits, reads and keeps the store in order at the same time, with an archive, and expects the answers
// of a store that nobody disturbed. Run with the race detector it holds the locks, too.
func TestRunWhileOthersWork(t *testing.T) {
	whole := open(t, t.TempDir(), Config{FS: newFaultyFS()})
	must(t, whole.Restore(0))
	fill(t, whole, 0, 12)
	want := answers(t, &whole.Rows)

	s := open(t, t.TempDir(), Config{Clock: at(30), Archive: &shelf{}, Retain: Retention{BytesMax: 1}, RowsPending: 200})
	must(t, s.Restore(0))
	ctx, cancel := context.WithCancel(context.Background())
	var crew sync.WaitGroup
	crew.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		crew.Go(func() {
			for seen := 0; ctx.Err() == nil; {
				rows := 0
				for rec, err := range s.ScanReports(context.Background(), testRef, time.Time{}, time.Time{}) {
					if err != nil {
						t.Error(err)
						return
					}
					rows += int(rec.NumRows())
				}
				if rows < seen || rows%60 != 0 {
					t.Errorf("%d rows after %d", rows, seen)
				}
				seen = rows
			}
		})
	}
	for batch := range 12 {
		fill(t, s, batch, batch+1)
		s.Permanent(uint64(batch+1) * 60)
	}
	cancel()
	crew.Wait()
	must(t, s.Upkeep(context.Background()))
	for what, rows := range answers(t, &s.Rows) {
		if !reflect.DeepEqual(rows, want[what]) {
			t.Errorf("%d rows of %s, want %d", len(rows), what, len(want[what]))
		}
	}
	tidy(t, s, "at the end")
}
