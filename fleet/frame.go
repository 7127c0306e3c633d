package fleet

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/internal/attr"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// matcher decides a query once for each attribute set and profile, not once for each device.
type matcher struct {
	query    *Query
	sets     map[*attributeSet]bool
	profiles map[standing]bool
}

// standing is a profile, and whether a gateway speaks for the row that has it.
type standing struct {
	profile *profile
	behind  bool
}

func newMatcher(q *Query) *matcher {
	return &matcher{query: q, sets: map[*attributeSet]bool{}, profiles: map[standing]bool{}}
}

func (m *matcher) match(row *Row) bool {
	has := standing{profile: row.profile, behind: row.Gateway != ""}
	reached, ok := m.profiles[has]
	if !ok {
		reached = m.query.reaches(has.profile, has.behind)
		m.profiles[has] = reached
	}
	if !reached {
		return false
	}
	if m.query.Where == nil {
		return true
	}
	in, ok := m.sets[row.attributes]
	if !ok {
		in = m.query.Where.Match(row.Attributes)
		m.sets[row.attributes] = in
	}
	return in
}

// Frame is the rows that are valid at a moment and satisfy the query, ordered by key. The same call gives the same rows
// for ever, as long as they are retained: from now on no row begins or ends at or before that moment. Hence ask only for
// moments that are past or near: what joins or leaves before the newest moment asked for takes effect after it.
func (r *Registry) Frame(q Query, at time.Time) []*Row {
	ms := at.UnixMilli()
	r.freeze(ms)
	m := newMatcher(&q)
	var out []*Row
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.RLock()
		for j := range s.entries {
			if row := s.at(j, ms); row != nil && m.match(row) {
				out = append(out, row)
			}
		}
		s.mu.RUnlock()
	}
	return out
}

// Rows calls yield for every row, ended ones too, ordered by key and then by time, until yield returns false. It sees
// each part of the fleet at one moment, not the whole; yield must not call the registry.
func (r *Registry) Rows(yield func(*Row) bool) {
	for i := range r.shards {
		if !r.shards[i].each(yield) {
			return
		}
	}
}

func (s *shard) each(yield func(*Row) bool) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i, e := range s.entries {
		for _, row := range s.older[s.keys[i]] {
			if !yield(row) {
				return false
			}
		}
		if e.row != nil && !yield(e.row) {
			return false
		}
	}
	return true
}

// Lookup is the row of a device that has not ended.
func (r *Registry) Lookup(id string) (*Row, bool) {
	var row *Row
	r.entry(id, func(s *shard, i int) { row = s.entries[i].current() })
	return row, row != nil
}

// entry calls with with the place of a device in its shard, under the shard's lock, and not at all for a stranger.
func (r *Registry) entry(id string, with func(*shard, int)) {
	key := r.keyer.Key(id)
	s := &r.shards[shardOf(key)]
	s.mu.RLock()
	defer s.mu.RUnlock()
	if i, ok := s.find(key); ok && s.entries[i].is(id) {
		with(s, i)
	}
}

// Len is the number of devices that have not left.
func (r *Registry) Len() int {
	n := 0
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.RLock()
		for _, e := range s.entries {
			if e.current() != nil {
				n++
			}
		}
		s.mu.RUnlock()
	}
	return n
}

// Device is a device that has not left, as the API shows it. The caller owns the message.
func (r *Registry) Device(id string) (*quadratv1.Device, bool) {
	var d *quadratv1.Device
	r.entry(id, func(s *shard, i int) {
		if s.entries[i].current() != nil {
			d = s.device(i)
		}
	})
	return d, d != nil
}

// List is the devices that have not left and match where (nil for all), by identity: at most limit of them, those
// behind after; how many match in all; and what to pass as after for the next page, empty at the end.
func (r *Registry) List(where *attr.Predicate, after string, limit int) (devices []*quadratv1.Device, total int, next string) {
	m := newMatcher(&Query{Where: where})
	var ids []string
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.RLock()
		for _, e := range s.entries {
			if row := e.current(); row != nil && m.match(row) {
				total++
				if row.ID > after {
					ids = append(ids, row.ID)
				}
			}
		}
		s.mu.RUnlock()
	}
	slices.Sort(ids)
	more := len(ids) > max(limit, 0)
	if more {
		ids = ids[:max(limit, 0)]
	}
	for _, id := range ids {
		if d, ok := r.Device(id); ok {
			devices = append(devices, d)
		}
	}
	if more && len(ids) > 0 {
		next = ids[len(ids)-1]
	}
	return devices, total, next
}

// device is the i-th device as the API shows it. The caller holds mu.
func (s *shard) device(i int) *quadratv1.Device {
	e := s.entries[i]
	row := e.row
	d := &quadratv1.Device{
		Id: row.ID, Attributes: maps.Clone(row.Attributes), Capabilities: row.wireCapabilities(), Limits: row.wireLimits(),
		Gateway: row.Gateway, Joined: timestamppb.New(time.UnixMilli(s.first(i).FromMs)),
		LastSeen: timestamppb.New(time.UnixMilli(e.seenMs)), PlanSetVersion: e.plans,
		ClockOffsetMs: e.offsetMs, Software: e.runs(), Mechanisms: slices.Clone(row.Mechanisms()),
	}
	doubts := e.doubts()
	if len(e.said())+len(doubts) > 0 {
		d.Counters = make(map[string]uint32, len(e.said())+len(doubts))
	}
	for _, c := range doubts {
		d.Counters[c.name] = uint32(c.value)
	}
	for _, c := range e.said() {
		d.Counters[c.name] = uint32(min(c.value, 1<<32-1))
	}
	return d
}

func (r *Row) wireCapabilities() []*quadratv1.Capability {
	out := make([]*quadratv1.Capability, len(r.profile.capabilities))
	for i, c := range r.profile.capabilities {
		out[i] = &quadratv1.Capability{Name: c.Name, Readings: slices.Clone(c.Readings), Open: c.Open}
	}
	return out
}

func (r *Row) wireLimits() *quadratv1.Limits {
	l := r.Limits()
	return &quadratv1.Limits{
		EpsilonMicro: l.EpsilonMicro, PeriodMs: l.PeriodMs, LifetimeMicro: l.LifetimeMicro, Models: slices.Clone(l.Models),
	}
}

// Capabilities is the names of all capabilities that devices have, sorted.
func (r *Registry) Capabilities() []string {
	names := map[string]bool{}
	r.pool.capabilities(func(c Capability) { names[c.Name] = true })
	return slices.SortedFunc(maps.Keys(names), cmp.Compare[string])
}

// Readings is the names of all readings that devices with this capability have, sorted; empty when there are none.
func (r *Registry) Readings(capability string) []string {
	names := map[string]bool{}
	r.pool.capabilities(func(c Capability) {
		if c.Name != capability {
			return
		}
		for _, reading := range c.Readings {
			names[reading] = true
		}
	})
	return slices.SortedFunc(maps.Keys(names), cmp.Compare[string])
}
