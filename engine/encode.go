package engine

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/internal/categories"
)

// checkpointMagic opens a checkpoint; behind it stands the version, one byte. See docs/format/checkpoint.md.
const checkpointMagic = "QDRCKPT"

// The versions of a checkpoint.
const (
	checkpointDevices    = 1 // devices are drawn in all windows
	checkpointClusters   = 2 // a window's layout may have clusters
	checkpointPanels     = 3 // a window may keep single answers
	checkpointTails      = 4 // a window may keep the third and fourth moments
	checkpointSupports   = 5 // a window may count sets of categories
	checkpointCategories = 6 // of more than 64
	checkpointReleased   = 7 // a window may keep noisy counts of releases
	checkpointTurns      = 8 // kept single answers may be of a part of the panels of a lap
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encoder appends the parts of a checkpoint.
type encoder struct {
	b       []byte
	version byte
}

func (w *encoder) uint(n uint64)   { w.b = binary.AppendUvarint(w.b, n) }
func (w *encoder) int(n int64)     { w.b = binary.AppendVarint(w.b, n) }
func (w *encoder) float(x float64) { w.b = binary.LittleEndian.AppendUint64(w.b, math.Float64bits(x)) }
func (w *encoder) word(n uint64)   { w.b = binary.LittleEndian.AppendUint64(w.b, n) }
func (w *encoder) text(s string)   { w.uint(uint64(len(s))); w.b = append(w.b, s...) }

// encode makes the checkpoint. The caller holds mu.
func (e *Engine) encode() []byte {
	w := &encoder{version: e.checkpointVersion()}
	w.b = append([]byte(checkpointMagic), w.version)
	w.uint(e.sequence)
	w.int(e.markMs)
	w.int(e.levelMs)
	for _, ms := range e.newest {
		w.int(ms)
	}
	w.uint(uint64(len(e.order)))
	for _, ref := range e.order {
		w.kappa(e.kappas[ref])
	}
	return binary.LittleEndian.AppendUint32(w.b, crc32.Checksum(w.b, castagnoli))
}

// checkpointVersion is the oldest version that can hold the state, so that an older engine reads what it can.
func (e *Engine) checkpointVersion() byte {
	version := byte(checkpointDevices)
	for _, k := range e.kappas {
		for _, w := range k.windows {
			if len(w.layout.clusters) > 0 {
				version = max(version, checkpointClusters)
			}
			if len(w.layout.panel) > 0 || w.values != nil {
				version = max(version, checkpointPanels)
			}
			if w.tails != nil {
				version = max(version, checkpointTails)
			}
			if w.supports != nil {
				version = max(version, checkpointSupports)
			}
			if w.values != nil && w.plan.lapWindows > 1 {
				version = max(version, checkpointTurns)
			}
			if w.released != nil {
				version = max(version, checkpointReleased)
			}
			for i := range w.supports {
				if len(w.supports[i].Hits) > categories.Word {
					version = max(version, checkpointCategories)
				}
			}
		}
	}
	return version
}

func (w *encoder) kappa(k *kappa) {
	w.text(k.ref)
	w.int(k.next)
	w.int(k.oldest)
	w.uint(uint64(len(k.running)))
	for _, name := range slices.SortedFunc(maps.Keys(k.running), func(a, b series) int {
		return cmp.Or(cmp.Compare(a.statistic, b.statistic), cmp.Compare(a.cell, b.cell))
	}) {
		r := k.running[name]
		w.text(name.statistic)
		w.text(name.cell)
		w.int(r.Windows)
		w.float(r.Mean)
		w.float(r.Variance)
	}
	windows := k.sorted()
	layouts, numbers := []*layout(nil), map[*layout]uint64{}
	for _, each := range windows {
		if _, known := numbers[each.layout]; !known {
			numbers[each.layout] = uint64(len(layouts))
			layouts = append(layouts, each.layout)
		}
	}
	w.uint(uint64(len(layouts)))
	for _, l := range layouts {
		w.layout(l)
	}
	w.uint(uint64(len(windows)))
	for _, each := range windows {
		w.uint(numbers[each.layout])
		w.window(each)
	}
}

func (w *encoder) layout(l *layout) {
	w.text(l.fingerprint)
	w.uint(uint64(len(l.strata)))
	for _, name := range l.strata {
		w.text(name)
	}
	w.uint(uint64(len(l.cells)))
	for _, c := range l.cells {
		w.uint(uint64(len(c.values)))
		for _, name := range slices.Sorted(maps.Keys(c.values)) {
			w.text(name)
			w.text(c.values[name])
		}
	}
	if w.version >= checkpointClusters {
		w.uint(uint64(len(l.clusters)))
		for _, c := range l.clusters {
			w.uint(uint64(c.stratum))
			w.text(c.name)
		}
	}
	w.uint(uint64(len(l.groups)))
	for _, g := range l.groups {
		w.uint(uint64(g.stratum))
		w.int(int64(g.cell))
		w.int(g.size)
		if len(l.clusters) > 0 {
			w.uint(uint64(g.cluster))
		}
	}
	if w.version >= checkpointPanels {
		w.panel(l.panel)
	}
}

// Flags of a window.
const (
	flagDirty = 1 << iota
	flagDamaged
	flagValues
	flagTails    // version 4
	flagSupports // version 5
	flagReleased // version 7
)

func (w *encoder) window(each *window) {
	w.int(each.index)
	w.uint(uint64(each.plan.revision))
	w.uint(uint64(each.revision))
	flags := uint64(0)
	if each.dirty {
		flags |= flagDirty
	}
	if each.damaged {
		flags |= flagDamaged
	}
	if each.values != nil {
		flags |= flagValues
	}
	if each.tails != nil {
		flags |= flagTails
	}
	if each.supports != nil {
		flags |= flagSupports
	}
	if each.released != nil {
		flags |= flagReleased
	}
	w.uint(flags)
	if len(each.layout.clusters) > 0 {
		w.uint(uint64(len(each.dueGroups)))
		for _, s := range each.dueGroups {
			w.uint(uint64(s.group))
			w.uint(uint64(s.statistic))
		}
	}
	w.uint(uint64(len(each.due)))
	for i, n := range each.due {
		w.int(n)
		m := each.moments[i]
		w.int(m.Count)
		if m.Count > 0 {
			w.float(m.Mean)
			w.float(m.M2)
			w.float(m.Noise)
			if each.tails != nil {
				w.float(each.tails[i].M3)
				w.float(each.tails[i].M4)
			}
		}
	}
	w.uint(uint64(len(each.told)))
	for _, t := range each.told {
		if !t.counted {
			w.uint(0)
			continue
		}
		w.uint(1)
		w.float(t.value)
		w.float(t.variance)
	}
	w.uint(uint64(len(each.heard)))
	for _, word := range each.heard {
		w.word(word)
	}
	w.values(each)
	w.supports(each)
	w.released(each)
}
