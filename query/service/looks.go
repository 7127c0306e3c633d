package service

import (
	"cmp"
	"container/heap"
	"context"
	"sync"
	"time"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// look is when a kappa's plan is held against the fleet next. A kappa that sleeps costs this and no goroutine.
type look struct {
	ref   string
	at    time.Time
	plan  *quadratv1.DevicePlan // for the length of windows, which is that of all revisions
	ended bool                  // guarded by the mutex of the looks
	fits  fit
}

// fit is over which fleet a revision was found to fit.
type fit struct {
	changes  uint64 // of the fleet
	revision uint32
	since    time.Time // of the first look that found it
	settled  bool      // nothing that the fleet has noted takes effect later
}

// settleAfter is how much later than it is noted a change of the fleet takes effect at most: rows begin behind the newest window that was opened.
const settleAfter = 10 * time.Second

// over tells whether a revision is known to fit a fleet.
func (f fit) over(changes uint64, revision uint32) bool {
	return f.settled && f.changes == changes && f.revision == revision
}

// found notes that a revision fits.
func (f *fit) found(changes uint64, revision uint32, now time.Time) {
	if f.since.IsZero() || f.changes != changes || f.revision != revision {
		*f = fit{changes: changes, revision: revision, since: now}
	}
	f.settled = f.settled || now.Sub(f.since) >= settleAfter
}

// looks is those of all kappas, the earliest first. Its methods are safe for use by many goroutines.
type looks struct {
	mu      sync.Mutex // guards what follows
	waiting lookHeap
	kick    context.CancelFunc // wakes who waits for the earliest; nil when nobody does
}

// add lets a look wait; stop takes it back.
func (l *looks) add(next *look) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.push(next)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		next.ended = true
	}
}

// next takes the earliest look out once its time has come; nil when ctx has ended. Wait waits for a moment.
func (l *looks) next(ctx context.Context, wait func(context.Context, time.Time) error) *look {
	for ctx.Err() == nil {
		waiting, kick := context.WithCancel(ctx)
		l.mu.Lock()
		l.kick = kick
		var first *look
		if len(l.waiting) > 0 {
			first = l.waiting[0]
		}
		l.mu.Unlock()
		due := false
		if first == nil {
			<-waiting.Done()
		} else {
			due = wait(waiting, first.at) == nil
		}
		l.mu.Lock()
		l.kick = nil
		kick()
		if due && l.waiting[0] == first {
			heap.Pop(&l.waiting)
		} else {
			due = false
		}
		due = due && !first.ended
		l.mu.Unlock()
		if due {
			return first
		}
	}
	return nil
}

// again lets a look wait once more, unless it was taken back meanwhile.
func (l *looks) again(next *look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !next.ended {
		l.push(next)
	}
}

// push lets a look wait, and wakes who waits for a later one. The caller holds mu.
func (l *looks) push(next *look) {
	heap.Push(&l.waiting, next)
	if l.kick != nil && l.waiting[0] == next {
		l.kick()
	}
}

// lookHeap orders looks by time, and those of one moment by reference.
type lookHeap []*look

func (h lookHeap) Len() int { return len(h) }
func (h lookHeap) Less(i, j int) bool {
	return cmp.Or(h[i].at.Compare(h[j].at), cmp.Compare(h[i].ref, h[j].ref)) < 0
}
func (h lookHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *lookHeap) Push(x any) { *h = append(*h, x.(*look)) }

// Pop is for container/heap.
func (h *lookHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return x
}
