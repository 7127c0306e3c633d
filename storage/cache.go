package storage

import (
	"container/list"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
)

const (
	cacheLeast   = 64 << 20 // bytes
	cacheFetches = 16       // blocks under way at once
	blockSuffix  = ".block"
)

// Cache keeps parts of objects on this machine's disk, up to a number of bytes, the ones that were read last. Losing it costs time
// and nothing else; a disk that is full or fails, too. It is safe for use by many goroutines and by many stores and readers.
type Cache struct {
	folder string
	most   int64
	fs     FS
	slots  chan struct{} // of fetches

	mu      sync.Mutex // guards everything below
	blocks  map[string]*list.Element
	recent  *list.List // of *cached, newest first
	bytes   int64
	flights map[string]*flight
}

// cached is a block on this disk.
type cached struct {
	digest string
	bytes  int64
	proven bool // that it has its digest, since this process began
}

// flight is a block that is being fetched; those who wait for it read it from memory.
type flight struct {
	landed chan struct{}
	block  []byte
	err    error
}

// NewCache keeps parts in a folder, which it makes when it doesn't exist and of which it is the only user. At least 64 MiB.
func NewCache(folder string, bytesMost int64) (*Cache, error) {
	return newCache(Disk{}, folder, bytesMost)
}

func newCache(f FS, folder string, bytesMost int64) (*Cache, error) {
	if bytesMost < cacheLeast {
		return nil, &Error{Code: Malformed, Detail: "a cache of stored rows holds at least 64 MiB"}
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if err := mkdirPath(f, folder); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	c := &Cache{
		folder: folder, most: bytesMost, fs: f, slots: make(chan struct{}, cacheFetches),
		blocks: map[string]*list.Element{}, recent: list.New(), flights: map[string]*flight{},
	}
	if err := c.take(); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return c, nil
}

// take finds what an earlier process left.
func (c *Cache) take() error {
	entries, err := c.fs.List(c.folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		digest, ok := strings.CutSuffix(e.Name(), blockSuffix)
		info, err := e.Info()
		if raw, notHex := hex.DecodeString(digest); !ok || notHex != nil || len(raw) != digestBytes || err != nil || !info.Mode().IsRegular() {
			if strings.HasSuffix(e.Name(), ".tmp") {
				_ = c.fs.Remove(filepath.Join(c.folder, e.Name())) // a leftover; another time will do
			}
			continue
		}
		c.keep(&cached{digest: digest, bytes: info.Size()})
	}
	return nil
}

func (c *Cache) path(digest string) string { return filepath.Join(c.folder, digest+blockSuffix) }

// read copies bytes of the block with a digest and a size, which is fetched unless it is here.
func (c *Cache) read(ctx context.Context, digest string, size int, p []byte, off int, fetch func(context.Context) ([]byte, error)) error {
	if c.here(digest, size, p, off) {
		return nil
	}
	for {
		c.mu.Lock()
		f, flying := c.flights[digest]
		if !flying {
			f = &flight{landed: make(chan struct{})}
			c.flights[digest] = f
		}
		c.mu.Unlock()
		if !flying {
			c.fly(ctx, digest, size, f, fetch)
		}
		select {
		case <-f.landed:
		case <-ctx.Done():
			return ctx.Err()
		}
		if flying && (errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded)) && ctx.Err() == nil {
			continue // whoever fetched it has given up
		}
		if f.err == nil {
			copy(p, f.block[off:])
		}
		return f.err
	}
}

// here reads bytes of a block from this disk, and tells whether it could.
func (c *Cache) here(digest string, size int, p []byte, off int) bool {
	c.mu.Lock()
	e, known := c.blocks[digest]
	proven := false
	if known {
		c.recent.MoveToFront(e)
		proven = e.Value.(*cached).proven
	}
	c.mu.Unlock()
	if !known {
		return false
	}
	ok := c.copy(digest, size, p, off, proven)
	if ok && proven {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, known := c.blocks[digest]; known && ok {
		e.Value.(*cached).proven = true
	} else if known {
		c.forget(e)
	}
	return ok
}

// copy reads bytes of a block's file; unless it is proven, the whole must have the digest.
func (c *Cache) copy(digest string, size int, p []byte, off int, proven bool) bool {
	file, err := c.fs.Open(c.path(digest))
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // only read
	if proven {
		n, _ := file.ReadAt(p, int64(off))
		return n == len(p)
	}
	block := make([]byte, size)
	if n, err := file.ReadAt(block, 0); n < size || err != nil && !errors.Is(err, io.EOF) || digestOf(block) != digest {
		return false
	}
	copy(p, block[off:])
	return true
}

// fly fetches a block and keeps it.
func (c *Cache) fly(ctx context.Context, digest string, size int, f *flight, fetch func(context.Context) ([]byte, error)) {
	defer func() {
		c.mu.Lock()
		delete(c.flights, digest)
		c.mu.Unlock()
		close(f.landed)
	}()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		f.err = ctx.Err()
		return
	}
	f.block, f.err = fetch(ctx)
	if f.err == nil && (len(f.block) != size || digestOf(f.block) != digest) {
		f.err = &Error{Code: Damaged, Detail: "a part of a file in the bucket is not what was sent there"}
	}
	if f.err != nil {
		return
	}
	c.store(digest, f.block)
}

// store writes a block here; where that fails the block is fetched again when it is asked for again.
func (c *Cache) store(digest string, block []byte) {
	temporary := c.path(digest) + ".tmp"
	file, err := c.fs.Create(temporary)
	if err != nil {
		return
	}
	n, err := file.Write(block)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil && n == len(block) {
		err = c.fs.Rename(temporary, c.path(digest))
	}
	if err != nil || n < len(block) {
		_ = c.fs.Remove(temporary) // and if it can't be, the next start does
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(&cached{digest: digest, bytes: int64(len(block)), proven: true})
}

// keep notes a block, and lets the ones go that were read longest ago until it has room. The caller holds mu, or nobody else knows the cache yet.
func (c *Cache) keep(b *cached) {
	if old, known := c.blocks[b.digest]; known {
		c.bytes -= old.Value.(*cached).bytes
		c.recent.Remove(old)
	}
	c.blocks[b.digest] = c.recent.PushFront(b)
	c.bytes += b.bytes
	for c.bytes > c.most && c.recent.Len() > 1 {
		c.forget(c.recent.Back())
	}
}

// forget removes a block. The caller holds mu.
func (c *Cache) forget(e *list.Element) {
	b := c.recent.Remove(e).(*cached)
	delete(c.blocks, b.digest)
	c.bytes -= b.bytes
	_ = c.fs.Remove(c.path(b.digest)) // one that stays is found again by the next start
}

// adopt takes a file that is a whole block, and tells whether it could; if not, the file is as it was.
func (c *Cache) adopt(path, digest string, bytes int64) bool {
	if c.fs.Rename(path, c.path(digest)) != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(&cached{digest: digest, bytes: bytes})
	return true
}
