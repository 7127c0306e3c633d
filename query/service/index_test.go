package service

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/internal/memory"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestIndexHasNoGaps revises a window that the index has dropped: who follows hears of it, but it must not stand before
// windows that only the archive has, because what is between them would be missing from an answer.
func TestIndexHasNoGaps(t *testing.T) {
	x := newIndex(&Config{ResultsMax: 3, WatchMax: 8, Memory: memory.Divide(0)})
	at := func(window int64, revision uint32) *quadratv1.Result {
		return &quadratv1.Result{Ref: "k", Statistic: "s", Revision: revision, WindowStart: timestamppb.New(time.UnixMilli(window * 1000))}
	}
	for window := int64(1); window <= 6; window++ {
		x.add(uint64(window), at(window, 1))
	}
	_, follower, err := x.watch("k", func(entry) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	x.add(7, at(2, 2))
	if len(follower.c) != 1 {
		t.Error("the follower did not hear of the revision")
	}
	entries, older := x.since(Span{Ref: "k"})
	if !older || len(entries) != 3 || entries[0].result.GetWindowStart().AsTime().Unix() != 4 {
		t.Errorf("older %v, entries %v; want windows 4 to 6 and older ones elsewhere", older, entries)
	}
	x.add(8, at(5, 2))
	if entries, _ = x.since(Span{Ref: "k"}); len(entries) != 3 || entries[1].result.GetRevision() != 2 {
		t.Errorf("a revision of a window that is held is not: %v", entries)
	}
}

// Results of all kappas together keep within their memory: the oldest windows go, whoever's they are, the newest of each stays, and
// forgetting gives all of it back.
func TestIndexKeepsWithinMemory(t *testing.T) {
	const limit = 100 * (resultBytes + 3*40)
	budget := &memory.Budget{Results: memory.NewAccount(limit)}
	x := newIndex(&Config{ResultsMax: 1000, WatchMax: 8, Memory: budget})
	sequence := uint64(0)
	for window := int64(1); window <= 200; window++ {
		for _, ref := range []string{"a", "b", "c"} {
			if ref == "c" && window > 3 {
				continue
			}
			sequence++
			x.add(sequence, &quadratv1.Result{Ref: ref, Statistic: "mean(temperature)", Revision: 1, WindowStart: timestamppb.New(time.UnixMilli(window * 1000))})
			if budget.Results.Used() > limit {
				t.Fatalf("%d bytes are held, at most %d", budget.Results.Used(), limit)
			}
		}
	}
	for _, ref := range []string{"a", "b"} {
		entries, older := x.since(Span{Ref: ref})
		if n := len(entries); !older || n < 30 || n > 60 || entries[n-1].result.GetWindowStart().AsTime().Unix() != 200 {
			t.Errorf("%s has %d results, older %v", ref, n, older)
		}
	}
	if newest := x.last("c"); len(newest) != 1 || newest[0].result.GetWindowStart().AsTime().Unix() != 3 {
		t.Errorf("the newest window of a quiet kappa is %v", newest)
	}
	for _, ref := range []string{"a", "b", "c"} {
		x.forget(ref)
	}
	if budget.Results.Used() != 0 {
		t.Errorf("%d bytes are left", budget.Results.Used())
	}
}

// A reader that takes nothing is dropped and what waited for it goes; one that keeps up hears everything, also when all memory is
// used. Who comes when there is no room is turned away.
func TestReadersKeepWithinMemory(t *testing.T) {
	each := int64(resultBytes + 3*40)
	budget := &memory.Budget{}
	x := newIndex(&Config{ResultsMax: 10, WatchMax: 1000, Memory: budget})
	x.waiting = memory.NewAccount(2*x.watcherBytes() + 20*each)
	none := func(entry) bool { return false }
	_, slow, err := x.watch("k", none)
	if err != nil {
		t.Fatal(err)
	}
	_, quick, err := x.watch("k", none)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.watch("k", none); err == nil {
		t.Error("a third reader was let in")
	}
	for i := range int64(500) {
		x.add(uint64(i+1), &quadratv1.Result{Ref: "k", Statistic: "mean(temperature)", Revision: 1, WindowStart: timestamppb.New(time.UnixMilli(i * 1000))})
		e := <-quick.c
		x.took(e)
		if e.sequence != uint64(i+1) {
			t.Fatalf("the reader that keeps up hears %d, want %d", e.sequence, i+1)
		}
		if x.waiting.Used() > x.waiting.Limit() {
			t.Fatalf("%d bytes wait, at most %d", x.waiting.Used(), x.waiting.Limit())
		}
	}
	if !slow.slow() || quick.slow() || x.drops.Load() != 1 {
		t.Errorf("dropped: the slow one %v, the quick one %v; %d in all", slow.slow(), quick.slow(), x.drops.Load())
	}
	x.unwatch("k", slow)
	x.unwatch("k", quick)
	if x.waiting.Used() != 0 {
		t.Errorf("%d bytes are left", x.waiting.Used())
	}
}
