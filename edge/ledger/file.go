package ledger

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/privacy"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// The names of the files. A compacted log is written under its own name before it takes the place of the old one.
const (
	LogName    = "ledger.log"
	AnchorName = "ledger.anchor"
	newLogName = "ledger.new"
)

// compactDefault is the fewest charges that are appended before the log is compacted, unless the Config names a number.
const compactDefault = 512

// Fault is why a ledger can't be trusted. It is an error; compare with errors.Is. Whoever gets one makes no report.
type Fault string

// Error returns the fault.
func (f Fault) Error() string { return string(f) }

// The faults, beside those of package privacy/ledger.
const (
	// FaultDevice: the ledger of another device.
	FaultDevice Fault = "ledger: belongs to another device"
	// FaultMachine: the ledger is bound to another machine, or this one's identity can't be read.
	FaultMachine Fault = "ledger: was made on another machine, or this machine's identity can't be read"
	// FaultRolledBack: the log holds fewer records than the anchor has seen.
	FaultRolledBack Fault = "ledger: rolled back: it holds fewer charges than were made"
	// FaultAnchor: the anchor is missing, damaged, or that of another log.
	FaultAnchor Fault = "ledger: ledger.anchor is missing, damaged or doesn't belong to ledger.log"
	// FaultMissing: there is an anchor but no log.
	FaultMissing Fault = "ledger: ledger.log is missing or empty though ledger.anchor has seen one"
	// FaultSecret: the secret that the ledger is bound to is gone, so there are no permanent answers any more. A new one would be a
	// second permanent answer to everything, for the same epsilon.
	FaultSecret Fault = "ledger: ledger.secret is missing, damaged or not the one that was made for this ledger" //nolint:gosec // a text
	// FaultStopped: a write or sync failed in a way that leaves unknown what is on disk, and opening the ledger again fails.
	FaultStopped Fault = "ledger: stopped after a failed write"
)

// Config says where a ledger lives and whose it is.
type Config struct {
	Folder disk.Folder
	// Witness is a second place for the anchor, outside of what a backup of Folder restores; nil for none.
	Witness disk.Folder
	Device  string
	// Machine tells this machine from others; empty when it has nothing to tell by. A ledger is bound to the first machine
	// that opens it.
	Machine string
	Limits  law.Limits
	Random  io.Reader // for the identity of a new ledger, and for its secret: crypto/rand.Reader on a device
	// CompactRecords is how many charges are appended before the log is compacted; 0 for 512 or as many as would stay,
	// whichever is more.
	CompactRecords int

	existing, adopt bool
}

// File is a ledger on disk, locked against other processes. It is not safe for concurrent use.
type File struct {
	config    Config
	owner     string
	machine   [markBytes]byte
	log       disk.File
	holders   []*holder
	book      *law.Book
	chain     law.Chain
	size      int64
	opened    time.Time
	compacted int64                      // bytes of the log that a compaction made, or at which one failed
	secret    *[privacy.SecretBytes]byte // once it was asked for
	stopped   bool
	closed    bool
}

// Book returns what was spent; it is the file's own, valid until the next Reserve, and must not be changed.
func (f *File) Book() *law.Book { return f.book }

// Opened returns when the ledger began.
func (f *File) Opened() time.Time { return f.opened }

// Expect tells the ledger what a plan will charge, so that it keeps as much of the past as that needs.
func (f *File) Expect(kappa string, window, planPeriod time.Duration) {
	f.book.Expect(kappa, window, planPeriod)
}

// Reserve makes a charge. When it returns nil, record and anchor are on stable storage. A refusal of the law changes
// nothing. When the disk is full the charge is not made and a later one may be. After any other failure nobody knows what
// the disk holds; the next Reserve reads it all again, as a restart would, and fails with FaultStopped when it can't be
// trusted.
func (f *File) Reserve(c law.Charge) error {
	if err := f.ready(); err != nil {
		return err
	}
	if err := f.book.Check(c); err != nil {
		return err
	}
	next, record, err := f.chain.Seal(c)
	if err != nil {
		return err
	}
	if err := f.commit(next, record); err != nil {
		return err
	}
	return f.booked(f.book.Reserve(c))
}

// ReserveValue is Reserve for a report that draws on the memoised value with that mark: only the value's first report is
// charged and written. It fails with FaultSecret unless Secret was asked for before.
func (f *File) ReserveValue(c law.Charge, tag [law.TagBytes]byte) error {
	if err := f.ready(); err != nil {
		return err
	}
	if _, bound := f.book.Secret(); !bound {
		return FaultSecret
	}
	if err := f.book.CheckValue(c, tag); err != nil || f.book.Remembers(tag) {
		return err
	}
	next, record, err := f.chain.SealValue(c, tag)
	if err != nil {
		return err
	}
	if err := f.commit(next, record); err != nil {
		return err
	}
	return f.booked(f.book.ReserveValue(c, tag))
}

// ready opens a ledger again that has stopped.
func (f *File) ready() error {
	if f.closed {
		return FaultStopped
	}
	if !f.stopped {
		return nil
	}
	_ = f.release()
	c := f.config
	c.existing, c.adopt = true, false
	again, err := Open(c, f.opened)
	if err != nil {
		return fmt.Errorf("%w: %w", FaultStopped, err)
	}
	if again.owner != f.owner || again.chain.Length() < f.chain.Length() {
		_ = again.Close()
		return fmt.Errorf("%w: %w", FaultStopped, FaultRolledBack)
	}
	*f = *again
	return nil
}

// commit makes a record durable, and then the anchors that tell of it.
func (f *File) commit(next law.Chain, record [law.RecordBytes]byte) error {
	if err := f.append(record[:]); err != nil {
		return err
	}
	a := anchorOf(f.owner, next, f.machine)
	for _, h := range f.holders {
		if err := h.put(a); err != nil {
			f.stopped = true
			return fmt.Errorf("ledger anchor: %w", err)
		}
	}
	f.chain, f.size = next, f.size+law.RecordBytes
	return nil
}

// booked ends a charge that is on disk.
func (f *File) booked(err error) error {
	if err != nil {
		f.stopped = true
		return err
	}
	if f.worthCompacting() {
		f.compact()
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
	f.stopped, f.closed = true, true
	return f.release()
}

func (f *File) release() error {
	var errs []error
	for _, h := range f.holders {
		if h.file != nil {
			errs = append(errs, h.file.Close())
		}
	}
	if f.log != nil {
		errs = append(errs, f.log.Close())
	}
	f.log, f.holders = nil, nil
	return errors.Join(errs...)
}
