package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// Report is the message quadrat.v1.Report: one randomised answer of one device for one kappa and one window.
type Report struct {
	Device    string // identity, see CheckDevice
	Kappa     string // reference of the kappa
	Revision  uint32 // of the plan, from 1
	Window    int64  // index, 0 or more
	Statistic uint32 // position in the plan, from 0
	Value     int64  // what the mechanism put out
}

// RequestMost is the longest IntakeRequest that holds one report, in bytes.
const RequestMost = 192

// requestHead is the size of the field that wraps a report in an IntakeRequest: tag and a length below 128, or of two
// bytes from there on.
func requestHead(size int) int { return protowire.SizeTag(1) + protowire.SizeVarint(uint64(size)) }

// Validate returns ErrDevice or ErrReport when the report breaks its law.
func (r *Report) Validate() error {
	if !token(r.Device) {
		return ErrDevice
	}
	if !token(r.Kappa) || r.Revision == 0 || r.Window < 0 {
		return ErrReport
	}
	return nil
}

// Size is the length of what Append writes, in bytes.
func (r *Report) Size() int {
	return sizeText(r.Device) + sizeText(r.Kappa) + sizeVarint(uint64(r.Revision)) + sizeVarint(uint64(r.Window)) +
		sizeVarint(uint64(r.Statistic)) + sizeVarint(protowire.EncodeZigZag(r.Value))
}

// RequestSize is the length of what AppendRequest writes, in bytes.
func (r *Report) RequestSize() int {
	size := r.Size()
	return requestHead(size) + size
}

// Append encodes the message Report behind b. It allocates nothing when b has room for Size bytes more.
func (r *Report) Append(b []byte) []byte {
	b = appendText(b, 1, r.Device)
	b = appendText(b, 2, r.Kappa)
	b = appendVarint(b, 3, uint64(r.Revision))
	b = appendVarint(b, 4, uint64(r.Window))
	b = appendVarint(b, 5, uint64(r.Statistic))
	return appendVarint(b, 6, protowire.EncodeZigZag(r.Value))
}

// AppendRequest encodes an IntakeRequest that holds this report behind b. It allocates nothing when b has room for
// RequestSize bytes more; RequestMost always suffices for a report that Validate accepts.
func (r *Report) AppendRequest(b []byte) []byte {
	b = protowire.AppendTag(b, requestReport, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(r.Size()))
	return r.Append(b)
}

// DecodeReport reads the message Report and checks its law.
func DecodeReport(b []byte) (Report, error) {
	var r Report
	if len(b) > RequestMost {
		return r, ErrSize
	}
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.text(&r.Device)
		case 2:
			f.text(&r.Kappa)
		case 3:
			f.uint32(&r.Revision)
		case 4:
			f.int64(&r.Window)
		case 5:
			f.uint32(&r.Statistic)
		case 6:
			f.sint64(&r.Value)
		}
	}
	if f.err != nil {
		return Report{}, f.err
	}
	return r, r.Validate()
}

// DecodeRequest reads an IntakeRequest that holds one report and checks its law. A request that holds a gateway's
// batch, or nothing, is ErrMalformed here.
func DecodeRequest(b []byte) (Report, error) {
	if len(b) > RequestMost {
		return Report{}, ErrSize
	}
	content, err := requestContent(b, requestReport)
	if err != nil {
		return Report{}, err
	}
	return DecodeReport(content)
}

// The numbers of what an IntakeRequest may hold.
const (
	requestReport  = 1
	requestBatch   = 2
	requestRelease = 3
)

// requestContent returns what an IntakeRequest holds under the number wanted. Of several contents the last one counts, as protobuf
// has it; when that is of another number, or there is none, it fails with ErrMalformed.
func requestContent(b []byte, wanted protowire.Number) ([]byte, error) {
	f := fields{rest: b}
	var content []byte
	for f.next() {
		if f.typ != protowire.BytesType {
			continue
		}
		switch f.num {
		case wanted:
			content = f.content
		case requestReport, requestBatch, requestRelease:
			content = nil
		}
	}
	if f.err == nil && content == nil {
		f.err = ErrMalformed
	}
	return content, f.err
}

// Status is what became of a request.
type Status uint32

// The statuses of quadrat.v1.IntakeReply.
const (
	Unspecified Status = 0
	Stored      Status = 1 // on disk; the device may forget the report
	Rejected    Status = 2 // never acceptable; the device drops the report and counts it
	Retry       Status = 3 // not now; the device sends the same bytes again later
)

// IntakeReply is the message quadrat.v1.IntakeReply.
type IntakeReply struct {
	Status Status
	Reason string // in words; never a value
}

// Append encodes the reply behind b.
func (r IntakeReply) Append(b []byte) []byte {
	b = appendVarint(b, 1, uint64(r.Status))
	return appendText(b, 2, r.Reason)
}

// DecodeIntakeReply reads a reply.
func DecodeIntakeReply(b []byte) (IntakeReply, error) {
	var r IntakeReply
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.uint32((*uint32)(&r.Status))
		case 2:
			f.text(&r.Reason)
		}
	}
	return r, f.err
}

func sizeText(s string) int {
	if s == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(s))
}

func sizeVarint(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(v)
}
