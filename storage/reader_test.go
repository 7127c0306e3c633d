package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// TestAReaderOfWhatIsMerged begins to read, lets the owner merge and remove all files, and goes on: within the delay it sees what it
// began with, after it is told to ask again, and does.
func TestAReaderOfWhatIsMerged(t *testing.T) {
	for _, waits := range []bool{false, true} {
		c, now := newCluster(), later(30)
		s := owner(t, c.line(), "03", 1, Config{Clock: now})
		must(t, s.Restore(0))
		fill(t, s, 0, 12)
		s.Permanent(720)
		r := reader(t, c.line())
		want := sorted(collect(t, goldenScanOf(&r.Rows, KindReports)))
		r = reader(t, c.line()) // with nothing in its cache
		var got []string
		var failed error
		for rec, err := range goldenScanOf(&r.Rows, KindReports) {
			if failed = err; err != nil {
				break
			}
			if got == nil {
				must(t, s.Upkeep(t.Context()))
				if waits {
					settled(t, c, s, now, "while it is read")
				}
			}
			got = append(got, collect(t, func(yield func(arrow.Record, error) bool) { yield(rec, nil) })...)
		}
		switch {
		case waits && !isCode(failed, Replaced):
			t.Errorf("a reader that was too slow: %d rows, %v", len(got), failed)
		case !waits && (failed != nil || !reflect.DeepEqual(sorted(got), want)):
			t.Errorf("a reader: %d rows, want %d, %v", len(got), len(want), failed)
		}
		if again := sorted(collect(t, goldenScanOf(&r.Rows, KindReports))); !reflect.DeepEqual(again, want) {
			t.Errorf("asked again: %d rows, want %d", len(again), len(want))
		}
	}
}

// TestNoWindowIsReadInPart removes dates of one share by size and expects that the rows of the others for these dates aren't seen either.
func TestNoWindowIsReadInPart(t *testing.T) {
	c, now := newCluster(), later(2)
	for i, retain := range []Retention{{}, {BytesMax: 1}, {}} {
		s := owner(t, c.line(), fmt.Sprint(i), 1, Config{Clock: now, Retain: retain})
		must(t, s.Restore(0))
		fill(t, s, 0, 6)
		s.Permanent(360)
		must(t, s.Upkeep(t.Context()))
	}
	r := reader(t, c.line())
	for k, rows := range answers(t, &r.Rows) {
		if len(rows) > 0 {
			t.Errorf("%d rows of %s", len(rows), k)
		}
	}
	gone, ok, err := r.Gone(t.Context(), KindReports, testRef)
	if !ok || err != nil || gone.Before != "2027-01-16" || gone.Rows == 0 {
		t.Errorf("gone: %+v, %v, %v", gone, ok, err)
	}
	if _, ok, err := r.Gone(t.Context(), KindReports, "other"); ok || err != nil {
		t.Errorf("gone of another: %v, %v", ok, err)
	}
}

// large is a share with one file of several blocks: 400,000 reports of 40 windows.
func large(t *testing.T, c *cluster) *Store {
	t.Helper()
	s := owner(t, c.line(), "03", 1, Config{RowsPending: 1 << 20})
	must(t, s.Restore(0))
	rng := rand.New(rand.NewPCG(1, 2))
	rows := column.NewRows("indoor", testRef)
	start := baseMs - 20*3600_000
	for i := range uint64(400_000) {
		at := start + int64(i/10_000)*60_000
		rows.Append(&column.Report{
			WindowStartMs: at, WindowEndMs: at + 60_000, Device: rng.Uint64(), Statistic: "mean(t)", Stratum: "all", Cell: "{}", Pi: 1,
			StratumPopulation: 10_000, Score: rng.NormFloat64(), Mechanism: "hybrid", Epsilon: 1, PlanRevision: 1, Sequence: i + 1,
		})
	}
	must(t, s.Batch(rows.NewBatch()))
	must(t, s.Commit(400_000))
	return s
}

