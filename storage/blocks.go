package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

const (
	blockBytes   = 4 << 20 // of an object that are fetched, checked and kept together: about a row group
	digestBytes  = 16      // of a block's SHA-256 that the catalog has
	digestLength = 2 * digestBytes
)

// blocksOf is how many blocks so many bytes have.
func blocksOf(bytes int64) int { return int((bytes + blockBytes - 1) / blockBytes) }

// digestOf is what the catalog has of a block, in hexadecimal digits.
func digestOf(block []byte) string {
	sum := sha256.Sum256(block)
	return hex.EncodeToString(sum[:digestBytes])
}

// digester makes the digests of the blocks of what is written to it.
type digester struct {
	done strings.Builder
	open hash.Hash
	held int // bytes in open
}

// Write never fails.
func (d *digester) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if d.open == nil {
			d.open = sha256.New()
		}
		part := p[:min(len(p), blockBytes-d.held)]
		d.open.Write(part)
		d.held += len(part)
		if p = p[len(part):]; d.held == blockBytes {
			d.end()
		}
	}
	return n, nil
}

func (d *digester) end() {
	d.done.WriteString(hex.EncodeToString(d.open.Sum(nil)[:digestBytes]))
	d.open, d.held = nil, 0
}

// text is the digests, once all is written.
func (d *digester) text() string {
	if d.held > 0 {
		d.end()
	}
	return d.done.String()
}

// file is an object with digests, read through the cache. Ctx bounds all its reading.
func (c *Cache) file(ctx context.Context, seg *Segment, from Objects, pace clock.Clock, fetched prometheus.Counter) ReadFile {
	return &blockFile{
		ctx: ctx, cache: c, size: seg.Bytes, blocks: seg.Blocks, fetched: fetched,
		download: download{from: from, name: seg.key(), pace: pace},
	}
}

// blockFile reads an object block by block, each when a byte of it is asked for. Not a byte is given before its whole block has the
// digest that the catalog tells.
type blockFile struct {
	ctx      context.Context //nolint:containedctx // an io.ReaderAt has none of its own
	cache    *Cache
	size     int64
	blocks   string
	download download
	fetched  prometheus.Counter
}

// Size is the length in bytes.
func (f *blockFile) Size() (int64, error) { return f.size, nil }

// Close does nothing: blocks are the cache's.
func (f *blockFile) Close() error { return nil }

// ReadAt reads from one block or several.
func (f *blockFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, &Error{Code: Malformed, Detail: "a place before the first byte"}
	}
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= f.size {
			return n, io.EOF
		}
		number := at / blockBytes
		first, last := number*blockBytes, min((number+1)*blockBytes, f.size)
		part := p[n:min(int64(len(p)), int64(n)+last-at)]
		digest := f.blocks[number*digestLength : (number+1)*digestLength]
		if err := f.cache.read(f.ctx, digest, int(last-first), part, int(at-first), f.fetch(first, last)); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// fetch is how to get the bytes of a block.
func (f *blockFile) fetch(first, last int64) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		block := &filling{room: make([]byte, 0, last-first)}
		err := f.download.all(ctx, first, last, block)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %w", &Error{Code: Replaced, Detail: "a file is no longer where the catalog had it; ask again"}, err)
		}
		if err == nil {
			f.fetched.Add(float64(last - first))
		}
		return block.room, err
	}
}

// filling is a writer into memory of a known size.
type filling struct{ room []byte }

// Write fails beyond that size.
func (f *filling) Write(p []byte) (int, error) {
	if len(p) > cap(f.room)-len(f.room) {
		return 0, io.ErrShortBuffer
	}
	f.room = append(f.room, p...)
	return len(p), nil
}
