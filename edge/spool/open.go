package spool

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/edge/disk"
)

// Open opens a spool, or begins one in an empty folder. What waited when the process ended waits again; an unfinished
// record at the end of the last segment is cut off.
func Open(c Config) (*Spool, error) {
	if c.BytesMax < BytesLeast {
		return nil, ErrSize
	}
	s := &Spool{config: c, nextID: 1}
	names, err := c.Folder.Names()
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	settled := make(map[uint64]bool)
	for _, name := range names {
		number, ok := numberOf(name)
		if !ok {
			continue
		}
		s.sequence = max(s.sequence, number)
		if err := s.load(name, settled); err != nil {
			_ = s.Close()
			return nil, fmt.Errorf("spool: %w", err)
		}
	}
	s.settle(settled)
	if err := s.ready(); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("spool: %w", err)
	}
	return s, nil
}

// load reads one segment.
func (s *Spool) load(name string, settled map[uint64]bool) error {
	f, err := s.config.Folder.Open(name, false)
	if err != nil {
		return err
	}
	b, err := disk.ReadAll(f)
	if err != nil {
		_ = f.Close()
		return err
	}
	first, totals, ok := decodeHead(b)
	if !ok {
		// Its creation was cut short, before any report; or the disk lost it, and then there is nothing to save.
		_ = f.Close()
		return s.config.Folder.Remove(name)
	}
	g := &segment{name: name, file: f}
	s.segments = append(s.segments, g)
	s.totals, s.nextID = totals, max(s.nextID, first)
	g.size = s.scan(g, b, settled)
	if g.size < int64(len(b)) {
		return f.Truncate(g.size)
	}
	return nil
}

// scan reads the records and returns where the whole ones end.
func (s *Spool) scan(g *segment, b []byte, settled map[uint64]bool) int64 {
	at := headBytes
	for {
		k, id, _, size, ok := decodeRecord(b[at:])
		if !ok {
			return int64(at)
		}
		switch k {
		case kindReport:
			s.pending = append(s.pending, place{id: id, segment: g, at: int64(at), size: size})
			s.nextID = max(s.nextID, id+1)
			s.totals.Appended++
		case kindStored:
			settled[id] = true
			s.totals.Stored++
		case kindRejected:
			settled[id] = true
			s.totals.Rejected++
		}
		at += size
	}
}

// settle takes what is settled off the list.
func (s *Spool) settle(settled map[uint64]bool) {
	waiting := s.pending[:0]
	for _, p := range s.pending {
		if !settled[p.id] {
			waiting = append(waiting, p)
			p.segment.pending++
		}
	}
	s.pending = waiting
}

// ready brings a spool whose cap was lowered below it, and makes sure that there is a segment to append to.
func (s *Spool) ready() error {
	for s.bytes() > s.config.BytesMax && s.dropOldest() {
	}
	if len(s.segments) == 0 {
		return s.begin()
	}
	s.trim()
	return nil
}

func (s *Spool) bytes() int64 {
	var n int64
	for _, g := range s.segments {
		n += g.size
	}
	return n
}
