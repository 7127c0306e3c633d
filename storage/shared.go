package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

const (
	swapAttempts = 8
	swapPause    = 50 * time.Millisecond // after a head that a replica was behind with
	uploads      = 8                     // at once
)

// shared is the home of a share.
type shared struct {
	Share

	folder  string
	fs      FS
	pace    clock.Clock
	fetched prometheus.Counter
	sent    prometheus.Counter
	lost    chan struct{}

	mu       sync.Mutex // guards everything below
	head     head       // the newest that is known to have been in force
	revision uint64     // of it
	fenced   bool
	names    uint64            // made in this term
	afoot    map[string]bool   // names of segments that no catalog has yet and one may come to have
	tried    map[string]bool   // catalogs that may be in force, or come to be, though it isn't known
	waiting  map[string]string // files of segments that are not in the bucket yet, by name
}

// claim takes the head.
func (h *shared) claim(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		now, revision, err := h.look(ctx)
		if err != nil {
			return err
		}
		if now.Epoch > h.Epoch {
			return h.fence()
		}
		next := *now
		next.Epoch, next.Term = h.Epoch, now.Term+1
		record, err := next.encode()
		if err != nil {
			return err
		}
		taken, err := h.Heads.Swap(ctx, h.Name, record, revision)
		if err == nil {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.head, h.revision = next, taken
			return nil
		}
		if !errors.Is(err, ErrSwapped) || attempt == swapAttempts {
			return fmt.Errorf("share %s: %w", h.Name, err)
		}
		if err := h.pace.WaitUntil(ctx, h.pace.Now().Add(swapPause)); err != nil {
			return err
		}
	}
}

// look gives the head that is in force, or was a moment ago.
func (h *shared) look(ctx context.Context) (*head, uint64, error) {
	record, revision, err := h.Heads.Head(ctx, h.Name)
	if err != nil {
		return nil, 0, fmt.Errorf("share %s: %w", h.Name, err)
	}
	now, err := decodeHead(record)
	return now, revision, err
}

// fence notes that the share is another's.
func (h *shared) fence() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.fenced {
		h.fenced = true
		close(h.lost)
	}
	return h.late()
}

// late is the error of an owner that was.
func (h *shared) late() error {
	return &Error{Code: Fenced, Detail: "share " + h.Name + " has a later owner"}
}

// held is an error when the share is known to be another's.
func (h *shared) held() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fenced {
		return h.late()
	}
	return nil
}

// unsure tells whether another catalog may be in force than the one that is known to be.
func (h *shared) unsure() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.tried) > 0
}

// number makes a name that is never made again.
func (h *shared) number(stem string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names++
	return numberedName(stem, h.head.Term, h.names)
}

func (h *shared) load(ctx context.Context) (*catalog, error) {
	return fetchCatalog(ctx, h.Bucket, h.pace, h.Name, &h.head)
}

// save puts a catalog into the bucket, and then its name into the head.
func (h *shared) save(ctx context.Context, c *catalog) error {
	if err := h.held(); err != nil {
		return err
	}
	b, err := c.pack()
	if err != nil {
		return err
	}
	name := h.number(catalogFolder) + catalogEnd
	h.mu.Lock()
	h.tried[name] = true
	next := h.head
	h.mu.Unlock()
	sum := sha256.Sum256(b)
	next.Position, next.Catalog, next.Bytes, next.Digest = c.position, catalogFolder+"/"+name, int64(len(b)), hex.EncodeToString(sum[:])
	if err := h.Bucket.Put(ctx, prefixOf(h.Name)+next.Catalog, bytes.NewReader(b), next.Bytes); err != nil {
		h.mu.Lock()
		delete(h.tried, name) // no head names it
		h.mu.Unlock()
		return fmt.Errorf("catalog of share %s: %w", h.Name, err)
	}
	if err := h.swap(ctx, &next); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.tried)
	for i := range c.segments {
		delete(h.afoot, c.segments[i].Name)
	}
	return nil
}

