package storage

import (
	"context"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	lifeBatches = 10
	lifeRows    = 6
)

// life is what an engine does to a store, and what it would find again after a crash: its newest checkpoint. Every second
// commit is followed by one, so that a crash also meets stores that are ahead of it. Rounds of upkeep come between.
type life struct {
	checkpoint uint64
	retry      bool // repeat what fails once, else the first error ends it
}

func (l *life) try(do func() error) error {
	err := do()
	if err != nil && l.retry {
		err = do()
	}
	return err
}

// goOn lives from the checkpoint to the end.
func (l *life) goOn(t testing.TB, s *Store) error {
	t.Helper()
	for batch := int(l.checkpoint) / lifeRows; batch < lifeBatches; batch++ {
		position := uint64(batch+1) * lifeRows
		rows := makeReports(rand.New(rand.NewPCG(9, uint64(batch))), uint64(batch*lifeRows+1), lifeRows)
		for i := range rows { // two dates, and a window for each two batches
			start := baseMs + int64(batch/2)*60_000
			rows[i].WindowStartMs, rows[i].WindowEndMs, rows[i].StratumPopulation = start, start+60_000, 40
		}
		if err := l.batch(t, s, rows, makeResult(batch, 1, float64(batch)), position); err != nil {
			return err
		}
		if batch%2 == 1 {
			l.checkpoint = position
			s.Permanent(position)
		}
		if batch%4 == 3 || batch == lifeBatches-1 {
			if err := l.try(func() error { return s.Upkeep(context.Background()) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *life) batch(t testing.TB, s *Store, rows []column.Report, result *quadratv1.Result, position uint64) error {
	t.Helper()
	rec := recordOf(t, rows)
	defer rec.Release()
	if err := l.try(func() error { return s.Reports(rec) }); err != nil {
		return err
	}
	if err := l.try(func() error { return s.Results([]*quadratv1.Result{result}) }); err != nil {
		return err
	}
	return l.try(func() error { return s.Commit(position) })
}

// lived is the answers of an undisturbed life and the number of its operations on files.
func lived(t testing.TB, cfg Config) (map[string][]string, int) {
	t.Helper()
	f := newFaultyFS()
	cfg.FS = f
	s := open(t, t.TempDir(), cfg)
	must(t, s.Restore(0))
	must(t, (&life{}).goOn(t, s))
	steps := f.done
	return lifeAnswers(t, &s.Rows), steps
}

// lifeAnswers is what is compared; fewer than answers, since it is many times.
func lifeAnswers(t testing.TB, s *Rows) map[string][]string {
	t.Helper()
	return map[string][]string{
		"reports": sorted(collect(t, goldenScanOf(s, KindReports))),
		"results": sorted(collect(t, s.ScanResults(context.Background(), testRef, time.Time{}, time.Time{}, false))),
	}
}

// tidy holds that every file is named and every name has its file, here or in the archive.
func tidy(t testing.TB, s *Store, when string) {
	t.Helper()
	local := 0
	for _, seg := range s.Segments() {
		if !seg.Remote {
			local++
		}
	}
	files := len(tree(t, s.dir))
	if files != local+1 && files+local > 0 { // the catalog, which an empty store has not
		t.Errorf("%s: %d files for %d segments and a catalog", when, files, local)
	}
	shelf, ok := s.cfg.Archive.(*shelf)
	if !ok {
		return
	}
	want := map[string]bool{}
	for _, seg := range s.Segments() {
		if seg.Archived != "" {
			want[seg.object()] = true
		}
	}
	for _, o := range s.catalog.condemned {
		want[o.Object] = true
	}
	for name := range shelf.objects {
		if !want[name] {
			t.Errorf("%s: the archive has %s, of which the catalog doesn't know", when, name)
		}
	}
}

// lives is how many configurations lifeConfig has.
const lives = 3

// lifeConfig compacts early and often. The second configuration removes the reports of the first of two dates, too; the third one
// has an archive besides, and keeps no file here that is there.
func lifeConfig(n int) Config {
	c := Config{RowsPending: 9, Clock: at(2), Late: time.Hour}
	if n%lives > 0 {
		c.Retain.ReportsAge = 36 * time.Hour
	}
	if n%lives == 2 {
		c.Retain.BytesMax, c.Archive = 1, &shelf{}
	}
	return c
}

// TestLifeAfterCrashes stops the world at every fifth operation on files, with what was not synced lost in different
// ways, restarts at the engine's checkpoint, and expects the answers of an undisturbed life.
func TestLifeAfterCrashes(t *testing.T) {
	t.Parallel()
	var wants [lives]map[string][]string
	var steps, crashes int
	for n := range wants {
		wants[n], steps = lived(t, lifeConfig(n))
	}
	for n, at := 0, 0; at < steps; n, at = n+1, at+4*stride() {
		want, cfg, f := wants[n%lives], lifeConfig(n), newFaultyFS()
		f.kind, f.at, f.lost = crash, at, losses()[n/lives%3]
		cfg.FS = f
		dir, l := t.TempDir(), &life{}
		if s, err := Open(dir, cfg); err == nil && s.Restore(0) == nil {
			_ = l.goOn(t, s) // the crash
		}
		if !f.down {
			continue // this life was shorter
		}
		crashes++
		cfg.FS = newFaultyFS()
		s := open(t, dir, cfg)
		must(t, s.Restore(l.checkpoint))
		tidy(t, s, "after the restart")
		must(t, l.goOn(t, s))
		must(t, s.Upkeep(context.Background()))
		tidy(t, s, "at the end")
		if got := lifeAnswers(t, &s.Rows); !reflect.DeepEqual(got, want) {
			t.Fatalf("crash at step %d of %d, loss %d: the answers differ", at, steps, f.lost)
		}
	}
	if crashes < 240/(4*stride()) {
		t.Errorf("only %d crashes", crashes)
	}
}

// TestLifeWithFaults fails one operation at a time, tries again without a restart, and expects the answers of an
// undisturbed life, before and after a restart.
func TestLifeWithFaults(t *testing.T) {
	t.Parallel()
	want, steps := lived(t, lifeConfig(2))
	for _, kind := range []fault{shortWrite, noSpace, noSync} {
		for at := int(kind); at < steps; at += 17 * stride() {
			cfg, f := lifeConfig(2), newFaultyFS()
			f.kind, f.at = kind, at
			cfg.FS = f
			dir, l := t.TempDir(), &life{retry: true}
			var s *Store
			must(t, l.try(func() (err error) { s, err = Open(dir, cfg); return err }))
			must(t, l.try(func() error { return s.Restore(0) }))
			if err := l.goOn(t, s); err != nil {
				t.Fatalf("fault %d at step %d: %v", kind, f.at, err)
			}
			must(t, s.Upkeep(context.Background()))
			if got := lifeAnswers(t, &s.Rows); !reflect.DeepEqual(got, want) {
				t.Fatalf("fault %d at step %d: the answers differ", kind, f.at)
			}
			cfg.FS = newFaultyFS()
			again := open(t, dir, cfg)
			must(t, again.Restore(l.checkpoint))
			tidy(t, again, "after the restart")
			if got := lifeAnswers(t, &again.Rows); !reflect.DeepEqual(got, want) {
				t.Fatalf("fault %d at step %d, after a restart: the answers differ", kind, f.at)
			}
		}
	}
}
