package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// reconcile holds the log against an anchor. The log may be one step ahead, a record or a compaction: then the process
// died between the two syncs, and what the log says counts.
func (f *File) reconcile(h *holder, out *law.Replayed, content []byte) error {
	stored, err := h.read()
	if err != nil {
		return err
	}
	want := anchorOf(f.owner, f.chain, f.machine)
	got, slot, ok := decodeAnchor(stored)
	h.slot = slot
	switch {
	case !ok && (h.witness || f.chain.Length() == 1):
		err = h.begin(want)
	case !ok, got.owner != want.owner:
		return FaultAnchor
	case got.length > want.length:
		return FaultRolledBack
	case !f.here(got):
		return FaultMachine
	case got == want:
		return nil
	case got.length == want.length && got.head == want.head:
		err = h.bind(want)
	case h.witness && got.length < want.length:
		err = h.put(want)
	case f.oneStep(got, out, content):
		if err := f.harden(content); err != nil {
			return err
		}
		err = h.put(want)
	default:
		return FaultAnchor
	}
	if err != nil {
		return fmt.Errorf("ledger anchor: %w", err)
	}
	return nil
}

// read opens the file if need be and returns its content.
func (h *holder) read() ([]byte, error) {
	if h.file == nil {
		var err error
		if h.file, err = h.folder.Open(AnchorName, true); err != nil {
			return nil, err
		}
	}
	return disk.ReadAll(h.file)
}

// here says that the anchor is bound to this machine, or to none yet, or that the owner binds it anew.
func (f *File) here(a anchor) bool {
	return f.config.adopt || a.machine == [markBytes]byte{} || a.machine == f.machine
}

// oneStep says that the log is the anchor's with one record more, or compacted.
func (f *File) oneStep(a anchor, out *law.Replayed, content []byte) bool {
	if out.Compacted > 0 && len(content) == out.Compacted*law.RecordBytes {
		return out.Before.Length() == a.length && out.Before.Head() == a.head
	}
	last, err := law.DecodeRecord(content[len(content)-law.RecordBytes:])
	return err == nil && a.length+1 == f.chain.Length() && last.Previous == a.head
}

// harden makes sure that what was read is on the disk, and not only in the memory of a system that failed to write it,
// before an anchor swears to it.
func (f *File) harden(content []byte) error {
	last := int64(len(content) - law.RecordBytes)
	if _, err := f.log.WriteAt(content[last:], last); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := f.log.Sync(); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return f.config.Folder.Sync()
}

// Inspect reads a device's ledger without locking or changing it; it returns what was spent and since when. It fails with
// fs.ErrNotExist when there is none, and with the fault for which Open would refuse it.
func Inspect(c Config) (Account, error) {
	folders := []disk.Folder{c.Folder}
	if c.Witness != nil {
		folders = append(folders, c.Witness)
	}
	// The anchors first: a collector that works meanwhile can only put the log further ahead of them.
	var anchors [][]byte
	anchored := false
	for _, folder := range folders {
		stored, err := read(folder, AnchorName)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Account{}, err
		}
		anchors, anchored = append(anchors, stored), anchored || err == nil
	}
	content, err := read(c.Folder, LogName)
	if err != nil {
		if anchored && errors.Is(err, fs.ErrNotExist) {
			return Account{}, FaultMissing
		}
		return Account{}, err
	}
	if unborn(content) && anchored {
		return Account{}, FaultMissing
	}
	out, owner, err := replay(c.Device, c.Limits, content)
	if err != nil {
		return Account{}, err
	}
	f := &File{config: c, owner: owner, machine: machineMark(c.Device, c.Machine), chain: out.Chain}
	for i, stored := range anchors {
		if err := f.inspect(stored, i > 0); err != nil {
			return Account{}, err
		}
	}
	_, err = storedSecret(c.Folder, owner, out.Book)
	return Account{Book: out.Book, Opened: out.Opened, SecretLost: errors.Is(err, FaultSecret)}, nil
}

// inspect is the part of reconcile that a look from outside can judge.
func (f *File) inspect(stored []byte, witness bool) error {
	got, _, ok := decodeAnchor(stored)
	switch {
	case !ok && (witness || f.chain.Length() == 1):
		return nil
	case !ok, got.owner != anchorOf(f.owner, f.chain, f.machine).owner:
		return FaultAnchor
	case got.length > f.chain.Length():
		return FaultRolledBack
	case !f.here(got):
		return FaultMachine
	}
	return nil
}

// Account is a ledger as it can be looked at while the device works.
type Account struct {
	Book   *law.Book
	Opened time.Time
	// SecretLost says that permanent answers were given, and that the secret under which they were is gone.
	SecretLost bool
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
