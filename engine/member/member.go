package member

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/memory"
)

// Keys of LEASES.
const (
	memberPrefix = "member."
	sharePrefix  = "share."
	mergerKey    = "merger"
)

const (
	askPatience   = 5 * time.Second
	restAfter     = 3 * time.Second  // before a part that failed is taken again by the same process
	trimEvery     = 15 * time.Second // looks at what all checkpoints cover
	leavePatience = 20 * time.Second
)

// Member is one process that counts. Its methods are safe for use by many goroutines.
type Member struct {
	config  Config
	log     *slog.Logger
	metrics *metrics
	leases  *Leases
	heads   jetstream.KeyValue
	records *records

	uneasy time.Time // until when nothing new is taken, after leases could not be read; of Run's goroutine only
	heavy  bool      // windows took more memory than they should when it was looked at last; likewise

	mu     sync.Mutex // guards what follows
	parts  map[string]*holding
	rested map[string]time.Time // when a part that failed may be taken again
	faults map[string]error
}

// holding is a part that the process has.
type holding struct {
	name   string
	engine *engine.Engine // nil before it runs
	stop   context.CancelCauseFunc
	done   chan struct{}
}

// errGivenBack is why a part is let go of in order.
var errGivenBack = errors.New("member: the part is given back")

// New makes a member that does nothing yet.
func New(ctx context.Context, config Config) (*Member, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	leases, err := OpenLeases(ctx, config.JetStream, config.Node)
	if err != nil {
		return nil, err
	}
	heads, err := config.JetStream.KeyValue(ctx, broker.BucketCheckpoints)
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	if config.Memory == nil {
		config.Memory = memory.Counting(0)
	}
	m := &Member{
		config: config, log: config.Log.With("node", config.Node), leases: leases, heads: heads, parts: map[string]*holding{},
		rested: map[string]time.Time{}, faults: map[string]error{},
	}
	m.records = newRecords(config.JetStream, m.log)
	if m.metrics, err = newMetrics(config.Registerer); err != nil {
		return nil, fmt.Errorf("member: metrics: %w", err)
	}
	return m, nil
}

// Run takes its part of the work until ctx ends. Then it gives everything back, each part with a last checkpoint; when the cause is
// engine.ErrKilled it stops as a killed process does.
func (m *Member) Run(ctx context.Context) error {
	defer m.leave(ctx)
	ticker := time.NewTicker(max(m.leases.Life()/6, time.Millisecond))
	defer ticker.Stop()
	var trimmed time.Time
	for {
		if err := m.look(ctx); err != nil && ctx.Err() == nil {
			m.uneasy = time.Now().Add(m.leases.Life()) // all leases may have ended meanwhile: their owners come first
			m.fault("leases", err)
			m.log.Warn("member: leases", "error", err)
		} else {
			m.fault("leases", nil)
		}
		m.watch()
		if now := time.Now(); now.Sub(trimmed) > trimEvery {
			trimmed = now
			m.trim(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look renews the sign of life, and takes or gives back parts.
func (m *Member) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(m.leases.Life()/2, time.Second))
	defer cancel()
	if _, err := m.leases.present(ctx); err != nil {
		return err
	}
	held, err := m.leases.held(ctx)
	if err != nil {
		return err
	}
	if time.Now().Before(m.uneasy) {
		return nil
	}
	members, free := 0, []int(nil)
	for key := range held {
		if strings.HasPrefix(key, memberPrefix) {
			members++
		}
	}
	for share := range m.config.Shares {
		if !held[sharePrefix+shareName(share)] {
			free = append(free, share)
		}
	}
	most := (m.config.Shares + max(members, 1) - 1) / max(members, 1)
	mine := m.shares()
	if len(mine) > most {
		m.giveBack(mine[len(mine)-1])
	}
	for _, share := range m.turn(free) {
		if len(mine) >= most {
			break
		}
		if m.take(ctx, sharePrefix+shareName(share), shareName(share), share) {
			mine = append(mine, shareName(share))
		}
	}
	if !held[mergerKey] {
		m.take(ctx, mergerKey, mergedName, engine.Merger)
	}
	return nil
}

// turn puts free shares into an order of the process's own, so that several that look at once don't all reach for the same one.
func (m *Member) turn(free []int) []int {
	if len(free) == 0 {
		return nil
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(m.config.Node))
	from := int(h.Sum32()) % len(free)
	if from < 0 {
		from += len(free)
	}
	return append(slices.Clone(free[from:]), free[:from]...)
}

// shares is the names of the shares that the process has, sorted.
func (m *Member) shares() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Sorted(maps.Keys(m.parts))
	return slices.DeleteFunc(out, func(name string) bool { return name == mergedName })
}

// Holds is the parts that the process has, by name, and how far each engine has read.
func (m *Member) Holds() map[string]engine.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string]engine.Status, len(m.parts))
	for name, h := range m.parts {
		if out[name] = (engine.Status{}); h.engine != nil {
			out[name] = h.engine.Status()
		}
	}
	return out
}

