package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// idBytes is the length of a ledger's random identity.
const idBytes = 12

// Open opens the device's ledger, or begins one when neither file exists. It locks it and rebuilds what was spent.
func Open(c Config, now time.Time) (*File, error) {
	f := &File{config: c, machine: machineMark(c.Device, c.Machine)}
	if err := f.open(now); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Adopt binds a ledger to this machine, in place of the one that it was bound to. The owner asks for it, who knows that
// the other machine no longer speaks for the device.
func Adopt(c Config, now time.Time) error {
	c.existing, c.adopt = true, true
	f, err := Open(c, now)
	if err != nil {
		return err
	}
	return f.Close()
}

func (f *File) open(now time.Time) error {
	c := &f.config
	if err := c.Limits.Validate(); err != nil {
		return err
	}
	var err error
	if f.log, err = c.Folder.Open(LogName, !c.existing); err != nil {
		return err
	}
	if err := f.log.Lock(); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := f.openAnchors(); err != nil {
		return err
	}
	content, err := disk.ReadAll(f.log)
	if err != nil {
		return err
	}
	if unborn(content) {
		if content, err = f.begin(now); err != nil {
			return err
		}
	}
	// What a compaction that was cut short has left. It never had the log's name, so it tells nothing.
	if err := c.Folder.Remove(newLogName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := f.replay(content)
	if err != nil {
		return err
	}
	for _, h := range f.holders {
		if err := f.reconcile(h, &out, content[:f.size]); err != nil {
			return err
		}
	}
	f.compacted = int64(out.Compacted) * law.RecordBytes
	return nil
}

// openAnchors opens what there is; files that are missing are made when the log is known.
func (f *File) openAnchors() error {
	f.holders = []*holder{{folder: f.config.Folder}}
	if f.config.Witness != nil {
		f.holders = append(f.holders, &holder{folder: f.config.Witness, witness: true})
	}
	for _, h := range f.holders {
		var err error
		if h.file, err = h.folder.Open(AnchorName, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// unborn says that a log has no whole first record: its creation was cut short, before any charge.
func unborn(content []byte) bool {
	if len(content) < law.RecordBytes {
		return true
	}
	return len(content) == law.RecordBytes && strings.Trim(string(content), "\x00") == ""
}

// begin writes the opening record of a log without one, and returns the log's content.
func (f *File) begin(now time.Time) ([]byte, error) {
	c := &f.config
	if c.existing || slices.ContainsFunc(f.holders, func(h *holder) bool { return h.file != nil }) {
		return nil, FaultMissing
	}
	var id [idBytes]byte
	if _, err := io.ReadFull(c.Random, id[:]); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	_, record, err := law.Open(ownerPrefix(c.Device)+hex.EncodeToString(id[:]), now)
	if err != nil {
		return nil, err
	}
	if err := f.log.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := f.log.WriteAt(record[:], 0); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := f.log.Sync(); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := c.Folder.Sync(); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return disk.ReadAll(f.log)
}

// ownerPrefix binds a ledger to a device without naming it: the SHA-256 of its identity.
func ownerPrefix(device string) string {
	sum := sha256.Sum256([]byte("quadrat ledger\x00" + device))
	return hex.EncodeToString(sum[:]) + "-"
}

// replay rebuilds book and chain, and cuts an unfinished last record off.
func (f *File) replay(content []byte) (law.Replayed, error) {
	out, owner, err := replay(f.config.Device, f.config.Limits, content)
	if err != nil {
		return out, err
	}
	f.owner, f.book, f.chain, f.opened = owner, out.Book, out.Chain, out.Opened
	f.size = int64(len(content) - out.TornBytes)
	if out.TornBytes == 0 {
		return out, nil
	}
	if err := f.log.Truncate(f.size); err != nil {
		return out, err
	}
	return out, f.log.Sync()
}

func replay(device string, limits law.Limits, content []byte) (law.Replayed, string, error) {
	if len(content) < law.RecordBytes {
		return law.Replayed{}, "", law.FaultEmpty
	}
	first, err := law.DecodeRecord(content[:law.RecordBytes])
	if err != nil {
		return law.Replayed{}, "", err
	}
	if first.Owner == "" {
		return law.Replayed{}, "", law.FaultChain
	}
	if !strings.HasPrefix(first.Owner, ownerPrefix(device)) {
		return law.Replayed{}, "", FaultDevice
	}
	out, err := law.Replay(limits, first.Owner, content)
	return out, first.Owner, err
}
