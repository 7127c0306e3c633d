package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// Objects is where segments are archived: whole objects by name. Implementations are safe for use by many goroutines.
type Objects interface {
	// Put writes an object, in place of one of that name, and returns once it is whole and durable.
	Put(ctx context.Context, name string, from io.ReaderAt, size int64) error
	// Get reads an object of a known size from a byte on.
	Get(ctx context.Context, name string, offset, size int64) (io.ReadCloser, error)
	// Remove removes an object; one that isn't there is no error.
	Remove(ctx context.Context, name string) error
}

const (
	fetchAttempts = 5
	fetchPause    = 200 * time.Millisecond // before the second attempt; twice as long before each further one
)

// object is the segment's name in the archive: its path below the store's folder.
func (s *Segment) object() string { return path.Join(append(s.folder(), s.Name)...) }

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
	if err := s.change(func(c *catalog) bool { return c.condemn(seg.object()) }); err != nil {
		return err
	}
	file, err := s.cfg.FS.Open(seg.path(s.dir))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	hash := sha256.New()
	n, err := io.Copy(hash, io.NewSectionReader(file, 0, seg.Bytes+1))
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
		c.segments[at].Archived = hex.EncodeToString(hash.Sum(nil))
		c.condemned = slices.DeleteFunc(slices.Clone(c.condemned), func(name string) bool { return name == seg.object() })
		return true
	})
	if err == nil {
		s.metrics.sent.Add(float64(seg.Bytes))
	}
	return err
}

// clean removes objects that no segment needs and that no reader began with.
func (s *Store) clean(ctx context.Context) error {
	s.mu.Lock()
	names := slices.DeleteFunc(slices.Clone(s.catalog.condemned), s.readers.wants)
	s.mu.Unlock()
	var faults []error
	removed := map[string]bool{}
	for _, name := range names {
		if err := s.cfg.Archive.Remove(ctx, name); err != nil {
			faults = append(faults, fmt.Errorf("archive: %w", err))
			break
		}
		removed[name] = true
	}
	if len(removed) > 0 {
		faults = append(faults, s.change(func(c *catalog) bool {
			c.condemned = slices.DeleteFunc(slices.Clone(c.condemned), func(name string) bool { return removed[name] })
			return true
		}))
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
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	s.cfg.Log.Info("storage: local files went, the archive has them", "files", len(gone))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retire(gone)
	return nil
}

// fetch copies an archived segment into a temporary file, which goes when it is closed. A connection that breaks is taken
// up again where it broke. Not a row is read before the whole has the length and the SHA-256 that the catalog tells.
func (s *Store) fetch(ctx context.Context, seg *Segment) (ReadFile, error) {
	if s.cfg.Archive == nil {
		return nil, &Error{Code: Damaged, Detail: "a file is in the archive alone, and the store was opened without one"}
	}
	name := filepath.Join(s.dir, fmt.Sprintf(".fetch-%d.tmp", s.fetches.Add(1)))
	file, err := s.cfg.FS.Create(name)
	if err != nil {
		return nil, err
	}
	remove := func(err error) error { return errors.Join(err, s.cfg.FS.Remove(name)) }
	hash := sha256.New()
	err = s.download(ctx, seg, &copying{to: io.MultiWriter(&countingWriter{to: file}, hash)})
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil && hex.EncodeToString(hash.Sum(nil)) != seg.Archived {
		err = &Error{Code: Damaged, Detail: "the archive's copy of a file is not what was sent there"}
	}
	if err != nil {
		return nil, remove(fmt.Errorf("archive: %w", err))
	}
	in, err := s.cfg.FS.Open(name)
	if err != nil {
		return nil, remove(err)
	}
	s.metrics.fetched.Add(float64(seg.Bytes))
	return &fetched{ReadFile: in, remove: func() error { return s.cfg.FS.Remove(name) }}, nil
}

// fetched is a temporary file.
type fetched struct {
	ReadFile
	remove func() error
}

// Close removes it.
func (f *fetched) Close() error { return errors.Join(f.ReadFile.Close(), f.remove()) }

// copying remembers that it could not write, which no other attempt makes good.
type copying struct {
	to  io.Writer
	err error
}

// Write passes on.
func (c *copying) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.err = err
	return n, err
}

// download writes the bytes of an archived segment.
func (s *Store) download(ctx context.Context, seg *Segment, to *copying) error {
	at, pause := int64(0), fetchPause
	for attempt := 1; ; attempt++ {
		n, err := s.downloadFrom(ctx, seg, at, to)
		at += n
		if at == seg.Bytes && err == nil {
			return nil
		}
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		if attempt == fetchAttempts || to.err != nil || ctx.Err() != nil {
			return err
		}
		if err := s.cfg.Pace.WaitUntil(ctx, s.cfg.Pace.Now().Add(pause)); err != nil {
			return err
		}
		pause *= 2
	}
}

func (s *Store) downloadFrom(ctx context.Context, seg *Segment, at int64, to io.Writer) (int64, error) {
	if at == seg.Bytes {
		return 0, nil
	}
	body, err := s.cfg.Archive.Get(ctx, seg.object(), at, seg.Bytes)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(to, io.LimitReader(body, seg.Bytes-at))
	if closed := body.Close(); err == nil && n < seg.Bytes-at {
		err = closed
	}
	return n, err
}

// change saves a changed catalog; edit says whether it changed anything and must not change what slices share.
func (s *Store) change(edit func(*catalog) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.catalog
	if !edit(&next) {
		return nil
	}
	if err := next.save(s.cfg.FS, s.dir); err != nil {
		return err
	}
	s.catalog = next
	s.metrics.hold(next.segments)
	return nil
}

// condemn notes an object that no segment needs; it tells whether that is news.
func (c *catalog) condemn(name string) bool {
	if slices.Contains(c.condemned, name) {
		return false
	}
	c.condemned = append(slices.Clone(c.condemned), name)
	return true
}
