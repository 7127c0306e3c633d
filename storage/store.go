package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/clock"
	budget "github.com/quadrat-dev/quadrat/internal/memory"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Config bounds a store. Zero fields take the default in brackets.
type Config struct {
	RowsPending int                   // rows that may wait in memory before they become segments [262144]
	Memory      *budget.Account       // of rows that wait; half of its limit bounds them in bytes, beside RowsPending [no bound]
	BytesTarget int64                 // most bytes of the segments that compaction makes one file of [128 MiB]
	RowsMerging int                   // rows that compaction may hold in memory, beside a row group of the new file [262144]
	Late        time.Duration         // how long after its end a date may still get rows [8 days]
	Retain      Retention             // what goes after a time [for ever]
	Archive     Objects               // where segments of dates that are over are copied to; nil for nowhere
	Cache       *Cache                // of parts of what the archive has; nil to fetch whole files
	FS          FS                    // [Disk]
	Clock       clock.Clock           // of dates: what is past, what is too old [the machine's]
	Pace        clock.Clock           // of upkeep: retries and rounds [the machine's]
	Allocator   memory.Allocator      // of the Arrow records [Go's]
	Registerer  prometheus.Registerer // of the metrics; nil for none
	Log         *slog.Logger          // [silence]
}

func (c Config) withDefaults() Config {
	if c.RowsPending <= 0 {
		c.RowsPending = 1 << 18
	}
	if c.BytesTarget <= 0 {
		c.BytesTarget = 128 << 20
	}
	if c.RowsMerging <= 0 {
		c.RowsMerging = 1 << 18
	}
	if c.Late <= 0 {
		c.Late = 8 * 24 * time.Hour
	}
	if c.FS == nil {
		c.FS = Disk{}
	}
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	if c.Pace == nil {
		c.Pace = clock.Real{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Allocator == nil {
		c.Allocator = memory.NewGoAllocator()
	}
	return c
}

// Store keeps rows as Parquet segments under one folder, or as the objects of a share, of which it is the only writer. Its
// methods are safe for use by many goroutines; readers see what was committed when they began.
type Store struct {
	Rows

	dir     string
	cfg     Config
	home    home
	share   *shared     // the home when it is a share; nil for a folder
	zst     *zstd.Codec // keeps its encoders
	metrics *metrics
	wake    chan struct{}   // tells Run that there may be work
	life    context.Context //nolint:containedctx // of what a share has under way; Close ends it
	end     context.CancelFunc
	fetches atomic.Uint64 // files that were fetched

	// Locks are taken in this order.
	upkeep sync.Mutex           // held by the one round of upkeep
	listAt time.Time            // when a share's objects are listed next; upkeep guards it, as the following
	strays map[string]time.Time // objects of a share that nobody will name, by when they were seen first
	feed   sync.Mutex           // held by who gives rows, commits or restores
	swap   sync.Mutex           // held while one catalog takes the place of another
	unsure bool                 // a change failed, whose catalog may be in force; swap guards it

	mu        sync.Mutex // guards everything below, and is never held while a share waits for the network
	catalog   catalog
	permanent uint64 // no Restore goes before it
	restored  bool   // the engine has said where it begins
	readers   readers
	tooMuch   bool            // what retention must keep is more than it allows
	staged    []Segment       // written and synced, waiting for the commit that names them
	names     map[string]bool // paths of the first named of them
	named     int
	pending   map[place]*bucket // not yet written
	rows      int               // rows in pending
	bytes     int64             // of pending, in the account
	newest    uint64            // newest position of the stream among rows since the last commit
	told      map[resultKey]bool
}

// Open opens the store in a folder, which it makes when it doesn't exist. A catalog that is damaged gives an *[Error]
// with the code Damaged. Before the first row the engine calls Restore.
func Open(dir string, cfg Config) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	if err := cfg.Retain.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("storage: metrics: %w", err)
	}
	s := newStore(dir, cfg, m)
	s.home = &folder{dir: dir, fs: s.cfg.FS}
	if err := mkdirPath(s.cfg.FS, dir); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	return s, s.begin(s.life)
}