// Fault is why some of the work is not done now; nil while all is well.
func (m *Member) Fault() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	faults := slices.Collect(maps.Values(m.faults))
	for _, h := range m.parts {
		if h.engine != nil {
			faults = append(faults, h.engine.Status().Fault)
		}
	}
	return errors.Join(faults...)
}

func (m *Member) fault(what string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		delete(m.faults, what)
		return
	}
	m.faults[what] = fmt.Errorf("%s: %w", what, err)
}

// Crowded tells how many bytes the windows of all parts take when that is more than their share of the process's memory; 0 when
// it isn't. They go on being counted: what one share refused or forgot others would wait for.
func (m *Member) Crowded() int64 {
	if states := m.config.Memory.States; states.Full() {
		return states.Used()
	}
	return 0
}

// watch tells in the log when windows begin to take more memory than they should, and when they don't any more.
func (m *Member) watch() {
	bytes := m.Crowded()
	if heavy := bytes > 0; heavy == m.heavy {
		return
	}
	m.heavy = bytes > 0
	share := m.config.Memory.States.Limit()
	if !m.heavy {
		m.log.Info("windows are within their share of memory again", "share_bytes", share)
		return
	}
	m.config.Memory.States.Refuse()
	m.log.Warn("windows take more memory than their share: give the engines more (--memory), start another one, or delete a kappa", "bytes", bytes, "share_bytes", share)
}

// Checkpoint asks every part that works here for a checkpoint, but for those that skip names, and tells of each that has made one; saved is
// called by several goroutines. It returns when each has made it or has ended, or ctx has.
func (m *Member) Checkpoint(ctx context.Context, skip []string, saved func(part string)) {
	var asked sync.WaitGroup
	defer asked.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, h := range m.parts {
		e := h.engine
		if e == nil || slices.Contains(skip, name) {
			continue
		}
		asking, cancel := context.WithCancel(ctx)
		asked.Go(func() {
			defer cancel()
			if e.Checkpoint(asking) == nil {
				saved(name)
			}
		})
		asked.Go(func() {
			select {
			case <-h.done:
				cancel()
			case <-asking.Done():
			}
		})
	}
}

// giveBack lets go of a part in order, without waiting for it.
func (m *Member) giveBack(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h := m.parts[name]; h != nil {
		h.stop(errGivenBack)
	}
}

// take takes a part if it is free and hasn't just failed here.
func (m *Member) take(ctx context.Context, key, name string, share int) bool {
	m.mu.Lock()
	_, mine := m.parts[name]
	resting := time.Now().Before(m.rested[name])
	m.mu.Unlock()
	if mine || resting {
		return false
	}
	lease, err := m.leases.Take(ctx, key)
	if err != nil || lease == nil {
		return false // it is looked at again soon
	}
	working, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	h := &holding{name: name, stop: stop, done: make(chan struct{})}
	m.mu.Lock()
	m.parts[name] = h
	m.mu.Unlock()
	m.metrics.taken.Inc()
	m.metrics.held.Inc()
	go m.hold(working, h, lease, share)
	return true
}

