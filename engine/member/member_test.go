package member

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/memory"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	life     = time.Second // of leases that a test lets end
	unending = time.Hour   // of leases that must not end by themselves while a test looks at them, however slow the machine is
)

// patience bounds every wait.
const patience = time.Minute

// open starts a broker whose leases live so long.
func open(t *testing.T, life time.Duration) jetstream.JetStream {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Config{StoreDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := errors.Join(broker.Ensure(t.Context(), b.JetStream(), broker.Limits{}),
		broker.EnsureCluster(t.Context(), b.JetStream(), broker.Limits{}, life)); err != nil {
		t.Fatal(err)
	}
	return b.JetStream()
}

// nothing is a store that keeps nothing, and rows that are always known.
type nothing struct{}

func (nothing) Restore(uint64) error                          { return nil }
func (nothing) Batch(*column.Batch) error                     { return nil }
func (nothing) Results([]*quadratv1.Result) error             { return nil }
func (nothing) Strata(string, string, []column.Stratum) error { return nil }
func (nothing) Commit(uint64) error                           { return nil }
func (nothing) Permanent(uint64)                              {}
func (nothing) Close() error                                  { return nil }
func (nothing) Rows(context.Context, time.Time) error         { return nil }
func (nothing) open(context.Context, string, uint64, *memory.Account) (Store, error) {
	return nothing{}, nil
}

// one is a running member.
type one struct {
	*Member
	stop context.CancelCauseFunc
	done sync.WaitGroup
}

func start(t *testing.T, js jetstream.JetStream, node string, shares int) *one {
	t.Helper()
	return startWith(t, js, node, shares, func(*Config) {})
}

func startWith(t *testing.T, js jetstream.JetStream, node string, shares int, change func(*Config)) *one {
	t.Helper()
	config := Config{
		Node: node, JetStream: js, Shares: shares, Rows: nothing{}, Open: nothing{}.open, Log: slog.New(slog.DiscardHandler),
		Engine: engine.Config{Frames: fleet.New(fleet.NewKeyer([16]byte{1}))},
	}
	change(&config)
	m, err := New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	o := &one{Member: m, stop: stop}
	o.done.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { o.end(nil) })
	return o
}

func (o *one) end(cause error) {
	o.stop(cause)
	o.done.Wait()
}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// counts is how many shares a member has.
func (o *one) counts() int { return len(o.shares()) }

func TestMembersShareAlike(t *testing.T) {
	js := open(t, life)
	a := start(t, js, "a", 8)
	until(t, "one has all", func() bool { return a.counts() == 8 })
	b, c := start(t, js, "b", 8), start(t, js, "c", 8)
	until(t, "three have 3, 3 and 2", func() bool {
		n := []int{a.counts(), b.counts(), c.counts()}
		slices.Sort(n)
		return slices.Equal(n, []int{2, 3, 3})
	})
	b.end(nil)
	until(t, "two have 4 and 4 after one has left", func() bool { return a.counts() == 4 && c.counts() == 4 })
	a.end(engine.ErrKilled)
	killed := time.Now()
	until(t, "one has all after one was killed", func() bool { return c.counts() == 8 })
	t.Logf("taken over %v after the death, with leases of %v", time.Since(killed), life)
	if _, merges := c.Holds()[mergedName]; !merges {
		until(t, "it is the merger as well", func() bool { _, merges := c.Holds()[mergedName]; return merges })
	}
}

// TestCheckpointsFence: from a claim on, a former owner can't save; its bytes don't replace those of the later one.
func TestCheckpointsFence(t *testing.T) {
	js := open(t, unending)
	first, err := claim(t.Context(), js, "03", 5)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := first.Load(t.Context()); err != nil || content != nil {
		t.Errorf("a checkpoint before the first: %v %v", content, err)
	}
	if err := first.Save(t.Context(), 10, []byte("ten")); err != nil {
		t.Fatal(err)
	}
	second, err := claim(t.Context(), js, "03", 9)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Save(t.Context(), 11, []byte("eleven")); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("a former owner saved: %v", err)
	}
	if content, err := second.Load(t.Context()); err != nil || string(content) != "ten" {
		t.Errorf("%q %v", content, err)
	}
	if err := second.Save(t.Context(), 12, []byte("twelve")); err != nil {
		t.Fatal(err)
	}
	if _, err := claim(t.Context(), js, "03", 8); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("an earlier lease claimed: %v", err)
	}
	third, err := claim(t.Context(), js, "03", 10)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := third.Load(t.Context()); err != nil || string(content) != "twelve" || third.head.Position != 12 {
		t.Errorf("%q at %d, %v", content, third.head.Position, err)
	}
}

