package ledger

import (
	"hash/crc32"
	"time"
)

// RecordBytes is the length of every record. It divides 512, so that no record
// straddles two sectors of a disk.
const RecordBytes = 256

// TagBytes is the length of the mark of a memoised value.
const TagBytes = 16

// HashBytes is the length of the hash that ties a record to the one before.
const HashBytes = 32

// Kind says what a record records.
type Kind uint8

const (
	// KindOpen is the first record of a ledger: whose it is and since when.
	KindOpen Kind = 1
	// KindCharge is one charge.
	KindCharge Kind = 2
	// KindCheckpoint begins a compacted file: the sums of the device's life.
	KindCheckpoint Kind = 3
	// KindAccount is the sums of one kappa, in a checkpoint.
	KindAccount Kind = 4
	// KindKept is a charge that a period may still reach, in a checkpoint.
	KindKept Kind = 5
	// KindValue is a charge for the permanent answer to one memoised value.
	KindValue Kind = 6
	// KindTag is the mark of a memoised value that was charged, in a checkpoint.
	KindTag Kind = 7
	// KindSecret binds the ledger to the secret under which values have marks.
	KindSecret Kind = 8
)

// version is the version of the layout that brought the kind: 1 for what every
// version reads, 2 for compaction and memoised values, 3 for the secret, 0 for no
// kind.
func (k Kind) version() byte {
	switch k {
	case KindOpen, KindCharge:
		return 1
	case KindCheckpoint, KindAccount, KindKept, KindValue, KindTag:
		return 2
	case KindSecret:
		return 3
	}
	return 0
}

// Record is one entry of the ledger's file, in the layout of Encode.
type Record struct {
	Kind Kind
	// Sequence is 0 for the opening record and one more for each that follows.
	Sequence uint64
	// Previous is the SHA-256 of the record before, zero for the first.
	Previous [HashBytes]byte
	// Owner and Opened belong to KindOpen and KindCheckpoint: the device that the
	// ledger is bound to, 1 to KappaBytesMax bytes, and when it began.
	Owner  string
	Opened time.Time
	// Charge belongs to KindCharge and KindValue; KindKept has its kappa, start
	// and epsilon.
	Charge Charge
	// Tag belongs to KindValue, KindTag and KindSecret; it isn't zero.
	Tag [TagBytes]byte

	sums checkpoint // of KindCheckpoint
	own  account    // of KindAccount
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
	// FaultSecret: the ledger is bound to another secret.
	FaultSecret Fault = "ledger: is bound to another secret"
	// FaultEmpty: no opening record.
	FaultEmpty Fault = "ledger: has no beginning"
)

func checksum(b []byte) uint32 {
	return crc32.Checksum(b[:atChecksum], crc32.MakeTable(crc32.Castagnoli))
}
