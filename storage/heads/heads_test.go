package heads_test

import (
	"errors"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/storage"
	"github.com/quadrat-dev/quadrat/storage/heads"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T) *heads.Heads {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Config{StoreDir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { _ = b.Close() })
	must(t, broker.Ensure(t.Context(), b.JetStream(), broker.Limits{}))
	bucket, err := b.JetStream().KeyValue(t.Context(), broker.BucketCatalogs)
	must(t, err)
	return heads.New(bucket)
}

func TestASwapThatComesTooLateChangesNothing(t *testing.T) {
	h := open(t)
	if record, revision, err := h.Head(t.Context(), "03"); record != nil || revision != 0 || err != nil {
		t.Fatalf("a share that never was: %q, %d, %v", record, revision, err)
	}
	first, err := h.Swap(t.Context(), "03", []byte("a"), 0)
	must(t, err)
	second, err := h.Swap(t.Context(), "03", []byte("b"), first)
	must(t, err)
	for _, late := range []uint64{0, first, second + 1} {
		if _, err := h.Swap(t.Context(), "03", []byte("c"), late); !errors.Is(err, storage.ErrSwapped) {
			t.Errorf("swap at revision %d: %v", late, err)
		}
	}
	record, revision, err := h.Head(t.Context(), "03")
	if string(record) != "b" || revision != second || err != nil {
		t.Errorf("head: %q, %d, %v", record, revision, err)
	}
}

func TestAllGivesEachShare(t *testing.T) {
	h := open(t)
	if all, err := h.All(t.Context()); len(all) != 0 || err != nil {
		t.Fatalf("of none: %v, %v", all, err)
	}
	for _, name := range []string{"00", "merged"} {
		first, err := h.Swap(t.Context(), name, []byte("old"), 0)
		must(t, err)
		_, err = h.Swap(t.Context(), name, []byte(name), first)
		must(t, err)
	}
	all, err := h.All(t.Context())
	if len(all) != 2 || string(all["00"]) != "00" || string(all["merged"]) != "merged" || err != nil {
		t.Errorf("all: %q, %v", all, err)
	}
}