// TestLeaseOfOne: a lease is one owner's; renewing an expired one takes it anew only when it is free.
func TestLeaseOfOne(t *testing.T) {
	js := open(t, unending)
	a, err := OpenLeases(t.Context(), js, "a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenLeases(t.Context(), js, "b")
	if err != nil {
		t.Fatal(err)
	}
	take := func(l *Leases) *Lease {
		t.Helper()
		lease, err := l.Take(t.Context(), "share.00")
		if err != nil {
			t.Fatal(err)
		}
		return lease
	}
	first := take(a)
	if first == nil || take(b) != nil {
		t.Fatal("a lease is not one owner's")
	}
	if err := first.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := take(b)
	if second == nil || second.Epoch <= first.Epoch {
		t.Fatalf("after a release: %v", second)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if err := first.Renew(t.Context()); !errors.Is(err, errLost) {
		t.Errorf("a lease that is another's was renewed: %v", err)
	}
	if err := second.Renew(t.Context()); err != nil {
		t.Errorf("a former owner took the lease from the later one: %v", err)
	}
	if err := a.remove(t.Context(), "share.00", second.revision); err != nil { // its end, for which nobody has to wait
		t.Fatal(err)
	}
	if err := second.Renew(t.Context()); err != nil {
		t.Errorf("an expired lease that is free is not taken anew: %v", err)
	}
	if take(a) != nil {
		t.Error("two owners")
	}
}

// TestLeasesEnd: what nobody renews is free after its life.
func TestLeasesEnd(t *testing.T) {
	l, err := OpenLeases(t.Context(), open(t, life), "a")
	if err != nil {
		t.Fatal(err)
	}
	if lease, err := l.Take(t.Context(), "share.00"); err != nil || lease == nil {
		t.Fatalf("a lease that nobody has: %v, %v", lease, err)
	}
	until(t, "the lease has expired", func() bool {
		held, err := l.held(t.Context())
		return err == nil && !held["share.00"]
	})
}

// hoard is a store that takes room for rows and gives none back.
type hoard struct{ nothing }

const hoarded = 1000

func (hoard) open(_ context.Context, _ string, _ uint64, rows *memory.Account) (Store, error) {
	if rows.Limit() != memory.Counting(memory.Least).Rows.Limit()/9 {
		return nil, errors.New("the room of a part isn't one of as many as there may be")
	}
	rows.Add(hoarded)
	return hoard{}, nil
}

// TestPartsHaveRoomOfTheirOwn: each part has its room of the process's memory, what it held is given back when it goes, and windows that take
// more than their share are told of once.
func TestPartsHaveRoomOfTheirOwn(t *testing.T) {
	process := memory.Counting(memory.Least)
	a := startWith(t, open(t, life), "a", 8, func(c *Config) { c.Memory, c.Open = process, hoard{}.open })
	until(t, "all parts hold something", func() bool { return process.Rows.Used() == 9*hoarded })
	if a.Crowded() != 0 {
		t.Errorf("windows take %d bytes too much", a.Crowded())
	}
	process.States.Add(process.States.Limit() + 5)
	if a.Crowded() != process.States.Limit()+5 {
		t.Errorf("windows of %d bytes, in a share of %d, are told as %d", process.States.Used(), process.States.Limit(), a.Crowded())
	}
	until(t, "it is noticed", func() bool { return process.States.Refused() == 1 })
	process.States.Give(process.States.Limit() + 5)
	a.end(nil)
	if process.Rows.Used() != 0 || process.States.Used() != 0 || process.States.Refused() != 1 {
		t.Errorf("parts that have gone leave %d bytes of rows, %d of windows; it was noticed %d times", process.Rows.Used(), process.States.Used(),
			process.States.Refused())
	}
}

// unanswered is a bucket that loses the answers to some updates, and may give old values, as a replica that is behind does.
type unanswered struct {
	jetstream.KeyValue

	lose   int
	behind jetstream.KeyValueEntry // is given once
}

func (u *unanswered) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	revision, err := u.KeyValue.Update(ctx, key, value, last)
	if u.lose > 0 && err == nil {
		u.lose--
		return 0, context.DeadlineExceeded
	}
	return revision, err
}

func (u *unanswered) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if entry := u.behind; entry != nil {
		u.behind = nil
		return entry, nil
	}
	return u.KeyValue.Get(ctx, key)
}

// TestAnOwnerKnowsItsOwnHead: an owner whose head came into force without an answer goes on, whatever it saves next, and isn't taken for one that
// was replaced; nor is one that a replica tells of an earlier head. What no head names is removed.
func TestAnOwnerKnowsItsOwnHead(t *testing.T) {
	js := open(t, unending)
	c, err := claim(t.Context(), js, "03", 5)
	if err != nil {
		t.Fatal(err)
	}
	swept := c.sweep(slog.New(slog.DiscardHandler))
	kv := &unanswered{KeyValue: c.kv}
	c.kv = kv
	save := func(at uint64, want bool) {
		t.Helper()
		if err := c.Save(t.Context(), at, []byte{byte(at)}); (err == nil) != want || errors.Is(err, engine.ErrFenced) {
			t.Fatalf("save at %d: %v", at, err)
		}
	}
	save(10, true)
	old, err := kv.Get(t.Context(), "03")
	if err != nil {
		t.Fatal(err)
	}
	kv.lose = 1
	save(11, false)
	kv.behind = old
	save(12, false)
	save(13, true)
	save(14, true)
	swept()
	again, err := claim(t.Context(), js, "03", 6)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := again.Load(t.Context()); err != nil || again.head.Position != 14 || len(content) != 1 || content[0] != 14 {
		t.Errorf("%v at %d, %v", content, again.head.Position, err)
	}
	objects, err := c.objects.List(t.Context())
	if err != nil || len(objects) != 1 || objects[0].Name != again.head.Object {
		t.Errorf("objects %v, %v; the head names %s", objects, err, again.head.Object)
	}
	if err := c.Save(t.Context(), 15, nil); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("who was replaced saved: %v", err)
	}
}
