package ledger

import (
	"fmt"
	"io"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// The names of the two files.
const (
	LogName    = "ledger.log"
	AnchorName = "ledger.anchor"
)

// Fault is why a ledger can't be trusted. It is an error; compare with errors.Is. Whoever gets one makes no report.
type Fault string

// Error returns the fault.
func (f Fault) Error() string { return string(f) }

// The faults, beside those of package privacy/ledger.
const (
	// FaultDevice: the ledger of another device.
	FaultDevice Fault = "ledger: belongs to another device"
	// FaultRolledBack: the log holds fewer records than the anchor has seen.
	FaultRolledBack Fault = "ledger: rolled back: it holds fewer charges than were made"
	// FaultAnchor: the anchor is missing, damaged, or that of another log.
	FaultAnchor Fault = "ledger: ledger.anchor is missing, damaged or doesn't belong to ledger.log"
	// FaultMissing: there is an anchor but no log.
	FaultMissing Fault = "ledger: ledger.log is missing or empty though ledger.anchor has seen one"
	// FaultStopped: a write or sync failed in a way that leaves unknown what is on disk. Open it again.
	FaultStopped Fault = "ledger: stopped after a failed write"
)

// Config says where a ledger lives and whose it is.
type Config struct {
	Folder disk.Folder
	Device string
	Limits law.Limits
	Random io.Reader // for the identity of a new ledger: crypto/rand.Reader on a device
}

// File is a ledger on disk, locked against other processes. It is not safe for concurrent use.
type File struct {
	owner   string
	log     disk.File
	anchor  disk.File
	book    *law.Book
	chain   law.Chain
	size    int64
	opened  time.Time
	stopped bool
}

// Book returns what was spent; it is the file's own and must not be changed.
func (f *File) Book() *law.Book { return f.book }

// Opened returns when the ledger began.
func (f *File) Opened() time.Time { return f.opened }

// Reserve makes a charge. When it returns nil, record and anchor are on stable storage. A refusal of the law changes
// nothing. When the disk is full the charge is not made and a later one may be; after any other failure, all are
// refused with FaultStopped.
func (f *File) Reserve(c law.Charge) error {
	if f.stopped {
		return FaultStopped
	}
	if err := f.book.Check(c); err != nil {
		return err
	}
	next, record, err := f.chain.Seal(c)
	if err != nil {
		return err
	}
	if err := f.append(record[:]); err != nil {
		return err
	}
	if err := anchorOf(f.owner, next).put(f.anchor); err != nil {
		f.stopped = true
		return fmt.Errorf("ledger anchor: %w", err)
	}
	f.chain, f.size = next, f.size+law.RecordBytes
	if err := f.book.Reserve(c); err != nil {
		f.stopped = true
		return err
	}
	return nil
}

// append writes and syncs a record. A write that failed is undone; when that isn't possible, or a sync failed, nobody
// knows what the disk holds, and the ledger stops.
func (f *File) append(record []byte) error {
	if _, err := f.log.WriteAt(record, f.size); err != nil {
		if undo := f.log.Truncate(f.size); undo != nil {
			f.stopped = true
		}
		return fmt.Errorf("ledger: %w", err)
	}
	if err := f.log.Sync(); err != nil {
		f.stopped = true
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// Close frees the lock. It is idempotent.
func (f *File) Close() error {
	f.stopped = true
	var first error
	for _, x := range []*disk.File{&f.log, &f.anchor} {
		if *x == nil {
			continue
		}
		if err := (*x).Close(); first == nil {
			first = err
		}
		*x = nil
	}
	return first
}
