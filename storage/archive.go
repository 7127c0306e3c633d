package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
)

// Objects is where segments are archived: whole objects by name. Implementations are safe for use by many goroutines.
type Objects interface {
	// Put writes an object, in place of one of that name, and returns once it is whole and durable.
	Put(ctx context.Context, name string, from io.ReaderAt, size int64) error
	// Get reads the bytes of an object from one on up to another, which is above. An object that isn't there is an error that is
	// fs.ErrNotExist.
	Get(ctx context.Context, name string, from, to int64) (io.ReadCloser, error)
	// Remove removes an object; one that isn't there is no error.
	Remove(ctx context.Context, name string) error
}

// object is the segment's name in the archive, or among the objects of its share: its path below the store's folder.
func (s *Segment) object() string { return path.Join(append(s.folder(), s.Name)...) }

// key is the segment's name in the bucket.
func (s *Segment) key() string {
	if s.share == "" {
		return s.object()
	}
	return prefixOf(s.share) + s.object()
}

// archiveAll brings the archive up to date: objects that no segment needs go, and segments that nothing will be merged with
// any more are sent.
func (s *Store) archiveAll(ctx context.Context) error {
	if s.cfg.Archive == nil {
		return nil
	}
	faults := []error{s.clean(ctx)}
	for _, seg := range s.unsent() {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(faults, err)...)
		}
		if err := s.send(ctx, seg); err != nil {
			s.metrics.archiveFailures.Inc()
			faults = append(faults, fmt.Errorf("archive: %s: %w", seg.Name, err))
			break // the others would fare no better now
		}
	}
	return errors.Join(append(faults, s.lighten())...)
}

// unsent is the segments that belong into the archive and are not there: permanent ones of dates that are over.
func (s *Store) unsent() []Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	today := dateOf(s.cfg.Clock.Now())
	return slices.DeleteFunc(s.catalog.visible(), func(seg Segment) bool {
		return seg.Archived != "" || seg.Last > s.permanent || seg.Date >= today
	})
}

// send uploads a segment. The catalog says first that the object may be there without a segment that needs it, so that
// none is ever left behind, and names it only when the archive has confirmed it.
func (s *Store) send(ctx context.Context, seg Segment) error {
	if err := s.change(func(c *catalog) bool { return c.condemn(condemned{Object: seg.object()}) }, nil); err != nil {
		return err
	}
	file, err := s.cfg.FS.Open(seg.path(s.dir))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	hash, blocks := sha256.New(), &digester{}
	n, err := io.Copy(io.MultiWriter(hash, blocks), io.NewSectionReader(file, 0, seg.Bytes+1))
	if err != nil {
		return err
	}
	if n != seg.Bytes {
		return &Error{Code: Damaged, Detail: fmt.Sprintf("the file has %d bytes, the catalog says %d", n, seg.Bytes)}
	}
	if err := s.cfg.Archive.Put(ctx, seg.object(), file, seg.Bytes); err != nil {
		return err
	}
	err = s.change(func(c *catalog) bool {
		at := slices.Index(c.segments, seg)
		if at < 0 {
			return false // it was merged or has gone meanwhile; its object stays condemned
		}
		c.segments = slices.Clone(c.segments)
		c.segments[at].Archived, c.segments[at].Blocks = hex.EncodeToString(hash.Sum(nil)), blocks.text()
		c.pardon(map[string]bool{seg.object(): true})
		return true
	}, nil)
	if err == nil {
		s.metrics.sent.Add(float64(seg.Bytes))
	}
	return err
}

// clean removes objects that no segment needs and that no reader began with.
func (s *Store) clean(ctx context.Context) error {
	if err := s.certain(); err != nil {
		return err
	}
	s.mu.Lock()
	objects := slices.DeleteFunc(slices.Clone(s.catalog.condemned), func(o condemned) bool { return s.readers.wants(o.Object) })
	s.mu.Unlock()
	var faults []error
	removed := map[string]bool{}
	for _, o := range objects {
		if err := s.cfg.Archive.Remove(ctx, o.Object); err != nil {
			faults = append(faults, fmt.Errorf("archive: %w", err))
			break
		}
		removed[o.Object] = true
	}
	if len(removed) > 0 {
		faults = append(faults, s.change(func(c *catalog) bool { c.pardon(removed); return true }, nil))
	}
	return errors.Join(faults...)
}

// lighten lets local files go, those of the oldest dates first, until the rest is as small as retention wants it; the archive
// has them all. Those of the newest commit stay: a restart reads them, and must not wait for the archive.
func (s *Store) lighten() error {
	if s.cfg.Retain.BytesMax == 0 {
		return nil
	}
	var gone []Segment
	err := s.change(func(c *catalog) bool {
		gone = nil
		var bytes int64
		var sent []int
		c.segments = slices.Clone(c.segments)
		for i := range c.segments {
			if seg := &c.segments[i]; !seg.Remote {
				bytes += seg.Bytes
				if seg.Archived != "" && seg.Last < c.position {
					sent = append(sent, i)
				}
			}
		}
		slices.SortStableFunc(sent, func(a, b int) int { return compareDates(&c.segments[a], &c.segments[b]) })
		for _, i := range sent {
			if bytes <= s.cfg.Retain.BytesMax {
				break
			}
			bytes -= c.segments[i].Bytes
			gone = append(gone, c.segments[i])
			c.segments[i].Remote = true
		}
		return len(gone) > 0
	}, func() { s.retire(gone) })
	if err == nil && len(gone) > 0 {
		s.cfg.Log.Info("storage: local files went, the archive has them", "files", len(gone))
	}
	return err
}

// condemn notes an object that no segment needs; it tells whether that is news.
func (c *catalog) condemn(o condemned) bool {
	if slices.ContainsFunc(c.condemned, func(known condemned) bool { return known.Object == o.Object }) {
		return false
	}
	c.condemned = append(slices.Clone(c.condemned), o)
	return true
}

// pardon forgets condemned objects: they are gone, or needed.
func (c *catalog) pardon(names map[string]bool) {
	c.condemned = slices.DeleteFunc(slices.Clone(c.condemned), func(o condemned) bool { return names[o.Object] })
}
