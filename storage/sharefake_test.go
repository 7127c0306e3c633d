package storage

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

// miss is what goes wrong with one call over the network.
type miss int

const (
	refused miss = iota // it doesn't happen
	unheard             // it happens, and the answer gets lost
	dying               // it doesn't happen, and neither does any later one: the caller is dead to the world
	parting             // it happens, and no later one does
)

// cluster is heads and a bucket that outlive their users.
type cluster struct {
	mu      sync.Mutex
	objects map[string][]byte
	heads   map[string]entry
}

type entry struct {
	record   []byte
	revision uint64
}

func newCluster() *cluster { return &cluster{objects: map[string][]byte{}, heads: map[string]entry{}} }

// line is one user's connection to a cluster. It fails at the call with the number at, counted from 0; −1 for never.
type line struct {
	*cluster

	kind     miss
	at, done int
	dead     bool
	fetched  int64 // bytes
}

func (c *cluster) line() *line { return &line{cluster: c, at: -1} }

// call makes a call, or not.
func (l *line) call(do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return errInjected
	}
	struck := l.done == l.at
	l.done++
	if !struck {
		return do()
	}
	l.dead = l.kind == dying || l.kind == parting
	if l.kind == unheard || l.kind == parting {
		_ = do()
	}
	return errInjected
}

func (l *line) Put(_ context.Context, name string, from io.ReaderAt, size int64) error {
	content, err := io.ReadAll(io.NewSectionReader(from, 0, size))
	if err != nil {
		return err
	}
	return l.call(func() error { l.objects[name] = content; return nil })
}

func (l *line) Get(_ context.Context, name string, from, to int64) (body io.ReadCloser, err error) {
	err = l.call(func() error {
		content, ok := l.objects[name]
		if !ok {
			return fs.ErrNotExist
		}
		l.fetched += to - from
		body = io.NopCloser(bytes.NewReader(content[from:min(to, int64(len(content)))]))
		return nil
	})
	return body, err
}

func (l *line) Remove(_ context.Context, name string) error {
	return l.call(func() error { delete(l.objects, name); return nil })
}

func (l *line) List(_ context.Context, prefix string) iter.Seq2[string, error] {
	var names []string
	err := l.call(func() error {
		names = slices.DeleteFunc(slices.Collect(maps.Keys(l.objects)), func(name string) bool { return !strings.HasPrefix(name, prefix) })
		return nil
	})
	return func(yield func(string, error) bool) {
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

func (l *line) Head(_ context.Context, share string) (record []byte, revision uint64, err error) {
	err = l.call(func() error {
		e := l.heads[share]
		record, revision = e.record, e.revision
		return nil
	})
	return record, revision, err
}

func (l *line) Swap(_ context.Context, share string, record []byte, revision uint64) (next uint64, err error) {
	err = l.call(func() error {
		if l.heads[share].revision != revision {
			return ErrSwapped
		}
		next = revision + 3
		l.heads[share] = entry{record: slices.Clone(record), revision: next}
		return nil
	})
	return next, err
}

func (l *line) All(context.Context) (out map[string][]byte, err error) {
	err = l.call(func() error {
		out = map[string][]byte{}
		for name, e := range l.heads {
			out[name] = e.record
		}
		return nil
	})
	return out, err
}

// under is the objects below a share's prefix.
func (c *cluster) under(share string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for name := range c.objects {
		if object, ok := strings.CutPrefix(name, prefixOf(share)); ok {
			out = append(out, object)
		}
	}
	slices.Sort(out)
	return out
}

func cacheOf(t testing.TB) *Cache {
	t.Helper()
	c, err := newCache(hurried{}, t.TempDir(), cacheLeast)
	must(t, err)
	return c
}

// hurried is the disk for files that nobody needs after a crash.
type hurried struct{ Disk }

func (hurried) SyncDir(string) error { return nil }

// owner opens a share over a line.
func owner(t testing.TB, l *line, name string, epoch uint64, cfg Config) *Store {
	t.Helper()
	s, err := tryOwner(t, l, name, epoch, cfg)
	must(t, err)
	return s
}

func tryOwner(t testing.TB, l *line, name string, epoch uint64, cfg Config) (*Store, error) {
	t.Helper()
	cfg.Pace = &hasty{}
	if cfg.FS == nil {
		cfg.FS = hurried{}
	}
	s, err := OpenShare(context.Background(), t.TempDir(), Share{Name: name, Epoch: epoch, Heads: l, Bucket: l, Cache: cacheOf(t), Delay: time.Hour}, cfg)
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func reader(t testing.TB, l *line) *Reader {
	t.Helper()
	r, err := NewReader(ReaderConfig{Heads: l, Bucket: l, Cache: cacheOf(t), Pace: &hasty{}})
	must(t, err)
	return r
}

// later is a clock of stored dates that can be set forward.
func later(days int) *clock.Manual {
	return clock.NewManual(time.UnixMilli(baseMs).Add(time.Duration(days) * 24 * time.Hour))
}

// settled lets the delay of everything that isn't needed pass, and holds that nothing but what the catalog names is left.
func settled(t *testing.T, c *cluster, s *Store, at *clock.Manual, when string) {
	t.Helper()
	for range 4 { // what is condemned goes; strays are seen, and go; so does the catalog before the last
		at.Set(at.Now().Add(2 * time.Hour))
		must(t, s.Upkeep(context.Background()))
	}
	want := map[string]bool{s.share.head.Catalog: true}
	for _, seg := range s.Segments() {
		want[seg.object()] = true
	}
	if n := len(s.catalog.condemned); n > 0 {
		t.Errorf("%s: %d objects are condemned still", when, n)
	}
	for _, object := range c.under(s.share.Name) {
		if !want[object] {
			t.Errorf("%s: %s is left", when, object)
		}
		delete(want, object)
	}
	for object := range want {
		t.Errorf("%s: %s is missing", when, object)
	}
	if files := tree(t, s.share.folder); len(files) != 0 {
		t.Errorf("%s: %d files are left in the folder", when, len(files))
	}
}
