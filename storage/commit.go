package storage

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Commit makes everything taken so far durable under a position of the stream, which never falls. When it fails,
// nothing is lost, and it may be called again, also with a later position.
func (s *Store) Commit(sequence uint64) error {
	s.feed.Lock()
	defer s.feed.Unlock()
	staged, err := s.stageAll(sequence)
	if err != nil {
		return err
	}
	if err := s.home.settle(s.life, staged); err != nil {
		return err
	}
	commit := func(c *catalog) bool {
		if len(staged) == 0 && sequence == c.position {
			return false
		}
		c.position, c.segments = sequence, slices.Concat(c.segments, staged)
		return true
	}
	return s.change(commit, func() {
		s.staged, s.newest = nil, 0
		maps.DeleteFunc(s.pending, func(place, *bucket) bool { return true })
	})
}

// stageAll writes all parts that wait, and gives what is staged. The caller holds feed.
func (s *Store) stageAll(sequence uint64) ([]Segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sequence < max(s.catalog.position, s.newest) {
		return nil, &Error{Code: Position, Detail: fmt.Sprintf("position %d lies before rows that were taken already", sequence)}
	}
	for _, p := range parts(s.pending) {
		if err := s.stage(p, sequence); err != nil {
			return nil, err
		}
	}
	return slices.Clone(s.staged), nil
}

// change puts a changed catalog in force. Edit, called with mu held, says whether it changed anything and must not change what
// slices share; done, which may be nil, is called with mu held once the catalog is in force.
func (s *Store) change(edit func(*catalog) bool, done func()) error {
	s.swap.Lock()
	defer s.swap.Unlock()
	s.mu.Lock()
	next := s.catalog
	changed := edit(&next)
	s.mu.Unlock()
	if !changed {
		return nil
	}
	if err := s.home.save(s.life, &next); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalog = next
	s.metrics.hold(next.segments)
	if done != nil {
		done()
	}
	return nil
}

// leave notes in a catalog that it no longer names a segment, whose object therefore goes. The caller holds mu.
func (s *Store) leave(c *catalog, seg *Segment) {
	switch {
	case s.share != nil:
		c.condemn(condemned{Object: seg.object(), SinceMs: s.cfg.Clock.Now().UnixMilli()})
	case seg.Archived != "":
		c.condemn(condemned{Object: seg.object()})
	}
}

// stage writes one part as a segment and forgets its rows. The caller holds mu.
func (s *Store) stage(p part, last uint64) error {
	seg := Segment{
		Kind: p.kind, Ref: p.ref, Date: p.date, First: min(s.catalog.position+1, last), Last: last, Format: p.kind.version(),
	}
	seg.Name = s.segmentName(&seg)
	b := s.pending[p.place]
	err := s.write(&seg, b)
	if err != nil {
		return fmt.Errorf("segment of %s: %w", p.kind, err)
	}
	s.rows -= b.rows(p.kind)
	s.hold(-b.bytes(p.kind))
	b.forget(p.kind)
	s.staged = append(s.staged, seg)
	return nil
}

// segmentName is part-<first>-<last>.parquet, of a compacted segment with -g<generation> behind the positions, and with a
// further number when that name is taken; in a share all names have a number that no other has. The caller holds mu.
func (s *Store) segmentName(seg *Segment) string {
	stem := fmt.Sprintf("part-%012d-%012d", seg.First, seg.Last)
	if seg.Generation > 0 {
		stem += "-g" + strconv.Itoa(seg.Generation)
	}
	if s.share != nil {
		return s.share.number(stem) + ".parquet"
	}
	try := *seg
	for n := 1; ; n++ {
		try.Name = stem + ".parquet"
		if n > 1 {
			try.Name = stem + "-" + strconv.Itoa(n) + ".parquet"
		}
		same := func(o Segment) bool { return o.Name == try.Name && o.place() == try.place() && o.Kind == try.Kind }
		if !slices.ContainsFunc(s.catalog.segments, same) && !slices.ContainsFunc(s.staged, same) && !s.readers.keeps(try.path(s.dir)) {
			return try.Name
		}
	}
}