// newStore makes a store without a home.
func newStore(dir string, cfg Config, m *metrics) *Store {
	s := &Store{
		dir: dir, cfg: cfg.withDefaults(), zst: newCodec(), metrics: m, wake: make(chan struct{}, 1),
		pending: map[place]*bucket{}, names: map[string]bool{}, told: map[resultKey]bool{},
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.Rows = Rows{begin: func(context.Context) (*view, error) { return s.read(), nil }, open: s.openSegment, metrics: m, alloc: s.cfg.Allocator}
	return s
}

// begin takes the catalog in force.
func (s *Store) begin(ctx context.Context) error {
	c, err := s.home.load(ctx)
	if err != nil {
		return err
	}
	s.catalog = *c
	s.metrics.hold(s.catalog.segments)
	return nil
}

// Position is the position of the stream that was committed last; 0 for none.
func (s *Store) Position() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.catalog.position
}

// Segments is the committed segments that retention keeps, oldest commit first. The caller owns the slice.
func (s *Store) Segments() []Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.catalog.visible()
}

// Batch takes one kappa's counted reports, which nobody may change afterwards. It takes all rows or none: an *[Error] with the
// code Malformed says which law they break; another error says that rows had to be written first and could not be, and the same
// call may be made again.
func (s *Store) Batch(reports *column.Batch) error {
	if !validRef(reports.Ref) {
		return &Error{Code: Malformed, Detail: "a reference is not 1 to 64 characters of [A-Za-z0-9_-]"}
	}
	if err := lawfulBatch(reports); err != nil {
		return err
	}
	s.feed.Lock()
	defer s.feed.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.makeRoom(reports.Len(), reports.Bytes()); err != nil {
		return err
	}
	for date, part := range byDate(reports) {
		b := s.bucket(reports.Kappa, place{ref: reports.Ref, date: date})
		b.batches = append(b.batches, part)
		b.reports += part.Len()
		s.hold(part.Bytes())
		s.newest = max(s.newest, slices.Max(part.Sequence))
	}
	s.rows += reports.Len()
	return nil
}

// Reports is Batch for a record of the schema column.ReportSchema, of which it copies what it keeps.
func (s *Store) Reports(rec arrow.Record) error {
	reader, err := newReportReader(rec)
	if err != nil {
		return err
	}
	rows := column.NewRows(column.Ref(rec.Schema()))
	for i := range reader.rows {
		row, err := reader.read(i)
		if err != nil {
			return err
		}
		rows.Append(&row)
	}
	return s.Batch(rows.NewBatch())
}

// Results takes results, which must not be changed afterwards. Errors are those of Reports.
func (s *Store) Results(results []*quadratv1.Result) error {
	keys := make([]resultKey, len(results))
	for i, m := range results {
		if err := checkResult(m); err != nil {
			return err
		}
		keys[i] = keyOf(m)
	}
	s.feed.Lock()
	defer s.feed.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.makeRoom(len(results), int64(len(results))*resultBytes); err != nil {
		return err
	}
	for i, m := range results {
		if s.told[keys[i]] {
			continue
		}
		b := s.bucket(m.GetKappa(), place{ref: m.GetRef(), date: day(keys[i].startMs)})
		b.results = append(b.results, m)
		s.rows++
		s.hold(resultBytes)
	}
	return nil
}

// Strata takes what the strata brought to closed windows of a kappa, one for each (window, statistic, stratum) with a
// population, also where nobody answered; the same one may come again with a later revision of the window. Without it an
// export can't know of strata without reports. Errors are those of Reports.
func (s *Store) Strata(kappa, ref string, strata []column.Stratum) error {
	if !validRef(ref) {
		return &Error{Code: Malformed, Detail: "a reference is not 1 to 64 characters of [A-Za-z0-9_-]"}
	}
	for i := range strata {
		st := &strata[i]
		if st.WindowStartMs < 0 || st.WindowEndMs <= st.WindowStartMs || st.Panel < 0 || st.Population < st.Panel {
			return &Error{Code: Malformed, Detail: "a stratum has no window or a panel above its population"}
		}
	}
	s.feed.Lock()
	defer s.feed.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.makeRoom(len(strata), int64(len(strata))*stratumBytes); err != nil {
		return err
	}
	for _, st := range strata {
		b := s.bucket(kappa, place{ref: ref, date: day(st.WindowStartMs)})
		b.strata = append(b.strata, st)
	}
	s.rows += len(strata)
	s.hold(int64(len(strata)) * stratumBytes)
	return nil
}

