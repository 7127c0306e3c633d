package agent

import (
	"sync"

	"github.com/quadrat-dev/quadrat/internal/wire"
)

// libraryMost bounds the plans that a library remembers.
const libraryMost = 256

// Library makes each plan ready once, however many agents of one cluster ask. It is safe for concurrent use; the zero
// value is ready. It trusts that plans of one cluster with the same reference, revision and version are the same.
type Library struct {
	mu    sync.Mutex // guards plans
	plans map[edition]*Plan
}

// edition names a revision of a plan as it was published.
type edition struct {
	ref      string
	revision uint32
	version  uint64
}

// Prepare is NewPlan with memory.
func (l *Library) Prepare(w *wire.DevicePlan) (*Plan, error) {
	e := edition{ref: w.Ref, revision: w.Revision, version: w.PlanSetVersion}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.plans[e]; ok {
		return p, nil
	}
	p, err := NewPlan(w)
	if err != nil {
		return nil, err
	}
	if l.plans == nil || len(l.plans) >= libraryMost {
		l.plans = make(map[edition]*Plan)
	}
	l.plans[e] = p
	return p, nil
}
