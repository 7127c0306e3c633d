package engine

import (
	"container/list"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/todate"
	"github.com/quadrat-dev/quadrat/privacy/shuffle"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// kappa is the state of one kappa.
type kappa struct {
	ref, name string
	plans     []*plan // oldest first
	next      int64   // first window that has not closed
	oldest    int64   // no window before it is kept; with EVERY as many panes before those that may be revised as their windows need
	windows   map[int64]*window
	running   map[series]*survey.Running
	newest    *frame // compiled last, for plan
	compiled  *plan
	kept      int              // single answers that closed windows keep, see keep
	keptFrom  int64            // the first of those windows
	rows      *column.Rows     // waiting for the sink; nil when there are none
	figures   *shuffle.Figures // of the declared shuffler; nil for none

	rowsBytes  int64         // of rows, in the account of rows
	frameBytes int64         // of newest, in the account of frames
	used       *list.Element // place of newest among the frames that were used; nil without one
	shared     *tables       // scores of all kappas; nil for some of its own
	need       int64         // what its windows need at least
}

// series names a running mean: a statistic in a cell, "{}" for the one over all.
type series struct{ statistic, cell string }

// newKappa makes the state of a kappa that has no window yet.
func newKappa(record *quadratv1.KappaRecord) (*kappa, error) { return newKappaOf(record, nil) }

// newKappaOf is newKappa with scores from shared tables; nil for some of its own.
func newKappaOf(record *quadratv1.KappaRecord, shared *tables) (*kappa, error) {
	k := &kappa{
		shared: shared,
		ref:    record.GetKappa().GetRef(), name: record.GetKappa().GetName(),
		windows: map[int64]*window{}, running: map[series]*survey.Running{},
	}
	if err := k.revise(record); err != nil {
		return nil, err
	}
	k.next = k.plans[0].from
	k.oldest = k.next - k.before()
	return k, nil
}

// revise takes the revisions of a record. Those that are known stay as they are.
func (k *kappa) revise(record *quadratv1.KappaRecord) error {
	if len(record.GetRevisions()) == 0 {
		return errors.New("no revision")
	}
	plans := make([]*plan, 0, len(record.GetRevisions()))
	for _, r := range record.GetRevisions() {
		if known := k.byRevision(r.GetDevice().GetRevision()); known != nil {
			plans = append(plans, known)
			continue
		}
		p, err := newPlanOf(r, k.shared)
		if err != nil {
			return fmt.Errorf("revision %d: %w", r.GetDevice().GetRevision(), err)
		}
		p.spent = todate.Of(record, p.revision)
		plans = append(plans, p)
	}
	for i, p := range plans {
		if p.ref != k.ref || p.windowMs != plans[0].windowMs || p.panes != plans[0].panes {
			return fmt.Errorf("revision %d: reference or window differs", p.revision)
		}
		if i > 0 && (p.from < plans[i-1].from || p.revision <= plans[i-1].revision) {
			return fmt.Errorf("revision %d: out of order", p.revision)
		}
	}
	k.plans = plans
	return nil
}

// before is how many panes before one stand in the same window of a result.
func (k *kappa) before() int64 { return k.plans[0].panes - 1 }

// byRevision gives a revision, or nil.
func (k *kappa) byRevision(revision uint32) *plan {
	for _, p := range k.plans {
		if p.revision == revision {
			return p
		}
	}
	return nil
}

// at gives the revision in force in a window, or nil before the first. Of revisions that begin with the same window the
// newest is in force.
func (k *kappa) at(index int64) *plan {
	for _, p := range slices.Backward(k.plans) {
		if p.from <= index {
			return p
		}
	}
	return nil
}

// frame gives the frame of a window, compiled anew only when its rows are not those of the one before.
func (k *kappa) frame(frames Frames, p *plan, index int64) *frame {
	start, _ := p.span(index)
	rows := frames.Frame(p.query, time.UnixMilli(start).UTC())
	if k.compiled != p || !slices.Equal(rows, k.newest.rows) {
		k.newest, k.compiled = newFrame(p, rows), p
	}
	return k.newest
}

// load gives a window its frame again. One that is not the frame that the window was opened with damages it: what was
// heard can't be told any more.
func (k *kappa) load(frames Frames, w *window) {
	if w.frame != nil || w.damaged {
		return
	}
	f := k.frame(frames, w.plan, w.index)
	if f.fingerprint != w.layout.fingerprint {
		w.damaged = true
		return
	}
	w.frame = f
}

// open gives the window of an index that has not closed, opened when it was not.
func (k *kappa) open(frames Frames, p *plan, index int64) (w *window, opened bool) {
	if w, ok := k.windows[index]; ok {
		return w, false
	}
	w = newWindow(index, p, k.frame(frames, p, index))
	k.windows[index] = w
	return w, true
}

// sorted gives the windows in order.
func (k *kappa) sorted() []*window {
	out := make([]*window, 0, len(k.windows))
	for _, index := range slices.Sorted(maps.Keys(k.windows)) {
		out = append(out, k.windows[index])
	}
	return out
}

// dueAt is when the least window that is still open after a mark closes, in milliseconds from the UTC epoch.
func (k *kappa) dueAt(markMs int64) int64 {
	p := k.plans[len(k.plans)-1]
	index := max(k.next, floorDiv(markMs-p.graceMs, p.windowMs))
	_, end := p.span(index)
	return end + p.graceMs
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
