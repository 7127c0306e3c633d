// Package clock makes time a parameter. The server, the devices and the demo take a Clock; the real one follows the
// machine, Scaled runs faster, and Manual stands still until it is advanced. Nothing that takes a Clock may ask which
// kind it holds, or read time.Now itself.
//
//	c := clock.NewManual(start)
//	go func() { _ = c.WaitUntil(ctx, start.Add(time.Minute)); closeWindow() }()
//	c.Advance(time.Minute)
package clock

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Clock tells the time and waits for a moment. Implementations are safe for use by many goroutines.
type Clock interface {
	// Now is the current moment in UTC.
	Now() time.Time
	// WaitUntil returns nil once Now is at or after t, or ctx's error when ctx ends first.
	WaitUntil(ctx context.Context, t time.Time) error
}

// Real is the machine's clock.
type Real struct{}

// Now is time.Now in UTC.
func (Real) Now() time.Time { return time.Now().UTC() }

// WaitUntil sleeps until t.
func (Real) WaitUntil(ctx context.Context, t time.Time) error { return sleep(ctx, time.Until(t)) }

// Scaled runs a constant number of times faster (or slower) than the machine's clock.
type Scaled struct {
	origin  time.Time
	started time.Time
	speed   float64
}

// NewScaled starts a clock at origin that runs speed times as fast as the machine's. Speed must be above zero.
func NewScaled(origin time.Time, speed float64) *Scaled {
	return &Scaled{origin: origin.UTC(), started: time.Now(), speed: speed}
}

// Now is the scaled time.
func (s *Scaled) Now() time.Time {
	return s.origin.Add(time.Duration(float64(time.Since(s.started)) * s.speed))
}

// WaitUntil sleeps until the scaled time is t.
func (s *Scaled) WaitUntil(ctx context.Context, t time.Time) error {
	for {
		left := t.Sub(s.Now())
		if left <= 0 {
			return ctx.Err()
		}
		if err := sleep(ctx, time.Duration(float64(left)/s.speed)+1); err != nil {
			return err
		}
	}
}

// Manual stands still until Advance or Set moves it. The zero value is not usable; call NewManual.
type Manual struct {
	mu      sync.Mutex // guards now and waiters
	now     time.Time
	waiters waiters
}

// NewManual makes a clock that stands at start.
func NewManual(start time.Time) *Manual { return &Manual{now: start.UTC()} }

// Now is the moment that the clock stands at.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Advance moves the clock forward by d.
func (m *Manual) Advance(d time.Duration) { m.Set(m.Now().Add(d)) }

// Set moves the clock forward to t and releases everyone who waits for t or earlier. An earlier t is ignored.
func (m *Manual) Set(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.Before(m.now) {
		return
	}
	m.now = t.UTC()
	for len(m.waiters) > 0 && !m.waiters[0].at.After(m.now) {
		close(heap.Pop(&m.waiters).(*waiter).done)
	}
}

// WaitUntil waits until the clock was moved to t or later.
func (m *Manual) WaitUntil(ctx context.Context, t time.Time) error {
	m.mu.Lock()
	if !t.After(m.now) {
		m.mu.Unlock()
		return ctx.Err()
	}
	w := &waiter{at: t, done: make(chan struct{})}
	heap.Push(&m.waiters, w)
	m.mu.Unlock()
	select {
	case <-w.done:
		return ctx.Err()
	case <-ctx.Done():
		m.forget(w)
		return ctx.Err()
	}
}

func (m *Manual) forget(w *waiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.index >= 0 && w.index < len(m.waiters) && m.waiters[w.index] == w {
		heap.Remove(&m.waiters, w.index)
	}
}

type waiter struct {
	at    time.Time
	done  chan struct{}
	index int
}

type waiters []*waiter

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].at.Before(w[j].at) }
func (w waiters) Swap(i, j int)      { w[i], w[j] = w[j], w[i]; w[i].index, w[j].index = i, j }
func (w *waiters) Push(x any)        { x.(*waiter).index = len(*w); *w = append(*w, x.(*waiter)) }
func (w *waiters) Pop() any {
	old := *w
	last := old[len(old)-1]
	last.index = -1
	*w = old[:len(old)-1]
	return last
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
