package storage

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
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
