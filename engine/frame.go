package engine

import "github.com/quadrat-dev/quadrat/fleet"

// nowhere is the turn of a device, and the arc of a cluster, that rests in a lap.
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

	panel []seat // of a plan whose answers are kept one by one, by turn; empty otherwise
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
	devices table
	byTurn  []uint32 // the seats of the devices that are due some time in the lap
	lapFrom []uint32 // byTurn[lapFrom[w]:lapFrom[w+1]] are due in window w of the lap

	// Of a clustered plan, whose groups are due as a whole:
	groupLap   [][]uint32 // the groups that are due in each window of the lap
	groupRank  []uint32   // number of a group among those
	groupPlace []uint32   // arc of a group: window of the lap · statistics + slot, or nowhere
	members    [][]uint32 // by cluster the turns of its devices, when gateways may speak for them
}

// group gives the number of a device's group.
func (f *frame) group(at berth) uint32 { return at.seat % uint32(len(f.groups)) }

// first is the turn of the first device that is due in a window.
func (f *frame) first(p *plan, index int64) uint32 { return f.lapFrom[index%p.lapWindows] }

// due counts the devices that are due in a window, by statistic and group: [statistic·groups + group].
func (f *frame) due(p *plan, index int64) []int64 {
	counts := make([]int64, len(p.statistics)*len(f.groups))
	w, shift := index%p.lapWindows, f.shift(p, index)
	for _, seat := range f.byTurn[f.lapFrom[w]:f.lapFrom[w+1]] {
		at := int(seat) + shift
		if at >= len(counts) {
			at -= len(counts)
		}
		counts[at]++
	}
	return counts
}

// shift is how far the statistics have turned in a window: a seat and the shift, modulo statistics · groups, are
// statistic · groups + group.
func (f *frame) shift(p *plan, index int64) int {
	return int(index/p.lapWindows%int64(len(p.statistics))) * len(f.groups)
}
