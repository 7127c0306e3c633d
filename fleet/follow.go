package fleet

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	shardPrefix = "shard."
	// keyHorizon is where the keeper says up to which moment all rows are stored: 8 bytes, milliseconds from the UTC epoch, big-endian.
	keyHorizon = "horizon"
)

// Follower keeps a registry as the bucket DEVICES says, which one process of the cluster, the keeper, writes. It is safe for use by many
// goroutines, as long as the registry takes no hellos; while it does, see [Follower.Keep].
type Follower struct {
	registry  *Registry
	codec     *codec
	horizonMs atomic.Int64
	keeping   atomic.Bool
	seen      [Shards]atomic.Bool // since it follows, or follows again
}

// NewFollower follows into a registry, which must be empty.
func NewFollower(r *Registry) (*Follower, error) {
	c, err := newCodec()
	if err != nil {
		return nil, fmt.Errorf("fleet follower: %w", err)
	}
	return &Follower{registry: r, codec: c}, nil
}

// Take takes a value of the bucket; nil for one that was removed. Keys that it doesn't know it passes over. Bytes that are damaged or were
// made under another secret give an *[Error] with the code Format, and the registry stays as it is.
func (f *Follower) Take(key string, value []byte) error {
	if key == keyHorizon {
		if len(value) != 8 {
			return &Error{Code: Format, Detail: "the horizon is not 8 bytes"}
		}
		f.horizonMs.Store(int64(binary.BigEndian.Uint64(value)))
		return nil
	}
	number, ok := strings.CutPrefix(key, shardPrefix)
	if !ok || f.keeping.Load() { // the keeper's own values come back to it
		return nil
	}
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= Shards {
		return nil //nolint:nilerr // a key of a later version
	}
	m := &quadratv1.FleetShard{}
	if value != nil {
		if m, err = f.codec.decode(value); err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
	}
	if err := f.registry.replace(i, m); err != nil {
		return fmt.Errorf("shard %d: %w", i, err)
	}
	f.seen[i].Store(true)
	return nil
}

// Horizon is the moment up to which all rows are known: none that begins or ends at or before it will come.
func (f *Follower) Horizon() time.Time { return time.UnixMilli(f.horizonMs.Load()).UTC() }

// Keep makes the process the keeper, or with false a follower again. A keeper's registry takes hellos, and what comes from the bucket is its
// own; none of its rows begins or ends at or before the horizon. Who ceases to keep follows the bucket from its beginning, and then calls
// Forget, since what wasn't stored never was.
func (f *Follower) Keep(keep bool, now time.Time) {
	f.keeping.Store(keep)
	if keep {
		f.registry.freeze(f.horizonMs.Load())
		f.registry.since.Store(now.UnixMilli())
		return
	}
	for i := range f.seen {
		f.seen[i].Store(false)
	}
}

// Forget empties the shards that the bucket didn't hold when it was followed from its beginning.
func (f *Follower) Forget() {
	for i := range f.seen {
		if !f.seen[i].Load() {
			_ = f.registry.replace(i, &quadratv1.FleetShard{Version: shardVersion}) // an empty shard can't contradict itself
		}
	}
}

// replace puts stored rows in place of all that a shard holds. Rows that are as before stay the same ones, so that whoever compares frames
// finds them equal. After an error the shard is as before.
func (r *Registry) replace(index int, m *quadratv1.FleetShard) error {
	s := &r.shards[index]
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, entries, older := s.keys, s.entries, s.older
	s.keys, s.entries, s.older = nil, nil, nil
	if err := r.fill(index, m); err != nil {
		s.keys, s.entries, s.older = keys, entries, older
		return err
	}
	for i, key := range keys {
		before := append(slices.Clone(older[key]), entries[i].row)
		j, known := s.find(key)
		if known {
			s.reuse(j, before)
		}
		for _, row := range before {
			if row != nil {
				r.pool.release(row)
			}
		}
	}
	r.version.Add(1)
	return nil
}

// reuse puts rows of before in place of equal ones of the j-th device. The caller holds mu.
func (s *shard) reuse(j int, before []*Row) {
	same := func(row *Row) *Row {
		for _, old := range before {
			if old != nil && row != nil && old.ID == row.ID && old.FromMs == row.FromMs && old.UntilMs == row.UntilMs &&
				old.attributes == row.attributes && old.profile == row.profile && old.Gateway == row.Gateway {
				return old
			}
		}
		return row
	}
	s.entries[j].row = same(s.entries[j].row)
	for i, row := range s.older[s.keys[j]] {
		s.older[s.keys[j]][i] = same(row)
	}
}
