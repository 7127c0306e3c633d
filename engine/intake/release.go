package intake

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// The sizes that a release may have.
const (
	releaseBytesMost  = 1 << 15 // of the request
	releasePartsMost  = 4096
	releaseValuesMost = 1024 // of a part
)

// release reads and checks a GatewayRelease that came on a gateway's subject.
func (d *decoder) release(content []byte, gateway string, devices Devices) fault {
	r := &quadratv1.GatewayRelease{}
	if proto.Unmarshal(content, r) != nil {
		return faultMalformed
	}
	d.sender, d.kappa = []byte(r.GetGateway()), []byte(r.GetKappa())
	d.revision, d.window, d.statistic = uint64(r.GetRevision()), uint64(r.GetWindow()), append(d.statistic, uint64(r.GetStatistic()))
	if r.GetGateway() != gateway || wire.CheckDevice(gateway) != nil {
		return faultIdentity
	}
	if !reference(d.kappa) || d.revision == 0 || d.window > math.MaxInt64 {
		return faultReport
	}
	if !sound(r.GetParts()) {
		return faultMalformed
	}
	for _, part := range r.GetParts() {
		if wire.CheckDevice(part.GetDevice()) != nil {
			return faultIdentity
		}
		if row, known := devices.Lookup(part.GetDevice()); !known || row.Gateway != gateway {
			return faultGateway
		}
	}
	d.parts = r.GetParts()
	return ""
}

// sound tells whether parts stand in the order of their devices, each once, of a unit or more, with equally many values.
func sound(parts []*quadratv1.ReleasePart) bool {
	if len(parts) == 0 || len(parts) > releasePartsMost {
		return false
	}
	values, before := len(parts[0].GetValues()), ""
	if values == 0 || values > releaseValuesMost {
		return false
	}
	for _, part := range parts {
		if part.GetDevice() <= before || part.GetUnits() == 0 || len(part.GetValues()) != values {
			return false
		}
		before = part.GetDevice()
	}
	return true
}

// release takes a release that the decoder has checked. It goes to the partition of its gateway, as a whole.
func (p *pack) release(d *decoder, gateway string) {
	key := p.keyer.Key(gateway)
	var devices, units, values []byte
	for _, part := range d.parts {
		devices = protowire.AppendFixed64(devices, uint64(p.keyer.Key(part.GetDevice())))
		units = protowire.AppendVarint(units, uint64(part.GetUnits()))
		for _, v := range part.GetValues() {
			values = protowire.AppendVarint(values, protowire.EncodeZigZag(v))
		}
	}
	r := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), d.kappa)
	for i, n := range []uint64{d.revision, d.window, d.statistic[0]} {
		r = protowire.AppendVarint(protowire.AppendTag(r, protowire.Number(2+i), protowire.VarintType), n)
	}
	r = protowire.AppendFixed64(protowire.AppendTag(r, 5, protowire.Fixed64Type), uint64(key))
	for i, packed := range [][]byte{devices, units, values} {
		r = protowire.AppendBytes(protowire.AppendTag(r, protowire.Number(6+i), protowire.BytesType), packed)
	}
	at := fleet.Partition(key)
	p.releases[at] = append(p.releases[at], r)
	p.released++
	p.load += len(r) / reportBytes
}

// reportBytes is about what a report takes in a stored batch: a release fills a batch by its size.
const reportBytes = 12
