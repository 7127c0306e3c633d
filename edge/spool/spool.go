package spool

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"

	"github.com/quadrat-dev/quadrat/edge/disk"
)

// Policy says what goes when the spool is full.
type Policy uint8

const (
	// DropOldest deletes the oldest segment.
	DropOldest Policy = iota
	// DropNewest refuses the new report.
	DropNewest
)

const (
	// segments is how many make up the cap.
	segments = 8
	// BytesLeast is the smallest cap.
	BytesLeast = segments * 4096
)

// Config says where a spool lives and how large it may be.
type Config struct {
	Folder   disk.Folder
	BytesMax int64 // of all files together, BytesLeast or more
	Policy   Policy
}

// Error is an error of this package, comparable with errors.Is.
type Error string

// Error returns the text of the error.
func (e Error) Error() string { return string(e) }

// The errors of this package.
const (
	// ErrFull says that a report was dropped because there is no room. It was counted.
	ErrFull Error = "spool: full, report dropped"
	// ErrSize says that the cap is below BytesLeast, or a report is empty or longer than 32 KiB.
	ErrSize Error = "spool: cap or report out of range"
	// ErrClosed says that the spool was closed.
	ErrClosed Error = "spool: closed"
)

// Totals counts reports over the spool's whole life, restarts included.
type Totals struct {
	Appended uint64 // taken in
	Stored   uint64 // settled: the intake has them
	Rejected uint64 // settled: the intake never takes them
	Dropped  uint64 // lost for lack of room
	Damaged  uint64 // lost because the disk gave back something else
}

// Outcome settles a report.
type Outcome uint8

// The outcomes.
const (
	Stored   = Outcome(kindStored)
	Rejected = Outcome(kindRejected)
)

// Entry is a report that waits.
type Entry struct {
	ID    uint64 // ascending in the order of Append, never used twice
	Bytes []byte
}

// Spool is a disk spool. It is safe for concurrent use. Only one process may open a folder at a time; the ledger's lock
// sees to that.
type Spool struct {
	config Config

	mu       sync.Mutex // guards all below
	segments []*segment // oldest first; the last one takes appends
	pending  []place    // by id
	nextID   uint64
	sequence uint64 // of the last segment
	totals   Totals
	closed   bool
}

// place is where a report lies.
type place struct {
	id      uint64
	segment *segment
	at      int64
	size    int
}

// Append takes a report in; when it returns nil the report is durable. It fails with ErrFull when there is no room and
// the policy doesn't make some, or the disk itself is full.
func (s *Spool) Append(report []byte) (id uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, ErrClosed
	}
	if len(report) == 0 || len(report) > payloadMost || int64(len(report)) > s.segmentMost()/2 {
		return 0, ErrSize
	}
	id = s.nextID
	record := encodeRecord(kindReport, id, report)
	for {
		err = s.room(len(record), s.config.Policy == DropOldest)
		if err == nil {
			err = s.write(record)
		}
		if err == nil {
			break
		}
		if s.config.Policy == DropNewest || !errors.Is(err, syscall.ENOSPC) || !s.dropOldest() {
			s.totals.Dropped++
			return 0, fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	last := s.segments[len(s.segments)-1]
	s.pending = append(s.pending, place{id: id, segment: last, at: last.size - int64(len(record)), size: len(record)})
	last.pending++
	s.nextID++
	s.totals.Appended++
	return id, nil
}

func (s *Spool) segmentMost() int64 { return s.config.BytesMax / segments }

// room makes sure that the last segment can take a record, beginning a new one if need be.
func (s *Spool) room(bytes int, drop bool) error {
	if n := len(s.segments); n > 0 {
		last := s.segments[n-1]
		if !last.sealed && last.size+int64(bytes) <= s.segmentMost() {
			return nil
		}
	}
	for len(s.segments) >= segments {
		if !drop || !s.dropOldest() {
			return ErrFull
		}
	}
	return s.begin()
}

// begin starts a segment.
func (s *Spool) begin() error {
	name := segmentName(s.sequence + 1)
	f, err := s.config.Folder.Open(name, true)
	if err != nil {
		return err
	}
	head := encodeHead(s.nextID, s.totals)
	if _, err = f.WriteAt(head, 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = s.config.Folder.Sync()
	}
	if err != nil {
		_ = f.Close()
		_ = s.config.Folder.Remove(name)
		return err
	}
	s.sequence++
	s.segments = append(s.segments, &segment{name: name, file: f, size: int64(len(head))})
	return nil
}

// write appends a record to the last segment and syncs. A record that failed is cut off; where that isn't possible the
// segment takes no more.
func (s *Spool) write(record []byte) error {
	last := s.segments[len(s.segments)-1]
	_, err := last.file.WriteAt(record, last.size)
	if err == nil {
		err = last.file.Sync()
	}
	if err != nil {
		if undo := last.file.Truncate(last.size); undo != nil {
			last.sealed = true
		}
		return err
	}
	last.size += int64(len(record))
	return nil
}

// dropOldest deletes the oldest segment that isn't the last one; false when there is none.
func (s *Spool) dropOldest() bool {
	if len(s.segments) < 2 {
		return false
	}
	oldest := s.segments[0]
	s.pending = slices.DeleteFunc(s.pending, func(p place) bool { return p.segment == oldest })
	s.totals.Dropped += uint64(oldest.pending)
	s.remove()
	return true
}

// remove deletes the first segment.
func (s *Spool) remove() {
	first := s.segments[0]
	_ = first.file.Close()
	// A file that stays is read again at the next start: its reports are sent twice, and counted once by the engine.
	_ = s.config.Folder.Remove(first.name)
	s.segments = s.segments[1:]
}

// Next returns the oldest report that waits and has an id above after; false when there is none. A report that the disk
// gives back damaged is counted and passed over. It fails only with ErrClosed.
func (s *Spool) Next(after uint64) (Entry, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Entry{}, false, ErrClosed
	}
	for {
		i, found := s.search(after)
		if found {
			i++
		}
		if i >= len(s.pending) {
			return Entry{}, false, nil
		}
		p := s.pending[i]
		b := make([]byte, p.size)
		// What the disk can't give back is told by its checksum, like what it gives back wrong.
		_, _ = p.segment.file.ReadAt(b, p.at)
		_, id, payload, _, ok := decodeRecord(b)
		if ok && id == p.id {
			return Entry{ID: id, Bytes: payload}, true, nil
		}
		s.totals.Damaged++
		s.forget(i)
	}
}

