package storage

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

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
	f := newFaultyFS()
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
			f := newFaultyFS()
			f.kind, f.at, f.lost = crash, at, losses()[at%3]
			if s, err := Open(dir, Config{FS: f, RowsPending: 90}); err == nil {
				if s.Restore(0) == nil {
					_ = drive(t, s, 0, false) // the crash
				}
			}
			if !f.down {
				t.Fatalf("step %d: no crash", at)
			}
			s := open(t, dir, Config{FS: newFaultyFS(), RowsPending: 90})
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

// stride is from one step to the next that is tried: each one, but one in 27 in short runs, which are for the race detector;
// the whole is in the plain run.
func stride() int {
	if testing.Short() {
		return 27
	}
	return 1
}

// TestFaultsLoseNothing fails one operation at a time, tries again, and expects every row once, without a restart.
func TestFaultsLoseNothing(t *testing.T) {
	t.Parallel()
	_, steps := undisturbed(t)
	whole := open(t, t.TempDir(), Config{FS: newFaultyFS()})
	must(t, drive(t, whole, 0, false))
	want := sorted(scanAll(t, whole))
	for _, kind := range []fault{shortWrite, noSpace, noSync} {
		for at := 0; at < steps; at += stride() {
			name := fmt.Sprintf("fault %d at step %d", kind, at)
			dir := t.TempDir()
			f := newFaultyFS()
			f.kind, f.at = kind, at
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
			again := open(t, dir, Config{FS: newFaultyFS()})
			must(t, again.Restore(again.Position()))
			if got := sorted(scanAll(t, again)); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s, after a restart: %d rows, want %d", name, len(got), len(want))
			}
		}
	}
}
