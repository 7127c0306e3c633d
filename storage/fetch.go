package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

const (
	fetchAttempts = 5
	fetchPause    = 200 * time.Millisecond // before the second attempt; twice as long before each further one
)

// openSegment opens a segment's file, at home or in the archive.
func (s *Store) openSegment(ctx context.Context, seg *Segment) (ReadFile, error) {
	switch {
	case !seg.Remote:
		return s.home.open(ctx, seg)
	case s.cfg.Archive == nil:
		return nil, &Error{Code: Damaged, Detail: "a file is in the archive alone, and the store was opened without one"}
	case s.cfg.Cache != nil && seg.Blocks != "":
		return s.cfg.Cache.file(ctx, seg, s.cfg.Archive, s.cfg.Pace, s.metrics.fetched), nil
	}
	return s.fetch(ctx, seg)
}

// fetch copies an archived segment into a temporary file, which goes when it is closed. Not a row is read before the whole has
// the length and the SHA-256 that the catalog tells.
func (s *Store) fetch(ctx context.Context, seg *Segment) (ReadFile, error) {
	name := filepath.Join(s.dir, fmt.Sprintf(".fetch-%d.tmp", s.fetches.Add(1)))
	file, err := s.cfg.FS.Create(name)
	if err != nil {
		return nil, err
	}
	remove := func(err error) error { return errors.Join(err, s.cfg.FS.Remove(name)) }
	hash := sha256.New()
	d := download{from: s.cfg.Archive, name: seg.object(), pace: s.cfg.Pace}
	err = d.all(ctx, 0, seg.Bytes, io.MultiWriter(&countingWriter{to: file}, hash))
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

// download reads an object. A connection that breaks is taken up again where it broke.
type download struct {
	from Objects
	name string
	pace clock.Clock
}

// all writes the bytes of the object from one on up to another.
func (d *download) all(ctx context.Context, from, to int64, into io.Writer) error {
	out, pause := &copying{to: into}, fetchPause
	for attempt := 1; ; attempt++ {
		n, err := d.some(ctx, from, to, out)
		from += n
		if from == to && err == nil {
			return nil
		}
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		if attempt == fetchAttempts || out.err != nil || ctx.Err() != nil || errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := d.pace.WaitUntil(ctx, d.pace.Now().Add(pause)); err != nil {
			return err
		}
		pause *= 2
	}
}

func (d *download) some(ctx context.Context, from, to int64, into io.Writer) (int64, error) {
	if from == to {
		return 0, nil
	}
	body, err := d.from.Get(ctx, d.name, from, to)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(into, io.LimitReader(body, to-from))
	if closed := body.Close(); err == nil && n < to-from {
		err = closed
	}
	return n, err
}

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
