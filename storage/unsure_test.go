package storage

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// witness looks, whenever something is removed or written over, whether the catalog on disk names it.
type witness struct {
	*shelf
	*faultyFS

	t      *testing.T
	dir    string
	synced int // folders, since the test began to count
	fails  int // the one of them that fails; 0 for none
}

func (w *witness) catalog() *catalog {
	content, err := os.ReadFile(filepath.Join(w.dir, catalogName))
	if err != nil {
		return &catalog{}
	}
	c, err := decodeCatalog(content)
	must(w.t, err)
	return c
}

// objects is the witness as an archive.
type objects struct{ *witness }

func (o objects) Remove(ctx context.Context, name string) error {
	for _, seg := range o.catalog().segments {
		if seg.Archived != "" && seg.object() == name {
			o.t.Errorf("%s is removed from the archive, where the catalog on disk has it", name)
		}
	}
	return o.shelf.Remove(ctx, name)
}

// files is the witness as a file system.
type files struct{ *witness }

func (f files) look(path string) {
	for _, seg := range f.catalog().segments {
		if !seg.Remote && seg.path(f.dir) == path {
			f.t.Errorf("%s is removed or written over, where the catalog on disk names it", seg.Name)
		}
	}
}

func (f files) Remove(path string) error {
	f.look(path)
	return f.faultyFS.Remove(path)
}

func (f files) Rename(from, to string) error {
	f.look(to)
	return f.faultyFS.Rename(from, to)
}

func (f files) SyncDir(path string) error {
	if f.synced++; f.synced == f.fails {
		return errInjected
	}
	return f.faultyFS.SyncDir(path)
}

// TestNothingGoesThatACatalogMayName lets the fsync of one folder fail in a round of upkeep, each in turn: a catalog may then be on disk that
// the store doesn't go by. Nothing that this catalog names is removed or written over, since the process may end at any moment.
func TestNothingGoesThatACatalogMayName(t *testing.T) {
	unsure := 0
	for fails := 1; ; fails++ {
		w := &witness{shelf: &shelf{}, faultyFS: newFaultyFS(), t: t, dir: t.TempDir()}
		s := open(t, w.dir, Config{FS: files{w}, Clock: at(30), Archive: objects{w}, Retain: Retention{BytesMax: 1}, Pace: &hasty{}})
		must(t, s.Restore(0))
		fill(t, s, 0, 2)
		must(t, s.Commit(721))
		s.Permanent(721)
		w.synced, w.fails = 0, fails
		_ = s.Upkeep(t.Context()) // what it tells of the fault is another test's
		if s.unsure {
			unsure++
		}
		if w.synced < fails {
			break
		}
		must(t, s.Upkeep(t.Context()))
	}
	if unsure == 0 {
		t.Error("no fault left open which catalog is on disk")
	}
}
