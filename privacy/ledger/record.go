package ledger

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// RecordBytes is the length of every record. It divides 512, so that no record
// straddles two sectors of a disk.
const RecordBytes = 256

// recordVersion is the version of the layout that this package writes.
const recordVersion = 1

// HashBytes is the length of the hash that ties a record to the one before.
const HashBytes = 32

// Kind says what a record records.
type Kind uint8

const (
	// KindOpen is the first record of a ledger: whose it is and since when.
	KindOpen Kind = 1
	// KindCharge is one charge.
	KindCharge Kind = 2
)

// Record is one entry of the ledger's file, in the layout of Encode.
type Record struct {
	Kind Kind
	// Sequence is 0 for the opening record and one more for each that follows.
	Sequence uint64
	// Previous is the SHA-256 of the record before, zero for the first.
	Previous [HashBytes]byte
	// Owner and Opened belong to KindOpen: the device that the ledger is bound
	// to, 1 to KappaBytesMax bytes, and when it began.
	Owner  string
	Opened time.Time
	// Charge belongs to KindCharge.
	Charge Charge
}

// Fault is why a ledger can't be read. It is an error; compare with errors.Is.
// Whoever gets one makes no report.
type Fault string

// Error returns the fault.
func (f Fault) Error() string { return string(f) }

// The faults.
const (
	// FaultRecord: a record that isn't one: wrong length, checksum, version or
	// content.
	FaultRecord Fault = "ledger: record is damaged"
	// FaultChain: a record that doesn't follow the one before: something was
	// removed, inserted or taken from another ledger.
	FaultChain Fault = "ledger: chain is broken"
	// FaultOwner: the ledger of another device.
	FaultOwner Fault = "ledger: belongs to another device"
	// FaultEmpty: no opening record.
	FaultEmpty Fault = "ledger: has no beginning"
)

// The layout, version 1. All numbers are little endian; times and durations are
// nanoseconds, times since 1970; what isn't used is zero.
const (
	atMagic      = 0   // "QLDG"
	atVersion    = 4   // 1
	atKind       = 5   // Kind
	atNameLength = 6   // bytes of the name; 7 is zero
	atSequence   = 8   // uint64
	atStart      = 16  // int64: window start, or opening time
	atWindow     = 24  // int64
	atEpsilon    = 32  // uint64, millionths
	atPlanMost   = 40  // uint64, millionths
	atPlanPeriod = 48  // int64
	atName       = 56  // kappa or owner, 96 bytes, padded with zeros
	atPrevious   = 152 // 32 bytes
	atChecksum   = 252 // uint32: CRC-32C of bytes 0…251
)

const magic = "QLDG"

// Encode returns the record's bytes, or FaultRecord if it has no valid ones.
func (r Record) Encode() ([RecordBytes]byte, error) {
	var b [RecordBytes]byte
	copy(b[atMagic:], magic)
	b[atVersion] = recordVersion
	b[atKind] = byte(r.Kind)
	le := binary.LittleEndian
	le.PutUint64(b[atSequence:], r.Sequence)
	copy(b[atPrevious:], r.Previous[:])
	name, start := r.Owner, r.Opened
	if r.Kind == KindCharge {
		name, start = r.Charge.Kappa, r.Charge.WindowStart
		le.PutUint64(b[atWindow:], uint64(r.Charge.Window))
		le.PutUint64(b[atEpsilon:], r.Charge.Epsilon.Micro())
		le.PutUint64(b[atPlanMost:], r.Charge.PlanPerPeriod.Micro())
		le.PutUint64(b[atPlanPeriod:], uint64(r.Charge.PlanPeriod))
	}
	if err := r.validate(name, start); err != nil {
		return [RecordBytes]byte{}, err
	}
	b[atNameLength] = byte(len(name))
	copy(b[atName:], name)
	le.PutUint64(b[atStart:], uint64(start.UnixNano()))
	le.PutUint32(b[atChecksum:], checksum(b[:]))
	return b, nil
}

// validate checks the name before its length is cut to a byte, the start before
// it is cut to nanoseconds, and the charge.
func (r Record) validate(name string, start time.Time) error {
	seconds := start.Unix()
	if name == "" || len(name) > KappaBytesMax || seconds < 0 || seconds >= startMax/int64(time.Second) {
		return FaultRecord
	}
	switch r.Kind {
	case KindOpen:
		if r.Sequence != 0 || r.Previous != [HashBytes]byte{} {
			return FaultRecord
		}
	case KindCharge:
		if r.Sequence == 0 || r.Charge.Validate() != nil {
			return FaultRecord
		}
	default:
		return FaultRecord
	}
	return nil
}

// DecodeRecord reads a record. It accepts exactly the bytes that Encode makes
// and answers anything else with FaultRecord.
func DecodeRecord(b []byte) (Record, error) {
	le := binary.LittleEndian
	if len(b) != RecordBytes || string(b[:atVersion]) != magic || b[atVersion] != recordVersion ||
		le.Uint32(b[atChecksum:]) != checksum(b) || b[atNameLength] > KappaBytesMax {
		return Record{}, FaultRecord
	}
	r := Record{Kind: Kind(b[atKind]), Sequence: le.Uint64(b[atSequence:])}
	copy(r.Previous[:], b[atPrevious:])
	name := string(b[atName : atName+int(b[atNameLength])])
	start := time.Unix(0, int64(le.Uint64(b[atStart:]))).UTC()
	if r.Kind == KindCharge {
		r.Charge = Charge{
			Kappa: name, WindowStart: start,
			Window:        time.Duration(le.Uint64(b[atWindow:])),
			Epsilon:       privacy.Epsilon(le.Uint64(b[atEpsilon:])),
			PlanPerPeriod: privacy.Epsilon(le.Uint64(b[atPlanMost:])),
			PlanPeriod:    time.Duration(le.Uint64(b[atPlanPeriod:])),
		}
	} else {
		r.Owner, r.Opened = name, start
	}
	again, err := r.Encode()
	if err != nil || !bytes.Equal(again[:], b) {
		return Record{}, FaultRecord
	}
	return r, nil
}

func checksum(b []byte) uint32 {
	return crc32.Checksum(b[:atChecksum], crc32.MakeTable(crc32.Castagnoli))
}
