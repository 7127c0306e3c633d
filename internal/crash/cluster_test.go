package crash_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/engine/member"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/storage"
	"github.com/quadrat-dev/quadrat/storage/bucket"
	"github.com/quadrat-dev/quadrat/storage/heads"
)

// clusterShares is how many shares the clusters of these tests have.
const clusterShares = 4

// troop is the members of a cluster in one process, over a rig that has the fleet, the intake and the clock. They keep rows in one bucket.
type troop struct {
	*rig
	bucket  *bucket.Folder
	heads   storage.Heads
	cache   *storage.Cache
	life    time.Duration
	members []*soldier
	started int
}

// soldier is a running member.
type soldier struct {
	*member.Member
	stop context.CancelCauseFunc
	done sync.WaitGroup
}

// always is rows that are known: all members have the rig's registry.
type always struct{}

func (always) Rows(context.Context, time.Time) error { return nil }

// partStore is a part's store with its upkeep.
type partStore struct {
	*storage.Store
	stop  context.CancelFunc
	group sync.WaitGroup
}

func (s *partStore) Close() error {
	s.stop()
	s.group.Wait()
	return s.Store.Close()
}

func (s *partStore) Restore(sequence uint64) error { return late(s.Store.Restore(sequence)) }

func (s *partStore) Commit(sequence uint64) error { return late(s.Store.Commit(sequence)) }

// late makes the engine's error of the storage's.
func late(err error) error {
	if e, ok := errors.AsType[*storage.Error](err); ok && e.Code == storage.Fenced {
		return errors.Join(engine.ErrFenced, err)
	}
	return err
}

// newTroop brings the rig's kappas into PLANS and lets the intake listen.
func newTroop(w *rig, c *course, life time.Duration, members int) *troop {
	w.t.Helper()
	must(w.t, broker.EnsureCluster(w.t.Context(), w.broker.JetStream(), broker.Limits{}, life))
	plans, err := w.broker.JetStream().KeyValue(w.t.Context(), broker.BucketPlans)
	must(w.t, err)
	for _, r := range c.records {
		_, err := plans.Put(w.t.Context(), "kappa."+r.GetKappa().GetRef(), w.encode(r))
		must(w.t, err)
	}
	catalogs, err := w.broker.JetStream().KeyValue(w.t.Context(), broker.BucketCatalogs)
	must(w.t, err)
	o := &troop{rig: w, heads: heads.New(catalogs), life: life, members: make([]*soldier, members)}
	o.bucket, err = bucket.OpenFolder(filepath.Join(w.dir, "bucket"))
	must(w.t, err)
	w.t.Cleanup(func() { _ = o.bucket.Close() })
	o.cache, err = storage.NewCache(filepath.Join(w.dir, "cache"), 64<<20)
	must(w.t, err)
	for i := range o.members {
		o.enlist(i)
	}
	w.load()
	w.listen()
	return o
}

// enlist starts a member in a place.
func (o *troop) enlist(i int) {
	o.t.Helper()
	o.started++
	conn, err := o.broker.Connect("member")
	must(o.t, err)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(5*time.Second))
	must(o.t, err)
	m, err := member.New(o.t.Context(), member.Config{
		Node: fmt.Sprintf("n%d-%d", i, o.started), JetStream: js, Shares: clusterShares, Rows: always{}, Log: slog.New(slog.DiscardHandler),
		Engine: engine.Config{
			Frames: o.registry, Clock: o.clock, ReviseAfter: time.Hour, CheckpointEvery: 20 * time.Millisecond, ReportsKeep: 1, RecordRows: 16,
		},
		Open: o.open,
	})
	must(o.t, err)
	ctx, stop := context.WithCancelCause(context.Background())
	s := &soldier{Member: m, stop: stop}
	s.done.Go(func() {
		defer conn.Close()
		if err := m.Run(ctx); err != nil {
			o.t.Errorf("member: %v", err)
		}
	})
	o.members[i] = s
}

