package storage

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Config bounds a store. Zero fields take the default in brackets.
type Config struct {
	RowsPending int              // rows that may wait in memory before they become segments [262144]
	FS          FS               // [Disk]
	Allocator   memory.Allocator // of the Arrow records [Go's]
}

func (c Config) withDefaults() Config {
	if c.RowsPending <= 0 {
		c.RowsPending = 1 << 18
	}
	if c.FS == nil {
		c.FS = Disk{}
	}
	if c.Allocator == nil {
		c.Allocator = memory.NewGoAllocator()
	}
	return c
}

// Store keeps rows as Parquet segments under one folder, of which it is the only writer. Its methods are safe for use
// by many goroutines; readers see what was committed when they began.
type Store struct {
	dir string
	cfg Config
	zst *zstd.Codec // keeps its encoders

	mu      sync.Mutex // guards everything below
	catalog catalog
	staged  []Segment         // written and synced, waiting for the commit that names them
	pending map[place]*bucket // not yet written
	rows    int               // rows in pending
	newest  uint64            // newest position of the stream among rows since the last commit
	told    map[resultKey]bool
}

// Open opens the store in a folder, which it makes when it doesn't exist. A catalog that is damaged gives an *[Error]
// with the code Damaged. Before the first row the engine calls Restore.
func Open(dir string, cfg Config) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	s := &Store{dir: dir, cfg: cfg.withDefaults(), zst: newCodec(), pending: map[place]*bucket{}, told: map[resultKey]bool{}}
	if err := mkdirPath(s.cfg.FS, dir); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	c, err := loadCatalog(s.cfg.FS, dir)
	if err != nil {
		return nil, err
	}
	s.catalog = *c
	return s, nil
}

// Position is the position of the stream that was committed last; 0 for none.
func (s *Store) Position() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.catalog.position
}

// Segments is the committed segments, oldest commit first. The caller owns the slice.
func (s *Store) Segments() []Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.catalog.segments)
}

// Restore goes back to a committed position, that of the engine's checkpoint: it forgets rows that wait, drops segments
// beyond the position and removes files that no commit names. It fails with the code Position when the store never
// committed that position: when it lies beyond the last commit, or inside a segment.
//
// A commit may repeat a position (windows close by the clock while no message comes). What such a commit held stays;
// results that the engine then makes again, with the same kappa, window, statistic, cell and revision, are taken once.
func (s *Store) Restore(sequence uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sequence > s.catalog.position {
		return &Error{Code: Position, Detail: fmt.Sprintf("position %d lies beyond the last commit, %d", sequence, s.catalog.position)}
	}
	kept := catalog{position: sequence}
	for _, seg := range s.catalog.segments {
		switch {
		case seg.Last <= sequence:
			kept.segments = append(kept.segments, seg)
		case seg.First <= sequence:
			return &Error{Code: Position, Detail: fmt.Sprintf("position %d lies inside a segment", sequence)}
		}
	}
	if sequence != s.catalog.position {
		if err := kept.save(s.cfg.FS, s.dir); err != nil {
			return err
		}
	}
	s.catalog, s.staged, s.pending, s.rows, s.newest = kept, nil, map[place]*bucket{}, 0, 0
	if err := s.sweep(); err != nil {
		return fmt.Errorf("storage: sweep: %w", err)
	}
	return s.recall()
}

// sweep removes files of the layout that the catalog doesn't name. The caller holds mu.
func (s *Store) sweep() error {
	named := make(map[string]bool, len(s.catalog.segments))
	for i := range s.catalog.segments {
		named[s.catalog.segments[i].path(s.dir)] = true
	}
	if err := s.sweepFolder(s.dir, 3, named, false); err != nil {
		return err
	}
	for _, k := range kinds() {
		if err := s.sweepFolder(filepath.Join(s.dir, string(k)), 2, named, true); err != nil {
			return err
		}
	}
	return nil
}

