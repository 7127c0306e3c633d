package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

// KV is what the store needs of the bucket DEVICES.
type KV interface {
	// Get returns the newest value, or jetstream.ErrKeyNotFound.
	Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error)
	// Put returns once the value is on disk.
	Put(ctx context.Context, key string, value []byte) (uint64, error)
}

// StoreConfig says how a store keeps the registry. Zero fields take the default in brackets.
type StoreConfig struct {
	Clock          clock.Clock   // [clock.Real]
	FlushEvery     time.Duration // between two writes in the background [1 s]
	ShardsPerFlush int           // most shards that one such write holds; Flush writes all [64]
	SilentFor      time.Duration // a device not heard for that long leaves the frame [24 h]
	Retention      time.Duration // how long ended rows are kept; longer than windows may be revised [8 d]
	// Horizon says that others follow: with every write in the background all that has changed is written, and then up to which moment
	// that is all.
	Horizon bool
	Log     *slog.Logger // [discards]
}

func (c StoreConfig) withDefaults() StoreConfig {
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	if c.FlushEvery <= 0 {
		c.FlushEvery = time.Second
	}
	if c.ShardsPerFlush <= 0 {
		c.ShardsPerFlush = 64
	}
	if c.SilentFor <= 0 {
		c.SilentFor = 24 * time.Hour
	}
	if c.Retention <= 0 {
		c.Retention = 8 * 24 * time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Store keeps a registry in the bucket DEVICES, one value for each of the [Shards] parts. It is safe for use by many
// goroutines.
type Store struct {
	registry *Registry
	kv       KV
	cfg      StoreConfig
	codec    *codec
	turn     chan struct{} // held while shards are written, so that Flush waits for what is under way
	next     int           // shard at which the next write in the background begins; guarded by turn
}

// Load reads the stored rows into r, which must be empty, and returns the store that keeps it from now on. Stored bytes
// that are damaged or were made under another secret give an *[Error] with the code Format.
func Load(ctx context.Context, r *Registry, kv KV, cfg StoreConfig) (*Store, error) {
	s, err := Keep(r, kv, cfg)
	if err != nil {
		return nil, err
	}
	c := s.codec
	for i := range Shards {
		e, err := kv.Get(ctx, shardName(i))
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("fleet store: shard %d: %w", i, err)
		}
		m, err := c.decode(e.Value())
		if err == nil {
			err = r.restore(i, m)
		}
		if err != nil {
			return nil, fmt.Errorf("fleet store: shard %d: %w", i, err)
		}
	}
	r.since.Store(s.cfg.Clock.Now().UnixMilli())
	return s, nil
}

// Keep is Load of a registry that holds what is stored already.
func Keep(r *Registry, kv KV, cfg StoreConfig) (*Store, error) {
	c, err := newCodec()
	if err != nil {
		return nil, fmt.Errorf("fleet store: %w", err)
	}
	return &Store{registry: r, kv: kv, cfg: cfg.withDefaults(), codec: c, turn: make(chan struct{}, 1)}, nil
}

// PutHorizon writes all that has changed, and then that all rows up to now are stored: from then on none begins or ends at or before now.
func (s *Store) PutHorizon(ctx context.Context, now time.Time) error {
	s.registry.freeze(now.UnixMilli())
	if err := s.Flush(ctx); err != nil {
		return err
	}
	if _, err := s.kv.Put(ctx, keyHorizon, binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli()))); err != nil {
		return fmt.Errorf("fleet store: horizon: %w", err)
	}
	return nil
}

func shardName(i int) string { return shardPrefix + strconv.Itoa(i) }

// Flush returns once every change that the registry knew at the call is on disk. Call it between Frame and the first
// use of what Frame told. After an error the unwritten shards are written by the next call.
func (s *Store) Flush(ctx context.Context) error { return s.flush(ctx, Shards) }

// flush writes up to most dirty shards.
func (s *Store) flush(ctx context.Context, most int) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.turn }()
	for range Shards {
		if most == 0 {
			return nil
		}
		i := s.next
		wrote, err := s.write(ctx, i)
		if err != nil {
			return fmt.Errorf("fleet store: shard %d: %w", i, err)
		}
		if wrote {
			most--
		}
		s.next = (i + 1) % Shards
	}
	return nil
}

func (s *Store) write(ctx context.Context, i int) (wrote bool, err error) {
	sh := &s.registry.shards[i]
	if !sh.isDirty() {
		return false, nil
	}
	b, err := s.codec.encode(sh.save())
	if err == nil {
		_, err = s.kv.Put(ctx, shardName(i), b)
	}
	if err != nil {
		sh.setDirty()
	}
	return true, err
}

func (s *shard) isDirty() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.dirty
}

func (s *shard) setDirty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty = true
}

// flushAgain is the pause after a write that failed: whoever needs the horizon is waiting for it.
const flushAgain = 100 * time.Millisecond

// lastFlush bounds how long the last write may take when Run ends.
const lastFlush = 10 * time.Second

// Run writes in the background and fails with ErrFenced when another process has written. It lets silent devices leave and forgets old rows, until ctx ends; then it writes all that
// is left and returns what that gave.
func (s *Store) Run(ctx context.Context) error {
	clk := s.cfg.Clock
	tended, pause := clk.Now(), s.cfg.FlushEvery
	var failing bool
	for clk.WaitUntil(ctx, clk.Now().Add(pause)) == nil {
		now := clk.Now()
		if now.Sub(tended) >= time.Minute {
			tended = now
			left, forgotten := s.registry.Expire(now, s.cfg.SilentFor), s.registry.Prune(now.Add(-s.cfg.Retention))
			if left+forgotten > 0 {
				s.cfg.Log.Info("fleet tended", "silent", left, "forgotten", forgotten)
			}
		}
		write := func() error { return s.flush(ctx, s.cfg.ShardsPerFlush) }
		if s.cfg.Horizon {
			write = func() error { return s.PutHorizon(ctx, now) }
		}
		err := write()
		if errors.Is(err, ErrFenced) {
			return err
		}
		pause = s.cfg.FlushEvery
		switch {
		case ctx.Err() != nil:
		case err != nil:
			if pause = min(pause, flushAgain); !failing {
				s.cfg.Log.Warn("fleet not stored; it is tried again until it is", "error", err)
			}
			failing = true
		case failing:
			failing = false
			s.cfg.Log.Info("fleet stored again")
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
	defer cancel()
	return s.Flush(last)
}
