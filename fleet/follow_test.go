package fleet

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// wire is a bucket that hands every value on to a follower at once.
type wire struct {
	t  *testing.T
	to *Follower

	mu     sync.Mutex
	shards int
	last   string
}

func (w *wire) Get(context.Context, string) (jetstream.KeyValueEntry, error) {
	return nil, jetstream.ErrKeyNotFound
}

func (w *wire) Put(_ context.Context, key string, value []byte) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last = key; key != keyHorizon {
		w.shards++
	}
	if err := w.to.Take(key, value); err != nil {
		w.t.Error(err)
	}
	return 1, nil
}

func announce(t *testing.T, r *Registry, id, region string, at time.Time) {
	t.Helper()
	err := r.Hello(&quadratv1.Hello{
		Device: id, Attributes: map[string]string{"region": region}, Capabilities: []*quadratv1.Capability{{Name: "sense.temperature"}},
		Limits: &quadratv1.Limits{EpsilonMicro: 1e6, PeriodMs: 1000, Models: []string{"local"}},
	}, at)
	if err != nil {
		t.Fatal(err)
	}
}

// text is a frame as text.
func text(rows []*Row) (out []string) {
	for _, r := range rows {
		out = append(out, fmt.Sprint(r.ID, r.Attributes, r.FromMs)) // its end may be to come
	}
	return out
}

// TestFollowerHasTheKeepersFrames: up to the horizon a follower's frames are the keeper's, whatever is announced later; rows that did not
// change stay the same ones; and the horizon is written behind the rows.
func TestFollowerHasTheKeepersFrames(t *testing.T) {
	start := time.UnixMilli(1_800_000_000_000)
	keeper, own := New(NewKeyer([16]byte{1})), New(NewKeyer([16]byte{1}))
	follower, err := NewFollower(own)
	if err != nil {
		t.Fatal(err)
	}
	bucket := &wire{t: t, to: follower}
	store, err := Keep(keeper, bucket, StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var before []*Row
	for round := range 6 {
		now := start.Add(time.Duration(round) * time.Second)
		for i := range 50 {
			if i%(round+1) == 0 {
				announce(t, keeper, fmt.Sprintf("d%d", i), fmt.Sprint(round), now)
			}
		}
		horizon := now.Add(500 * time.Millisecond)
		if err := store.PutHorizon(t.Context(), horizon); err != nil {
			t.Fatal(err)
		}
		if bucket.last != keyHorizon || !follower.Horizon().Equal(horizon) {
			t.Fatalf("the last write is %s, the horizon %v", bucket.last, follower.Horizon())
		}
		announce(t, keeper, "late", fmt.Sprint("late", round), horizon) // heard at the horizon: it begins behind it
		got, want := own.Frame(Query{}, horizon), keeper.Frame(Query{}, horizon)
		if !slices.Equal(text(got), text(want)) || len(want) < 50 {
			t.Fatalf("round %d: frames differ: %d and %d rows", round, len(got), len(want))
		}
		same := 0
		for _, row := range got {
			if slices.Contains(before, row) {
				same++
			}
		}
		if round > 1 && same == 0 {
			t.Errorf("round %d: no row stayed the same", round)
		}
		before = got
	}
}

// TestKeeperBecomesFollower: what a former keeper had not stored is gone, and its registry follows again.
func TestKeeperBecomesFollower(t *testing.T) {
	start := time.UnixMilli(1_800_000_000_000)
	r := New(NewKeyer([16]byte{1}))
	follower, err := NewFollower(r)
	if err != nil {
		t.Fatal(err)
	}
	other := New(NewKeyer([16]byte{1}))
	store, err := Keep(other, &wire{t: t, to: follower}, StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	announce(t, other, "a", "x", start)
	if err := store.PutHorizon(t.Context(), start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	follower.Keep(true, start)
	announce(t, r, "b", "x", start)
	if row, _ := r.Lookup("b"); row == nil || row.FromMs <= start.Add(time.Second).UnixMilli() {
		t.Errorf("a row of the new keeper begins before the horizon: %+v", row)
	}
	announce(t, other, "c", "x", start.Add(2*time.Second))
	if err := store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, known := r.Lookup("c"); known {
		t.Error("a keeper followed")
	}
	follower.Keep(false, start)
	for i := range Shards {
		if len(other.shards[i].keys) == 0 {
			continue // never stored
		}
		if b, err := store.codec.encode(other.shards[i].save()); err != nil || follower.Take(shardName(i), b) != nil {
			t.Fatal(err)
		}
	}
	follower.Forget()
	if _, known := r.Lookup("c"); !known || r.Len() != 2 {
		t.Errorf("%d devices", r.Len())
	}
}

func TestFollowerRefusesDamage(t *testing.T) {
	r := New(NewKeyer([16]byte{1}))
	follower, err := NewFollower(r)
	if err != nil {
		t.Fatal(err)
	}
	announce(t, r, "a", "x", time.UnixMilli(5))
	row, _ := r.Lookup("a")
	if follower.Take(shardName(shardOf(row.Key)), []byte{0xff, 1, 2}) == nil || follower.Take(keyHorizon, []byte{1}) == nil {
		t.Error("damaged bytes were taken")
	}
	if again, _ := r.Lookup("a"); again != row {
		t.Error("damaged bytes changed the registry")
	}
}
