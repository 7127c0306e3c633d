package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"slices"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// nowhere is the place of a device that rests in a lap.
const nowhere = ^uint32(0)

// layout is what estimates need of a frame: its strata, its cells, and how many devices each combination has. It never
// changes, but for the panel, which goes when no window needs it any more, and outlives the frame.
type layout struct {
	fingerprint string
	strata      []string
	cells       []cell // sorted by text; the one over all is not among them
	groups      []group
	stratumSize []int64 // devices by stratum
	cellSize    []int64 // devices by cell
	size        int64

	clusters        []cluster // of a clustered plan; empty otherwise
	stratumClusters []int64   // clusters by stratum

	panel []seat // of a FIXED plan whose answers are kept one by one, by rank; empty otherwise
}

// cell is one combination of GROUP BY values.
type cell struct {
	values map[string]string
	text   string // JSON
}

// group is a combination of stratum, cell and, in a clustered plan, cluster that devices of the frame have.
type group struct {
	stratum, cell int // cell is −1 without GROUP BY
	size          int64
	cluster       int // 0 when devices are drawn
}

// frame is the devices of one window's frame, compiled for one plan. It never changes and
// may serve several windows.
type frame struct {
	*layout
	rows    []*fleet.Row
	devices []device // ordered by key
	slots   []uint32 // open-addressing table by the key's top bits: device + 1, or 0
	shift   uint
	byLap   []uint32 // devices in the order of their window of the lap, then of their key
	lapFrom []uint32 // byLap[lapFrom[w]:lapFrom[w+1]] are due in window w of the lap

	// Of a clustered plan, whose groups are due as a whole:
	groupLap   [][]uint32 // the groups that are due in each window of the lap
	groupRank  []uint32   // number of a group among those
	groupPlace []uint32   // arc of a group
	members    [][]uint32 // by cluster its devices, when gateways may speak for them
}

// device is what counting needs to know of a device, together in one line of the cache.
type device struct {
	key   uint64
	group uint32
	place uint32 // arc of the device: window of the lap · statistics + slot, or nowhere
	rank  uint32 // number of the device among those that are due in the same window of the lap
}

// newFrame compiles the rows for a plan. Rows whose values stand in no stratum are left out.
func newFrame(p *plan, rows []*fleet.Row) *frame {
	b := frameBuilder{plan: p, frame: &frame{rows: rows, layout: &layout{strata: p.strata}}, cells: map[string]int{}, clusters: map[clusterKey]int{}}
	b.frame.stratumSize, b.frame.stratumClusters = make([]int64, len(p.strata)), make([]int64, len(p.strata))
	combined := map[[3]int]uint32{}
	scratch := make([]string, 0, max(len(p.by), len(p.groupBy)))
	for _, row := range rows {
		stratum := p.stratumOf(row.Attributes, scratch)
		if stratum < 0 {
			continue
		}
		key := [3]int{stratum, b.cell(valuesOf(row.Attributes, p.groupBy, scratch)), b.clusterOf(stratum, row)}
		id, known := combined[key]
		if !known {
			id = uint32(len(b.frame.groups))
			combined[key] = id
			b.frame.groups = append(b.frame.groups, group{stratum: key[0], cell: key[1], cluster: key[2]})
		}
		b.add(row, id)
	}
	b.sortCells()
	b.index()
	b.order()
	b.orderGroups()
	b.units()
	b.fingerprint()
	return b.frame
}

// frameBuilder holds what is needed only while a frame is compiled.
type frameBuilder struct {
	plan     *plan
	frame    *frame
	cells    map[string]int
	clusters map[clusterKey]int
	places   []uint32 // of the clusters
}

// cell gives the number of a cell, −1 without GROUP BY.
func (b *frameBuilder) cell(values []string) int {
	if len(b.plan.groupBy) == 0 {
		return -1
	}
	key := join(values)
	id, known := b.cells[key]
	if !known {
		id = len(b.frame.cells)
		b.cells[key] = id
		named := cellOf(b.plan.groupBy, values)
		b.frame.cells = append(b.frame.cells, cell{values: named, text: column.Cell(named)})
	}
	return id
}

func (b *frameBuilder) add(row *fleet.Row, id uint32) {
	f := b.frame
	g := &f.groups[id]
	var at uint32
	if b.plan.clusteredBy == "" {
		at = place(b.plan.rotations[g.stratum], panel.NumberOf(b.plan.salt, row.ID))
	} else {
		at = b.places[g.cluster]
		f.clusters[g.cluster].size++
		if b.plan.gateways {
			f.members[g.cluster] = append(f.members[g.cluster], uint32(len(f.devices)))
		}
	}
	f.devices = append(f.devices, device{key: uint64(row.Key), group: id, place: at})
	g.size++
	f.stratumSize[g.stratum]++
	f.size++
}