func (s *Spool) search(id uint64) (int, bool) {
	return slices.BinarySearchFunc(s.pending, id, func(p place, id uint64) int {
		switch {
		case p.id < id:
			return -1
		case p.id > id:
			return 1
		}
		return 0
	})
}

// forget takes the i-th report off the list; at the front, where it usually is, that costs nothing.
func (s *Spool) forget(i int) {
	s.pending[i].segment.pending--
	if i == 0 {
		s.pending = s.pending[1:]
		return
	}
	s.pending = slices.Delete(s.pending, i, i+1)
}

// Settle ends the wait of a report. One that is no longer there, because it was dropped meanwhile, is passed over. The
// settlement isn't synced: after a power cut the report may be sent again, which the engine counts once.
func (s *Spool) Settle(id uint64, o Outcome) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	i, ok := s.search(id)
	if !ok {
		return nil
	}
	s.forget(i)
	s.note(encodeRecord(kind(o), id, nil))
	if o == Rejected {
		s.totals.Rejected++
	} else {
		s.totals.Stored++
	}
	s.trim()
	return nil
}

// note appends a settlement if there is room without dropping a report. When it can't be written the settlement is only
// forgotten at the next start.
func (s *Spool) note(record []byte) {
	if s.room(len(record), false) != nil {
		return
	}
	last := s.segments[len(s.segments)-1]
	if _, err := last.file.WriteAt(record, last.size); err != nil {
		if last.file.Truncate(last.size) != nil {
			last.sealed = true
		}
		return
	}
	last.size += int64(len(record))
}

// trim deletes the segments at the front in which nothing waits; the last one is replaced when it is half full.
func (s *Spool) trim() {
	if len(s.pending) == 0 && s.segments[len(s.segments)-1].size > s.segmentMost()/2 && len(s.segments) < segments {
		_ = s.begin()
	}
	for len(s.segments) > 1 && s.segments[0].pending == 0 {
		s.remove()
	}
}

// Pending is the number of reports that wait, and the id of the newest one ever appended, 0 for none.
func (s *Spool) Pending() (reports int, newest uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending), s.nextID - 1
}

// Totals returns the counters.
func (s *Spool) Totals() Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.totals
}

// Close closes the files. It is idempotent; what waits stays on disk.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var first error
	for _, g := range s.segments {
		if err := g.file.Close(); first == nil {
			first = err
		}
	}
	return first
}
