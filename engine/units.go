package engine

import (
	"math"
	"math/bits"
	"sort"
)

// seat is a device of a plan whose answers are kept one by one.
type seat struct {
	key         uint64
	group, slot uint32 // slot is the arc: window of the lap · statistics + slot, of a FIXED plan the slot alone
}

// answers is the statistic that a unit answers in a window in which it is due.
func (u seat) answers(index int64, p *plan) int {
	statistics, lap := uint64(len(p.statistics)), uint64(index/p.lapWindows)
	return int((uint64(u.slot)%statistics + lap%statistics) % statistics)
}

// seats is the units that are due in a window, by rank; nil when they are not kept.
func (w *window) seats() []seat { return w.layout.seatsOf(w.plan, w.index) }

func (l *layout) seatsOf(p *plan, index int64) []seat {
	if p.lapWindows == 1 {
		return l.panel
	}
	statistics, place := uint32(len(p.statistics)), uint32(index%p.lapWindows)
	from := sort.Search(len(l.panel), func(i int) bool { return l.panel[i].slot/statistics >= place })
	to := from + sort.Search(len(l.panel)-from, func(i int) bool { return l.panel[from+i].slot/statistics > place })
	return l.panel[from:to]
}

// keep remembers who was counted with which value, for the change to the window that follows, or for the windows that have a part in it.
func (k *kappa) keep(w *window, most int) {
	if w.values == nil {
		return
	}
	if k.kept == 0 {
		k.keptFrom = w.index
	}
	k.kept += len(w.values)
	// The newest windows are needed: the next ones are compared with them, or hold them.
	for ; k.kept > most && k.keptFrom <= w.index-w.plan.needs(); k.keptFrom++ {
		k.discard(k.windows[k.keptFrom])
	}
}

// discard forgets the single answers of a closed window, which may be nil, and with the last of a layout who gave them.
func (k *kappa) discard(w *window) {
	if w == nil || w.values == nil {
		return
	}
	k.kept -= len(w.values)
	w.values = nil
	if k.newest != nil && k.newest.layout == w.layout {
		return // the next window has it too
	}
	for _, other := range k.windows {
		if other.values != nil && other.layout == w.layout {
			return
		}
	}
	w.layout.panel = nil
}

// recount finds out which closed windows keep single answers, after a restart.
func (k *kappa) recount() {
	k.kept = 0
	for _, w := range k.sorted() {
		if w.revision == 0 || w.values == nil {
			continue
		}
		if k.kept == 0 {
			k.keptFrom = w.index
		}
		k.kept += len(w.values)
	}
}

// heardBy tells whether the device of a rank was counted.
func (w *window) heardBy(rank int) bool { return w.heard[rank/64]&(1<<(rank%64)) != 0 }

// panel writes the units of a layout.
func (w *encoder) panel(units []seat) {
	w.uint(uint64(len(units)))
	for _, u := range units {
		w.word(u.key)
		w.uint(uint64(u.group))
		w.uint(uint64(u.slot))
	}
}

// values writes the values of the devices that were heard, by rank.
func (w *encoder) values(each *window) {
	for rank, value := range each.values {
		if each.heardBy(rank) {
			w.int(value)
		}
	}
}

// panel reads the units of a layout.
func (r *decoder) panel(l *layout) {
	if r.version < checkpointPanels {
		return
	}
	for range r.count() {
		u := seat{key: r.word()}
		group, slot := r.uint(), r.uint()
		if group >= uint64(len(l.groups)) || slot > math.MaxUint32 {
			r.fail()
			return
		}
		u.group, u.slot = uint32(group), uint32(slot)
		l.panel = append(l.panel, u)
	}
}

// values reads the values of the devices that were heard. They take 64 times the memory of heard, at most.
func (r *decoder) values(w *window) {
	units, heard := 0, 0
	for _, n := range w.due {
		if n < 0 || n > int64(len(w.layout.panel)-units) {
			r.fail()
			return
		}
		units += int(n)
	}
	for _, word := range w.heard {
		heard += bits.OnesCount64(word)
	}
	if len(w.heard) != (units+63)/64 || heard > len(r.b) {
		r.fail()
		return
	}
	w.values = make([]int64, units)
	for rank := range w.values {
		if w.heardBy(rank) {
			w.values[rank] = r.int()
		}
	}
}

// fitsPanel tells whether the single answers of a kept window are those of a panel of its plan.
func (w *window) fitsPanel() bool {
	if w.values == nil {
		return true
	}
	due := int64(0)
	for _, n := range w.due {
		due += n
	}
	for _, u := range w.layout.panel {
		if int64(u.slot) >= int64(len(w.plan.statistics))*w.plan.lapWindows {
			return false
		}
	}
	return w.plan.keeps && int64(len(w.values)) == due && len(w.seats()) == len(w.values)
}
