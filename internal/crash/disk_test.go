package crash_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/storage"
)

// ill is what a disk does when its moment comes.
type ill int

const (
	well       ill = iota
	shortWrite     // half of the bytes are written, without an error
	noSpace        // half of the bytes, ENOSPC; nothing can be made
	noSync         // an error of fsync
	killed         // this operation and all later ones fail; what was written before stays, as the kernel keeps it
	powerCut       // as killed, and what was not synced is gone
)

var errInjected = errors.New("injected fault")

// disk is the file system of store and checkpoint. Its illness begins with the operation number at, counted from 0, and
// lasts for so many operations; killed and powerCut last for ever.
type disk struct {
	illness  ill
	at, last int
	fell     chan struct{} // closed when the disk is down

	mu       sync.Mutex // guards what follows
	done     int
	down     bool
	unsynced map[string]*diskFile
	changes  []change // of folders, since they were synced
}

// change is a change to a folder that a power cut undoes.
type change struct {
	folder string
	undo   func()
}

func newDisk(illness ill, at, last int) *disk {
	return &disk{illness: illness, at: at, last: last, fell: make(chan struct{}), unsynced: map[string]*diskFile{}}
}

// fall takes the disk down, as the end of its process does.
func (d *disk) fall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.collapse(d.illness == powerCut)
}

// ail lets the illness begin with the next operation.
func (d *disk) ail() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = d.done
}

func (d *disk) collapse(lose bool) {
	if d.down {
		return
	}
	d.down = true
	close(d.fell)
	if !lose {
		return
	}
	for path, file := range d.unsynced { // the page cache is lost
		_ = os.Truncate(path, file.synced)
	}
	for _, c := range slices.Backward(d.changes) {
		c.undo()
	}
}

// step counts an operation and tells what ails it. The caller holds mu.
func (d *disk) step() ill {
	n := d.done
	d.done++
	if d.illness == well || n < d.at || n-d.at >= d.last && d.illness < killed {
		return well
	}
	if d.illness >= killed {
		d.collapse(d.illness == powerCut)
	}
	return d.illness
}

// gate is the fault of an operation that writes no bytes. The caller holds mu.
func (d *disk) gate() error {
	if struck := d.step(); d.down || struck == noSpace {
		return syscall.ENOSPC
	}
	return nil
}

// putBack is how to bring a path back to what it is now: a file with its content, or nothing.
func putBack(path string) func() {
	content, err := os.ReadFile(path)
	if err != nil {
		return func() { _ = os.Remove(path) }
	}
	return func() { _ = os.WriteFile(path, content, 0o600) }
}

// changed notes a change that a power cut undoes. Only then is it worth the copy. The caller holds mu.
func (d *disk) changed(path string, undo func()) {
	d.changes = append(d.changes, change{folder: filepath.Dir(path), undo: undo})
}

func (d *disk) Mkdir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.gate(); err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		d.changed(path, func() { _ = os.RemoveAll(path) })
	}
	return storage.Disk{}.Mkdir(path)
}

func (d *disk) create(path string) (*diskFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.gate(); err != nil {
		return nil, err
	}
	if d.illness == powerCut {
		d.changed(path, putBack(path))
	}
	file, err := storage.Disk{}.Create(path)
	if err != nil {
		return nil, err
	}
	w := &diskFile{file: file, disk: d}
	d.unsynced[path] = w
	return w, nil
}

func (d *disk) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

func (d *disk) Open(path string) (storage.ReadFile, error) { return storage.Disk{}.Open(path) }

func (d *disk) List(path string) ([]fs.DirEntry, error) { return storage.Disk{}.List(path) }

func (d *disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.gate(); err != nil {
		return err
	}
	if d.illness == powerCut {
		backTo, backFrom := putBack(to), putBack(from)
		d.changed(to, func() { backTo(); backFrom() })
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	delete(d.unsynced, to)
	if file := d.unsynced[from]; file != nil {
		d.unsynced[to] = file
		delete(d.unsynced, from)
	}
	return nil
}

func (d *disk) Remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.gate(); err != nil {
		return err
	}
	if info, err := os.Stat(path); d.illness == powerCut && err == nil && !info.IsDir() {
		d.changed(path, putBack(path))
	}
	return storage.Disk{}.Remove(path)
}

func (d *disk) SyncDir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if struck := d.step(); d.down || struck == noSync {
		return errInjected
	}
	d.changes = slices.DeleteFunc(d.changes, func(c change) bool { return c.folder == path })
	return nil
}

// diskFile is a file that is being written.
type diskFile struct {
	file            storage.File
	disk            *disk
	written, synced int64 // guarded by the disk's mu
}

func (w *diskFile) Write(p []byte) (int, error) {
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	gone := w.disk.down
	struck := w.disk.step()
	if gone || struck == powerCut {
		return 0, errInjected
	}
	keep := p
	if struck != well && struck != noSync {
		keep = p[:len(p)/2] // of a killed process too: the write that is under way
	}
	n, err := w.file.Write(keep)
	w.written += int64(n)
	if err == nil && struck == noSpace {
		err = syscall.ENOSPC
	}
	if w.disk.down {
		err = errInjected
	}
	return n, err
}

func (w *diskFile) Sync() error {
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	if struck := w.disk.step(); w.disk.down || struck == noSync {
		return errInjected
	}
	w.synced = w.written // the machine's own disk is never waited for
	return nil
}

func (w *diskFile) Close() error { return w.file.Close() }

// storeDisk and engineDisk are the disk as store and engine want it.
type (
	storeDisk  struct{ *disk }
	engineDisk struct{ *disk }
)

func (d storeDisk) Create(path string) (storage.File, error) {
	file, err := d.create(path)
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (d engineDisk) Create(path string) (engine.File, error) {
	file, err := d.create(path)
	if err != nil {
		return nil, err
	}
	return file, nil
}
