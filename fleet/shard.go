package fleet

import (
	"slices"
	"sync"
)

// Shards is the number of parts that the registry and its storage fall into, by the first ten bits of the key.
const Shards = 1024

// shardOf is the shard of a key; shards in order hold keys in order.
func shardOf(k Key) int { return int(k >> 54) }

// entry is what is known of one device.
type entry struct {
	id       string
	rows     []*Row // oldest first, spans disjoint; only the last may be without an end
	seenMs   int64  // when it was last heard
	software string
	counters []counter
	plans    uint64 // version of the plan set that it held
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
	if n := len(e.rows); n > 0 && e.rows[n-1].UntilMs == 0 {
		return e.rows[n-1]
	}
	return nil
}

// at is the row that is valid at a moment, or nil.
func (e *entry) at(ms int64) *Row {
	for _, v := range slices.Backward(e.rows) {
		if v.At(ms) {
			return v
		}
	}
	return nil
}

// shard holds the devices of a run of keys, ordered by key.
type shard struct {
	mu      sync.RWMutex // guards everything below
	keys    []Key
	entries []*entry
	dirty   bool  // rows have changed since the last save
	seenMs  int64 // newest hearing that the last save held, so that hearing alone saves rarely
}

// find is the place of a key, or where it belongs. The caller holds mu.
func (s *shard) find(k Key) (int, bool) { return slices.BinarySearch(s.keys, k) }

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
