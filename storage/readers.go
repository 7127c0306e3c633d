package storage

import (
	"cmp"
	"slices"
	"time"
)

// readers keeps the files that readers began with until they are done. A file that the catalog no longer names is doomed;
// it goes when no reader is left that began before. The store's mu guards it.
type readers struct {
	epoch  uint64         // how often files were doomed
	open   map[uint64]int // readers by the epoch that they began in
	doomed []doomed
	held   map[string]uint64 // objects of the archive by the epoch that they were condemned in
}

// doomed is a file that readers of an epoch before its own may need.
type doomed struct {
	path  string
	epoch uint64
}

// view is what one reader sees: what was committed when it began.
type view struct {
	segments []Segment // those that retention keeps, oldest commit first
	gone     []Gone
	done     func() // to be called once, when no file is read any more
}

// read is what is committed. The files stay until done is called.
func (s *Store) read() *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.readers
	if r.open == nil {
		r.open = map[uint64]int{}
	}
	began := r.epoch
	r.open[began]++
	return &view{segments: s.catalog.visible(), gone: s.catalog.gone, done: func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.open[began]--; r.open[began] == 0 {
			delete(r.open, began)
		}
		s.reap()
	}}
}

// Files gives the paths of the committed files of one kind of a kappa that may hold windows that start in [since, until), a zero time
// leaving that side open, of a store in a folder whose files are all here. They stay until done is called; call it once.
func (s *Store) Files(k Kind, ref string, since, until time.Time) (files []string, done func()) {
	seen := s.read()
	for _, seg := range seen.of(k, ref, spanOf(since, until)) {
		files = append(files, seg.path(s.dir))
	}
	return files, seen.done
}

// of is the segments of one kind of a kappa that may hold windows of a span, by date and position.
func (v *view) of(k Kind, ref string, windows span) []Segment {
	segments := slices.DeleteFunc(slices.Clone(v.segments), func(g Segment) bool {
		return g.Kind != k || g.Ref != ref || !windows.overlaps(g.WindowFirstMs, g.WindowLastMs)
	})
	slices.SortStableFunc(segments, func(a, b Segment) int {
		return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.First, b.First))
	})
	return segments
}

// retire dooms the files of segments that the catalog on disk has ceased to name, and removes those that nobody reads. The
// caller holds mu.
func (s *Store) retire(segments []Segment) {
	if s.share != nil {
		return // its objects are condemned, and go after a delay
	}
	if len(segments) > 0 {
		s.readers.epoch++
	}
	for i := range segments {
		if segments[i].Remote {
			s.readers.hold(segments[i].object())
			continue
		}
		s.readers.doomed = append(s.readers.doomed, doomed{path: segments[i].path(s.dir), epoch: s.readers.epoch})
	}
	s.reap()
}

// reap removes doomed files that no reader needs. One that can't be removed stays doomed: the next round tries again, and
// so does the sweep of a restart. The caller holds mu.
func (s *Store) reap() {
	s.readers.doomed = slices.DeleteFunc(s.readers.doomed, func(d doomed) bool {
		for began := range s.readers.open {
			if began < d.epoch {
				return false
			}
		}
		if err := s.cfg.FS.Remove(d.path); err != nil {
			s.cfg.Log.Warn("storage: a file that is no longer needed can't be removed", "cause", err)
			return false
		}
		return true
	})
}

// keeps tells whether a path is that of a doomed file.
func (r *readers) keeps(path string) bool {
	return slices.ContainsFunc(r.doomed, func(d doomed) bool { return d.path == path })
}

// hold notes that readers of earlier epochs may need an object.
func (r *readers) hold(name string) {
	if r.held == nil {
		r.held = map[string]uint64{}
	}
	r.held[name] = r.epoch
}

// wants tells whether a reader may still need a condemned object.
func (r *readers) wants(name string) bool {
	epoch, held := r.held[name]
	if !held {
		return false
	}
	for began := range r.open {
		if began < epoch {
			return true
		}
	}
	delete(r.held, name)
	return false
}
