package fleet

import (
	"bytes"
	"maps"
	"math"
	"strings"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	shardVersion    = 1
	compressFrom    = 16 << 10 // bytes; a shorter value stays as it is
	shardMemoryMost = 1 << 30  // bytes that a compressed value may grow to
)

// zstdMagic begins a compressed value. A plain one begins with the tag of its version field.
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// codec writes and reads the values of the bucket DEVICES: the message FleetShard, compressed with zstd when it is
// long. It is safe for use by many goroutines.
type codec struct {
	in  *zstd.Decoder
	out *zstd.Encoder
}

func newCodec() (*codec, error) {
	in, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(shardMemoryMost), zstd.WithDecoderConcurrency(0))
	if err != nil {
		return nil, err
	}
	out, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return &codec{in: in, out: out}, nil
}

func (c *codec) encode(m *quadratv1.FleetShard) ([]byte, error) {
	b, err := proto.Marshal(m)
	if err != nil || len(b) < compressFrom {
		return b, err
	}
	return c.out.EncodeAll(b, nil), nil
}

func (c *codec) decode(b []byte) (*quadratv1.FleetShard, error) {
	if bytes.HasPrefix(b, zstdMagic) {
		plain, err := c.in.DecodeAll(b, nil)
		if err != nil {
			return nil, &Error{Code: Format, Detail: "a shard can't be decompressed"}
		}
		b = plain
	}
	m := &quadratv1.FleetShard{}
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, &Error{Code: Format, Detail: "a shard can't be decoded"}
	}
	if m.GetVersion() != shardVersion {
		return nil, &Error{Code: Format, Detail: "a shard has an unknown version"}
	}
	return m, nil
}

// save is the stored form of a shard; it takes the shard's mark of being dirty away.
func (s *shard) save() *quadratv1.FleetShard {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &quadratv1.FleetShard{Version: shardVersion}
	for i, e := range s.entries {
		s.seenMs = max(s.seenMs, e.seenMs)
		for _, row := range s.older[s.keys[i]] {
			m.Rows = append(m.Rows, e.record(row, false))
		}
		if e.row != nil {
			m.Rows = append(m.Rows, e.record(e.row, true))
		}
	}
	s.dirty = false
	return m
}

// record is the stored form of a row; what is known beside the frame stands in the newest row only.
func (e *entry) record(row *Row, newest bool) *quadratv1.DeviceRecord {
	h := &quadratv1.Hello{
		Device: row.ID, Attributes: row.announced(), Capabilities: row.wireCapabilities(),
		Limits: row.wireLimits(), Gateway: row.Gateway, Mechanisms: row.Mechanisms(),
	}
	if newest {
		h.PlanSetVersion, h.Software = uint64(e.plans), e.runs()
		h.ClockMs = e.seenMs + int64(e.offsetMs)
		h.Session = e.sessions[0]
		doubts := e.doubts()
		if len(e.said())+len(doubts) > 0 {
			h.Counters = make(map[string]uint64, len(e.said())+len(doubts))
		}
		for _, c := range doubts {
			h.Counters[c.name] = c.value
		}
		for _, c := range e.said() {
			h.Counters[c.name] = c.value
		}
	}
	return &quadratv1.DeviceRecord{Hello: h, FromMs: row.FromMs, UntilMs: row.UntilMs, SeenMs: e.seenMs}
}

// announced is the attributes without the one that the registry adds: the gateway is stored in a field of its own.
func (r *Row) announced() map[string]string {
	if r.Gateway == "" {
		return r.Attributes
	}
	own := maps.Clone(r.Attributes)
	delete(own, GatewayAttribute)
	return own
}

// doubts are the server's own counters, without zeros.
func (e *entry) doubts() (out []counter) {
	for _, c := range [...]counter{{counterDuplicate, uint64(e.duplicates)}, {counterBack, uint64(e.backs)}} {
		if c.value > 0 {
			out = append(out, c)
		}
	}
	return out
}

// restore puts stored rows into an empty shard of the registry. It fails with Format when they contradict each other
// or belong to another shard, as they do under another secret.
func (r *Registry) restore(index int, m *quadratv1.FleetShard) error {
	s := &r.shards[index]
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.fill(index, m)
}

// fill is restore for who holds the shard's lock.
func (r *Registry) fill(index int, m *quadratv1.FleetShard) error {
	s := &r.shards[index]
	for _, rec := range m.GetRows() {
		a, err := canonical(rec.GetHello())
		if err != nil {
			return &Error{Code: Format, Detail: "a stored device breaks the law of a hello"}
		}
		id := rec.GetHello().GetDevice()
		key := r.keyer.Key(id)
		if shardOf(key) != index {
			return &Error{Code: Format, Detail: "a stored device belongs to another shard; was the cluster's secret changed?"}
		}
		i, known := s.find(key)
		if !known {
			s.insert(i, key, &entry{})
		}
		e := s.entries[i]
		if !e.is(id) || !follows(e.row, rec) {
			return &Error{Code: Format, Detail: "stored rows of a device overlap"}
		}
		e.seenMs = math.MinInt64
		r.hear(s, e, rec.GetHello(), rec.GetSeenMs())
		e.sessions[0] = rec.GetHello().GetSession()
		e.duplicates = uint32(min(rec.GetHello().GetCounters()[counterDuplicate], math.MaxUint32))
		e.backs = uint32(min(rec.GetHello().GetCounters()[counterBack], math.MaxUint32))
		set, prof := r.pool.hold(a)
		row := newRow(strings.Clone(id), key, set, prof, r.pool.text(rec.GetHello().GetGateway()), rec.GetFromMs())
		row.UntilMs = rec.GetUntilMs()
		s.put(i, row)
		s.seenMs = max(s.seenMs, rec.GetSeenMs())
		r.freeze(max(row.FromMs, row.UntilMs))
	}
	s.dirty = false
	return nil
}

// follows tells whether a record is a row that begins where the one before has ended, or later.
func follows(last *Row, rec *quadratv1.DeviceRecord) bool {
	if rec.GetUntilMs() != 0 && rec.GetUntilMs() <= rec.GetFromMs() {
		return false
	}
	return last == nil || last.UntilMs != 0 && last.UntilMs <= rec.GetFromMs()
}
