package engine

import (
	"slices"

	"github.com/quadrat-dev/quadrat/fleet"
)

// count sizes the groups and what they belong to, and the windows of the lap.
func (b *frameBuilder) count() {
	f, statistics := b.frame, uint32(len(b.plan.statistics))
	f.lapFrom = make([]uint32, b.plan.lapWindows+1)
	for i, id := range b.groups {
		if id == vacant {
			continue
		}
		f.groups[id].size++
		if arc := b.arcs[i]; arc != nowhere {
			f.lapFrom[arc/statistics+1]++
		}
	}
	for w := range b.plan.lapWindows {
		f.lapFrom[w+1] += f.lapFrom[w]
	}
	f.cellSize = make([]int64, len(f.cells))
	for i := range f.groups {
		g := &f.groups[i]
		f.size += g.size
		f.stratumSize[g.stratum] += g.size
		if g.cell >= 0 {
			f.cellSize[g.cell] += g.size
		}
		if len(f.clusters) > 0 {
			f.clusters[g.cluster].size += g.size
		}
	}
}

// index gives the devices their turns and puts them into the table. Since the keys are sorted, an entry stands at the beginning of
// its line or right behind the one before it in its part.
func (b *frameBuilder) index() {
	f, statistics, groups := b.frame, uint32(len(b.plan.statistics)), uint32(len(b.frame.groups))
	b.parts()
	f.byTurn = make([]uint32, f.lapFrom[b.plan.lapWindows])
	if b.plan.keeps {
		f.panel = make([]seat, len(f.byTurn))
	}
	turns := slices.Clone(f.lapFrom)
	var ends [fleet.Partitions]uint32
	for i, key := range b.keys {
		id := b.groups[i]
		if id == vacant {
			continue
		}
		at := berth{seat: id, turn: nowhere}
		if arc := b.arcs[i]; arc != nowhere {
			w := arc / statistics
			at = berth{seat: arc%statistics*groups + id, turn: turns[w]}
			f.byTurn[at.turn] = at.seat
			turns[w]++
			if b.plan.keeps {
				f.panel[at.turn] = seat{key: key, group: id, slot: arc}
			}
		}
		p := key % fleet.Partitions
		stands := max(f.devices.home(key), ends[p])
		ends[p] = stands + 1
		f.devices.entries[stands] = entry{key: key, berth: at}
		if b.plan.gateways {
			f.members[f.groups[id].cluster] = append(f.members[f.groups[id].cluster], at.turn)
		}
	}
}

// parts makes room for the devices of each partition: lines for twice as many, and behind them as much as the last devices
// move on, and a vacant entry.
func (b *frameBuilder) parts() {
	t := &b.frame.devices
	var devices, ends [fleet.Partitions]uint32
	for i, key := range b.keys {
		if b.groups[i] != vacant {
			devices[key%fleet.Partitions]++
		}
	}
	for i, n := range devices {
		t.parts[i].homes = (2*n)/lineEntries + 1
	}
	for i, key := range b.keys {
		if b.groups[i] != vacant {
			p := key % fleet.Partitions
			ends[p] = max(t.home(key), ends[p]) + 1
		}
	}
	lines := uint32(0)
	for i := range t.parts {
		t.parts[i].from = lines
		lines += max(t.parts[i].homes, ends[i]/lineEntries+1)
	}
	t.entries = make([]entry, lines*lineEntries)
	for i, at := range t.parts {
		end := lines
		if i+1 < len(t.parts) {
			end = t.parts[i+1].from
		}
		for j := at.from * lineEntries; j < end*lineEntries; j++ {
			t.entries[j] = entry{key: uint64(i ^ 1), berth: berth{seat: vacant}}
		}
	}
}