// hold works on a part until it is stopped or the lease is another's.
func (m *Member) hold(ctx context.Context, h *holding, lease *Lease, share int) {
	defer close(h.done)
	keeping, end := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() {
		if lease.Keep(keeping) {
			m.log.Warn("part lost", "part", h.name, "epoch", lease.Epoch)
			h.stop(engine.ErrKilled)
		}
	})
	err := m.work(ctx, h, lease, share)
	end()
	keeper.Wait()
	cause := context.Cause(ctx)
	h.stop(nil)
	m.mu.Lock()
	delete(m.parts, h.name)
	if cause == nil { // it ended by itself
		m.rested[h.name] = time.Now().Add(restAfter)
	}
	m.mu.Unlock()
	m.metrics.held.Dec()
	switch {
	case err != nil && !errors.Is(err, engine.ErrFenced) && (cause == nil || !errors.Is(err, context.Canceled)):
		m.log.Error("part failed", "part", h.name, "error", err)
		m.fault("part "+h.name, err)
	default:
		m.fault("part "+h.name, nil)
	}
	if errors.Is(cause, engine.ErrKilled) {
		return
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), askPatience)
	defer cancel()
	if err := lease.Release(leaving); err != nil {
		m.log.Warn("lease not given back; it ends by itself", "part", h.name, "error", err)
	}
}

// work opens store and checkpoints of a part and runs its engine.
func (m *Member) work(ctx context.Context, h *holding, lease *Lease, share int) error {
	room, end := m.config.Memory.Engine(m.config.Shares + 1)
	defer end()
	store, err := m.config.Open(ctx, h.name, lease.Epoch, room.Rows)
	if err != nil {
		return err
	}
	defer func() {
		if err := store.Close(); err != nil {
			m.log.Warn("store not closed", "part", h.name, "error", err)
		}
	}()
	owned, err := claim(ctx, m.config.JetStream, h.name, lease.Epoch)
	if err != nil {
		return err
	}
	defer owned.sweep(m.log)()
	config := m.config.Engine
	config.JetStream, config.Sink, config.Checkpoints, config.Folder = m.config.JetStream, store, owned, ""
	config.Part = &engine.Part{Share: share, Shares: m.config.Shares, Follower: follower{records: m.records, rows: m.config.Rows}}
	config.Memory, config.Registerer, config.Log = room, m.metrics.of(h.name), m.log.With("part", h.name)
	e, err := engine.New(config)
	if err != nil {
		return err
	}
	if err := m.records.join(ctx, e); err != nil {
		return err
	}
	defer m.records.leave(e)
	m.mu.Lock()
	h.engine = e
	m.mu.Unlock()
	m.log.Info("part taken", "part", h.name, "epoch", lease.Epoch, "position", owned.head.Position)
	err = e.Run(ctx)
	m.log.Info("part ended", "part", h.name, "epoch", lease.Epoch, "position", owned.head.Position)
	return err
}

// follower is what an engine of the member learns by.
type follower struct {
	records *records
	rows    Rows
}

func (f follower) Records(ctx context.Context) error            { return f.records.catch(ctx) }
func (f follower) Rows(ctx context.Context, at time.Time) error { return f.rows.Rows(ctx, at) }

// trim tells the merger's engine, when it is here, what the checkpoints of all shares cover.
func (m *Member) trim(ctx context.Context) {
	m.mu.Lock()
	merger := m.parts[mergedName]
	var e *engine.Engine
	if merger != nil {
		e = merger.engine
	}
	m.mu.Unlock()
	if e == nil {
		return
	}
	parts := []string{mergedName}
	for share := range m.config.Shares {
		parts = append(parts, shareName(share))
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	least, ok, err := positions(ctx, m.heads, parts)
	if err != nil {
		m.log.Warn("member: trim", "error", err)
	} else if ok {
		e.Covered(least)
	}
}

// leave gives everything back and waits until it is done.
func (m *Member) leave(ctx context.Context) {
	cause := context.Cause(ctx)
	if !errors.Is(cause, engine.ErrKilled) {
		cause = errGivenBack
	}
	m.mu.Lock()
	var holdings []*holding
	for _, h := range m.parts {
		h.stop(cause)
		holdings = append(holdings, h)
	}
	m.mu.Unlock()
	for _, h := range holdings {
		<-h.done
	}
	if errors.Is(cause, engine.ErrKilled) {
		return
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leavePatience)
	defer cancel()
	if revision, err := m.leases.present(leaving); err == nil {
		_ = m.leases.remove(leaving, memberPrefix+m.config.Node, revision) // it ends by itself otherwise
	}
}