// bucket is where rows of a place wait. The caller holds mu.
func (s *Store) bucket(kappa string, p place) *bucket {
	b := s.pending[p]
	if b == nil {
		b = &bucket{kappa: kappa}
		s.pending[p] = b
	}
	return b
}

// What a result and a stratum take that wait, in bytes.
const (
	resultBytes  = 1536
	stratumBytes = 192
)

// hold counts bytes that wait; below 0 they don't any more. The caller holds mu.
func (s *Store) hold(n int64) {
	s.bytes += n
	s.cfg.Memory.Add(n)
}

// makeRoom writes the largest parts when more rows would wait than may, or take more memory, until half the room is free. The caller
// holds mu.
func (s *Store) makeRoom(more int, moreBytes int64) error {
	most := s.cfg.Memory.Limit() / 2
	if most == 0 {
		most = math.MaxInt64
	}
	if s.rows == 0 || s.rows+more <= s.cfg.RowsPending && moreBytes <= most-s.bytes {
		return nil
	}
	ps := parts(s.pending)
	slices.SortStableFunc(ps, func(a, b part) int {
		return cmp.Compare(s.pending[b.place].bytes(b.kind), s.pending[a.place].bytes(a.kind))
	})
	rows, bytes, largest := s.rows, s.bytes, 0
	for _, p := range ps {
		if rows <= s.cfg.RowsPending/2 && bytes <= most/2 {
			break
		}
		rows -= s.pending[p.place].rows(p.kind)
		bytes -= s.pending[p.place].bytes(p.kind)
		largest++
	}
	return s.stage(ps[:largest], max(s.newest, s.catalog.position))
}

// write writes the segment's file and fills in what the catalog says of it.
func (s *Store) write(seg *Segment, b *bucket) error {
	if seg.Kind == KindReports {
		return s.writeTable(seg, b.kappa, func(out *tableWriter) error {
			rows := sortReports(b.batches)
			seg.WindowFirstMs, seg.WindowLastMs, seg.Rows = rows.firstMs(), rows.lastMs(), int64(rows.len())
			return out.writeReports(rows)
		})
	}
	return s.writeSegment(seg, b.kappa, func(use func(arrow.Record) error) error {
		return b.records(tableSpec{kind: seg.Kind, kappa: b.kappa, ref: seg.Ref}, s.cfg.Allocator, use)
	})
}

// writeSegment writes rows, given in order by each, as the segment's file, and fills in what the catalog says of it.
func (s *Store) writeSegment(seg *Segment, kappa string, each func(use func(arrow.Record) error) error) error {
	seg.WindowFirstMs, seg.WindowLastMs, seg.Rows = math.MaxInt64, math.MinInt64, 0
	windows := Schema(seg.Kind, "", "").FieldIndices(colWindowStart)[0]
	return s.writeTable(seg, kappa, func(out *tableWriter) error {
		return each(func(rec arrow.Record) error {
			starts := rec.Column(windows).(*array.Timestamp)
			seg.WindowFirstMs = min(seg.WindowFirstMs, int64(starts.Value(0)))
			seg.WindowLastMs = max(seg.WindowLastMs, int64(starts.Value(starts.Len()-1)))
			seg.Rows += rec.NumRows()
			return out.write(rec)
		})
	})
}

// writeTable writes what fill gives as the segment's file, and fills in how long it is.
func (s *Store) writeTable(seg *Segment, kappa string, fill func(*tableWriter) error) error {
	spec := tableSpec{kind: seg.Kind, kappa: kappa, ref: seg.Ref, sorted: true, zst: s.zst}
	return s.home.write(seg, func(w io.Writer) error {
		out, err := newTableWriter(w, spec)
		if err != nil {
			return err
		}
		return errors.Join(fill(out), out.close())
	})
}