// TestOnlyWhatIsAskedForIsFetched reads one window of many, some columns of all, and everything twice.
func TestOnlyWhatIsAskedForIsFetched(t *testing.T) {
	c := newCluster()
	s := large(t, c)
	segments := s.Segments()
	if len(segments) != 1 || blocksOf(segments[0].Bytes) < 3 {
		t.Fatalf("segments %+v", segments)
	}
	whole := segments[0].Bytes
	start := time.UnixMilli(baseMs - 20*3600_000)
	l := c.line()
	r := reader(t, l)
	catalogs := func() int64 {
		before := l.fetched
		_, _, _ = r.Gone(t.Context(), KindReports, testRef)
		return l.fetched - before
	}
	catalogs()
	scan := func(since, until time.Time) (rows int, fetched int64) {
		before := l.fetched
		for rec, err := range r.ScanReports(t.Context(), testRef, since, until) {
			must(t, err)
			rows += int(rec.NumRows())
		}
		return rows, l.fetched - before
	}
	if rows, fetched := scan(start, start.Add(time.Minute)); rows != 10_000 || fetched > 2*blockBytes || fetched == 0 {
		t.Errorf("one window: %d rows, %d of %d bytes fetched", rows, fetched, whole)
	}
	if rows, fetched := scan(start, start.Add(time.Minute)); rows != 10_000 || fetched != 0 {
		t.Errorf("the same again: %d rows, %d bytes fetched", rows, fetched)
	}
	rows, _ := scan(time.Time{}, time.Time{})
	if rows != 400_000 || l.fetched > whole+1<<20 {
		t.Errorf("everything: %d rows, %d of %d bytes fetched", rows, l.fetched, whole)
	}
	files, done, err := r.Open(t.Context(), KindReports, testRef, start, start.Add(time.Minute))
	must(t, err)
	defer done()
	if size, err := files[0].Size(); len(files) != 1 || err != nil || size != whole {
		t.Errorf("%d files, %d bytes, %v", len(files), size, err)
	}
	content, err := io.ReadAll(io.NewSectionReader(files[0], 0, whole+1))
	if want := c.objects[segments[0].key()]; err != nil || !bytes.Equal(content, want) {
		t.Errorf("%d bytes, %v", len(content), err)
	}
}

// TestTheArchiveIsReadInParts reads one window of a file that the archive alone has, with a cache and without.
func TestTheArchiveIsReadInParts(t *testing.T) {
	for _, cache := range []*Cache{nil, cacheOf(t)} {
		l := newCluster().line()
		s := open(t, t.TempDir(), Config{RowsPending: 1 << 20, Archive: l, Retain: Retention{BytesMax: 1}, Clock: at(3), Cache: cache})
		must(t, s.Restore(0))
		rng := rand.New(rand.NewPCG(1, 2))
		rows := column.NewRows("indoor", testRef)
		for i := range uint64(500_000) {
			start := baseMs - 20*3600_000 + int64(i/10_000)*60_000
			rows.Append(&column.Report{
				WindowStartMs: start, WindowEndMs: start + 60_000, Device: rng.Uint64(), Statistic: "mean(t)", Stratum: "all", Cell: "{}", Pi: 1,
				StratumPopulation: 10_000, Score: rng.NormFloat64(), Mechanism: "hybrid", Epsilon: 1, PlanRevision: 1, Sequence: i + 1,
			})
		}
		must(t, s.Batch(rows.NewBatch()))
		must(t, s.Commit(500_000))
		must(t, s.Commit(500_001))
		s.Permanent(500_001)
		must(t, s.Upkeep(t.Context()))
		whole := s.Segments()[0].Bytes
		n := 0
		for rec, err := range s.ScanReports(t.Context(), testRef, time.UnixMilli(baseMs-20*3600_000), time.UnixMilli(baseMs-20*3600_000+1)) {
			must(t, err)
			n += int(rec.NumRows())
		}
		if n != 10_000 || (cache != nil) != (l.fetched < whole) {
			t.Errorf("with a cache: %v: %d rows, %d of %d bytes fetched", cache != nil, n, l.fetched, whole)
		}
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	c, err := NewCache(dir, cacheLeast)
	must(t, err)
	block := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, blockBytes/2) }
	fetches := 0
	read := func(c *Cache, i int) error {
		p := make([]byte, 2)
		err := c.read(t.Context(), digestOf(block(i)), blockBytes, p, 6, func(context.Context) ([]byte, error) { fetches++; return block(i), nil })
		if err == nil && !bytes.Equal(p, block(i)[6:8]) {
			t.Errorf("block %d: %v", i, p)
		}
		return err
	}
	const room = cacheLeast / blockBytes
	for i := range 2 * room {
		must(t, read(c, i))
		must(t, read(c, 0)) // the one that is always wanted
	}
	if fetches != 2*room {
		t.Errorf("%d fetches", fetches)
	}
	files := tree(t, dir)
	if len(files) != room {
		t.Errorf("%d files, room for %d", len(files), room)
	}
	last := filepath.Join(dir, digestOf(block(2*room-1))+blockSuffix)
	must(t, os.WriteFile(last, block(7), 0o600)) // damaged while nobody looked
	must(t, os.WriteFile(filepath.Join(dir, "x.block.tmp"), nil, 0o600))
	again, err := NewCache(dir, cacheLeast)
	must(t, err)
	must(t, read(again, 0))
	if fetches != 2*room {
		t.Error("a restart forgot")
	}
	must(t, read(again, 2*room-1))
	if fetches != 2*room+1 {
		t.Errorf("%d fetches after damage", fetches)
	}
	if entries := tree(t, dir); len(entries) != room || entries["x.block.tmp"] != "" {
		t.Errorf("%d files after a restart", len(entries))
	}
	if _, err := NewCache(dir, 1); !isCode(err, Malformed) {
		t.Errorf("a cache of a byte: %v", err)
	}
	wrong := func(context.Context) ([]byte, error) { return block(2), nil }
	if err := again.read(t.Context(), digestOf(block(200)), blockBytes, make([]byte, 1), 0, wrong); !isCode(err, Damaged) {
		t.Errorf("another block than was asked for: %v", err)
	}
}

