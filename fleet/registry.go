package fleet

import (
	"maps"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Doubt is why a device may not be what it says; empty for none. It is the cause of a dead letter.
type Doubt string

// The doubts.
const (
	// DuplicateIdentity: an earlier session of the device came back after another. That takes two devices of one identity:
	// a copied disk, most often. Once it may be a hello that a device said before it began anew and that came late.
	DuplicateIdentity Doubt = "duplicate-identity"
	// LedgerBack: the device's ledger holds fewer charges than it did: it was restored from a backup, or began anew.
	LedgerBack Doubt = "ledger-went-back"
	// ForeignClaim: a gateway speaks for a device that is in the fleet under its own name or behind another gateway. Of the doubts
	// it alone goes with a refusal.
	ForeignClaim Doubt = "foreign-claim"
)

// The counters that the server adds to a presence record: how often a doubt came up. A device can't set them.
const (
	counterDuplicate = "duplicate_identity"
	counterBack      = "ledger_went_back"
	// counterCharges is the device's own: how many charges its ledger holds.
	counterCharges = "ledger_charges"
)

// seenSaveEvery is how far hearings may run ahead of what is stored, when nothing else has changed.
const seenSaveEvery = time.Hour

// Registry knows the devices. It is safe for use by many goroutines.
type Registry struct {
	keyer   Keyer
	pool    *pool
	shards  [Shards]shard
	version atomic.Uint64
	frozen  atomic.Int64 // newest moment that a frame was asked for; rows begin and end after it
	since   atomic.Int64 // since when this process listens; silence before it doesn't count
}

// New makes an empty registry.
func New(k Keyer) *Registry {
	r := &Registry{keyer: k, pool: newPool(k)}
	r.frozen.Store(math.MinInt64)
	return r
}

// Keyer is what the registry makes keys with.
func (r *Registry) Keyer() Keyer { return r.keyer }

// Version grows whenever a row begins or ends. It is not stored: it starts again at 0 with the process.
func (r *Registry) Version() uint64 { return r.version.Load() }

// Hello takes an announcement that was heard now. It fails with an *[Error]: Identity, Size or Text when the message
// breaks its law, Collision when another identity has the same key. When attributes, capabilities, limits and gateway
// are as before, only the time of hearing and the device's own counters change. Otherwise the row ends and another
// begins; a leaving device's row ends and none begins. Rows change at now, or one millisecond after the newest moment
// that a frame was asked for when that is later.
func (r *Registry) Hello(h *quadratv1.Hello, now time.Time) error {
	_, err := r.Announce(h.GetDevice(), h, now)
	return err
}

// Announce is Hello of an announcement that another may have made; it also says what is doubtful about the device. A doubt keeps
// nobody out, but for ForeignClaim, which comes with an error. By is who said it: the device itself, or the gateway that the hello
// names, for a unit whose identity is the gateway's, a hyphen and more. A gateway can't claim, nor make leave, a device that is in
// the fleet under its own name or behind another gateway; once that one has left it can.
func (r *Registry) Announce(by string, h *quadratv1.Hello, now time.Time) (doubt Doubt, err error) {
	a, err := check(h)
	if err != nil {
		return "", err
	}
	if err := mayAnnounce(by, h); err != nil {
		return "", err
	}
	key := r.keyer.Key(h.GetDevice())
	s := &r.shards[shardOf(key)]
	s.mu.Lock()
	defer s.mu.Unlock()
	i, known := s.find(key)
	if known && !s.entries[i].is(h.GetDevice()) {
		return "", &Error{Code: Collision, Detail: "another device has the same key; choose another identity"}
	}
	if !known {
		if h.GetLeaving() {
			return "", nil
		}
		s.insert(i, key, &entry{})
	}
	e := s.entries[i]
	if row := e.current(); by != h.GetDevice() && row != nil && row.Gateway != by {
		return ForeignClaim, &Error{Code: Claimed, Detail: "the unit's identity is in the fleet already, not behind this gateway; choose another"}
	}
	doubt = e.doubt(h)
	s.dirty = s.dirty || doubt != ""
	r.hear(s, e, h, now.UnixMilli())
	row := e.current()
	same := row != nil && row.attributes.id == a.attributesID && row.profile.id == a.profileID && row.Gateway == h.GetGateway()
	if same && !h.GetLeaving() || row == nil && h.GetLeaving() {
		return doubt, nil
	}
	at := r.changeAt(now.UnixMilli())
	if row != nil {
		r.end(s, i, at)
	}
	if !h.GetLeaving() {
		set, prof := r.pool.hold(a)
		s.put(i, newRow(strings.Clone(h.GetDevice()), key, set, prof, r.pool.text(h.GetGateway()), at))
	}
	s.dirty = true
	r.version.Add(1)
	return doubt, nil
}

// mayAnnounce tells whether who said a hello may speak for its device at all.
func mayAnnounce(by string, h *quadratv1.Hello) error {
	switch device := h.GetDevice(); {
	case by == device:
		return nil
	case by != h.GetGateway():
		return &Error{Code: Identity, Detail: "the device is not the one of the subject"}
	case !strings.HasPrefix(device, by+"-") || len(device) == len(by)+1:
		return &Error{Code: Identity, Detail: "a unit behind a gateway is named by the gateway's identity, a hyphen and the unit's name"}
	}
	return nil
}

// doubt holds a hello against what was heard before.
func (e *entry) doubt(h *quadratv1.Hello) Doubt {
	if e.turn(h.GetSession()) {
		e.duplicates++
		return DuplicateIdentity
	}
	at := slices.IndexFunc(e.said(), func(c counter) bool { return c.name == counterCharges })
	if charges, told := h.GetCounters()[counterCharges]; at >= 0 && told && charges < e.said()[at].value {
		e.backs++
		return LedgerBack
	}
	return ""
}

// turn takes in the session of a hello, and says whether it had its turn before another.
func (e *entry) turn(session uint32) bool {
	if session == 0 || session == e.sessions[0] {
		return false
	}
	at := slices.Index(e.sessions[:], session)
	back := at > 0
	if !back {
		at = len(e.sessions) - 1
	}
	copy(e.sessions[1:at+1], e.sessions[:at])
	e.sessions[0] = session
	return back
}

func newRow(id string, key Key, set *attributeSet, prof *profile, gateway string, fromMs int64) *Row {
	return &Row{
		ID: id, Key: key, Attributes: set.values, Gateway: gateway, FromMs: fromMs, attributes: set, profile: prof,
	}
}

// hear notes what a hello tells beside the frame. The caller holds the shard's lock.
func (r *Registry) hear(s *shard, e *entry, h *quadratv1.Hello, nowMs int64) {
	e.seenMs = max(e.seenMs, nowMs)
	e.plans = uint32(min(h.GetPlanSetVersion(), math.MaxUint32))
	e.offsetMs = 0
	if h.GetClockMs() != 0 {
		e.offsetMs = int32(max(math.MinInt32, min(math.MaxInt32, h.GetClockMs()-nowMs)))
	}
	e.software = r.pool.pointer(h.GetSoftware())
	r.count(e, h.GetCounters())
	if nowMs-s.seenMs >= seenSaveEvery.Milliseconds() {
		s.dirty = true
	}
}

// count notes the device's own counters. The caller holds the shard's lock.
func (r *Registry) count(e *entry, counters map[string]uint64) {
	if len(counters) == 0 {
		e.counters = nil
		return
	}
	if e.counters == nil {
		e.counters = &[]counter{}
	}
	said := (*e.counters)[:0]
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if name == counterDuplicate || name == counterBack {
			continue // the server's own
		}
		said = append(said, counter{name: r.pool.text(name), value: counters[name]})
	}
	*e.counters = said
}