// sweepFolder removes leftovers in a folder, and when deep is true in those below it.
func (s *Store) sweepFolder(folder string, depth int, named map[string]bool, deep bool) error {
	entries, err := s.cfg.FS.List(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		switch {
		case e.IsDir() && deep && depth > 0:
			err = s.sweepFolder(path, depth-1, named, true)
		case !e.IsDir() && leftover(e.Name(), deep) && !named[path]:
			err = s.cfg.FS.Remove(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func leftover(name string, segments bool) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp") ||
		segments && strings.HasPrefix(name, "part-") && strings.HasSuffix(name, ".parquet")
}

// Reports takes a record of one kappa's counted reports, of the schema column.ReportSchema; it copies what it keeps. It
// takes all rows or none: an *[Error] with the code Malformed says which law they break; another error says that rows
// had to be written first and could not be, and the same call may be made again.
func (s *Store) Reports(rec arrow.Record) error {
	kappa, ref := column.Ref(rec.Schema())
	if !validRef(ref) {
		return &Error{Code: Malformed, Detail: "a reference is not 1 to 64 characters of [A-Za-z0-9_-]"}
	}
	reader, err := newReportReader(rec)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.makeRoom(reader.rows); err != nil {
		return err
	}
	s.grow(kappa, ref, reader)
	taken := map[*bucket]int{} // length of each bucket before
	newest := s.newest
	var b *bucket
	var dayMs int64 = -1
	for i := range reader.rows {
		row, err := reader.read(i)
		if err != nil {
			for b, n := range taken {
				b.reports = b.reports[:n]
			}
			return err
		}
		if d := row.WindowStartMs / dayLengthMs; b == nil || d != dayMs {
			b, dayMs = s.bucket(kappa, place{ref: ref, date: day(row.WindowStartMs)}), d
			if _, ok := taken[b]; !ok {
				taken[b] = len(b.reports)
			}
		}
		b.reports = append(b.reports, row)
		newest = max(newest, row.Sequence)
	}
	s.rows += reader.rows
	s.newest = newest
	return nil
}

// grow makes room in the bucket of the first row, where most rows of a record go. The caller holds mu.
func (s *Store) grow(kappa, ref string, r *reportReader) {
	if r.rows == 0 || r.start(0) < 0 {
		return
	}
	b := s.bucket(kappa, place{ref: ref, date: day(r.start(0))})
	if free := cap(b.reports) - len(b.reports); free < r.rows {
		b.reports = slices.Grow(b.reports, max(r.rows, len(b.reports)))
	}
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
	next := catalog{position: sequence, segments: slices.Concat(s.catalog.segments, s.staged)}
	if err := next.save(s.cfg.FS, s.dir); err != nil {
		return err
	}
	s.catalog, s.staged, s.newest = next, nil, 0
	maps.DeleteFunc(s.pending, func(place, *bucket) bool { return true })
	return nil
}

// stage writes one part as a segment and forgets its rows. The caller holds mu.
func (s *Store) stage(p part, last uint64) error {
	seg := Segment{Kind: p.kind, Ref: p.ref, Date: p.date, First: min(s.catalog.position+1, last), Last: last}
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

// segmentName is part-<first>-<last>.parquet, with a further number when that name is taken.
func (s *Store) segmentName(seg *Segment) string {
	n := 1
	for _, list := range [][]Segment{s.catalog.segments, s.staged} {
		for i := len(list) - 1; i >= 0 && list[i].Last >= seg.First; i-- {
			o := &list[i]
			if o.Kind == seg.Kind && o.Ref == seg.Ref && o.Date == seg.Date && o.First == seg.First && o.Last == seg.Last {
				n++
			}
		}
	}
	name := fmt.Sprintf("part-%012d-%012d", seg.First, seg.Last)
	if n > 1 {
		name += "-" + strconv.Itoa(n)
	}
	return name + ".parquet"
}

// write writes the segment's file and fills in what the catalog says of it.
func (s *Store) write(seg *Segment, b *bucket) error {
	folder, err := mkdirAll(s.cfg.FS, s.dir, seg.folder()...)
	if err != nil {
		return err
	}
	seg.WindowFirstMs, seg.WindowLastMs, seg.Rows = math.MaxInt64, math.MinInt64, 0
	spec := tableSpec{kind: seg.Kind, kappa: b.kappa, ref: seg.Ref, sorted: true, zst: s.zst}
	windows := Schema(seg.Kind, "", "").FieldIndices(colWindowStart)[0]
	seg.Bytes, err = writeWhole(s.cfg.FS, folder, seg.Name, func(w io.Writer) error {
		out, err := newTableWriter(w, spec)
		if err != nil {
			return err
		}
		err = b.records(spec, s.cfg.Allocator, func(rec arrow.Record) error {
			starts := rec.Column(windows).(*array.Timestamp)
			seg.WindowFirstMs = min(seg.WindowFirstMs, int64(starts.Value(0)))
			seg.WindowLastMs = max(seg.WindowLastMs, int64(starts.Value(starts.Len()-1)))
			seg.Rows += rec.NumRows()
			return out.write(rec)
		})
		return errors.Join(err, out.close())
	})
	return err
}
