package fleet

import (
	"slices"
	"sync"
)

// Shards is the number of parts that the registry and its storage fall into, by the first ten bits of the key.
const Shards = 1024

// shardOf is the shard of a key; shards in order hold keys in order.
func shardOf(k Key) int { return int(k >> 54) }

// entry is what is known of one device. There are as many as devices, so it is kept small: rows that have ended stand in the
// shard, since few devices have any.
type entry struct {
	row      *Row    // the newest; nil only between two calls, and for a device whose only row vanished before it began
	seenMs   int64   // when it was last heard
	software *string // shared; nil for none
	counters *[]counter
	plans    uint32 // version of the plan set that it held; the largest number for any beyond
	offsetMs int32  // its clock minus the server's
	// sessions are the latest ones, newest first; duplicates and backs are how often each doubt came up.
	sessions          [sessionsKept]uint32
	duplicates, backs uint32
}

// sessionsKept is how many devices of one identity may take turns and still be noticed.
const sessionsKept = 4

// counter is one of the device's own counters.
type counter struct {
	name  string
	value uint64
}

// current is the row without an end, or nil.
func (e *entry) current() *Row {
	if e.row != nil && e.row.UntilMs == 0 {
		return e.row
	}
	return nil
}

// is tells whether the entry is that of an identity; one without rows may be anybody's.
func (e *entry) is(id string) bool { return e.row == nil || e.row.ID == id }

// said gives the device's own counters.
func (e *entry) said() []counter {
	if e.counters == nil {
		return nil
	}
	return *e.counters
}

// runs gives the software that the device announced.
func (e *entry) runs() string {
	if e.software == nil {
		return ""
	}
	return *e.software
}

// shard holds the devices of a run of keys, ordered by key.
type shard struct {
	mu      sync.RWMutex // guards everything below
	keys    []Key
	entries []*entry
	older   map[Key][]*Row // rows before an entry's newest: oldest first, all ended, spans disjoint
	dirty   bool           // rows have changed since the last save
	seenMs  int64          // newest hearing that the last save held, so that hearing alone saves rarely
}

// find is the place of a key, or where it belongs. The caller holds mu.
func (s *shard) find(k Key) (int, bool) { return slices.BinarySearch(s.keys, k) }

// at is the row of the i-th device that is valid at a moment, or nil. The caller holds mu.
func (s *shard) at(i int, ms int64) *Row {
	if row := s.entries[i].row; row == nil || row.At(ms) {
		return row
	}
	for _, row := range slices.Backward(s.older[s.keys[i]]) {
		if row.At(ms) {
			return row
		}
	}
	return nil
}

// first is the oldest row of the i-th device, or nil. The caller holds mu.
func (s *shard) first(i int) *Row {
	if older := s.older[s.keys[i]]; len(older) > 0 {
		return older[0]
	}
	return s.entries[i].row
}

// put makes a row the newest of the i-th device. The caller holds mu.
func (s *shard) put(i int, row *Row) {
	e := s.entries[i]
	if e.row != nil {
		if s.older == nil {
			s.older = map[Key][]*Row{}
		}
		s.older[s.keys[i]] = append(s.older[s.keys[i]], e.row)
	}
	e.row = row
}

// pop takes the newest row of the i-th device off. The caller holds mu.
func (s *shard) pop(i int) {
	key := s.keys[i]
	older := s.older[key]
	if len(older) == 0 {
		s.entries[i].row = nil
		return
	}
	s.entries[i].row = older[len(older)-1]
	s.keep(key, older[:len(older)-1])
}

// keep sets a device's older rows. The caller holds mu.
func (s *shard) keep(key Key, older []*Row) {
	if len(older) == 0 {
		delete(s.older, key)
		return
	}
	s.older[key] = older
}

// insert puts a new entry at its place. The caller holds mu.
func (s *shard) insert(i int, k Key, e *entry) {
	s.keys = slices.Insert(s.keys, i, k)
	s.entries = slices.Insert(s.entries, i, e)
}

// remove takes an entry out. The caller holds mu.
func (s *shard) remove(i int) {
	s.keys = slices.Delete(s.keys, i, i+1)
	s.entries = slices.Delete(s.entries, i, i+1)
}
