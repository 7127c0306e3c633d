package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/storage"
	"github.com/quadrat-dev/quadrat/storage/bucket"
)

func openBucket(t *testing.T, s *s3) *bucket.Bucket {
	t.Helper()
	b, err := bucket.Open(bucket.Config{
		URL: "s3://" + bucketName + "/quadrat/one", Endpoint: s.URL, AccessKey: accessKey, SecretKey: "not told to anybody",
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func content(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 1))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(rng.Uint32())
	}
	return out
}

func openFolder(t *testing.T, path string) *bucket.Folder {
	t.Helper()
	b, err := bucket.OpenFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestABucketAndAFolderAreAlike(t *testing.T) {
	for kind, b := range map[string]storage.Bucket{"bucket": openBucket(t, newS3(t)), "folder": openFolder(t, filepath.Join(t.TempDir(), "a", "b"))} {
		all := content(10_000)
		names := []string{"share=03/catalog/1", "share=03/reports/a.parquet", "share=03/reports/b.parquet", "share=030/c", "share=04/d"}
		for i, name := range names {
			for range 2 {
				if err := b.Put(t.Context(), name, bytes.NewReader(all[i:]), int64(len(all)-i)); err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
			}
		}
		for prefix, want := range map[string][]string{"share=03/": names[:3], "share=04/": names[4:], "": names, "share=05/": nil} {
			var got []string
			for name, err := range b.List(t.Context(), prefix) {
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				got = append(got, name)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: under %q are %v", kind, prefix, got)
			}
		}
		for _, span := range [][2]int64{{0, 9_999}, {0, 1}, {5, 6}, {1234, 5678}, {9_998, 9_999}} {
			body, err := b.Get(t.Context(), names[1], span[0], span[1])
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			got, err := io.ReadAll(body)
			if err != nil || !bytes.Equal(got, all[1+span[0]:1+span[1]]) || body.Close() != nil {
				t.Errorf("%s: bytes %v are %d, %v", kind, span, len(got), err)
			}
		}
		if _, err := b.Get(t.Context(), names[1], 7, 7); err == nil {
			t.Errorf("%s: no bytes were given", kind)
		}
		for range 2 {
			if err := b.Remove(t.Context(), names[1]); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if _, err := b.Get(t.Context(), names[1], 0, 1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: an object that was removed: %v", kind, err)
		}
	}
}

func TestAtTakesBothKinds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rows")
	b, err := bucket.At(bucket.Config{URL: "file://" + dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "a/b", bytes.NewReader([]byte("x")), 1); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "a", "b")); err != nil || string(content) != "x" {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := bucket.At(bucket.Config{URL: "s3://bucket/prefix"}); err != nil {
		t.Error(err)
	}
	for _, c := range []bucket.Config{{URL: "file://rows"}, {URL: "file://" + dir, Region: "here"}, {URL: dir}} {
		if _, err := bucket.At(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// TestAFolderHoldsNoHalves breaks off uploads.
func TestAFolderHoldsNoHalves(t *testing.T) {
	dir := t.TempDir()
	b := openFolder(t, dir)
	if b.Put(t.Context(), "a/b", bytes.NewReader(content(10)), 11) == nil {
		t.Error("an upload that lacks a byte was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b.Put(ctx, "a/b", bytes.NewReader(content(10)), 10) == nil {
		t.Error("an upload that was given up was taken")
	}
	for name, err := range b.List(t.Context(), "") {
		t.Errorf("left: %s, %v", name, err)
	}
	for _, name := range []string{"../x", "/x", "a/../../x", ""} {
		if b.Put(t.Context(), name, bytes.NewReader(content(1)), 1) == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

func TestWhatWasPutComesBack(t *testing.T) {
	s := newS3(t)
	b := openBucket(t, s)
	for _, size := range []int{1, 1000, 300_000} {
		want := content(size)
		if err := b.Put(t.Context(), "reports/a.parquet", bytes.NewReader(want), int64(size)); err != nil {
			t.Fatal(err)
		}
		if got := s.names(); !reflect.DeepEqual(got, []string{"quadrat/one/reports/a.parquet"}) {
			t.Errorf("objects: %v", got)
		}
		for _, from := range []int64{0, int64(size) / 2} {
			body, err := b.Get(t.Context(), "reports/a.parquet", from, int64(size))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			if err != nil || !bytes.Equal(got, want[from:]) || body.Close() != nil {
				t.Errorf("%d bytes from %d came back as %d, %v", size, from, len(got), err)
			}
		}
	}
	for range 2 {
		if err := b.Remove(t.Context(), "reports/a.parquet"); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Get(t.Context(), "reports/a.parquet", 0, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an object that was removed: %v", err)
	}
}

func TestFaultsOfTheObjectStore(t *testing.T) {
	s := newS3(t)
	b := openBucket(t, s)
	want := content(100_000)
	put := func() error { return b.Put(t.Context(), "a", bytes.NewReader(want), int64(len(want))) }
	s.set(func() { s.fail = 1 })
	if err := put(); err != nil {
		t.Errorf("one 503 is not tried again: %v", err)
	}
	s.set(func() { s.fail = 100 })
	err := put()
	if err == nil || strings.Contains(err.Error(), "not told to anybody") {
		t.Errorf("an object store that is down: %v", err)
	}
	s.set(func() { s.fail, s.flip = 0, true })
	if put() == nil {
		t.Error("a bit that changed on its way was taken")
	}
	s.set(func() { s.flip, s.slow = false, 50*time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Put(ctx, "a", bytes.NewReader(want), int64(len(want))); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was given up: %v", err)
	}
	if err := put(); err != nil {
		t.Errorf("a slow object store: %v", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, c := range []bucket.Config{
		{URL: ""},
		{URL: "bucket"},
		{URL: "http://bucket"},
		{URL: "s3://"},
		{URL: "s3://key:secret@bucket"},
		{URL: "s3://bucket?x=1"},
		{URL: "s3://bucket", Endpoint: "localhost:9000"},
		{URL: "s3://bucket", Endpoint: "ftp://host"},
		{URL: "s3://bucket", Endpoint: "http://host/path"},
	} {
		if _, err := bucket.Open(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// TestStoreInABucket archives a store over HTTP, with answers that fail, break off and come late, and reads it back from the
// bucket alone.
func TestStoreInABucket(t *testing.T) {
	s := newS3(t)
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	store, err := storage.Open(dir, storage.Config{
		Archive: openBucket(t, s), Retain: storage.Retention{BytesMax: 1}, Clock: clock.NewManual(now),
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := column.NewReports(memory.DefaultAllocator, "indoor", "k7f3q2")
	defer rows.Release()
	for i := range 5000 {
		start := now.Add(-48*time.Hour + time.Duration(i/100)*time.Minute)
		rows.Append(&column.Report{
			WindowStartMs: start.UnixMilli(), WindowEndMs: start.UnixMilli() + 60_000, Device: uint64(i) * 0x9e3779b97f4a7c15, Statistic: "mean(t)",
			Stratum: "all", Cell: "{}", Pi: 1, StratumPopulation: 100, Score: float64(i), Mechanism: "hybrid", Epsilon: 1, PlanRevision: 1, Sequence: 1,
		})
	}
	record := rows.NewRecord()
	defer record.Release()
	for _, step := range []func() error{
		func() error { return store.Restore(0) }, func() error { return store.Reports(record) },
		func() error { return store.Commit(1) }, func() error { return store.Commit(2) },
		func() error { store.Permanent(2); return nil },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	want := sum(t, store)
	s.set(func() { s.fail = 100 })
	if store.Upkeep(t.Context()) == nil {
		t.Error("a round without the archive succeeds")
	}
	if got := sum(t, store); got != want {
		t.Errorf("while the archive is down: %v, want %v", got, want)
	}
	s.set(func() { s.fail, s.slow = 1, 5*time.Millisecond })
	if err := store.Upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	segments := store.Segments()
	if len(segments) != 1 || !segments[0].Remote || len(s.names()) != 1 {
		t.Fatalf("segments %+v, objects %v", segments, s.names())
	}
	s.set(func() { s.cut, s.fail = 2, 1 })
	if got := sum(t, store); got != want {
		t.Errorf("from the bucket: %v, want %v", got, want)
	}
}

// totals is what is compared of a store.
type totals struct {
	rows  int64
	score float64
}

func sum(t *testing.T, store *storage.Store) (out totals) {
	t.Helper()
	for rec, err := range store.ScanReports(t.Context(), "k7f3q2", time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		out.rows += rec.NumRows()
		out.score += scores(rec)
	}
	return out
}

func scores(rec arrow.Record) (total float64) {
	text := rec.Column(rec.Schema().FieldIndices("score")[0])
	for i := range text.Len() {
		total += text.(interface{ Value(int) float64 }).Value(i)
	}
	return total
}
