package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// ReleaseMost is the longest IntakeRequest that holds a release, in bytes: what a spool takes as one record.
	ReleaseMost = 1 << 15
	// PartsMost bounds the parts of a release.
	PartsMost = 4096
	// ValuesMost bounds the values of a part.
	ValuesMost = 1024
)

// Release is the message quadrat.v1.GatewayRelease: noisy sums over the units behind a gateway that were due.
type Release struct {
	Gateway   string // identity, see CheckDevice
	Kappa     string // reference of the kappa
	Revision  uint32 // of the plan, from 1
	Window    int64  // index, 0 or more
	Statistic uint32 // position in the plan, from 0
	Parts     []ReleasePart
}

// ReleasePart is the message quadrat.v1.ReleasePart: the units of one stratum and one cell.
type ReleasePart struct {
	Device string  // least identity of all units that stand in the stratum and cell
	Units  uint32  // how many of them had a reading, 1 or more
	Values []int64 // noisy sums
}

// Validate returns ErrDevice or ErrRelease when the release breaks its law: 1 to PartsMost parts in the strict order of their
// devices, each of 1 unit or more, with equally many values, 1 to ValuesMost.
func (r *Release) Validate() error {
	if !token(r.Gateway) {
		return ErrDevice
	}
	if !token(r.Kappa) || r.Revision == 0 || r.Window < 0 || len(r.Parts) == 0 || len(r.Parts) > PartsMost {
		return ErrRelease
	}
	values := len(r.Parts[0].Values)
	if values == 0 || values > ValuesMost {
		return ErrRelease
	}
	before := ""
	for i := range r.Parts {
		p := &r.Parts[i]
		if !token(p.Device) {
			return ErrDevice
		}
		if p.Device <= before || p.Units == 0 || len(p.Values) != values {
			return ErrRelease
		}
		before = p.Device
	}
	return nil
}

// SizeMost bounds the length of what AppendRequest writes for a release of so many parts and values, whatever the values
// and counts are: whoever charges for a release asks first.
func (r *Release) SizeMost() int {
	const head, number = 1 + 3, 10 // tag and length of a message below 2²¹ bytes; the longest varint
	size := head + sizeText(r.Gateway) + sizeText(r.Kappa) + 3*(1+number)
	for i := range r.Parts {
		p := &r.Parts[i]
		size += head + sizeText(p.Device) + 1 + number + head + number*len(p.Values)
	}
	return size
}

// Append encodes the message GatewayRelease behind b.
func (r *Release) Append(b []byte) []byte {
	b = appendText(b, 1, r.Gateway)
	b = appendText(b, 2, r.Kappa)
	b = appendVarint(b, 3, uint64(r.Revision))
	b = appendVarint(b, 4, uint64(r.Window))
	b = appendVarint(b, 5, uint64(r.Statistic))
	for i := range r.Parts {
		b = appendMessage(b, 6, r.Parts[i].append(nil))
	}
	return b
}

func (p *ReleasePart) append(b []byte) []byte {
	b = appendText(b, 1, p.Device)
	b = appendVarint(b, 2, uint64(p.Units))
	if len(p.Values) == 0 {
		return b
	}
	var packed []byte
	for _, v := range p.Values {
		packed = protowire.AppendVarint(packed, protowire.EncodeZigZag(v))
	}
	return appendMessage(b, 3, packed)
}

// AppendRequest encodes an IntakeRequest that holds this release behind b.
func (r *Release) AppendRequest(b []byte) []byte {
	return appendMessage(b, requestRelease, r.Append(nil))
}

// DecodeRelease reads the message GatewayRelease and checks its law.
func DecodeRelease(b []byte) (Release, error) {
	var r Release
	if len(b) > ReleaseMost {
		return r, ErrSize
	}
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.text(&r.Gateway)
		case 2:
			f.text(&r.Kappa)
		case 3:
			f.uint32(&r.Revision)
		case 4:
			f.int64(&r.Window)
		case 5:
			f.uint32(&r.Statistic)
		case 6:
			message(&f, decodeReleasePart, func(p ReleasePart) { r.Parts = append(r.Parts, p) })
			if len(r.Parts) > PartsMost {
				f.fail(ErrSize)
			}
		}
	}
	if f.err != nil {
		return Release{}, f.err
	}
	return r, r.Validate()
}

func decodeReleasePart(b []byte) (ReleasePart, error) {
	var p ReleasePart
	f := fields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			f.text(&p.Device)
		case 2:
			f.uint32(&p.Units)
		case 3:
			f.sint64s(&p.Values)
			if len(p.Values) > ValuesMost {
				f.fail(ErrSize)
			}
		}
	}
	return p, f.err
}

// DecodeReleaseRequest reads an IntakeRequest that holds a release and checks its law. A request that holds anything else, or
// nothing, is ErrMalformed here.
func DecodeReleaseRequest(b []byte) (Release, error) {
	if len(b) > ReleaseMost {
		return Release{}, ErrSize
	}
	content, err := requestContent(b, requestRelease)
	if err != nil {
		return Release{}, err
	}
	return DecodeRelease(content)
}

// IsRelease tells whether an IntakeRequest begins as one that holds a release: it decides which decoder to ask, and reads
// no more than a byte.
func IsRelease(b []byte) bool {
	return len(b) > 0 && b[0] == requestRelease<<3|byte(protowire.BytesType)
}
