package storage

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
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
	if err := s.stage(parts(s.pending), sequence); err != nil {
		return nil, err
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
	if !changed {
		next, done = s.catalog, nil
	}
	s.mu.Unlock()
	if !changed && !s.unsure {
		return nil
	}
	if err := s.home.save(s.life, &next); err != nil {
		s.unsure = s.share == nil // which gives no name twice, and removes nothing that a catalog of it may name
		return err
	}
	s.unsure = false
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalog = next
	s.metrics.hold(next.segments)
	if done != nil {
		done()
	}
	return nil
}

// certain puts the catalog in force once more after a change that failed: that one may be in force since. Until then no file and no object that
// it may name is written over or removed.
func (s *Store) certain() error { return s.change(func(*catalog) bool { return false }, nil) }

// leave notes in a catalog that it no longer names a segment, whose object therefore goes. The caller holds mu.
func (s *Store) leave(c *catalog, seg *Segment) {
	switch {
	case s.share != nil:
		c.condemn(condemned{Object: seg.object(), SinceMs: s.cfg.Clock.Now().UnixMilli()})
	case seg.Archived != "":
		c.condemn(condemned{Object: seg.object()})
	}
}

const (
	// writersMost is how many files are written at once: each waits for the disk most of its time, and a disk syncs several as fast as one.
	writersMost = 8
	// alone is how many parts are written one after another, as a few kappas have.
	alone = 16
)

// stage writes parts, each as a segment, and forgets their rows. After an error some parts may be written, and the others wait as before.
// The caller holds mu.
func (s *Store) stage(ps []part, last uint64) error {
	segs := make([]Segment, len(ps))
	for i, p := range ps {
		segs[i] = Segment{
			Kind: p.kind, Ref: p.ref, Date: p.date, First: min(s.catalog.position+1, last), Last: last, Format: p.kind.version(),
		}
		segs[i].Name = s.segmentName(&segs[i])
	}
	errs := make([]error, len(ps))
	write := func(i int) bool {
		errs[i] = s.write(&segs[i], s.pending[ps[i].place])
		return errs[i] == nil
	}
	written := 0
	if len(ps) <= alone {
		for written < len(ps) && write(written) {
			written++
		}
	} else {
		written = together(len(ps), write)
	}
	for i, p := range ps {
		if b := s.pending[p.place]; i < written && errs[i] == nil {
			s.rows -= b.rows(p.kind)
			s.hold(-b.bytes(p.kind))
			b.forget(p.kind)
			s.staged = append(s.staged, segs[i])
		}
	}
	for i, p := range ps {
		if errs[i] != nil {
			return fmt.Errorf("segment of %s: %w", p.kind, errs[i])
		}
	}
	return nil
}

// together does n things in order, several at once, begins no more once one has gone wrong, and gives how many it has begun.
func together(n int, do func(int) bool) int {
	var next atomic.Int64
	var wrong atomic.Bool
	var crew sync.WaitGroup
	for range min(n, writersMost) {
		crew.Go(func() {
			for !wrong.Load() {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				if !do(i) {
					wrong.Store(true)
				}
			}
		})
	}
	crew.Wait()
	return min(int(next.Load()), n)
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
		if !s.has(&try) && !s.readers.keeps(try.path(s.dir)) {
			return try.Name
		}
	}
}

// has tells whether a segment of this name and place is staged or in the catalog, where none reaches beyond its position. The caller
// holds mu.
func (s *Store) has(seg *Segment) bool {
	if s.named > len(s.staged) { // they were committed
		clear(s.names)
		s.named = 0
	}
	for i := range s.staged[s.named:] {
		s.names[s.staged[s.named+i].path("")] = true
	}
	s.named = len(s.staged)
	if s.names[seg.path("")] {
		return true
	}
	return seg.Last <= s.catalog.position && slices.ContainsFunc(s.catalog.segments, func(o Segment) bool {
		return o.Name == seg.Name && o.place() == seg.place() && o.Kind == seg.Kind
	})
}
