package intake

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
)

const (
	storedVersion = 1
	// namesMost is how many references a batch remembers before it forgets them all between two batches.
	namesMost = 4096
)

// pack is a batch that gathers: reports in columns by partition, kappa, revision and window. It is used again and again
// and then allocates nothing.
type pack struct {
	keyer       fleet.Keyer
	names       map[string]uint32
	index       map[groupKey]int
	groups      []packed
	used        int // of groups
	byPartition [broker.Partitions][]int
	releases    [broker.Partitions][][]byte // encoded as StoredRelease
	replies     []string
	reports     int
	released    int // releases
	load        int // reports, and for releases what is as large
	buffer      []byte
	scratch     []byte
	out         []*nats.Msg
	err         error
}

type groupKey struct {
	partition, kappa, revision uint32
	window                     int64
}

// packed is a group. Devices are encoded as they come, the others packed as varints.
type packed struct {
	groupKey
	name                     string
	device, statistic, value []byte
}

func newPack(keyer fleet.Keyer) *pack {
	return &pack{keyer: keyer, names: map[string]uint32{}, index: map[groupKey]int{}}
}

// add takes a request that the decoder has checked.
func (p *pack) add(d *decoder, device, reply string) {
	if d.parts != nil {
		p.release(d, device)
		p.replies = append(p.replies, reply)
		return
	}
	kappa, known := p.names[string(d.kappa)]
	if !known {
		kappa = uint32(len(p.names))
		p.names[string(d.kappa)] = kappa
	}
	key := groupKey{kappa: kappa, revision: uint32(d.revision), window: int64(d.window)}
	if !d.batch {
		p.report(key, d.kappa, p.keyer.Key(device), d.statistic[0], d.value[0])
	}
	for i, behind := range d.devices {
		p.report(key, d.kappa, p.keyer.Key(string(behind)), d.statistic[i], d.value[i])
	}
	p.replies = append(p.replies, reply)
}

func (p *pack) report(key groupKey, name []byte, device fleet.Key, statistic uint64, value int64) {
	key.partition = fleet.Partition(device)
	at, known := p.index[key]
	if !known {
		at = p.open(key, name)
	}
	g := &p.groups[at]
	g.device = binary.LittleEndian.AppendUint64(g.device, uint64(device))
	g.statistic = protowire.AppendVarint(g.statistic, statistic)
	g.value = protowire.AppendVarint(g.value, protowire.EncodeZigZag(value))
	p.reports++
	p.load++
}

// open begins a group in a place that an earlier batch has left.
func (p *pack) open(key groupKey, name []byte) int {
	at := p.used
	if at == len(p.groups) {
		p.groups = append(p.groups, packed{})
	}
	g := &p.groups[at]
	g.groupKey = key
	if g.name != string(name) {
		g.name = string(name)
	}
	p.used++
	p.index[key] = at
	p.byPartition[key.partition] = append(p.byPartition[key.partition], at)
	return at
}

// messages encodes one StoredBatch for each partition that has reports or releases, as of a moment. They are valid until reset.
func (p *pack) messages(now time.Time) []*nats.Msg {
	p.buffer, p.out = p.buffer[:0], p.out[:0]
	for partition, places := range p.byPartition {
		releases := p.releases[partition]
		if len(places) == 0 && len(releases) == 0 {
			continue
		}
		from := len(p.buffer)
		p.buffer = protowire.AppendTag(p.buffer, 1, protowire.VarintType)
		p.buffer = protowire.AppendVarint(p.buffer, storedVersion)
		p.buffer = protowire.AppendTag(p.buffer, 4, protowire.VarintType)
		p.buffer = protowire.AppendVarint(p.buffer, uint64(now.UnixMilli()))
		for _, at := range places {
			p.scratch = p.groups[at].append(p.scratch[:0])
			p.buffer = protowire.AppendTag(p.buffer, 2, protowire.BytesType)
			p.buffer = protowire.AppendBytes(p.buffer, p.scratch)
		}
		for _, r := range releases {
			p.buffer = protowire.AppendTag(p.buffer, 3, protowire.BytesType)
			p.buffer = protowire.AppendBytes(p.buffer, r)
		}
		p.out = append(p.out, &nats.Msg{
			Subject: broker.ReportSubject(uint32(partition)), Header: nats.Header{}, Data: p.buffer[from:len(p.buffer):len(p.buffer)],
		})
	}
	return p.out
}

// append encodes a group as the message StoredGroup.
func (g *packed) append(b []byte) []byte {
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendString(b, g.name)
	b = protowire.AppendTag(b, 2, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(g.revision))
	b = protowire.AppendTag(b, 3, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(g.window))
	b = protowire.AppendTag(b, 4, protowire.BytesType)
	b = protowire.AppendBytes(b, g.device)
	b = protowire.AppendTag(b, 5, protowire.BytesType)
	b = protowire.AppendBytes(b, g.statistic)
	b = protowire.AppendTag(b, 6, protowire.BytesType)
	return protowire.AppendBytes(b, g.value)
}

// reset empties the batch and keeps its memory.
func (p *pack) reset() {
	for i := range p.groups[:p.used] {
		g := &p.groups[i]
		g.device, g.statistic, g.value = g.device[:0], g.statistic[:0], g.value[:0]
	}
	for i := range p.byPartition {
		p.byPartition[i] = p.byPartition[i][:0]
		clear(p.releases[i])
		p.releases[i] = p.releases[i][:0]
	}
	clear(p.index)
	clear(p.replies)
	if len(p.names) > namesMost {
		clear(p.names)
	}
	p.used, p.reports, p.released, p.load, p.replies, p.err = 0, 0, 0, 0, p.replies[:0], nil
}

// publish stores messages: all of them or none. It returns nil once they are on disk.
func publish(ctx context.Context, js jetstream.JetStream, messages []*nats.Msg) error {
	if len(messages) == 1 {
		_, err := js.PublishMsg(ctx, messages[0], jetstream.WithExpectStream(broker.StreamReports))
		return err
	}
	_, err := jetstreamext.PublishMsgBatch(ctx, js, messages, jetstreamext.BatchFlowControl{AckFirst: false})
	return err
}
