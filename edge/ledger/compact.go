package ledger

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/edge/disk"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// worthCompacting says that enough was appended: as many charges as were asked for, or as many as a compacted log would
// hold, so that writing it costs no more than they did.
func (f *File) worthCompacting() bool {
	least := f.config.CompactRecords
	if least <= 0 {
		least = max(compactDefault, f.book.Weight())
	}
	return f.size-f.compacted >= int64(least)*law.RecordBytes
}

// compact puts a compacted log in the place of the old one: written whole and synced under another name, read back,
// renamed, the folder synced, then the anchors. A failure before the new name leaves the old log as it was and is tried
// again later; a failure after it stops the ledger. Neither touches the charge that was made before.
func (f *File) compact() {
	next, block, err := f.chain.Compact(f.book, f.owner, f.opened)
	if err != nil {
		f.compacted = f.size
		return
	}
	fresh, book, err := f.writeCompacted(next, block)
	if err != nil {
		_ = f.config.Folder.Remove(newLogName)
		f.compacted = f.size
		return
	}
	if err := f.adoptCompacted(next); err != nil {
		_ = fresh.Close()
		f.stopped = true
		return
	}
	// Whoever opened the old file before it lost its name gets its lock now, and finds that it is behind the anchor.
	_ = f.log.Close()
	f.log, f.book, f.chain = fresh, book, next
	f.size, f.compacted = int64(len(block)), int64(len(block))
}

// writeCompacted writes the new file, locked, and reads it back: it must tell what the book tells.
func (f *File) writeCompacted(next law.Chain, block []byte) (disk.File, *law.Book, error) {
	fresh, err := f.config.Folder.Open(newLogName, true)
	if err != nil {
		return nil, nil, err
	}
	book, err := f.check(fresh, next, block)
	if err != nil {
		_ = fresh.Close()
		return nil, nil, err
	}
	return fresh, book, nil
}

// check fills the file and replays it.
func (f *File) check(fresh disk.File, next law.Chain, block []byte) (*law.Book, error) {
	if err := fresh.Lock(); err != nil {
		return nil, err
	}
	if err := fill(fresh, block); err != nil {
		return nil, err
	}
	stored, err := disk.ReadAll(fresh)
	if err != nil {
		return nil, err
	}
	out, err := law.Replay(f.config.Limits, f.owner, stored)
	if err != nil {
		return nil, err
	}
	if out.Chain != next || out.Book.Spent() != f.book.Spent() {
		return nil, law.FaultChain
	}
	return out.Book, nil
}

// adoptCompacted gives the new file its name and tells the anchors.
func (f *File) adoptCompacted(next law.Chain) error {
	if err := f.config.Folder.Rename(newLogName, LogName); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := f.config.Folder.Sync(); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	a := anchorOf(f.owner, next, f.machine)
	for _, h := range f.holders {
		if err := h.put(a); err != nil {
			return fmt.Errorf("ledger anchor: %w", err)
		}
	}
	return nil
}
