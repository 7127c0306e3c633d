package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/quadrat-dev/quadrat/storage"
)

// Folder keeps objects as files below a folder: of one machine, or of a file server that all machines see, whose renames are
// atomic and whose fsync is true. It is safe for use by many goroutines and many processes.
type Folder struct {
	root *os.Root
	path string
}

// partial begins the names of files that are not whole.
const partial = ".partial-"

// At opens what a URL names: s3://bucket or s3://bucket/prefix as [Open] does, or file:///folder as [OpenFolder] does, for which nothing
// else of the configuration may be set.
func At(c Config) (storage.Bucket, error) {
	folder, isFolder := strings.CutPrefix(c.URL, "file://")
	if !isFolder {
		return Open(c)
	}
	if !filepath.IsAbs(folder) {
		return nil, fmt.Errorf("bucket %q: write s3://bucket/prefix, or file:///folder with the whole path", c.URL)
	}
	if c != (Config{URL: c.URL}) {
		return nil, fmt.Errorf("bucket %q: a folder has no endpoint, region or keys", c.URL)
	}
	return OpenFolder(folder)
}

// OpenFolder opens a folder, which it makes when it doesn't exist. The caller closes it.
func OpenFolder(path string) (*Folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("bucket: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("bucket: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("bucket: %w", err)
	}
	return &Folder{root: root, path: path}, nil
}

// Close lets go of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Put writes an object, in place of one of that name, and returns once it is whole and on disk.
func (f *Folder) Put(ctx context.Context, name string, from io.ReaderAt, size int64) error {
	if name == "" || path.Clean(name) != name || strings.HasPrefix(path.Base(name), ".") {
		return fmt.Errorf("put: %q is no name of an object", name)
	}
	if err := f.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	folder, err := f.root.OpenRoot(path.Dir(name))
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	defer func() { _ = folder.Close() }() // only a handle
	temporary, err := os.CreateTemp(filepath.Join(f.path, path.Dir(name)), partial)
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	err = fill(ctx, temporary, from, size)
	if err == nil {
		err = folder.Rename(filepath.Base(temporary.Name()), path.Base(name))
	}
	if err != nil {
		return fmt.Errorf("put: %w", errors.Join(err, folder.Remove(filepath.Base(temporary.Name()))))
	}
	for at := path.Dir(name); ; at = path.Dir(at) {
		if err := f.sync(at); err != nil {
			return fmt.Errorf("put: %w", err)
		}
		if at == "." {
			return nil
		}
	}
}

// fill writes a file, syncs and closes it.
func fill(ctx context.Context, to *os.File, from io.ReaderAt, size int64) error {
	n, err := io.Copy(to, io.NewSectionReader(from, 0, size))
	switch {
	case err != nil:
	case n != size:
		err = io.ErrUnexpectedEOF
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}

func (f *Folder) sync(folder string) error {
	in, err := f.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(in.Sync(), in.Close())
}

// Get reads the bytes of an object from one on up to another; the caller closes it. An object that isn't there is an error that is
// fs.ErrNotExist.
func (f *Folder) Get(_ context.Context, name string, from, to int64) (io.ReadCloser, error) {
	if from < 0 || to <= from {
		return nil, fmt.Errorf("get: no bytes lie between %d and %d", from, to)
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	return &section{Reader: io.NewSectionReader(file, from, to-from), Closer: file}, nil
}

type section struct {
	io.Reader
	io.Closer
}

// Remove removes an object; one that isn't there is no error. Folders stay.
func (f *Folder) Remove(_ context.Context, name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove: %w", err)
	}
	return nil
}

// List gives the names of the objects that begin with a prefix. An error ends it.
func (f *Folder) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		top := path.Dir(prefix + "x") // the folder that all of them are below
		err := fs.WalkDir(f.root.FS(), top, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist): // removed meanwhile, or never there
				return nil
			case err != nil:
				return err
			case ctx.Err() != nil:
				return ctx.Err()
			case entry.IsDir() || !strings.HasPrefix(name, prefix) || strings.HasPrefix(entry.Name(), partial):
				return nil
			case !yield(name, nil):
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield("", fmt.Errorf("list: %w", err))
		}
	}
}
