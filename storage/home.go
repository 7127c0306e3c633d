package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"sync"
)

// home is where a store's segments and its catalog lie.
type home interface {
	// load gives the catalog in force.
	load(ctx context.Context) (*catalog, error)
	// save puts a catalog in force; after an error it may be in force or not. Its segments have been settled.
	save(ctx context.Context, c *catalog) error
	// write makes the file of a segment from what fill gives, and notes its length. Nobody else reads it before it is settled.
	write(seg *Segment, fill func(io.Writer) error) error
	// settle returns once the files of segments are where every reader finds them, durably. It may be called again.
	settle(ctx context.Context, segments []Segment) error
	// open opens a settled file.
	open(ctx context.Context, seg *Segment) (ReadFile, error)
	// drop gives up a file that no catalog has named.
	drop(seg *Segment) error
}

// folder is the home of a store in a folder of this machine.
type folder struct {
	dir string
	fs  FS

	mu   sync.Mutex      // guards made
	made map[string]bool // folders that are there durably, by path
}

// below makes the folders of rel, unless it has done so before: each takes a sync of its parent. A store never removes a folder.
func (f *folder) below(rel []string) (string, error) {
	path := filepath.Join(append([]string{f.dir}, rel...)...)
	f.mu.Lock()
	made := f.made[path]
	f.mu.Unlock()
	if made {
		return path, nil
	}
	if err := mkdirAll(f.fs, f.dir, rel...); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.made == nil || len(f.made) >= foldersMost {
		f.made = map[string]bool{}
	}
	f.made[path] = true
	return path, nil
}

// forget makes the next write look for a folder again: somebody may have removed it.
func (f *folder) forget(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.made, path)
}

// foldersMost bounds the folders that are remembered: those of a date of ten thousand kappas are half of it.
const foldersMost = 1 << 16

func (f *folder) load(context.Context) (*catalog, error) {
	file, err := f.fs.Open(filepath.Join(f.dir, catalogName))
	if errors.Is(err, fs.ErrNotExist) {
		return &catalog{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	size, err := file.Size()
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	b, err := io.ReadAll(io.NewSectionReader(file, 0, min(size, math.MaxInt32)))
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	c, err := decodeCatalog(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: put the folders of engine, store and broker back from one backup", filepath.Join(f.dir, catalogName), err)
	}
	return c, nil
}

func (f *folder) save(_ context.Context, c *catalog) error {
	b, err := c.encode()
	if err != nil {
		return err
	}
	_, err = writeWhole(f.fs, f.dir, catalogName, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	return nil
}

func (f *folder) write(seg *Segment, fill func(io.Writer) error) error {
	path, err := f.below(seg.folder())
	if err != nil {
		return err
	}
	if seg.Bytes, err = writeWhole(f.fs, path, seg.Name, fill); err != nil {
		f.forget(path)
	}
	return err
}

func (f *folder) settle(context.Context, []Segment) error { return nil }

func (f *folder) open(_ context.Context, seg *Segment) (ReadFile, error) {
	return f.fs.Open(seg.path(f.dir))
}

func (f *folder) drop(seg *Segment) error { return f.fs.Remove(seg.path(f.dir)) }
