package ledger

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// The layout. All numbers are little endian; times and durations are
// nanoseconds, times since 1970; what isn't used is zero. FORMAT.md says what
// each kind has at each place.
const (
	atMagic      = 0   // "QLDG"
	atVersion    = 4   // of the kind
	atKind       = 5   // Kind
	atNameLength = 6   // bytes of the name; 7 is zero
	atSequence   = 8   // uint64
	atStart      = 16  // int64: window start, opening time, newest window
	atWindow     = 24  // int64: window; newest end; longest period
	atEpsilon    = 32  // uint64, millionths: of the charge, or a sum
	atPlanMost   = 40  // uint64, millionths; int64: latest start forgotten
	atPlanPeriod = 48  // int64; widest window
	atName       = 56  // kappa or owner, 96 bytes, padded with zeros
	atPrevious   = 152 // 32 bytes
	atTag        = 184 // 16 bytes; or uint64: sum of rho
	atReports    = 192 // uint64: sum
	atAccounts   = 200 // uint32
	atKept       = 204 // uint32
	atTags       = 208 // uint32
	atChecksum   = 252 // uint32: CRC-32C of bytes 0…251
)

const magic = "QLDG"

// Encode returns the record's bytes, or FaultRecord if it has no valid ones.
func (r Record) Encode() ([RecordBytes]byte, error) {
	var b [RecordBytes]byte
	if err := r.validate(); err != nil {
		return b, err
	}
	copy(b[atMagic:], magic)
	b[atVersion], b[atKind] = r.Kind.version(), byte(r.Kind)
	binary.LittleEndian.PutUint64(b[atSequence:], r.Sequence)
	copy(b[atPrevious:], r.Previous[:])
	name := r.name()
	b[atNameLength] = byte(len(name))
	copy(b[atName:], name)
	r.body(b[:])
	binary.LittleEndian.PutUint32(b[atChecksum:], checksum(b[:]))
	return b, nil
}

// name is the text that the record carries.
func (r *Record) name() string {
	switch r.Kind {
	case KindOpen, KindCheckpoint:
		return r.Owner
	case KindAccount:
		return r.own.name
	default:
		return r.Charge.Kappa
	}
}

// body writes what belongs to the kind.
func (r *Record) body(b []byte) {
	le := binary.LittleEndian
	switch r.Kind {
	case KindOpen:
		le.PutUint64(b[atStart:], uint64(r.Opened.UnixNano()))
	case KindCharge, KindKept, KindValue:
		c := &r.Charge
		le.PutUint64(b[atStart:], uint64(c.WindowStart.UnixNano()))
		le.PutUint64(b[atWindow:], uint64(c.Window))
		le.PutUint64(b[atEpsilon:], c.Epsilon.Micro())
		le.PutUint64(b[atPlanMost:], c.PlanPerPeriod.Micro())
		le.PutUint64(b[atPlanPeriod:], uint64(c.PlanPeriod))
		copy(b[atTag:], r.Tag[:])
	case KindTag, KindSecret:
		copy(b[atTag:], r.Tag[:])
	case KindCheckpoint:
		le.PutUint64(b[atStart:], uint64(r.Opened.UnixNano()))
		le.PutUint64(b[atWindow:], uint64(r.sums.newestEnd))
		le.PutUint64(b[atPlanMost:], uint64(r.sums.forgotten))
		le.PutUint64(b[atPlanPeriod:], uint64(r.sums.widest))
		le.PutUint32(b[atAccounts:], r.sums.accounts)
		le.PutUint32(b[atKept:], r.sums.kept)
		le.PutUint32(b[atTags:], r.sums.tags)
		r.sums.spent.put(b)
	case KindAccount:
		le.PutUint64(b[atStart:], uint64(r.own.newest))
		le.PutUint64(b[atWindow:], uint64(r.own.period))
		le.PutUint64(b[atPlanMost:], uint64(r.own.forgotten))
		r.own.spent.put(b)
	}
}

func (s *Spent) put(b []byte) {
	binary.LittleEndian.PutUint64(b[atEpsilon:], s.Epsilon.Micro())
	binary.LittleEndian.PutUint64(b[atTag:], s.Rho)
	binary.LittleEndian.PutUint64(b[atReports:], s.Reports)
}

