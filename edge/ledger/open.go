package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// idBytes is the length of a ledger's random identity.
const idBytes = 12

// Open opens the device's ledger, or begins one when neither file exists. It locks it and rebuilds what was spent.
func Open(c Config, now time.Time) (*File, error) {
	f := &File{}
	if err := f.open(c, now); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) open(c Config, now time.Time) error {
	if err := c.Limits.Validate(); err != nil {
		return err
	}
	var err error
	if f.log, err = c.Folder.Open(LogName, true); err != nil {
		return err
	}
	if err := f.log.Lock(); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	f.anchor, err = c.Folder.Open(AnchorName, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	content, err := disk.ReadAll(f.log)
	if err != nil {
		return err
	}
	if unborn(content) {
		if f.anchor != nil {
			return FaultMissing
		}
		if err := f.begin(c, now); err != nil {
			return err
		}
		content, err = disk.ReadAll(f.log)
		if err != nil {
			return err
		}
	}
	if err := f.replay(c, content); err != nil {
		return err
	}
	return f.reconcile(c, content[:f.size])
}

// unborn says that a log has no whole first record: its creation was cut short, before any charge.
func unborn(content []byte) bool {
	if len(content) < law.RecordBytes {
		return true
	}
	return len(content) == law.RecordBytes && strings.Trim(string(content), "\x00") == ""
}

// begin writes the opening record.
func (f *File) begin(c Config, now time.Time) error {
	var id [idBytes]byte
	if _, err := io.ReadFull(c.Random, id[:]); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	_, record, err := law.Open(ownerPrefix(c.Device)+hex.EncodeToString(id[:]), now)
	if err != nil {
		return err
	}
	if err := f.log.Truncate(0); err != nil {
		return err
	}
	if _, err := f.log.WriteAt(record[:], 0); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := f.log.Sync(); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return c.Folder.Sync()
}

// ownerPrefix binds a ledger to a device without naming it: the SHA-256 of its identity.
func ownerPrefix(device string) string {
	sum := sha256.Sum256([]byte("quadrat ledger\x00" + device))
	return hex.EncodeToString(sum[:]) + "-"
}

// replay rebuilds book and chain, and cuts an unfinished last record off.
func (f *File) replay(c Config, content []byte) error {
	out, owner, err := replay(c.Device, c.Limits, content)
	if err != nil {
		return err
	}
	f.owner, f.book, f.chain, f.opened = owner, out.Book, out.Chain, out.Opened
	f.size = int64(len(content) - out.TornBytes)
	if out.TornBytes == 0 {
		return nil
	}
	if err := f.log.Truncate(f.size); err != nil {
		return err
	}
	return f.log.Sync()
}

func replay(device string, limits law.Limits, content []byte) (law.Replayed, string, error) {
	if len(content) < law.RecordBytes {
		return law.Replayed{}, "", law.FaultEmpty
	}
	first, err := law.DecodeRecord(content[:law.RecordBytes])
	if err != nil {
		return law.Replayed{}, "", err
	}
	if !strings.HasPrefix(first.Owner, ownerPrefix(device)) {
		return law.Replayed{}, "", FaultDevice
	}
	out, err := law.Replay(limits, first.Owner, content)
	return out, first.Owner, err
}

// reconcile holds the log against the anchor. The log may be one record ahead: then the process died between the two
// syncs, and the charge counts.
func (f *File) reconcile(c Config, content []byte) error {
	if f.anchor == nil {
		var err error
		if f.anchor, err = c.Folder.Open(AnchorName, true); err != nil {
			return err
		}
	}
	stored, err := disk.ReadAll(f.anchor)
	if err != nil {
		return err
	}
	want := anchorOf(f.owner, f.chain)
	got, ok := decodeAnchor(stored)
	switch {
	case !ok && f.chain.Length() == 1:
		return f.beginAnchor(c, want)
	case !ok, got.owner != want.owner:
		return FaultAnchor
	case got == want:
		return nil
	case got.length > want.length:
		return FaultRolledBack
	case got.length+1 != want.length:
		return FaultAnchor
	}
	last, err := law.DecodeRecord(content[len(content)-law.RecordBytes:])
	if err != nil || last.Previous != got.head {
		return FaultAnchor
	}
	return want.put(f.anchor)
}

// beginAnchor gives the anchor its full length, so that it never needs room on a full disk, and writes it.
func (f *File) beginAnchor(c Config, want anchor) error {
	if err := f.anchor.Truncate(0); err != nil {
		return err
	}
	if _, err := f.anchor.WriteAt(make([]byte, slots*slotPitch), 0); err != nil {
		return fmt.Errorf("ledger anchor: %w", err)
	}
	if err := want.put(f.anchor); err != nil {
		return fmt.Errorf("ledger anchor: %w", err)
	}
	return c.Folder.Sync()
}

// Account is a ledger as it can be looked at while the device works.
type Account struct {
	Book   *law.Book
	Opened time.Time
}

// Inspect reads a device's ledger without locking or changing it. It fails with fs.ErrNotExist when there is none, and
// with the fault for which Open would refuse it.
func Inspect(folder disk.Folder, device string, limits law.Limits) (Account, error) {
	// The anchor first: a collector that works meanwhile can only put the log further ahead of it.
	stored, err := read(folder, AnchorName)
	anchored := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Account{}, err
	}
	content, err := read(folder, LogName)
	if err != nil {
		if anchored && errors.Is(err, fs.ErrNotExist) {
			return Account{}, FaultMissing
		}
		return Account{}, err
	}
	out, owner, err := replay(device, limits, content)
	if err != nil {
		return Account{}, err
	}
	got, ok := decodeAnchor(stored)
	switch {
	case !ok && out.Chain.Length() > 1, ok && got.owner != anchorOf(owner, out.Chain).owner:
		return Account{}, FaultAnchor
	case got.length > out.Chain.Length():
		return Account{}, FaultRolledBack
	}
	return Account{Book: out.Book, Opened: out.Opened}, nil
}

func read(folder disk.Folder, name string) ([]byte, error) {
	f, err := folder.Open(name, false)
	if err != nil {
		return nil, err
	}
	b, err := disk.ReadAll(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return b, err
}
