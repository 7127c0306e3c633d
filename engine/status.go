package engine

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// Status is what an engine is doing.
type Status struct {
	Sequence    uint64    // position in REPORTS
	Mark        time.Time // newest moment that the stream has passed
	Kappas      int       // kappas applied
	OpenWindows int       // windows with reports that have not closed
	KeptWindows int       // windows that may still be revised, open ones included
	Restored    bool      // the checkpoint, when there is one, has been read
	Fault       error     // what the engine waits for, e.g. a full disk; nil when it is well
}

// Status tells what the engine is doing.
func (e *Engine) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{
		Sequence: e.sequence, Mark: time.UnixMilli(e.markMs).UTC(), Kappas: len(e.kappas), Restored: e.restored, Fault: e.health.fault(),
	}
	for _, k := range e.kappas {
		s.KeptWindows += len(k.windows)
		for index := range k.windows {
			if index >= k.next {
				s.OpenWindows++
			}
		}
	}
	return s
}

// tellAgain is how long a fault lasts until it is told of again, then as an error. What the death of a NATS server interrupts goes on before.
const tellAgain = 15 * time.Second

// health holds what the engine waits for, by what failed.
type health struct {
	mu     sync.Mutex // guards faults
	faults map[string]*trouble
}

// trouble is what fails, and since when.
type trouble struct {
	err         error
	since, told time.Time
}

// suffer notes a fault. It tells how long it has lasted, and whether it is time to tell of it: at first, and then every tellAgain.
func (h *health) suffer(what string, err error, now time.Time) (lasted time.Duration, tell bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.faults[what]
	if t == nil {
		if h.faults == nil {
			h.faults = map[string]*trouble{}
		}
		h.faults[what] = &trouble{err: err, since: now, told: now}
		return 0, true
	}
	t.err = err
	if tell = now.Sub(t.told) >= tellAgain; tell {
		t.told = now
	}
	return now.Sub(t.since), tell
}

// recover notes that something doesn't fail any more. It tells since when it did; ok is false when it didn't.
func (h *health) recover(what string) (since time.Time, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.faults[what]
	if !ok {
		return time.Time{}, false
	}
	delete(h.faults, what)
	return t.since, true
}

func (h *health) fault() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	faults := make([]error, 0, len(h.faults))
	for _, what := range slices.Sorted(maps.Keys(h.faults)) {
		faults = append(faults, h.faults[what].err)
	}
	return errors.Join(faults...)
}

// suffers counts something that failed, and tells of it: as a warning at first, as an error when it lasts.
func (e *Engine) suffers(what string, err error) {
	e.metrics.retries.WithLabelValues(what).Inc()
	lasted, tell := e.health.suffer(what, err, e.config.Pace.Now())
	switch {
	case !tell:
	case lasted == 0:
		e.config.Log.Warn("engine: waiting", "error", err)
	default:
		e.config.Log.Error("engine: still waiting", "since", lasted.Round(time.Second), "error", err)
	}
}

// recovers tells that something that failed doesn't fail any more.
func (e *Engine) recovers(what string) {
	if since, ok := e.health.recover(what); ok {
		e.config.Log.Info("engine: goes on", "what", what, "waited", e.config.Pace.Now().Sub(since).Round(time.Millisecond))
	}
}
