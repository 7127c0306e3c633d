package engine

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/survey"
)

// errCheckpoint says that a file is no checkpoint that this engine can read.
var errCheckpoint = errors.New("checkpoint: damaged, or of a newer version: put the folders of engine, store and broker back from one backup")

// snapshot is what a checkpoint holds. Plans and frames are not in it.
type snapshot struct {
	sequence        uint64
	markMs, levelMs int64
	newest          []int64
	kappas          []keptKappa
}

type keptKappa struct {
	ref          string
	next, oldest int64
	running      map[series]*survey.Running
	windows      []keptWindow
}

// keptWindow is a window with the number of its plan's revision.
type keptWindow struct {
	window
	planRevision uint32
}

// decoder takes the parts of a checkpoint off; after the first fault it gives zeros.
type decoder struct {
	b       []byte
	bad     bool
	version byte
}

// decodeCheckpoint reads a checkpoint. It never panics and takes no more memory than a small multiple of b.
func decodeCheckpoint(b []byte) (*snapshot, error) {
	const least = len(checkpointMagic) + 1 + crc32.Size
	if len(b) < least || string(b[:len(checkpointMagic)]) != checkpointMagic {
		return nil, errCheckpoint
	}
	body, sum := b[:len(b)-crc32.Size], b[len(b)-crc32.Size:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(sum) {
		return nil, errCheckpoint
	}
	r := &decoder{b: body[len(checkpointMagic)+1:], version: body[len(checkpointMagic)]}
	if r.version < checkpointDevices || r.version > checkpointTurns {
		return nil, errCheckpoint
	}
	s := &snapshot{sequence: r.uint(), markMs: r.int(), levelMs: r.int()}
	for range partitions {
		s.newest = append(s.newest, r.int())
	}
	for range r.count() {
		s.kappas = append(s.kappas, r.kappa())
	}
	if r.bad || len(r.b) > 0 {
		return nil, errCheckpoint
	}
	return s, nil
}

func (r *decoder) fail() { r.bad, r.b = true, nil }

func (r *decoder) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *decoder) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads how many parts follow; each takes at least a byte.
func (r *decoder) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *decoder) word() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *decoder) float() float64 {
	x := math.Float64frombits(r.word())
	if math.IsNaN(x) || math.IsInf(x, 0) {
		r.fail()
	}
	return x
}

func (r *decoder) text() string {
	n := r.count()
	part := r.b[:n]
	r.b = r.b[n:]
	return string(part)
}

func (r *decoder) kappa() keptKappa {
	k := keptKappa{ref: r.text(), next: r.int(), oldest: r.int(), running: map[series]*survey.Running{}}
	for range r.count() {
		name := series{statistic: r.text(), cell: r.text()}
		k.running[name] = &survey.Running{Windows: r.int(), Mean: r.float(), Variance: r.float()}
	}
	var layouts []*layout
	for range r.count() {
		layouts = append(layouts, r.layout())
	}
	for range r.count() {
		number := r.uint()
		if number >= uint64(len(layouts)) {
			r.fail()
			return k
		}
		k.windows = append(k.windows, r.window(layouts[number]))
	}
	return k
}

func (r *decoder) layout() *layout {
	l := &layout{fingerprint: r.text()}
	for range r.count() {
		l.strata = append(l.strata, r.text())
	}
	for range r.count() {
		values := map[string]string{}
		for range r.count() {
			name := r.text()
			values[name] = r.text()
		}
		l.cells = append(l.cells, cell{values: values, text: column.Cell(values)})
	}
	l.stratumSize, l.cellSize = make([]int64, len(l.strata)), make([]int64, len(l.cells))
	l.stratumClusters = make([]int64, len(l.strata))
	r.clusters(l)
	for range r.count() {
		stratum, at, size := r.uint(), r.int(), r.int()
		if stratum >= uint64(len(l.strata)) || at < -1 || at >= int64(len(l.cells)) || size < 0 {
			r.fail()
			return l
		}
		g := group{stratum: int(stratum), cell: int(at), size: size}
		if len(l.clusters) > 0 {
			number := r.uint()
			if number >= uint64(len(l.clusters)) || l.clusters[number].stratum != g.stratum {
				r.fail()
				return l
			}
			g.cluster = int(number)
			l.clusters[number].size += size
		}
		l.groups = append(l.groups, g)
		l.stratumSize[stratum] += size
		l.size += size
		if at >= 0 {
			l.cellSize[at] += size
		}
	}
	r.panel(l)
	return l
}

// clusters reads the clusters of a layout; version 1 has none.
func (r *decoder) clusters(l *layout) {
	if r.version < checkpointClusters {
		return
	}
	for range r.count() {
		stratum, name := r.uint(), r.text()
		if stratum >= uint64(len(l.strata)) {
			r.fail()
			return
		}
		l.clusters = append(l.clusters, cluster{stratum: int(stratum), name: name})
		l.stratumClusters[stratum]++
	}
}

// slots reads which groups of a clustered layout are due in a window.
func (r *decoder) slots() []slot {
	var out []slot
	for range r.count() {
		group, statistic := r.uint(), r.uint()
		if group > math.MaxUint32 || statistic > math.MaxUint32 {
			r.fail()
			return out
		}
		out = append(out, slot{group: uint32(group), statistic: uint32(statistic)})
	}
	return out
}

func (r *decoder) window(l *layout) keptWindow {
	w := keptWindow{window: window{index: r.int(), layout: l}}
	w.planRevision, w.revision = uint32(r.uint()), uint32(r.uint())
	flags := r.uint()
	w.dirty, w.damaged = flags&flagDirty != 0, flags&flagDamaged != 0
	hasTails := flags&flagTails != 0
	if hasTails {
		if r.version < checkpointTails {
			r.fail()
		}
		w.tails = []survey.Tails{}
	}
	if len(l.clusters) > 0 {
		w.dueGroups = r.slots()
	}
	for range r.count() {
		w.due = append(w.due, r.int())
		m := survey.Moments{Count: r.int()}
		if m.Count > 0 {
			m.Mean, m.M2, m.Noise = r.float(), r.float(), r.float()
		}
		w.moments = append(w.moments, m)
		if !hasTails {
			continue
		}
		tails := survey.Tails{}
		if m.Count > 0 {
			tails = survey.Tails{M3: r.float(), M4: r.float()}
		}
		w.tails = append(w.tails, tails)
	}
	for range r.count() {
		t := told{counted: r.uint() == 1}
		if t.counted {
			t.value, t.variance = r.float(), r.float()
		}
		w.told = append(w.told, t)
	}
	for range r.count() {
		w.heard = append(w.heard, r.word())
	}
	if flags&flagValues != 0 {
		r.values(&w.window)
	}
	if flags&flagSupports != 0 && r.version < checkpointSupports {
		r.fail()
	} else if flags&flagSupports != 0 {
		r.supports(&w.window)
	}
	if flags&flagReleased != 0 {
		r.released(&w.window)
	}
	return w
}
