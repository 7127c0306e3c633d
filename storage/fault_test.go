package storage

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
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

// lost is which of the changes to folders that no SyncDir followed a crash undoes.
type lost int

const (
	lostNone  lost = iota // none: the folders were written in time
	lostAll               // all
	lostLater             // the later half of them
)

// losses is all of them.
func losses() []lost { return []lost{lostNone, lostAll, lostLater} }

// faultyFS fails at the operation with the number at, counted from 0; −1 for never. As on a machine that loses its power,
// a crash cuts files back to what was synced, and undoes names that were made, changed or removed in a folder that was
// not synced since. The machine's own disk is never waited for.
type faultyFS struct {
	Disk
	kind     fault
	lost     lost
	at, done int
	down     bool
	unsynced map[string]*faultyFile
	changes  []change // of folders, since they were synced
}

// newFaultyFS makes a file system that works; set kind and at to have it fail.
func newFaultyFS() *faultyFS { return &faultyFS{at: -1, unsynced: map[string]*faultyFile{}} }

// change is a change to a folder that can be undone.
type change struct {
	folder string
	undo   func()
}

// step counts an operation and tells whether the fault strikes now.
func (f *faultyFS) step() bool {
	n := f.done
	f.done++
	if f.at >= 0 && n == f.at && f.kind == crash && !f.down {
		f.crash()
	}
	return f.at >= 0 && n == f.at
}

func (f *faultyFS) crash() {
	f.down = true
	for path, file := range f.unsynced { // the page cache is lost
		_ = os.Truncate(path, file.synced)
	}
	from := 0
	switch f.lost {
	case lostNone:
		return
	case lostAll:
	case lostLater:
		from = len(f.changes) / 2
	}
	for _, c := range slices.Backward(f.changes[from:]) {
		c.undo()
	}
}

func (f *faultyFS) gate() error {
	if struck := f.step(); f.down || struck && f.kind == noSpace {
		return syscall.ENOSPC
	}
	return nil
}

func (f *faultyFS) changed(path string, undo func()) {
	f.changes = append(f.changes, change{folder: filepath.Dir(path), undo: undo})
}

// putBack is how to bring a path back to what it is now: a file with its content, or nothing.
func putBack(path string) func() {
	content, err := os.ReadFile(path)
	if err != nil {
		return func() { _ = os.Remove(path) }
	}
	return func() { _ = os.WriteFile(path, content, 0o600) }
}

func (f *faultyFS) Mkdir(path string) error {
	if err := f.gate(); err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		f.changed(path, func() { _ = os.RemoveAll(path) })
	}
	return f.Disk.Mkdir(path)
}

func (f *faultyFS) Create(path string) (File, error) {
	if err := f.gate(); err != nil {
		return nil, err
	}
	back := putBack(path)
	file, err := f.Disk.Create(path)
	if err != nil {
		return nil, err
	}
	f.changed(path, back)
	w := &faultyFile{File: file, fs: f}
	f.unsynced[path] = w
	return w, nil
}

func (f *faultyFS) Rename(from, to string) error {
	if err := f.gate(); err != nil {
		return err
	}
	backTo, backFrom := putBack(to), putBack(from)
	if err := f.Disk.Rename(from, to); err != nil {
		return err
	}
	f.unsynced[to] = f.unsynced[from]
	delete(f.unsynced, from)
	if f.unsynced[to] == nil {
		delete(f.unsynced, to)
	}
	f.changed(to, func() { backTo(); backFrom() })
	return nil
}

func (f *faultyFS) Remove(path string) error {
	if err := f.gate(); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		f.changed(path, putBack(path))
	}
	return f.Disk.Remove(path)
}

func (f *faultyFS) SyncDir(path string) error {
	if struck := f.step(); f.down || struck && f.kind == noSync {
		return errInjected
	}
	f.changes = slices.DeleteFunc(f.changes, func(c change) bool { return c.folder == path })
	return nil
}

type faultyFile struct {
	File
	fs              *faultyFS
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
	return nil
}
