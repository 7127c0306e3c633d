package engine

import (
	"math/bits"
	"slices"

	"github.com/quadrat-dev/quadrat/fleet"
)

const (
	// vacant is the seat of an entry without a device, and of a stranger.
	vacant = ^uint32(0)
	// together is how many devices are looked up at once: as many as a word has bits.
	together = 64
	// lineEntries is how many entries fill a line of the cache.
	lineEntries = 4
)

// berth is what counting needs to know of a device.
type berth struct {
	seat uint32 // slot · groups + group, or vacant
	turn uint32 // number of the device in the lap: by window, then by key; nowhere for one that rests
}

// entry is a device in the table.
type entry struct {
	key uint64
	berth
}

// table finds devices by key. Keys are uniform, so a key is also how far into its partition's part of the table it belongs: to a
// line, and to the next one where that is full. So the devices of a part stand in the order of their keys. A message of REPORTS
// is of one partition and needs only a 64th of the table. It never changes once it is built.
type table struct {
	entries []entry
	parts   [fleet.Partitions]part
}

// part is the lines of a partition: as many as a key may belong to, and behind them those of devices that had to move on. The
// last entry is vacant.
type part struct{ from, homes uint32 }

// home is the first entry of the line where a key belongs.
func (t *table) home(key uint64) uint32 {
	p := &t.parts[key%fleet.Partitions]
	far, _ := bits.Mul64(key, uint64(p.homes))
	return (p.from + uint32(far)) * lineEntries
}

// inLine gives the entry of a key in a line, or another one. No branch hangs on what is found. A vacant entry has a key of another
// partition.
func inLine(line *[lineEntries]entry, key uint64) *entry {
	return &line[same(line[1].key, key)+2*same(line[2].key, key)+3*same(line[3].key, key)]
}

// same is 1 for equal keys, otherwise 0.
func same(a, b uint64) (n uint32) {
	if a == b {
		n = 1
	}
	return n
}

// find gives the berth of a key; its seat is vacant for a stranger.
func (t *table) find(key uint64) berth {
	for at := t.home(key); ; at += lineEntries {
		line := (*[lineEntries]entry)(t.entries[at:])
		if e := inLine(line, key); e.key == key {
			return e.berth
		}
		if last := line[lineEntries-1]; last.seat == vacant {
			return last.berth
		}
	}
}

// findAll appends the berths of keys.
func (t *table) findAll(into []berth, keys []uint64) []berth {
	into = slices.Grow(into, len(keys))
	var homes [together]uint32
	for len(keys) > 0 {
		block := keys[:min(len(keys), together)]
		t.fetch(&homes, block)
		at := len(into)
		into = into[:at+len(block)]
		found, home := into[at:][:len(block)], uint64(0) // a bit for each key that stands in the line where it belongs
		for i, key := range block {
			e := inLine((*[lineEntries]entry)(t.entries[homes[i]:]), key)
			found[i] = e.berth
			home |= uint64(same(e.key, key)) << i
		}
		for away := ^home << (together - len(block)) >> (together - len(block)); away != 0; away &= away - 1 {
			i := bits.TrailingZeros64(away)
			found[i] = t.find(block[i])
		}
		keys = keys[len(block):]
	}
	return into
}

// fetch gives the homes of keys, and brings their lines into the cache. So little is done for each that the waits of many overlap;
// with the comparisons in the same loop a look-up takes half as long again. The sum keeps the compiler from leaving out the reads.
//
//go:noinline
func (t *table) fetch(homes *[together]uint32, keys []uint64) (sum uint64) {
	entries := t.entries
	for i, key := range keys[:min(len(keys), together)] {
		at := t.home(key)
		homes[i] = at
		sum += entries[at].key
	}
	return sum
}