// TestACacheThatFailsDelaysNothing reads through a cache whose disk is full.
func TestACacheThatFailsDelaysNothing(t *testing.T) {
	f := newFaultyFS()
	c, err := newCache(f, t.TempDir(), cacheLeast)
	must(t, err)
	f.kind, f.down = noSpace, true
	block := []byte("block")
	for range 2 {
		p := make([]byte, 5)
		must(t, c.read(t.Context(), digestOf(block), 5, p, 0, func(context.Context) ([]byte, error) { return block, nil }))
		if string(p) != "block" {
			t.Errorf("%q", p)
		}
	}
}

// TestOneFetchForAll lets many ask for a block at once, the first of whom gives up.
func TestOneFetchForAll(t *testing.T) {
	c := cacheOf(t)
	block := []byte("block")
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{})
	var crew sync.WaitGroup
	crew.Go(func() {
		err := c.read(ctx, digestOf(block), 5, make([]byte, 1), 0, func(ctx context.Context) ([]byte, error) {
			close(begun)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	<-begun
	var mu sync.Mutex
	fetches := 0
	for range 20 {
		crew.Go(func() {
			p := make([]byte, 5)
			err := c.read(t.Context(), digestOf(block), 5, p, 0, func(context.Context) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				fetches++
				return block, nil
			})
			if err != nil || string(p) != "block" {
				t.Errorf("%q, %v", p, err)
			}
		})
	}
	cancel()
	crew.Wait()
	if fetches == 0 || !strings.HasPrefix(string(block), "b") {
		t.Error("nobody fetched")
	}
}

// TestAShareWhileOthersWork commits, keeps in order, and reads here and elsewhere at the same time. Run with the race detector it
// holds the locks, too.
func TestAShareWhileOthersWork(t *testing.T) {
	whole := open(t, t.TempDir(), Config{FS: newFaultyFS()})
	must(t, whole.Restore(0))
	fill(t, whole, 0, 12)
	want := answers(t, &whole.Rows)

	c, now := newCluster(), later(30)
	s := owner(t, c.line(), "03", 1, Config{Clock: now, RowsPending: 200})
	must(t, s.Restore(0))
	r := reader(t, c.line())
	ctx, cancel := context.WithCancel(t.Context())
	var crew sync.WaitGroup
	crew.Go(func() {
		for ctx.Err() == nil {
			if err := s.Upkeep(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for _, rows := range []*Rows{&s.Rows, &r.Rows} {
		crew.Go(func() {
			for seen := 0; ctx.Err() == nil; {
				n := 0
				for rec, err := range rows.ScanReports(t.Context(), testRef, time.Time{}, time.Time{}) {
					if err != nil {
						t.Error(err)
						return
					}
					n += int(rec.NumRows())
				}
				if n < seen || n%60 != 0 {
					t.Errorf("%d rows after %d", n, seen)
				}
				seen = n
			}
		})
	}
	for batch := range 12 {
		fill(t, s, batch, batch+1)
		s.Permanent(uint64(batch+1) * 60)
	}
	cancel()
	crew.Wait()
	settled(t, c, s, now, "at the end")
	same(t, "at the end", &r.Rows, want)
}
