package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

// shelf is an archive in memory, which outlives the crashes of a store.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
	down    bool // puts and removes fail
	cut     bool // two reads of three break off after a third of what they would give
	reads   int
}

func (s *shelf) Put(_ context.Context, name string, from io.ReaderAt, size int64) error {
	content, err := io.ReadAll(io.NewSectionReader(from, 0, size))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errInjected
	}
	if s.objects == nil {
		s.objects = map[string][]byte{}
	}
	s.objects[name] = content
	return nil
}

func (s *shelf) Get(_ context.Context, name string, from, to int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	content, ok := s.objects[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	content = content[from:min(to, int64(len(content)))]
	if s.cut && s.reads%3 != 0 {
		return io.NopCloser(io.MultiReader(bytes.NewReader(content[:len(content)/3]), broken{})), nil
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

func (s *shelf) Remove(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errInjected
	}
	delete(s.objects, name)
	return nil
}

// broken is the end of a connection that broke.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errInjected }

// archived is a store all of whose segments went to a shelf and left this disk.
func archived(t *testing.T, dir string, to *shelf) *Store {
	t.Helper()
	s := open(t, dir, Config{FS: newFaultyFS(), Clock: at(30), Archive: to, Retain: Retention{BytesMax: 1}, Pace: &hasty{}})
	must(t, s.Restore(0))
	fill(t, s, 0, 12)
	must(t, s.Commit(721))
	s.Permanent(721)
	return s
}

// hasty is a clock that never waits.
type hasty struct {
	clock.Real
	waits int
}

func (h *hasty) WaitUntil(ctx context.Context, _ time.Time) error {
	h.waits++
	return ctx.Err()
}

func TestArchiveChangesNoAnswer(t *testing.T) {
	dir, to := t.TempDir(), &shelf{}
	s := archived(t, dir, to)
	want := answers(t, &s.Rows)
	must(t, s.Upkeep(context.Background()))
	if files := parquetFiles(t, dir); len(files) != 0 {
		t.Errorf("files are left here: %v", files)
	}
	if len(to.objects) != len(s.Segments()) || len(to.objects) == 0 {
		t.Errorf("%d objects for %d segments", len(to.objects), len(s.Segments()))
	}
	for name := range to.objects {
		if !strings.HasPrefix(name, "re") && !strings.HasPrefix(name, "strata/kappa="+testRef+"/date=2027-01-1") {
			t.Errorf("an object is called %s", name)
		}
	}
	to.cut = true
	for what, rows := range answers(t, &s.Rows) {
		if !reflect.DeepEqual(rows, want[what]) {
			t.Errorf("the archive changed %s", what)
		}
	}
	if n := s.cfg.Pace.(*hasty).waits; n == 0 {
		t.Error("no read broke off")
	}
	tidy(t, s, "after reading")
	again := open(t, dir, Config{FS: newFaultyFS(), Clock: at(30), Archive: to})
	must(t, again.Restore(721))
	for what, rows := range answers(t, &again.Rows) {
		if !reflect.DeepEqual(rows, want[what]) {
			t.Errorf("after a restart: the archive changed %s", what)
		}
	}
}

// TestNoRowOfADamagedObjectIsRead damages the archive's copies in four ways, of which one leaves a Parquet file as good as any.
func TestNoRowOfADamagedObjectIsRead(t *testing.T) {
	for name, damage := range map[string]func(*shelf, string){
		"a name changed": func(s *shelf, name string) {
			s.objects[name] = bytes.ReplaceAll(s.objects[name], []byte("indoor"), []byte("indoos"))
		},
		"a bit flipped": func(s *shelf, name string) { s.objects[name][len(s.objects[name])/2] ^= 1 },
		"cut short":     func(s *shelf, name string) { s.objects[name] = s.objects[name][:10] },
		"gone":          func(s *shelf, name string) { delete(s.objects, name) },
	} {
		to := &shelf{}
		s := archived(t, t.TempDir(), to)
		must(t, s.Upkeep(context.Background()))
		for _, seg := range s.Segments() {
			damage(to, seg.object())
		}
		rows := 0
		var failed error
		for rec, err := range s.ScanReports(context.Background(), testRef, time.Time{}, time.Time{}) {
			if failed = err; err == nil {
				rows += int(rec.NumRows())
			}
		}
		if rows != 0 || failed == nil {
			t.Errorf("%s: %d rows were read, %v", name, rows, failed)
		}
		tidy(t, s, name)
	}
}

// TestAnArchiveThatIsDownDelaysNothing goes on with compaction, answers and commits while the archive fails, and keeps all files
// until it is back.
func TestAnArchiveThatIsDownDelaysNothing(t *testing.T) {
	dir, to := t.TempDir(), &shelf{down: true}
	s := archived(t, dir, to)
	want, before := answers(t, &s.Rows), len(s.Segments())
	if err := s.Upkeep(context.Background()); !errors.Is(err, errInjected) {
		t.Errorf("a round without the archive: %v", err)
	}
	if n := len(s.Segments()); n >= before || len(parquetFiles(t, dir)) != n {
		t.Errorf("%d segments, %d before, %d files", n, before, len(parquetFiles(t, dir)))
	}
	to.down = false
	must(t, s.Upkeep(context.Background()))
	if n := len(parquetFiles(t, dir)); n != 0 || len(to.objects) != len(s.Segments()) || len(s.catalog.condemned) != 0 {
		t.Errorf("%d files and %d objects for %d segments, %d condemned", n, len(to.objects), len(s.Segments()), len(s.catalog.condemned))
	}
	for what, rows := range answers(t, &s.Rows) {
		if !reflect.DeepEqual(rows, want[what]) {
			t.Errorf("the archive changed %s", what)
		}
	}
}

// TestObjectsGoWithTheirRows removes rows by age, in the archive, too, but not under a reader.
func TestObjectsGoWithTheirRows(t *testing.T) {
	dir, to := t.TempDir(), &shelf{}
	s := archived(t, dir, to)
	must(t, s.Upkeep(context.Background()))
	want := sorted(scanAll(t, s))
	next, stop := iter.Pull2(s.ScanReports(context.Background(), testRef, time.Time{}, time.Time{}))
	defer stop()
	first, err, _ := next()
	must(t, err)
	n := int(first.NumRows())
	s.cfg.Retain = Retention{ReportsAge: time.Hour, ResultsAge: time.Hour}
	must(t, s.Upkeep(context.Background()))
	if len(to.objects) == 0 || len(s.Segments()) != 0 {
		t.Errorf("%d objects while they are read, %d segments", len(to.objects), len(s.Segments()))
	}
	for rec, err, ok := next(); ok; rec, err, ok = next() {
		must(t, err)
		n += int(rec.NumRows())
	}
	if n != len(want) {
		t.Errorf("a reader saw %d rows, want %d", n, len(want))
	}
	must(t, s.Upkeep(context.Background()))
	if len(to.objects) != 0 || len(s.catalog.condemned) != 0 {
		t.Errorf("%d objects and %d condemned names are left", len(to.objects), len(s.catalog.condemned))
	}
	if entries, err := os.ReadDir(dir); err != nil || len(parquetFiles(t, dir)) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestARestartDoesNotNeedTheArchive keeps what a restart reads here.
func TestARestartDoesNotNeedTheArchive(t *testing.T) {
	dir, to := t.TempDir(), &shelf{}
	cfg := Config{FS: newFaultyFS(), Clock: at(30), Archive: to, Retain: Retention{BytesMax: 1}, Pace: &hasty{}}
	s := open(t, dir, cfg)
	must(t, s.Restore(0))
	fill(t, s, 0, 12)
	s.Permanent(720)
	must(t, s.Upkeep(context.Background()))
	if len(to.objects) == 0 {
		t.Error("nothing was archived")
	}
	to.objects = nil
	again := open(t, dir, cfg)
	must(t, again.Restore(720))
}
