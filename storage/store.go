package storage

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
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
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Config bounds a store. Zero fields take the default in brackets.
type Config struct {
	RowsPending int                   // rows that may wait in memory before they become segments [262144]
	BytesTarget int64                 // most bytes of the segments that compaction makes one file of [128 MiB]
	RowsMerging int                   // rows that compaction may hold in memory, beside a row group of the new file [262144]
	Late        time.Duration         // how long after its end a date may still get rows [8 days]
	Retain      Retention             // what goes after a time [for ever]
	Archive     Objects               // where segments of dates that are over are copied to; nil for nowhere
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

// Store keeps rows as Parquet segments under one folder, of which it is the only writer. Its methods are safe for use
// by many goroutines; readers see what was committed when they began.
type Store struct {
	dir     string
	cfg     Config
	zst     *zstd.Codec // keeps its encoders
	metrics *metrics
	wake    chan struct{} // tells Run that there may be work
	lost    chan struct{} // closed when a share was taken by a later owner
	upkeep  sync.Mutex    // held by the one round of upkeep
	fetches atomic.Uint64 // files that were fetched

	mu        sync.Mutex // guards everything below
	catalog   catalog
	permanent uint64 // no Restore goes before it
	restored  bool   // the engine has said where it begins
	readers   readers
	tooMuch   bool              // what retention must keep is more than it allows
	staged    []Segment         // written and synced, waiting for the commit that names them
	pending   map[place]*bucket // not yet written
	rows      int               // rows in pending
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
	s := &Store{
		dir: dir, cfg: cfg.withDefaults(), zst: newCodec(), metrics: m, wake: make(chan struct{}, 1), lost: make(chan struct{}),
		pending: map[place]*bucket{}, told: map[resultKey]bool{},
	}
	if err := mkdirPath(s.cfg.FS, dir); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	c, err := loadCatalog(s.cfg.FS, dir)
	if err != nil {
		return nil, err
	}
	s.catalog = *c
	s.metrics.hold(s.catalog.segments)
	return s, nil
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.makeRoom(reports.Len()); err != nil {
		return err
	}
	for date, part := range byDate(reports) {
		b := s.bucket(reports.Kappa, place{ref: reports.Ref, date: date})
		b.batches = append(b.batches, part)
		b.reports += part.Len()
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.makeRoom(len(results)); err != nil {
		return err
	}
	for i, m := range results {
		if s.told[keys[i]] {
			continue
		}
		b := s.bucket(m.GetKappa(), place{ref: m.GetRef(), date: day(keys[i].startMs)})
		b.results = append(b.results, m)
		s.rows++
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.makeRoom(len(strata)); err != nil {
		return err
	}
	for _, st := range strata {
		b := s.bucket(kappa, place{ref: ref, date: day(st.WindowStartMs)})
		b.strata = append(b.strata, st)
	}
	s.rows += len(strata)
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

// makeRoom writes the largest parts when more rows would wait than may, until half the room is free. The caller holds
// mu.
func (s *Store) makeRoom(more int) error {
	if s.rows == 0 || s.rows+more <= s.cfg.RowsPending {
		return nil
	}
	ps := parts(s.pending)
	slices.SortStableFunc(ps, func(a, b part) int { return s.pending[b.place].rows(b.kind) - s.pending[a.place].rows(a.kind) })
	for _, p := range ps {
		if s.rows <= s.cfg.RowsPending/2 {
			return nil
		}
		if err := s.stage(p, max(s.newest, s.catalog.position)); err != nil {
			return err
		}
	}
	return nil
}

// Commit makes everything taken so far durable under a position of the stream, which never falls. When it fails,
// nothing is lost, and it may be called again, also with a later position.
func (s *Store) Commit(sequence uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sequence < max(s.catalog.position, s.newest) {
		return &Error{Code: Position, Detail: fmt.Sprintf("position %d lies before rows that were taken already", sequence)}
	}
	for _, p := range parts(s.pending) {
		if err := s.stage(p, sequence); err != nil {
			return err
		}
	}
	if len(s.staged) == 0 && sequence == s.catalog.position {
		return nil
	}
	next := s.catalog
	next.position, next.segments = sequence, slices.Concat(s.catalog.segments, s.staged)
	if err := next.save(s.cfg.FS, s.dir); err != nil {
		return err
	}
	s.catalog, s.staged, s.newest = next, nil, 0
	s.metrics.hold(s.catalog.segments)
	maps.DeleteFunc(s.pending, func(place, *bucket) bool { return true })
	return nil
}

// stage writes one part as a segment and forgets its rows. The caller holds mu.
func (s *Store) stage(p part, last uint64) error {
	seg := Segment{
		Kind: p.kind, Ref: p.ref, Date: p.date, First: min(s.catalog.position+1, last), Last: last, Format: p.kind.version(),
	}
	seg.Name = s.segmentName(&seg)
	b := s.pending[p.place]
	err := s.write(&seg, b)
	if err != nil {
		return fmt.Errorf("segment of %s: %w", p.kind, err)
	}
	s.rows -= b.rows(p.kind)
	b.forget(p.kind)
	s.staged = append(s.staged, seg)
	return nil
}

// segmentName is part-<first>-<last>.parquet, of a compacted segment with -g<generation> behind the positions, and with a
// further number when that name is taken. The caller holds mu.
func (s *Store) segmentName(seg *Segment) string {
	stem := fmt.Sprintf("part-%012d-%012d", seg.First, seg.Last)
	if seg.Generation > 0 {
		stem += "-g" + strconv.Itoa(seg.Generation)
	}
	try := *seg
	for n := 1; ; n++ {
		try.Name = stem + ".parquet"
		if n > 1 {
			try.Name = stem + "-" + strconv.Itoa(n) + ".parquet"
		}
		same := func(o Segment) bool { return o.Name == try.Name && o.place() == try.place() && o.Kind == try.Kind }
		if !slices.ContainsFunc(s.catalog.segments, same) && !slices.ContainsFunc(s.staged, same) && !s.readers.keeps(try.path(s.dir)) {
			return try.Name
		}
	}
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
	folder, err := mkdirAll(s.cfg.FS, s.dir, seg.folder()...)
	if err != nil {
		return err
	}
	spec := tableSpec{kind: seg.Kind, kappa: kappa, ref: seg.Ref, sorted: true, zst: s.zst}
	seg.Bytes, err = writeWhole(s.cfg.FS, folder, seg.Name, func(w io.Writer) error {
		out, err := newTableWriter(w, spec)
		if err != nil {
			return err
		}
		return errors.Join(fill(out), out.close())
	})
	return err
}
