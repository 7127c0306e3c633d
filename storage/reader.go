package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

// ReaderConfig says what a reader reads. Heads, Bucket and Cache are required; the first two are those of the shares.
type ReaderConfig struct {
	Heads      Heads
	Bucket     Bucket
	Cache      *Cache
	Pace       clock.Clock           // of retries [the machine's]
	Allocator  memory.Allocator      // of the Arrow records [Go's]
	Registerer prometheus.Registerer // of the metrics; nil for none
}

// Reader reads what all shares have committed, as one store. It keeps nothing but the cache, needs nobody who counts, and never
// writes. Each call sees, of every share, what had been committed when it began. Its methods are safe for use by many goroutines.
//
// Where one share has removed a date, the rows of the same kind and kappa of the others aren't seen either, so that no window is read in
// part. A call that lasts longer than the shares' Delay may fail with the code Replaced.
type Reader struct {
	Rows

	config  ReaderConfig
	metrics *metrics

	mu    sync.Mutex // guards known
	known map[string]knownCatalog
}

// knownCatalog is the catalog of a share that was read last.
type knownCatalog struct {
	head    head
	catalog *catalog
}

// NewReader makes a reader. It reads nothing yet. The caller closes it.
func NewReader(config ReaderConfig) (*Reader, error) {
	if config.Heads == nil || config.Bucket == nil || config.Cache == nil {
		return nil, &Error{Code: Malformed, Detail: "a reader needs heads, a bucket and a cache"}
	}
	if config.Pace == nil {
		config.Pace = clock.Real{}
	}
	if config.Allocator == nil {
		config.Allocator = memory.NewGoAllocator()
	}
	if config.Registerer != nil {
		config.Registerer = prometheus.WrapRegistererWith(prometheus.Labels{"share": "*"}, config.Registerer)
	}
	m, err := newMetrics(config.Registerer)
	if err != nil {
		return nil, fmt.Errorf("storage: metrics: %w", err)
	}
	r := &Reader{config: config, metrics: m, known: map[string]knownCatalog{}}
	r.Rows = Rows{begin: r.read, open: r.openSegment, metrics: m, alloc: config.Allocator}
	return r, nil
}

// Close lets go of the metrics. It is idempotent.
func (r *Reader) Close() error {
	r.metrics.leave()
	return nil
}

func (r *Reader) openSegment(ctx context.Context, seg *Segment) (ReadFile, error) {
	return r.config.Cache.file(ctx, seg, r.config.Bucket, r.config.Pace, r.metrics.fetched), nil
}

// Positions tells, of each share, the position that it committed last.
func (r *Reader) Positions(ctx context.Context) (map[string]uint64, error) {
	heads, err := r.heads(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]uint64, len(heads))
	for name, h := range heads {
		out[name] = h.Position
	}
	return out, nil
}

func (r *Reader) heads(ctx context.Context) (map[string]*head, error) {
	records, err := r.config.Heads.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	out := make(map[string]*head, len(records))
	for name, record := range records {
		if !validName(name) {
			return nil, &Error{Code: Damaged, Detail: fmt.Sprintf("a share is called %q", name)}
		}
		if out[name], err = decodeHead(record); err != nil {
			return nil, fmt.Errorf("share %s: %w", name, err)
		}
	}
	return out, nil
}

// read is what all shares have committed. A catalog that went between its head and itself has a successor, which is looked for.
func (r *Reader) read(ctx context.Context) (*view, error) {
	for attempt := 1; ; attempt++ {
		seen, err := r.readOnce(ctx)
		if !errors.Is(err, fs.ErrNotExist) || attempt == fetchAttempts {
			return seen, err
		}
	}
}

func (r *Reader) readOnce(ctx context.Context) (*view, error) {
	heads, err := r.heads(ctx)
	if err != nil {
		return nil, err
	}
	var catalogs []*catalog
	for _, name := range slices.Sorted(maps.Keys(heads)) {
		c, err := r.catalogOf(ctx, name, heads[name])
		if err != nil {
			return nil, err
		}
		catalogs = append(catalogs, c)
	}
	all := union(catalogs)
	r.metrics.hold(all.segments)
	return &view{segments: all.visible(), gone: all.gone, done: func() {}}, nil
}

// catalogOf is the catalog of a head, from memory when it is the one that was read last.
func (r *Reader) catalogOf(ctx context.Context, share string, h *head) (*catalog, error) {
	r.mu.Lock()
	known := r.known[share]
	r.mu.Unlock()
	if known.catalog != nil && known.head.Catalog == h.Catalog {
		return known.catalog, nil
	}
	c, err := fetchCatalog(ctx, r.config.Bucket, r.config.Pace, share, h)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[share] = knownCatalog{head: *h, catalog: c}
	return c, nil
}

// union is catalogs of several shares as one, without positions. Of two dates before which rows are gone the later one counts for all.
func union(catalogs []*catalog) *catalog {
	out, gone := &catalog{}, map[part]Gone{}
	for _, c := range catalogs {
		out.segments = append(out.segments, c.segments...)
		for _, g := range c.gone {
			of := part{kind: g.Kind, place: place{ref: g.Ref}}
			sum, known := gone[of]
			if known {
				g.Before = max(g.Before, sum.Before)
				g.Segments, g.Rows, g.Bytes = g.Segments+sum.Segments, g.Rows+sum.Rows, g.Bytes+sum.Bytes
			}
			gone[of] = g
		}
	}
	out.gone = slices.SortedFunc(maps.Values(gone), func(a, b Gone) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Ref, b.Ref)) })
	return out
}