// validate checks the name before its length is cut to a byte, and times before
// they are cut to nanoseconds.
func (r *Record) validate() error {
	name := r.name()
	ok := len(name) <= KappaBytesMax && (name != "") == (r.Kind != KindTag && r.Kind != KindSecret)
	switch r.Kind {
	case KindOpen:
		ok = ok && within1970to2200(r.Opened) && r.Sequence == 0 && r.Previous == [HashBytes]byte{}
	case KindCharge:
		ok = ok && r.Charge.Validate() == nil && r.Tag == [TagBytes]byte{}
	case KindValue:
		ok = ok && r.Charge.Validate() == nil && r.Tag != [TagBytes]byte{}
	case KindKept:
		c := r.Charge
		c.Window, c.PlanPerPeriod, c.PlanPeriod = 1, 1, 1
		ok = ok && c.Validate() == nil && r.Charge.Window|r.Charge.PlanPeriod == 0 && r.Charge.PlanPerPeriod == 0 &&
			r.Tag == [TagBytes]byte{}
	case KindTag, KindSecret:
		ok = ok && r.Tag != [TagBytes]byte{}
	case KindCheckpoint:
		ok = ok && within1970to2200(r.Opened) && r.sums.sound()
	case KindAccount:
		ok = ok && moment(r.own.newest) && moment(r.own.forgotten) && r.own.period >= 0 && r.own.period <= int64(PeriodMax)
	default:
		ok = false
	}
	if !ok || r.Kind != KindOpen && r.Sequence == 0 {
		return FaultRecord
	}
	return nil
}

func within1970to2200(t time.Time) bool {
	seconds := t.Unix()
	return seconds >= 0 && seconds < startMax/int64(time.Second)
}

// moment says whether nanoseconds are a time that a charge can have, or never.
func moment(at int64) bool { return at == never || at >= 0 && at <= startMax+int64(WindowMax) }

// DecodeRecord reads a record. It accepts exactly the bytes that Encode makes
// and answers anything else with FaultRecord.
func DecodeRecord(b []byte) (Record, error) {
	le := binary.LittleEndian
	if len(b) != RecordBytes || string(b[:atVersion]) != magic || b[atNameLength] > KappaBytesMax ||
		le.Uint32(b[atChecksum:]) != checksum(b) {
		return Record{}, FaultRecord
	}
	r := Record{Kind: Kind(b[atKind]), Sequence: le.Uint64(b[atSequence:])}
	copy(r.Previous[:], b[atPrevious:])
	r.take(b, string(b[atName:atName+int(b[atNameLength])]))
	again, err := r.Encode()
	if err != nil || !bytes.Equal(again[:], b) {
		return Record{}, FaultRecord
	}
	return r, nil
}

// take reads what belongs to the kind.
func (r *Record) take(b []byte, name string) {
	le := binary.LittleEndian
	number := func(at int) int64 { return int64(le.Uint64(b[at:])) }
	switch r.Kind {
	case KindOpen:
		r.Owner, r.Opened = name, time.Unix(0, number(atStart)).UTC()
	case KindCharge, KindKept, KindValue:
		r.Charge = Charge{
			Kappa: name, WindowStart: time.Unix(0, number(atStart)).UTC(),
			Window:        time.Duration(number(atWindow)),
			Epsilon:       privacy.Epsilon(le.Uint64(b[atEpsilon:])),
			PlanPerPeriod: privacy.Epsilon(le.Uint64(b[atPlanMost:])),
			PlanPeriod:    time.Duration(number(atPlanPeriod)),
		}
		copy(r.Tag[:], b[atTag:])
	case KindTag, KindSecret:
		copy(r.Tag[:], b[atTag:])
	case KindCheckpoint:
		r.Owner, r.Opened = name, time.Unix(0, number(atStart)).UTC()
		r.sums = checkpoint{
			newestEnd: number(atWindow), forgotten: number(atPlanMost), widest: number(atPlanPeriod), spent: spentOf(b),
			accounts: le.Uint32(b[atAccounts:]), kept: le.Uint32(b[atKept:]), tags: le.Uint32(b[atTags:]),
		}
	case KindAccount:
		r.own = account{
			name: name, newest: number(atStart), period: number(atWindow), forgotten: number(atPlanMost), spent: spentOf(b),
		}
	}
}

func spentOf(b []byte) Spent {
	le := binary.LittleEndian
	return Spent{
		Epsilon: privacy.Epsilon(le.Uint64(b[atEpsilon:])), Rho: le.Uint64(b[atTag:]), Reports: le.Uint64(b[atReports:]),
	}
}
