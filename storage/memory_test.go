package storage

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	budget "github.com/quadrat-dev/quadrat/internal/memory"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// weighing is an allocator that knows how much of what it gave out has not come back.
type weighing struct {
	memory.Allocator

	mu         sync.Mutex
	held, peak int
}

func (w *weighing) weigh(change int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held += change
	w.peak = max(w.peak, w.held)
}

func (w *weighing) Allocate(n int) []byte {
	w.weigh(n)
	return w.Allocator.Allocate(n)
}

func (w *weighing) Reallocate(n int, b []byte) []byte {
	w.weigh(n - len(b))
	return w.Allocator.Reallocate(n, b)
}

func (w *weighing) Free(b []byte) {
	w.weigh(-len(b))
	w.Allocator.Free(b)
}

// TestCompactionIsBoundedInMemory merges few and many rows, and expects the Arrow memory of neither to go beyond what the rows
// that may be in memory take; one row is about a quarter of a kilobyte, and twice that while its columns grow.
func TestCompactionIsBoundedInMemory(t *testing.T) {
	const rowBytes, perCommit = 512, 2000
	for _, c := range []struct{ commits, merging int }{{12, 3 * perCommit}, {12, 8 * perCommit}, {40, 8 * perCommit}} {
		alloc := &weighing{Allocator: memory.NewGoAllocator()}
		s := open(t, t.TempDir(), Config{FS: newFaultyFS(), Allocator: alloc, Clock: at(30), RowsMerging: c.merging})
		must(t, s.Restore(0))
		for i := range c.commits {
			rows := makeReports(rand.New(rand.NewPCG(1, uint64(i))), 1, perCommit)
			for j := range rows {
				rows[j].Sequence = uint64(i + 1)
				rows[j].WindowStartMs, rows[j].WindowEndMs = baseMs, baseMs+60_000
			}
			rec := recordOf(t, rows)
			must(t, s.Reports(rec))
			rec.Release()
			must(t, s.Commit(uint64(i+1)))
		}
		s.Permanent(uint64(c.commits))
		alloc.peak = alloc.held
		segments := s.Segments()
		must(t, s.Upkeep(context.Background()))
		if most := (c.merging + gatherRows) * rowBytes; alloc.peak > most || len(s.Segments()) >= len(segments) {
			t.Errorf("%+v: %d bytes were held at once, at most %d; %d segments of %d", c, alloc.peak, most, len(s.Segments()), len(segments))
		}
		if alloc.held != 0 {
			t.Errorf("%+v: %d bytes were not released", c, alloc.held)
		}
	}
}

// TestPendingRowsStayWithinMemory gives a store few large rows, of which RowsPending would let many wait, and expects that no more wait than
// half of the account, that all of them are there after the commit, and that the account is empty then.
func TestPendingRowsStayWithinMemory(t *testing.T) {
	const limit = 100 * resultBytes
	account := budget.NewAccount(limit)
	s := open(t, t.TempDir(), Config{FS: newFaultyFS(), Memory: account})
	must(t, s.Restore(0))
	const rows = 680
	for i := range rows / 17 {
		var results []*quadratv1.Result
		for j := range 17 {
			results = append(results, makeResult(17*i+j, 1, 20))
		}
		must(t, s.Results(results))
		if account.Used() > limit/2 {
			t.Fatalf("%d bytes wait, at most %d", account.Used(), limit/2)
		}
	}
	must(t, s.Commit(1))
	stored := int64(0)
	for _, seg := range s.Segments() {
		stored += seg.Rows
	}
	if account.Used() != 0 || stored != rows || len(s.Segments()) < 2 {
		t.Errorf("%d bytes are left; %d rows of %d in %d segments", account.Used(), stored, rows, len(s.Segments()))
	}
}
