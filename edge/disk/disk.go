// Package disk is the little that ledger and spool need of a filesystem, as an interface, so that tests can let any write,
// sync or power supply fail. It stands below both; it must never hide a failed write or sync.
//
//	f, err := disk.OS("/var/lib/quadrat").Open("ledger.log", true)
package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// Error is an error of this package, comparable with errors.Is.
type Error string

// Error returns the text of the error.
func (e Error) Error() string { return string(e) }

// ErrLocked says that another process holds the lock.
const ErrLocked Error = "file: in use by another process"

// Folder is one folder without subfolders.
type Folder interface {
	// Open opens a file for reading and writing. Without create a missing file is fs.ErrNotExist.
	Open(name string, create bool) (File, error)
	// Remove deletes a file.
	Remove(name string) error
	// Rename gives a file another name, in place of the file that had it. It is
	// atomic, and durable after Sync.
	Rename(from, to string) error
	// Names lists the files in ascending order.
	Names() ([]string, error)
	// Sync makes creations, deletions and new names durable.
	Sync() error
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size is the length in bytes.
	Size() (int64, error)
	// Truncate cuts the file to a length.
	Truncate(size int64) error
	// Sync makes the content durable.
	Sync() error
	// Lock takes an exclusive lock that lasts until Close, or returns ErrLocked.
	Lock() error
}

// OS is a folder of the operating system; it makes the folder when it is missing, readable for its owner only.
func OS(path string) Folder { return folder(path) }

type folder string

const (
	folderMode = 0o700
	fileMode   = 0o600
)

func (d folder) Open(name string, create bool) (File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
		if err := os.MkdirAll(string(d), folderMode); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(filepath.Join(string(d), name), flags, fileMode)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

func (d folder) Remove(name string) error { return os.Remove(filepath.Join(string(d), name)) }

func (d folder) Rename(from, to string) error {
	return os.Rename(filepath.Join(string(d), from), filepath.Join(string(d), to))
}

func (d folder) Names() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func (d folder) Sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	err = f.Sync()
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

type file struct{ *os.File }

func (f file) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f file) Lock() error { return lock(f.File) }

// ReadAll reads a whole file.
func ReadAll(f File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) && int64(n) == size {
		err = nil
	}
	return b[:n], err
}
