package engine

import (
	"io"
	"os"
	"path/filepath"
)

// Files is the file system as checkpoints need it; tests put one that fails in its place.
type Files interface {
	// Create opens a file for writing, emptied if it exists.
	Create(path string) (File, error)
	// ReadFile gives a file's content.
	ReadFile(path string) ([]byte, error)
	// Rename puts a file at another path of the same folder, atomically.
	Rename(from, to string) error
	// SyncDir returns once the names in a folder are on disk.
	SyncDir(path string) error
}

// File is a file that is being written. Sync returns once all that was written is on disk.
type File interface {
	io.WriteCloser
	Sync() error
}

// disk is the machine's file system. Files are made with mode 0600.
type disk struct{}

func (disk) Create(path string) (File, error) {
	return os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (disk) ReadFile(path string) ([]byte, error) { return os.ReadFile(filepath.Clean(path)) }

func (disk) Rename(from, to string) error { return os.Rename(from, to) }

func (disk) SyncDir(path string) error {
	dir, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		_ = dir.Close() // the first error tells more
		return err
	}
	return dir.Close()
}
