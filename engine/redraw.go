package engine

import (
	"slices"
	"time"
)

// moved warns of windows in the first lap after the plan was drawn anew: a device whose place moved may be due twice within
// a lap, and its ledger refuses the second time. A lap that begins where those stand who rested in the one before moves nobody to
// an earlier place, and a FIXED panel's devices are due in every window: neither is warned of.
func (k *kappa) moved(w *window) []string {
	if w.plan.lapWindows < 2 || w.plan.epsilon == 0 {
		return nil
	}
	until := int64(-1)
	for i := 1; i < len(k.plans); i++ {
		p := k.plans[i]
		if p.from <= w.index && w.index < p.from+p.lapWindows && redrawn(k.plans[i-1], p) {
			until = max(until, p.from+p.lapWindows)
		}
	}
	if until < 0 {
		return nil
	}
	start, _ := w.plan.span(until)
	return []string{"panel redrawn in this lap: devices that moved may be silent until " + time.UnixMilli(start).UTC().Format(time.RFC3339)}
}

// redrawn tells whether devices may have moved from one revision to the next.
func redrawn(before, p *plan) bool {
	if len(before.strata) == 0 {
		return false // nobody was there to be moved
	}
	if before.lapWindows != p.lapWindows || len(before.statistics) != len(p.statistics) || !slices.Equal(before.strata, p.strata) {
		return true
	}
	same, turn := true, p.from%p.lapWindows == 0
	for h, r := range p.rotations {
		old := before.rotations[h]
		same = same && old.Origin == r.Origin && slices.Equal(old.Last, r.Last)
		turn = turn && old.Origin != r.Origin
	}
	return !same && !turn
}
