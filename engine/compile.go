package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

const (
	// chunkRows is how many devices one goroutine reads at a time.
	chunkRows = 1 << 15
	// ahead is how many of them are fetched before any is used.
	ahead = 128
	// hashedPairs is how many devices the fingerprint takes at a time.
	hashedPairs = 512
)

// frameBuilder holds what is needed only while a frame is compiled. Devices are numbered as their rows are.
type frameBuilder struct {
	plan     *plan
	frame    *frame
	rows     []*fleet.Row
	chunks   []chunk
	cells    map[string]int
	clusters map[clusterKey]int
	places   []uint32 // of the clusters

	keys    []uint64
	numbers []panel.Number
	groups  []uint32 // of each device; while rows are read, its class in the chunk. vacant for one of no stratum
	arcs    []uint32 // of each device: window of the lap · statistics + slot, or nowhere
}

// chunk is consecutive rows. Rows of one class have the same attributes, and so the same group.
type chunk struct {
	from, to int
	classes  []*fleet.Row // the first row of each
	groups   []uint32     // of each class
	fetched  int          // keeps reads that are made only to fetch what they read
}

// newFrame compiles the rows for a plan. Rows whose values stand in no stratum are left out.
func newFrame(p *plan, rows []*fleet.Row) *frame {
	b := newFrameBuilder(p, rows)
	b.inChunks(b.read)
	if !slices.IsSorted(b.keys) {
		sorted := slices.SortedFunc(slices.Values(rows), func(x, y *fleet.Row) int { return cmp.Compare(x.Key, y.Key) })
		f := newFrame(p, sorted)
		f.rows = rows
		return f
	}
	b.group()
	b.inChunks(b.place)
	b.sortCells()
	var hashing sync.WaitGroup
	labels := b.labels()
	hashing.Go(func() { b.fingerprint(labels) })
	b.count()
	b.index()
	b.orderGroups()
	hashing.Wait()
	return b.frame
}

func newFrameBuilder(p *plan, rows []*fleet.Row) *frameBuilder {
	b := &frameBuilder{
		plan: p, frame: &frame{rows: rows, layout: &layout{strata: p.strata}}, rows: rows,
		cells: map[string]int{}, clusters: map[clusterKey]int{},
		keys: make([]uint64, len(rows)), groups: make([]uint32, len(rows)), arcs: make([]uint32, len(rows)),
	}
	if p.clusteredBy == "" {
		b.numbers = make([]panel.Number, len(rows))
	}
	b.frame.stratumSize, b.frame.stratumClusters = make([]int64, len(p.strata)), make([]int64, len(p.strata))
	for from := 0; from < len(rows); from += chunkRows {
		b.chunks = append(b.chunks, chunk{from: from, to: min(from+chunkRows, len(rows))})
	}
	return b
}

// inChunks calls do for each chunk, on all processors.
func (b *frameBuilder) inChunks(do func(*chunk)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(b.chunks)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(b.chunks); i = int(next.Add(1)) - 1 {
				do(&b.chunks[i])
			}
		})
	}
	group.Wait()
}

// read takes what is needed of the rows of a chunk, and sorts them into classes. Rows and identities lie anywhere in memory, so
// those of a block are fetched before any is used: the waits overlap.
func (b *frameBuilder) read(c *chunk) {
	var ids [ahead]string
	var attributes [ahead]map[string]string
	classes := map[uintptr]uint32{}
	for from := c.from; from < c.to; from += ahead {
		rows := b.rows[from:min(from+ahead, c.to)]
		for i, row := range rows {
			b.keys[from+i], ids[i], attributes[i] = uint64(row.Key), row.ID, row.Attributes
		}
		if b.numbers != nil {
			for _, id := range ids[:len(rows)] {
				if id != "" {
					c.fetched += int(id[0])
				}
			}
			for i, id := range ids[:len(rows)] {
				b.numbers[from+i] = panel.NumberOf(b.plan.salt, id)
			}
		}
		for i, row := range rows {
			same := reflect.ValueOf(attributes[i]).Pointer()
			class, known := classes[same]
			if !known {
				class = uint32(len(c.classes))
				c.classes = append(c.classes, row)
				if !b.alone(row) {
					classes[same] = class
				}
			}
			b.groups[from+i] = class
		}
	}
}

// alone tells whether a device is a cluster of its own, whatever others have the same attributes.
func (b *frameBuilder) alone(row *fleet.Row) bool {
	return b.plan.clusteredBy != "" && row.Attributes[b.plan.clusteredBy] == ""
}

// group finds stratum, cell and cluster of each class, in the order of the rows.
func (b *frameBuilder) group() {
	p, f := b.plan, b.frame
	combined := map[[3]int]uint32{}
	scratch := make([]string, 0, max(len(p.by), len(p.groupBy)))
	for i := range b.chunks {
		c := &b.chunks[i]
		c.groups = make([]uint32, len(c.classes))
		for class, row := range c.classes {
			c.groups[class] = vacant
			stratum := p.stratumOf(row.Attributes, scratch)
			if stratum < 0 {
				continue
			}
			key := [3]int{stratum, b.cell(valuesOf(row.Attributes, p.groupBy, scratch)), b.clusterOf(stratum, row)}
			id, known := combined[key]
			if !known {
				id = uint32(len(f.groups))
				combined[key] = id
				f.groups = append(f.groups, group{stratum: key[0], cell: key[1], cluster: key[2]})
			}
			c.groups[class] = id
		}
		c.classes = nil
	}
}

// place gives each device of a chunk its group and its arc.
func (b *frameBuilder) place(c *chunk) {
	f, p := b.frame, b.plan
	for i := c.from; i < c.to; i++ {
		id := c.groups[b.groups[i]]
		b.groups[i] = id
		switch {
		case id == vacant:
		case b.numbers == nil:
			b.arcs[i] = b.places[f.groups[id].cluster]
		default:
			b.arcs[i] = arcOf(p.rotations[f.groups[id].stratum], b.numbers[i])
		}
	}
}

// arcOf gives the arc that holds a number: window of the lap · statistics + slot, or nowhere.
func arcOf(r panel.Rotation, n panel.Number) uint32 {
	if window, slot, ok := r.Place(n); ok {
		return window*r.Slots + slot
	}
	return nowhere
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
	f.cells = sorted
	for i := range f.groups {
		if g := &f.groups[i]; g.cell >= 0 {
			g.cell = rank[g.cell]
		}
	}
}

// labels hashes the stratum, cell and cluster of each group.
func (b *frameBuilder) labels() []uint64 {
	f := b.frame
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
	return labels
}

// fingerprint hashes who is in the frame, in which stratum, cell and cluster. It reads keys and groups of devices alone, and others may
// size and order the groups meanwhile.
func (b *frameBuilder) fingerprint(labels []uint64) {
	h := sha256.New()
	pairs := make([]byte, 0, 16*hashedPairs)
	for i, key := range b.keys {
		if b.groups[i] == vacant {
			continue
		}
		pairs = binary.BigEndian.AppendUint64(pairs, key)
		pairs = binary.BigEndian.AppendUint64(pairs, labels[b.groups[i]])
		if len(pairs) == cap(pairs) {
			h.Write(pairs)
			pairs = pairs[:0]
		}
	}
	h.Write(pairs)
	b.frame.fingerprint = hex.EncodeToString(h.Sum(nil)[:8])
}
