package agent

import (
	"iter"
	"math"

	"github.com/quadrat-dev/quadrat/edge/summary"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// Held is one revision of a kappa that a device holds.
type Held struct {
	Plan     *wire.DevicePlan // not to be changed
	Standing Standing
}

// Plans goes over all revisions that are held, kappas in the order of their arrival, revisions ascending; broken ones
// are left out.
func (a *Agent) Plans() iter.Seq[Held] {
	return func(yield func(Held) bool) {
		for i := range a.kappas {
			for _, r := range a.kappas[i].revisions {
				if r.plan != nil && !yield(Held{Plan: r.plan.wire, Standing: r.standing}) {
					return
				}
			}
		}
	}
}

// Wanted returns the series that the plans in which the device takes part ask for, each once.
func (a *Agent) Wanted() []summary.Series {
	var out []summary.Series
	seen := make(map[summary.Series]bool)
	for i := range a.kappas {
		for _, r := range a.kappas[i].revisions {
			if r.standing != Takes {
				continue
			}
			for j := range r.plan.statistics {
				s := r.plan.series(j)
				if !seen[s] {
					seen[s] = true
					out = append(out, s)
				}
			}
		}
	}
	return out
}

func (p *Plan) series(statistic int) summary.Series {
	return summary.Series{
		Capability: p.wire.Capability, Reading: p.statistics[statistic].reading, WindowMs: int64(p.wire.WindowMs),
	}
}

// inForce returns the revision that a window belongs to: the latest whose first window isn't after it.
func (h *held) inForce(window int64) *revision {
	for i := len(h.revisions) - 1; i >= 0; i-- {
		r := &h.revisions[i]
		if r.plan == nil || r.plan.wire.FromWindow <= window {
			return r
		}
	}
	return nil
}

// arc says whether the panel rule asks the device in this window, whatever its policy says.
func (r *revision) arc(window int64) (statistic uint32, due bool) {
	if r == nil || r.plan == nil || r.standing == OutOfFrame || r.standing == Rests || !r.plan.inTime(window) {
		return 0, false
	}
	lap := int64(r.plan.wire.LapWindows)
	if window%lap != int64(r.place) {
		return 0, false
	}
	return r.plan.rotations[r.stratum].Due(r.point, window)
}

// DueAt says whether the panel rule asks this device in this window, and which statistic it is to answer. It is cheap:
// no memory, one division for most devices. A device that is due may still stay silent; Report says why.
func (a *Agent) DueAt(ref string, window int64) (statistic uint32, due bool) {
	h := a.find(ref)
	if h == nil {
		return 0, false
	}
	r := h.inForce(window)
	if r != nil && r.plan != nil && r.plan.wire.Paused {
		return 0, false
	}
	return r.arc(window)
}

// NextDue returns the first window after the given one in which the device is due, under the revisions that it holds
// now; false when there is none.
func (a *Agent) NextDue(ref string, after int64) (window int64, ok bool) {
	h := a.find(ref)
	if h == nil {
		return 0, false
	}
	window = math.MaxInt64
	for i := range h.revisions {
		r := &h.revisions[i]
		if r.plan == nil || r.plan.wire.Paused {
			continue
		}
		w := r.next(max(after+1, r.plan.wire.FromWindow))
		if _, due := r.arc(w); due && h.inForce(w) == r {
			window = min(window, w)
		}
	}
	return window, window != math.MaxInt64
}

// next is the first window from a given one on that has the device's place in the lap.
func (r *revision) next(from int64) int64 {
	from = max(from, 0)
	lap := int64(r.plan.wire.LapWindows)
	ahead := int64(r.place) - from%lap
	if ahead < 0 {
		ahead += lap
	}
	if from > math.MaxInt64-ahead {
		return -1
	}
	return from + ahead
}