// open opens the store of a part.
func (o *troop) open(ctx context.Context, name string, epochOf uint64, _ *memory.Account) (member.Store, error) {
	folder, err := os.MkdirTemp(o.dir, "share") // of each owner its own, as on machines of their own
	if err != nil {
		return nil, err
	}
	store, err := storage.OpenShare(ctx, folder, storage.Share{
		Name: name, Epoch: epochOf, Heads: o.heads, Bucket: o.bucket, Cache: o.cache,
	}, storage.Config{RowsPending: 48, Clock: clock.NewManual(epoch.Add(36 * time.Hour)), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, late(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &partStore{Store: store, stop: stop}
	s.group.Go(func() { _ = store.Run(ctx) })
	return s, nil
}

// fell kills a member as the end of its process does.
func (o *troop) fell(i int) {
	killings.Add(1)
	o.kills++
	o.members[i].stop(engine.ErrKilled)
	o.members[i].done.Wait()
	o.members[i] = nil
}

// reached is how far each part has read, of those that somebody has.
func (o *troop) reached() map[string]uint64 {
	out := map[string]uint64{}
	for _, m := range o.members {
		if m == nil {
			continue
		}
		for name, status := range m.Holds() {
			out[name] = max(out[name], status.Sequence)
		}
	}
	return out
}

// march takes a course to its end; strikes are what happens in the midst of which steps.
func (o *troop) march(c *course, strikes map[int]func()) {
	o.t.Helper()
	for i := range c.steps {
		s := &c.steps[i]
		if !s.to.IsZero() {
			o.clock.Set(s.to)
		}
		var struck sync.WaitGroup
		if strike := strikes[i]; strike != nil {
			struck.Go(strike)
		}
		for begun := time.Now(); !o.attempt(s); {
			if time.Since(begun) > patience {
				o.t.Fatalf("step %d of %d did not end; parts: %v", i, len(c.steps), o.reached())
			}
		}
		struck.Wait()
	}
}

// muster waits until all parts have read all that there is, ends all members in order, and gives what they have left behind, of the windows that begin
// before a moment.
func (o *troop) muster(c *course, until time.Time) *outcome {
	o.t.Helper()
	stream, err := o.broker.JetStream().Stream(o.t.Context(), broker.StreamReports)
	must(o.t, err)
	mark, err := stream.GetLastMsgForSubject(o.t.Context(), broker.SubjectMark)
	must(o.t, err)
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		reached := o.reached()
		least := uint64(math.MaxUint64)
		for _, position := range reached {
			least = min(least, position)
		}
		if len(reached) == clusterShares+1 && least >= mark.Sequence {
			break
		}
		if time.Since(begun) > patience {
			for _, m := range o.members {
				if m != nil {
					o.t.Log(m.Fault())
				}
			}
			o.t.Fatalf("the parts stay at %v of %d", reached, mark.Sequence)
		}
	}
	must(o.t, o.intake.Close())
	o.conn.Close()
	for _, m := range o.members {
		if m != nil {
			m.stop(nil)
			m.done.Wait()
		}
	}
	reader, err := storage.NewReader(storage.ReaderConfig{Heads: o.heads, Bucket: o.bucket, Cache: o.cache})
	must(o.t, err)
	defer func() { _ = reader.Close() }()
	return o.outcomeOf(c, &reader.Rows, until)
}

// clusterCalm is a course's outcome in a cluster that nobody disturbs.
type clusterCalm struct {
	once    sync.Once
	outcome *outcome
}

var clusterCalms [courses]clusterCalm

// clusterCalmOf runs a course in a cluster without a fault, once, and holds what came of it against a single engine's outcome.
func clusterCalmOf(t *testing.T, seed uint64) *outcome {
	t.Helper()
	c := &clusterCalms[seed%courses]
	c.once.Do(func() {
		single := calmOf(t, seed)
		w := newRig(t, t.TempDir(), broker.Config{StoreDir: t.TempDir()}, rand.New(rand.NewPCG(seed%courses, 1)))
		defer w.close()
		o := newTroop(w, single.course, time.Second, 2)
		o.march(single.course, nil)
		got := o.muster(single.course, time.Time{})
		got.check(t, single.course, nil)
		for _, part := range []struct {
			name      string
			got, want []string
		}{
			{"strata", got.strata, single.outcome.strata}, {"reports", got.reports, single.outcome.reports},
		} {
			if !slices.Equal(part.got, part.want) {
				t.Errorf("%s differ from those of a single engine: %d, %d\n%s", part.name, len(part.got), len(part.want), firstDifference(part.got, part.want))
			}
		}
		sameRows(t, got.results, single.outcome.results)
		c.outcome = got
	})
	if c.outcome == nil {
		t.Fatal("the undisturbed run of the cluster failed")
	}
	return c.outcome
}

// sameRows holds rows of results against others, numbers to 1e-9 of their size.
func sameRows(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%d results, a single engine has %d", len(got), len(want))
		return
	}
	key := func(line string) string {
		var row map[string]any
		_, text, _ := strings.Cut(line, " ")
		must(t, json.Unmarshal([]byte(text), &row))
		return fmt.Sprint(row["ref"], row["window_start"], row["revision"], row["statistic"], row["cell"], row["bin_index"])
	}
	byKey := map[string]string{}
	for _, line := range want {
		byKey[key(line)] = line
	}
	for _, line := range got {
		if other, known := byKey[key(line)]; !known || !nearly(t, line, other) {
			t.Errorf("a result that a single engine does not have:\n%s\n%s", line, other)
			return
		}
	}
}

func nearly(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y map[string]any
	_, textA, _ := strings.Cut(a, " ")
	_, textB, _ := strings.Cut(b, " ")
	must(t, json.Unmarshal([]byte(textA), &x))
	must(t, json.Unmarshal([]byte(textB), &y))
	return maps.EqualFunc(x, y, func(v, w any) bool {
		p, number := v.(float64)
		q, numberToo := w.(float64)
		if number && numberToo {
			return math.Abs(p-q) <= 1e-9*(1+math.Abs(p)+math.Abs(q))
		}
		return fmt.Sprint(v) == fmt.Sprint(w)
	})
}

// loseLeases takes all leases from everybody, as a broker does that was away for too long: two owners of a part go on beside each other until the
// first one learns of it.
func (o *troop) loseLeases() {
	stream, err := o.broker.JetStream().Stream(o.t.Context(), "KV_"+broker.BucketLeases)
	if err == nil {
		err = stream.Purge(o.t.Context())
	}
	if err != nil {
		o.t.Errorf("leases: %v", err)
	}
}

// killMember is a round: members of a cluster over one broker are killed, and others come in their place; once everybody loses all leases.
func killMember(t *testing.T, seed uint64) {
	c := calmOf(t, seed)
	calm := clusterCalmOf(t, seed)
	random := rand.New(rand.NewPCG(seed, 5))
	w := newRig(t, t.TempDir(), broker.Config{StoreDir: t.TempDir()}, rand.New(rand.NewPCG(seed%courses, 1)))
	defer w.close()
	o := newTroop(w, c.course, 600*time.Millisecond, 2+random.IntN(2))
	strikes := map[int]func(){}
	for range 1 + random.IntN(3) {
		i, pause := random.IntN(len(o.members)), time.Duration(random.IntN(3000))*time.Microsecond
		strikes[random.IntN(len(c.course.steps))] = func() {
			time.Sleep(pause)
			o.fell(i)
			o.enlist(i)
		}
	}
	if n := random.IntN(len(c.course.steps)); strikes[n] == nil {
		strikes[n] = o.loseLeases
	}
	o.march(c.course, strikes)
	o.muster(c.course, time.Time{}).check(t, c.course, calm)
	if o.kills == 0 {
		t.Error("nobody was killed")
	}
}
