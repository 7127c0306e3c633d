package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"syscall"
	"testing"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// fault is what a faulty file system does at one operation.
type fault int

const (
	shortWrite fault = iota // half of the bytes, no error
	noSpace                 // half of the bytes, ENOSPC
	noSync                  // an error of fsync
	crash                   // this operation and all later ones fail, and what was not synced is cut
)

var errInjected = errors.New("injected fault")

// faultyFS fails at the operation with the number at, counted from 0; −1 for never.
type faultyFS struct {
	Disk
	kind     fault
	at, done int
	down     bool
	unsynced map[string]*faultyFile
}

// step counts an operation and tells whether the fault strikes now.
func (f *faultyFS) step() bool {
	n := f.done
	f.done++
	if f.at >= 0 && n == f.at && f.kind == crash && !f.down {
		f.down = true
		for path, file := range f.unsynced { // the page cache is lost
			_ = os.Truncate(path, file.synced)
		}
	}
	return f.at >= 0 && n == f.at
}

func (f *faultyFS) gate() error {
	if struck := f.step(); f.down || struck && f.kind == noSpace {
		return syscall.ENOSPC
	}
	return nil
}

func (f *faultyFS) Mkdir(path string) error {
	if err := f.gate(); err != nil {
		return err
	}
	return f.Disk.Mkdir(path)
}

func (f *faultyFS) Create(path string) (File, error) {
	if err := f.gate(); err != nil {
		return nil, err
	}
	file, err := f.Disk.Create(path)
	if err != nil {
		return nil, err
	}
	w := &faultyFile{File: file, fs: f, path: path}
	f.unsynced[path] = w
	return w, nil
}

func (f *faultyFS) Rename(from, to string) error {
	if err := f.gate(); err != nil {
		return err
	}
	delete(f.unsynced, from)
	return f.Disk.Rename(from, to)
}

func (f *faultyFS) Remove(path string) error {
	if err := f.gate(); err != nil {
		return err
	}
	return f.Disk.Remove(path)
}

func (f *faultyFS) SyncDir(path string) error {
	if struck := f.step(); f.down || struck && f.kind == noSync {
		return errInjected
	}
	return f.Disk.SyncDir(path)
}

type faultyFile struct {
	File
	fs              *faultyFS
	path            string
	written, synced int64
}

func (w *faultyFile) Write(p []byte) (int, error) {
	struck := w.fs.step()
	if w.fs.down {
		return 0, errInjected
	}
	keep := p
	if struck && (w.fs.kind == shortWrite || w.fs.kind == noSpace) {
		keep = p[:len(p)/2]
	}
	n, err := w.File.Write(keep)
	w.written += int64(n)
	if err == nil && struck && w.fs.kind == noSpace {
		err = syscall.ENOSPC
	}
	return n, err
}

func (w *faultyFile) Sync() error {
	if struck := w.fs.step(); w.fs.down || struck && w.fs.kind == noSync {
		return errInjected
	}
	w.synced = w.written
	return w.File.Sync()
}

const (
	crashBatches = 4
	crashRows    = 60 // reports in a batch
)

// drive feeds batches from a position on; retry repeats what fails, else the first error ends it.
func drive(t *testing.T, s *Store, position uint64, retry bool) error {
	t.Helper()
	try := func(do func() error) error {
		err := do()
		if err != nil && retry {
			err = do()
		}
		return err
	}
	for batch := int(position) / crashRows; batch < crashBatches; batch++ {
		rec := recordOf(t, makeReports(rand.New(rand.NewPCG(3, uint64(batch))), uint64(batch*crashRows+1), crashRows))
		err := try(func() error { return s.Reports(rec) })
		rec.Release()
		if err == nil {
			err = try(func() error { return s.Results([]*quadratv1.Result{makeResult(batch, 1, float64(batch))}) })
		}
		if err == nil && batch%2 == 1 {
			err = try(func() error { return s.Commit(uint64((batch + 1) * crashRows)) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// undisturbed is the files and the number of file operations of a run without a fault.
func undisturbed(t *testing.T) (map[string]string, int) {
	t.Helper()
	dir := t.TempDir()
	f := &faultyFS{at: -1, unsynced: map[string]*faultyFile{}}
	s := open(t, dir, Config{FS: f, RowsPending: 90})
	must(t, s.Restore(0))
	must(t, drive(t, s, 0, false))
	return tree(t, dir), f.done
}

// TestCrashAtEveryStep stops the world at every operation on files, restarts, replays from the commit, and expects the
// files of an undisturbed run. The engine's checkpoint is at the newest commit or at the one before it.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	want, steps := undisturbed(t)
	for at := 0; at < steps; at += stride() {
		for _, older := range []bool{false, true} {
			dir := t.TempDir()
			f := &faultyFS{kind: crash, at: at, unsynced: map[string]*faultyFile{}}
			if s, err := Open(dir, Config{FS: f, RowsPending: 90}); err == nil {
				if s.Restore(0) == nil {
					_ = drive(t, s, 0, false) // the crash
				}
			}
			if !f.down {
				t.Fatalf("step %d: no crash", at)
			}
			s := open(t, dir, Config{RowsPending: 90})
			position := s.Position()
			if older && position >= 2*crashRows {
				position -= 2 * crashRows
			}
			must(t, s.Restore(position))
			must(t, drive(t, s, position, false))
			if got := tree(t, dir); !reflect.DeepEqual(got, want) {
				t.Fatalf("crash at step %d (older checkpoint: %v): files differ", at, older)
			}
		}
	}
}

// stride is from one step to the next that is tried: each one, but a ninth of them in short runs, which are for the race
// detector; the whole is in the plain run.
func stride() int {
	if testing.Short() {
		return 9
	}
	return 1
}

// TestFaultsLoseNothing fails one operation at a time, tries again, and expects every row once, without a restart.
func TestFaultsLoseNothing(t *testing.T) {
	t.Parallel()
	_, steps := undisturbed(t)
	whole := open(t, t.TempDir(), Config{})
	must(t, drive(t, whole, 0, false))
	want := sorted(scanAll(t, whole))
	for _, kind := range []fault{shortWrite, noSpace, noSync} {
		for at := 0; at < steps; at += stride() {
			name := fmt.Sprintf("fault %d at step %d", kind, at)
			dir := t.TempDir()
			f := &faultyFS{kind: kind, at: at, unsynced: map[string]*faultyFile{}}
			s, err := Open(dir, Config{FS: f, RowsPending: 90})
			if err != nil {
				s = open(t, dir, Config{FS: f, RowsPending: 90})
			}
			if err := s.Restore(0); err != nil {
				must(t, s.Restore(0))
			}
			if err := drive(t, s, 0, true); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := sorted(scanAll(t, s)); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %d rows, want %d", name, len(got), len(want))
			}
			again := open(t, dir, Config{})
			must(t, again.Restore(again.Position()))
			if got := sorted(scanAll(t, again)); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s, after a restart: %d rows, want %d", name, len(got), len(want))
			}
		}
	}
}
