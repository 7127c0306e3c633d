package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
)

// Restore goes back to a committed position, that of the engine's checkpoint: it forgets rows that wait, drops segments
// beyond the position and removes files that no commit names. It fails with the code Position when the store never
// committed that position: when it lies beyond the last commit, or inside a segment. A compacted segment holds nothing that
// lies beyond a position that was Permanent, so no checkpoint of this store's engine lies inside one.
//
// A commit may repeat a position (windows close by the clock while no message comes). What such a commit held stays;
// results that the engine then makes again, with the same kappa, window, statistic, cell and revision, are taken once.
func (s *Store) Restore(sequence uint64) error {
	s.feed.Lock()
	defer s.feed.Unlock()
	var dropped []Segment
	var fault error
	err := s.change(func(c *catalog) bool {
		before := c.position
		dropped, fault = s.back(c, sequence)
		return fault == nil && (before != sequence || s.share != nil && s.share.unsure())
	}, nil)
	if err := errors.Join(fault, err); err != nil {
		return err
	}
	if err := s.reset(sequence, dropped); err != nil {
		return fmt.Errorf("storage: sweep: %w", err)
	}
	return s.recall()
}

// back takes a catalog back to a position, and gives the segments that it ceases to name. The caller holds mu.
func (s *Store) back(c *catalog, sequence uint64) (dropped []Segment, err error) {
	if sequence > c.position {
		return nil, &Error{Code: Position, Detail: fmt.Sprintf("position %d lies beyond the last commit, %d", sequence, c.position)}
	}
	var kept []Segment
	for _, seg := range c.segments {
		switch {
		case seg.Last <= sequence:
			kept = append(kept, seg)
		case seg.First <= sequence:
			return nil, &Error{Code: Position, Detail: fmt.Sprintf("position %d lies inside a segment", sequence)}
		default:
			dropped = append(dropped, seg)
			s.leave(c, &seg)
		}
	}
	c.position, c.segments = sequence, kept
	return dropped, nil
}

// reset forgets what was given since the last commit, and removes files that no commit names.
func (s *Store) reset(sequence uint64, dropped []Segment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	staged := s.staged
	s.staged, s.pending, s.rows, s.newest = nil, map[place]*bucket{}, 0, 0
	s.permanent, s.restored = sequence, true
	s.retire(dropped)
	if s.share == nil {
		return s.sweep()
	}
	for i := range staged {
		if err := s.home.drop(&staged[i]); err != nil {
			return err
		}
	}
	return nil
}

// Permanent tells that the engine's checkpoint at a position is on disk, so that no later Restore goes before it. Only
// segments up to there are ever compacted or removed. It doesn't wait.
func (s *Store) Permanent(sequence uint64) {
	s.mu.Lock()
	s.permanent = max(s.permanent, min(sequence, s.catalog.position))
	s.mu.Unlock()
	s.nudge()
}

// recall notes the results of the newest commit, which the engine may make again. The caller holds feed.
func (s *Store) recall() error {
	told := map[resultKey]bool{}
	view := s.read()
	defer view.done()
	for i := range view.segments {
		seg := &view.segments[i]
		if seg.Kind != KindResults || seg.Last != s.Position() {
			continue
		}
		_, err := s.scanSegment(s.life, seg, spanOf(time.Time{}, time.Time{}), resultKeyColumns(), func(rec arrow.Record, _ error) bool {
			eachResult(rec, func(_ int, k resultKey) {
				k.ref = seg.Ref
				told[k] = true
			})
			return true
		})
		if err != nil {
			return fmt.Errorf("segment %s: %w", seg.Name, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = told
	return nil
}

// sweep removes files of the layout that the catalog doesn't name and no reader needs. The caller holds mu.
func (s *Store) sweep() error {
	named := make(map[string]bool, len(s.catalog.segments))
	for i := range s.catalog.segments {
		if seg := &s.catalog.segments[i]; !seg.Remote {
			named[seg.path(s.dir)] = true
		}
	}
	for _, d := range s.readers.doomed {
		named[d.path] = true
	}
	if err := s.sweepFolder(s.dir, 3, named, false); err != nil {
		return err
	}
	for _, k := range kinds() {
		if err := s.sweepFolder(filepath.Join(s.dir, string(k)), 2, named, true); err != nil {
			return err
		}
	}
	return nil
}

// sweepFolder removes leftovers in a folder, and when deep is true in those below it.
func (s *Store) sweepFolder(folder string, depth int, named map[string]bool, deep bool) error {
	entries, err := s.cfg.FS.List(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		switch {
		case e.IsDir() && deep && depth > 0:
			err = s.sweepFolder(path, depth-1, named, true)
		case !e.IsDir() && leftover(e.Name(), deep) && !named[path]:
			err = s.cfg.FS.Remove(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func leftover(name string, segments bool) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp") ||
		segments && strings.HasPrefix(name, "part-") && strings.HasSuffix(name, ".parquet")
}