// swap puts a head in force, unless the share is another's by now. An answer that got lost leaves open whether it is.
func (h *shared) swap(ctx context.Context, next *head) error {
	record, err := next.encode()
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		h.mu.Lock()
		revision := h.revision
		h.mu.Unlock()
		taken, err := h.Heads.Swap(ctx, h.Name, record, revision)
		if err == nil {
			h.hold(next, taken)
			return nil
		}
		if !errors.Is(err, ErrSwapped) || attempt == swapAttempts {
			return fmt.Errorf("share %s: %w", h.Name, err)
		}
		now, revision, err := h.look(ctx)
		switch {
		case err != nil:
			return err
		case now.Term > next.Term:
			return h.fence()
		case *now == *next: // an earlier answer got lost
			h.hold(next, revision)
			return nil
		case now.Term == next.Term: // a head of this term whose answer got lost
			h.hold(now, revision)
		}
		if err := h.pace.WaitUntil(ctx, h.pace.Now().Add(swapPause)); err != nil {
			return err
		}
	}
}

// hold notes the head that is in force.
func (h *shared) hold(now *head, revision uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if revision > h.revision {
		h.head, h.revision = *now, revision
	}
}

// write makes a file here, with the digests of its blocks.
func (h *shared) write(seg *Segment, fill func(io.Writer) error) error {
	path := filepath.Join(h.folder, seg.Name)
	file, err := h.fs.Create(path)
	if err != nil {
		return err
	}
	blocks, counted := &digester{}, &countingWriter{to: file}
	err = fill(io.MultiWriter(counted, blocks))
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return errors.Join(err, h.fs.Remove(path))
	}
	seg.Bytes, seg.Blocks, seg.share = counted.bytes, blocks.text(), h.Name
	h.mu.Lock()
	defer h.mu.Unlock()
	h.afoot[seg.Name], h.waiting[seg.Name] = true, path
	return nil
}

// settle uploads what is not in the bucket yet, several files at once.
func (h *shared) settle(ctx context.Context, segments []Segment) error {
	if err := h.held(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var crew sync.WaitGroup
	slots, faults := make(chan struct{}, uploads), make([]error, len(segments))
	for i := range segments {
		slots <- struct{}{}
		crew.Go(func() {
			defer func() { <-slots }()
			if faults[i] = h.upload(ctx, &segments[i]); faults[i] != nil {
				stop() // the others would fare no better
			}
		})
	}
	crew.Wait()
	for _, err := range faults {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(faults...)
}

func (h *shared) upload(ctx context.Context, seg *Segment) error {
	h.mu.Lock()
	path, waits := h.waiting[seg.Name]
	h.mu.Unlock()
	if !waits {
		return nil
	}
	file, err := h.fs.Open(path)
	if err == nil {
		err = errors.Join(h.Bucket.Put(ctx, seg.key(), file, seg.Bytes), file.Close())
	}
	if err != nil {
		return fmt.Errorf("share %s: %s: %w", h.Name, seg.Name, err)
	}
	h.sent.Add(float64(seg.Bytes))
	h.mu.Lock()
	delete(h.waiting, seg.Name)
	h.mu.Unlock()
	if seg.Bytes <= blockBytes && h.Cache.adopt(path, seg.Blocks, seg.Bytes) {
		return nil
	}
	return h.fs.Remove(path)
}

func (h *shared) open(ctx context.Context, seg *Segment) (ReadFile, error) {
	return h.Cache.file(ctx, seg, h.Bucket, h.pace, h.fetched), nil
}

// drop forgets a file. What is in the bucket of it is found as a stray.
func (h *shared) drop(seg *Segment) error {
	h.mu.Lock()
	path, waits := h.waiting[seg.Name]
	delete(h.waiting, seg.Name)
	delete(h.afoot, seg.Name)
	h.mu.Unlock()
	if !waits {
		return nil
	}
	return h.fs.Remove(path)
}

// stray tells whether an object that the catalog doesn't name can never be named: it is of an earlier term, or was given up in this
// one. What is of a later term isn't ours to judge, nor what has another form.
func (h *shared) stray(object string) bool {
	name := filepath.Base(object)
	term, ok := termOf(name)
	h.mu.Lock()
	defer h.mu.Unlock()
	return ok && term <= h.head.Term && object != h.head.Catalog && !h.afoot[name] && !h.tried[name]
}
