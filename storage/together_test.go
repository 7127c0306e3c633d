package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// fullNowAndThen is a disk on which some files can't be made. It is never waited for.
type fullNowAndThen struct {
	Disk

	made, folders *atomic.Int64
}

func (f fullNowAndThen) Create(path string) (File, error) {
	if f.made.Add(1)%23 == 0 {
		return nil, syscall.ENOSPC
	}
	file, err := f.Disk.Create(path)
	return unsynced{file}, err
}

func (fullNowAndThen) SyncDir(string) error { return nil }

// unsynced is a file that isn't synced.
type unsynced struct{ File }

func (unsynced) Sync() error { return nil }

func (f fullNowAndThen) Mkdir(path string) error {
	f.folders.Add(1)
	return f.Disk.Mkdir(path)
}

// Parts of many kappas are written several at once; where some can't be the others stay written, and each is committed once. Folders
// are made once, and again when somebody has removed them.
func TestPartsOfManyKappas(t *testing.T) {
	const kappas = 40
	disk := fullNowAndThen{made: new(atomic.Int64), folders: new(atomic.Int64)}
	dir := t.TempDir()
	s := open(t, dir, Config{FS: disk})
	ref := func(i int) string { return fmt.Sprintf("k%03d", i) }
	failed := 0
	commit := func(position uint64) {
		t.Helper()
		for s.Commit(position) != nil {
			if failed++; failed > kappas {
				t.Fatal("commits fail for ever")
			}
		}
	}
	for window := range 4 {
		var results []*quadratv1.Result
		for i := range kappas {
			r := makeResult(window, 1, 20)
			r.Kappa, r.Ref = ref(i), ref(i)
			results = append(results, r)
		}
		must(t, s.Results(results))
		if window == 3 {
			must(t, os.RemoveAll(filepath.Join(dir, "results", "kappa="+ref(7))))
		}
		commit(uint64(window + 1))
	}
	if failed == 0 {
		t.Error("the disk was never full")
	}
	if n := disk.folders.Load(); n > 3*(2*kappas+40) { // two dates, and those of files that could not be made
		t.Errorf("%d folders were made", n)
	}
	s = open(t, dir, Config{})
	for i := range kappas {
		named := 0
		for _, seg := range s.Segments() {
			if seg.Ref == ref(i) {
				named += int(seg.Rows)
			}
		}
		if named != 4 {
			t.Errorf("kappa %d: the catalog names %d rows", i, named)
		}
		if i == 7 {
			continue // earlier rows went with their folder
		}
		if rows := collect(t, s.ScanResults(t.Context(), ref(i), time.Time{}, time.Time{}, true)); len(rows) != 4 {
			t.Errorf("kappa %d has %d results", i, len(rows))
		}
	}
}
