package service

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

// Looks come in the order of their times, whenever they were added; one that was taken back doesn't come, and ten thousand that wait
// need no goroutine.
func TestLooksComeInTheirOrder(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0).UTC()
	now := clock.NewManual(begin)
	var l looks
	const many = 10_000
	before := runtime.NumGoroutine()
	for i := range many {
		l.add(&look{ref: fmt.Sprint("k", i), at: begin.Add(time.Hour)})
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines wait", after-before)
	}
	ctx, cancel := context.WithCancel(t.Context())
	came, done := make(chan *look), make(chan struct{})
	go func() {
		defer close(done)
		for next := l.next(ctx, now.WaitUntil); next != nil; next = l.next(ctx, now.WaitUntil) {
			came <- next
		}
	}()
	l.add(&look{ref: "late", at: begin.Add(3 * time.Minute)})
	stop := l.add(&look{ref: "gone", at: begin.Add(2 * time.Minute)})
	l.add(&look{ref: "early", at: begin.Add(time.Minute)})
	stop()
	now.Set(begin.Add(time.Minute))
	first := <-came
	now.Set(begin.Add(4 * time.Minute))
	second := <-came
	if got := []string{first.ref, second.ref}; !slices.Equal(got, []string{"early", "late"}) {
		t.Errorf("looks came as %v", got)
	}
	first.at = begin.Add(5 * time.Minute)
	l.again(first)
	now.Set(first.at)
	if third := <-came; third != first {
		t.Errorf("%s came in the place of one that waits again", third.ref)
	}
	cancel()
	<-done
}