// changeAt is when a change that is heard now takes effect: never at a moment that a frame has told already.
func (r *Registry) changeAt(nowMs int64) int64 {
	if frozen := r.frozen.Load(); nowMs <= frozen {
		return frozen + 1
	}
	return nowMs
}

// end ends the current row of the i-th device of a shard. One that has not begun yet vanishes. The caller holds the shard's lock.
func (r *Registry) end(s *shard, i int, at int64) {
	row := s.entries[i].row
	if row.FromMs >= at {
		s.pop(i)
		r.pool.release(row)
		return
	}
	ended := *row
	ended.UntilMs = at
	s.entries[i].row = &ended
}

// freeze makes sure that no row begins or ends at or before a moment from now on.
func (r *Registry) freeze(ms int64) {
	for {
		old := r.frozen.Load()
		if ms <= old || r.frozen.CompareAndSwap(old, ms) {
			return
		}
	}
}

// Expire ends the rows of devices that have been silent for that long, counted from when this process began to listen
// at the earliest, and returns how many. SilentFor must be above zero.
func (r *Registry) Expire(now time.Time, silentFor time.Duration) int {
	ended := 0
	limit := now.Add(-silentFor).UnixMilli()
	if r.since.Load() > limit {
		return 0
	}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for j, e := range s.entries {
			if e.seenMs <= limit && e.current() != nil {
				r.end(s, j, r.changeAt(now.UnixMilli()))
				s.dirty = true
				ended++
			}
		}
		s.mu.Unlock()
	}
	r.version.Add(uint64(ended))
	return ended
}

// Prune forgets rows that ended at or before a moment, and devices that have no row left. It returns how many rows.
func (r *Registry) Prune(before time.Time) int {
	limit, pruned := before.UnixMilli(), 0
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for j := range slices.Backward(s.entries) {
			pruned += r.prune(s, j, limit)
		}
		s.mu.Unlock()
	}
	return pruned
}

// prune forgets the rows of the j-th device of a shard that ended at or before a moment, and the device when it has no row left.
// The caller holds the shard's lock.
func (r *Registry) prune(s *shard, j int, limit int64) int {
	key, e := s.keys[j], s.entries[j]
	older, n := s.older[key], 0
	for n < len(older) && older[n].UntilMs <= limit {
		r.pool.release(older[n])
		n++
	}
	if n > 0 {
		s.keep(key, slices.Delete(older, 0, n))
	}
	if row := e.row; n == len(older) && row != nil && row.UntilMs != 0 && row.UntilMs <= limit {
		r.pool.release(row)
		e.row = nil
		n++
	}
	if e.row == nil {
		s.remove(j)
	}
	s.dirty = s.dirty || n > 0 || e.row == nil
	return n
}
