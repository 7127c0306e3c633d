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
	Fault       error     // what the engine waits for, e.g. a full disk; nil when it is well
}

// Status tells what the engine is doing.
func (e *Engine) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{
		Sequence: e.sequence, Mark: time.UnixMilli(e.markMs).UTC(), Kappas: len(e.kappas), Fault: e.health.fault(),
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

// health holds what the engine waits for, by what failed.
type health struct {
	mu     sync.Mutex // guards faults
	faults map[string]error
}

// set notes a fault, or with nil that there is none any more.
func (h *health) set(what string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		delete(h.faults, what)
		return
	}
	if h.faults == nil {
		h.faults = map[string]error{}
	}
	h.faults[what] = err
}

func (h *health) fault() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(slices.Collect(maps.Values(h.faults))...)
}
