package storage

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is the file system as the store needs it; tests put one that fails in its place. Paths are absolute.
type FS interface {
	// Mkdir makes one folder; one that exists is no error.
	Mkdir(path string) error
	// Create opens a file for writing, emptied if it exists.
	Create(path string) (File, error)
	// Open opens a file for reading.
	Open(path string) (ReadFile, error)
	// Rename puts a file at another path of the same file system, atomically.
	Rename(from, to string) error
	// Remove removes a file or an empty folder; one that does not exist is no error.
	Remove(path string) error
	// SyncDir returns once the names in a folder are on disk.
	SyncDir(path string) error
	// List is the entries of a folder by name; a folder that does not exist has none.
	List(path string) ([]fs.DirEntry, error)
}

// File is a file that is being written.
type File interface {
	io.Writer
	io.Closer
	// Sync returns once all that was written is on disk.
	Sync() error
}

// ReadFile is a file that is being read.
type ReadFile interface {
	io.ReaderAt
	io.Closer
	// Size is the length in bytes.
	Size() (int64, error)
}

// Disk is the machine's file system. Folders are made with mode 0700, files with 0600.
type Disk struct{}

// Mkdir makes one folder.
func (Disk) Mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Create opens a file for writing.
func (Disk) Create(path string) (File, error) {
	return os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

type diskFile struct{ *os.File }

// Size is the length in bytes.
func (f diskFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Open opens a file for reading.
func (Disk) Open(path string) (ReadFile, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

// Rename puts a file at another path.
func (Disk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file or an empty folder.
func (Disk) Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir syncs a folder.
func (Disk) SyncDir(path string) error {
	d, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// List is the entries of a folder.
func (Disk) List(path string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// mkdirAll makes the folders of rel below root one by one and syncs the parent of each.
func mkdirAll(f FS, root string, rel ...string) error {
	path := root
	for _, name := range rel {
		next := filepath.Join(path, name)
		if err := f.Mkdir(next); err != nil {
			return err
		}
		if err := f.SyncDir(path); err != nil {
			return err
		}
		path = next
	}
	return nil
}

// mkdirPath makes a folder, and those above it that don't exist, and syncs the parent of each.
func mkdirPath(f FS, path string) error {
	parent := filepath.Dir(path)
	err := f.Mkdir(path)
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err = mkdirPath(f, parent); err == nil {
			err = f.Mkdir(path)
		}
	}
	if err != nil {
		return err
	}
	return f.SyncDir(parent)
}

// writeWhole makes a file appear whole: under a temporary name in the same folder, synced, renamed, the folder synced.
// It returns the file's length.
func writeWhole(f FS, folder, name string, write func(io.Writer) error) (int64, error) {
	temporary := filepath.Join(folder, "."+name+".tmp")
	file, err := f.Create(temporary)
	if err != nil {
		return 0, err
	}
	counted := &countingWriter{to: file}
	err = write(counted)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = f.Rename(temporary, filepath.Join(folder, name))
	}
	if err != nil {
		return 0, errors.Join(err, f.Remove(temporary))
	}
	return counted.bytes, f.SyncDir(folder)
}

// countingWriter counts bytes and turns a short write without an error into one.
type countingWriter struct {
	to    io.Writer
	bytes int64
}

// Write writes all of p or fails.
func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.bytes += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
