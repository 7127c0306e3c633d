package intake

import (
	"math"
	"strings"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	gatewayReportsMost = 65536
	deadBytesMost      = 64 << 10
)

// fault is why a request can never be accepted; its text is the cause of its dead letter. Empty for none.
type fault string

const (
	faultMalformed fault = "malformed"
	faultSize      fault = "too-large"
	faultIdentity  fault = "wrong-identity"
	faultReport    fault = "invalid-report"
	faultGateway   fault = "not-its-gateway"
)

// faults is all faults.
func faults() []fault {
	return []fault{faultMalformed, faultSize, faultIdentity, faultReport, faultGateway}
}

// reply encodes the answer to a request with this fault.
func (f fault) reply() []byte {
	reason := map[fault]string{
		faultMalformed: "the message can't be read",
		faultSize:      "the message is too large",
		faultIdentity:  "the report's device is not the subject's device, or no identity",
		faultReport:    "reference, revision, window or statistic is missing or out of range",
		faultGateway:   "the device did not announce itself behind this gateway",
	}[f]
	return wire.IntakeReply{Status: wire.Rejected, Reason: reason}.Append(nil)
}

var (
	storedReply = wire.IntakeReply{Status: wire.Stored}.Append(nil)
	retryReply  = wire.IntakeReply{Status: wire.Retry, Reason: "not stored; send it again"}.Append(nil)
)

// deadLetter makes the dead letter of a request. A long one is cut.
func deadLetter(f fault, m *nats.Msg) *nats.Msg {
	body, err := proto.Marshal(&quadratv1.DeadLetter{
		Cause: string(f), Subject: strings.ToValidUTF8(m.Subject, "?"), Message: m.Data[:min(len(m.Data), deadBytesMost)],
		MessageBytes: uint64(len(m.Data)),
	})
	if err != nil {
		body = nil // can't be; the cause still stands in the letter's subject
	}
	return &nats.Msg{Subject: broker.DeadSubject(string(f)), Data: body}
}

// decoder reads a request, and but for releases, which are few, without allocating: texts share the request's memory, arrays are
// used again.
type decoder struct {
	sender    []byte // device of a report, or gateway
	kappa     []byte
	revision  uint64
	window    uint64
	devices   [][]byte // of a gateway's batch; empty for a report
	statistic []uint64
	value     []int64
	batch     bool
	parts     []*quadratv1.ReleasePart // of a gateway's release; nil for others
}

// decode reads and checks a request that came on a device's subject.
func (d *decoder) decode(b []byte, device string, devices Devices) fault {
	*d = decoder{devices: d.devices[:0], statistic: d.statistic[:0], value: d.value[:0]}
	content, form, ok := d.content(b)
	if !ok {
		return faultMalformed
	}
	if form == formRelease {
		if len(b) > releaseBytesMost {
			return faultSize
		}
		return d.release(content, device, devices)
	}
	d.batch = form == formBatch
	if !d.batch && len(b) > wire.RequestMost {
		return faultSize
	}
	if !d.fields(content) {
		return faultMalformed
	}
	if string(d.sender) != device || wire.CheckDevice(device) != nil {
		return faultIdentity
	}
	if !d.batch {
		d.single()
	}
	if f := d.check(); f != "" {
		return f
	}
	for _, behind := range d.devices {
		id := string(behind)
		if wire.CheckDevice(id) != nil {
			return faultIdentity
		}
		if row, known := devices.Lookup(id); !known || row.Gateway != device {
			return faultGateway
		}
	}
	return ""
}

// The forms of a request, by the number of their field.
const (
	formReport  = 1
	formBatch   = 2
	formRelease = 3
)

// content finds the report, batch or release of an IntakeRequest; the last one counts.
func (d *decoder) content(b []byte) (content []byte, form protowire.Number, ok bool) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, 0, false
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(num, typ, b)
		if size < 0 {
			return nil, 0, false
		}
		if typ == protowire.BytesType && num >= formReport && num <= formRelease {
			content, _ = protowire.ConsumeBytes(b)
			form, ok = num, true
		}
		b = b[size:]
	}
	return content, form, ok
}

// fields reads a Report or a GatewayBatch; both number their fields alike up to window.
func (d *decoder) fields(b []byte) bool {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(num, typ, b)
		if size < 0 {
			return false
		}
		switch typ {
		case protowire.BytesType:
			content, _ := protowire.ConsumeBytes(b)
			if !d.text(num, content) {
				return false
			}
		case protowire.VarintType:
			v, _ := protowire.ConsumeVarint(b)
			d.number(num, v)
		}
		b = b[size:]
	}
	return true
}

func (d *decoder) text(num protowire.Number, content []byte) bool {
	switch num {
	case 1:
		d.sender = content
	case 2:
		d.kappa = content
	case 5:
		if d.batch {
			d.devices = append(d.devices, content)
		}
	case 6, 7:
		for d.batch && len(content) > 0 {
			v, n := protowire.ConsumeVarint(content)
			if n < 0 {
				return false
			}
			d.number(num, v)
			content = content[n:]
		}
	}
	return len(d.devices) <= gatewayReportsMost && len(d.statistic) <= gatewayReportsMost
}

func (d *decoder) number(num protowire.Number, v uint64) {
	switch {
	case num == 3:
		d.revision = v
	case num == 4:
		d.window = v
	case num == 5 && !d.batch, num == 6 && d.batch:
		d.statistic = append(d.statistic, v)
	case num == 6 && !d.batch, num == 7 && d.batch:
		d.value = append(d.value, protowire.DecodeZigZag(v))
	}
}

// single makes a report's columns: fields that stand for zero may be absent, of repeated ones the last counts.
func (d *decoder) single() {
	statistic, value := uint64(0), int64(0)
	if n := len(d.statistic); n > 0 {
		statistic = d.statistic[n-1]
	}
	if n := len(d.value); n > 0 {
		value = d.value[n-1]
	}
	d.statistic, d.value = append(d.statistic[:0], statistic), append(d.value[:0], value)
}

// check checks what both forms have in common.
func (d *decoder) check() fault {
	if d.batch && (len(d.devices) == 0 || len(d.devices) != len(d.statistic)) || len(d.statistic) != len(d.value) {
		return faultMalformed
	}
	if !reference(d.kappa) || d.revision == 0 || d.revision > math.MaxUint32 || d.window > math.MaxInt64 {
		return faultReport
	}
	for _, s := range d.statistic {
		if s > math.MaxUint32 {
			return faultReport
		}
	}
	return ""
}

// reference tells whether b has the form of a kappa's reference, which is that of an identity.
func reference(b []byte) bool { return wire.CheckDevice(string(b)) == nil }
