package service

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestIndexHasNoGaps revises a window that the index has dropped: who follows hears of it, but it must not stand before
// windows that only the archive has, because what is between them would be missing from an answer.
func TestIndexHasNoGaps(t *testing.T) {
	x := newIndex(3, 8)
	at := func(window int64, revision uint32) *quadratv1.Result {
		return &quadratv1.Result{Ref: "k", Statistic: "s", Revision: revision, WindowStart: timestamppb.New(time.UnixMilli(window * 1000))}
	}
	for window := int64(1); window <= 6; window++ {
		x.add(uint64(window), at(window, 1))
	}
	_, follower := x.watch("k", func(entry) bool { return false })
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