// place gives the arc that holds a number: window of the lap · statistics + slot, or nowhere.
func place(r panel.Rotation, n panel.Number) uint32 {
	if window, slot, ok := r.Place(n); ok {
		return window*r.Slots + slot
	}
	return nowhere
}

// sortCells puts the cells in the order of their text, whatever the order of the devices.
func (b *frameBuilder) sortCells() {
	f := b.frame
	order := make([]int, len(f.cells))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int { return cmp.Compare(f.cells[x].text, f.cells[y].text) })
	sorted, rank := make([]cell, len(order)), make([]int, len(order))
	for to, from := range order {
		sorted[to], rank[from] = f.cells[from], to
	}
	f.cells, f.cellSize = sorted, make([]int64, len(sorted))
	for i := range f.groups {
		if g := &f.groups[i]; g.cell >= 0 {
			g.cell = rank[g.cell]
			f.cellSize[g.cell] += g.size
		}
	}
}

// index builds the table from key to row. Keys are uniform, so their top bits are a hash.
func (b *frameBuilder) index() {
	f := b.frame
	size := uint(max(bits.Len(uint(len(f.devices))*2), 3))
	f.slots, f.shift = make([]uint32, 1<<size), 64-size
	mask := uint64(len(f.slots) - 1)
	for i := range f.devices {
		at := f.devices[i].key >> f.shift
		for f.slots[at] != 0 {
			at = (at + 1) & mask
		}
		f.slots[at] = uint32(i) + 1
	}
}

// find gives the row of a key, or −1.
func (f *frame) find(key uint64) int {
	mask := uint64(len(f.slots) - 1)
	for at := key >> f.shift; ; at = (at + 1) & mask {
		slot := f.slots[at]
		if slot == 0 {
			return -1
		}
		if f.devices[slot-1].key == key {
			return int(slot - 1)
		}
	}
}

// order sorts the rows by their window of the lap, by counting.
func (b *frameBuilder) order() {
	f, statistics := b.frame, uint32(len(b.plan.statistics))
	f.lapFrom = make([]uint32, b.plan.lapWindows+1)
	for i := range f.devices {
		if place := f.devices[i].place; place != nowhere {
			f.lapFrom[place/statistics+1]++
		}
	}
	for w := range b.plan.lapWindows {
		f.lapFrom[w+1] += f.lapFrom[w]
	}
	f.byLap = make([]uint32, f.lapFrom[b.plan.lapWindows])
	next := slices.Clone(f.lapFrom)
	for i := range f.devices {
		if d := &f.devices[i]; d.place != nowhere {
			w := d.place / statistics
			d.rank = next[w] - f.lapFrom[w]
			f.byLap[next[w]] = uint32(i)
			next[w]++
		}
	}
}

// fingerprint hashes who is in the frame, in which stratum, cell and cluster.
func (b *frameBuilder) fingerprint() {
	f, h := b.frame, sha256.New()
	labels := make([]uint64, len(f.groups))
	for i, g := range f.groups {
		text := f.strata[g.stratum] + "\x00"
		if g.cell >= 0 {
			text += f.cells[g.cell].text
		}
		if len(f.clusters) > 0 {
			text += "\x00" + f.clusters[g.cluster].name
		}
		sum := sha256.Sum256([]byte(text))
		labels[i] = binary.BigEndian.Uint64(sum[:])
	}
	var pair [16]byte
	for i := range f.devices {
		binary.BigEndian.PutUint64(pair[:8], f.devices[i].key)
		binary.BigEndian.PutUint64(pair[8:], labels[f.devices[i].group])
		h.Write(pair[:])
	}
	f.fingerprint = hex.EncodeToString(h.Sum(nil)[:8])
}

// due counts the devices that are due in a window, by statistic and group: [statistic·groups + group].
func (f *frame) due(p *plan, index int64) []int64 {
	statistics := uint64(len(p.statistics))
	counts := make([]int64, len(p.statistics)*len(f.groups))
	w, lap := index%p.lapWindows, uint64(index/p.lapWindows)
	for _, row := range f.byLap[f.lapFrom[w]:f.lapFrom[w+1]] {
		d := &f.devices[row]
		statistic := (uint64(d.place)%statistics + lap%statistics) % statistics
		counts[int(statistic)*len(f.groups)+int(d.group)]++
	}
	return counts
}
