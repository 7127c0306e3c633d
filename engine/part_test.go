package engine

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/memory"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// knowing is a follower that always knows: its engines share one registry.
type knowing struct{}

func (knowing) Records(context.Context) error         { return nil }
func (knowing) Rows(context.Context, time.Time) error { return nil }

// kept is checkpoints in memory. An owner that was replaced is fenced.
type kept struct {
	mu      sync.Mutex
	content []byte
	owner   int
	fault   error // of every Save
	refused int   // how often Save has failed
}

// owned is the checkpoints of one owner.
type owned struct {
	*kept
	owner int
}

func (k *kept) own() owned {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.owner++
	return owned{kept: k, owner: k.owner}
}

func (o owned) Load(context.Context) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content, nil
}

func (o owned) Save(_ context.Context, _ uint64, checkpoint []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.owner != o.kept.owner {
		return ErrFenced
	}
	if o.fault != nil {
		o.refused++
		return o.fault
	}
	o.content = slices.Clone(checkpoint)
	return nil
}

// crowd is the engines of a cluster over the broker of a world.
type crowd struct {
	*world
	shares      int
	records     []*quadratv1.KappaRecord
	sinks       []*memorySink // of the shares; the merger's is the world's
	checkpoints []*kept       // of the shares, and behind them the merger's
	engines     []*Engine
	stops       []func()
	budgets     []*memory.Budget // of all parts; nil for none
}

func newCrowd(w *world, shares int) *crowd {
	w.t.Helper()
	if err := broker.EnsureCluster(w.t.Context(), w.broker.JetStream(), broker.Limits{}, time.Minute); err != nil {
		w.t.Fatal(err)
	}
	c := &crowd{world: w, shares: shares, engines: make([]*Engine, shares+1), stops: make([]func(), shares+1)}
	for range shares {
		c.sinks = append(c.sinks, newMemorySink())
	}
	for range shares + 1 {
		c.checkpoints = append(c.checkpoints, &kept{})
	}
	return c
}

// up starts the part with a number, the last one being the merger.
func (c *crowd) up(number int, orderly bool) {
	c.t.Helper()
	part, sink := &Part{Share: number, Shares: c.shares, Follower: knowing{}}, c.sink
	if number == c.shares {
		part.Share = Merger
	} else {
		sink = c.sinks[number]
	}
	c.start(orderly, func(config *Config) {
		config.Part, config.Checkpoints, config.Sink, config.Folder = part, c.checkpoints[number].own(), sink, ""
		if c.budgets != nil {
			config.Memory = c.budgets[number]
		}
	}, c.records...)
	c.engines[number], c.stops[number] = c.engine, c.stop
}

// launch starts all parts.
func (c *crowd) launch(records ...*quadratv1.KappaRecord) {
	c.records = records
	for number := range c.shares + 1 {
		c.up(number, true)
	}
}

// settle waits until all shares have read REPORTS and the merger has merged what they handed on, and all of it is durable, and
// stops all.
func (c *crowd) settle() {
	c.t.Helper()
	stream, err := c.broker.JetStream().Stream(c.t.Context(), broker.StreamReports)
	if err != nil {
		c.t.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(c.t.Context(), broker.SubjectMark)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range c.engines {
		for e.Status().Sequence < m.Sequence {
			time.Sleep(time.Millisecond)
		}
		if err := e.Checkpoint(c.t.Context()); err != nil { // some stop as a killed process does
			c.t.Fatal(err)
		}
	}
	for _, stop := range c.stops {
		stop()
	}
}

// rows is the rows of all shares.
func (c *crowd) rows() map[string]int {
	rows := map[string]int{}
	for _, sink := range c.sinks {
		for _, r := range sink.rows {
			r.Sequence = 0
			rows[fmt.Sprint(r)]++
		}
	}
	return rows
}

// near tells whether two messages say the same, numbers to 1e-9 of their size.
func near(a, b proto.Message) bool {
	same := true
	var walk func(x, y protoreflect.Message)
	walk = func(x, y protoreflect.Message) {
		x.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case !y.Has(f):
				same = false
			case f.IsList() || f.IsMap():
				same = same && v.Equal(y.Get(f))
			case f.Kind() == protoreflect.DoubleKind:
				p, q := v.Float(), y.Get(f).Float()
				same = same && math.Abs(p-q) <= 1e-9*(1+math.Abs(p)+math.Abs(q))
			case f.Kind() == protoreflect.MessageKind:
				walk(v.Message(), y.Get(f).Message())
			default:
				same = same && v.Equal(y.Get(f))
			}
			return true
		})
		y.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			same = same && x.Has(f)
			return true
		})
	}
	walk(a.ProtoReflect(), b.ProtoReflect())
	return same
}

// alike holds the newest results of a cluster against those of a single engine.
func (c *crowd) alike(single *world) {
	c.t.Helper()
	got, want := c.sink.newest(), single.sink.newest()
	if len(got) == 0 || len(got) != len(want) {
		c.t.Fatalf("%d results, a single engine has %d", len(got), len(want))
	}
	for i := range got {
		g, w := proto.CloneOf(got[i]), proto.CloneOf(want[i])
		g.Revision, w.Revision = 0, 0 // late reports come before or behind a mark
		g.Running, w.Running = nil, nil
		if !near(g, w) {
			c.t.Errorf("result %d differs from a single engine's:\n%v\n%v", i, g, w)
			return
		}
	}
}

func TestSharesGiveWhatOneEngineGives(t *testing.T) {
	const windows = 4
	statistics := []*quadratv1.StatisticPlan{meanPlan("hybrid"), bitPlan("count", "warner")}
	single := newWorld(t, 11)
	single.populate(300)
	record := single.deploy("k1", 3, []string{"cooling"}, statistics...)
	single.start(true, nil, record)
	all := single.script(record, windows, func() {})
	single.caughtUp()
	single.stop()
	_, want := single.outcome()
	for _, shares := range []int{1, 4} {
		t.Run(fmt.Sprint(shares), func(t *testing.T) {
			w := newWorld(t, 11)
			w.populate(300)
			c := newCrowd(w, shares)
			c.launch(w.deploy("k1", 3, []string{"cooling"}, statistics...))
			w.script(w.record, windows, func() {})
			c.settle()
			c.alike(single)
			w.check(record, all, firstWindow, firstWindow+1, firstWindow+2, firstWindow+3)
			if rows := c.rows(); !maps.Equal(rows, want) {
				t.Errorf("%d rows differ from the %d of a single engine", len(rows), len(want))
			}
		})
	}
}

// told is the results of a cluster's merger, every revision, byte for byte, as RESULTS holds them.
func (c *crowd) told() map[string]string {
	c.t.Helper()
	stream, err := c.broker.JetStream().Stream(c.t.Context(), broker.StreamResults)
	if err != nil {
		c.t.Fatal(err)
	}
	out := map[string]string{}
	for sequence := uint64(1); sequence <= stream.CachedInfo().State.LastSeq; sequence++ {
		m, err := stream.GetMsg(c.t.Context(), sequence)
		if err != nil {
			c.t.Fatal(err)
		}
		id := m.Header.Get("Nats-Msg-Id")
		if old, known := out[id]; known && old != string(m.Data) {
			c.t.Errorf("result %s was told in two ways", id)
		}
		out[id] = string(m.Data)
	}
	return out
}

// TestTakeoverChangesNothing kills shares and the merger again and again; others go on from their checkpoints. The log is the same as in
// an undisturbed run only as far as marks go, so what must be the same is the newest result of each window, and all rows.
func TestTakeoverChangesNothing(t *testing.T) {
	const windows, shares = 4, 4
	statistics := []*quadratv1.StatisticPlan{meanPlan("hybrid"), bitPlan("count", "warner")}
	run := func(t *testing.T, between func(*crowd)) *crowd {
		w := newWorld(t, 23)
		w.populate(200)
		c := newCrowd(w, shares)
		c.launch(w.deploy("k1", 3, []string{"cooling"}, statistics...))
		w.script(w.record, windows, func() { between(c) })
		c.settle()
		return c
	}
	calm := run(t, func(*crowd) {})
	want, _ := calm.outcome()
	for seed := range 3 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			step, kills := 0, 0
			c := run(t, func(c *crowd) {
				if step++; step%2 == 0 {
					return
				}
				number := (step*7 + seed) % (shares + 1)
				c.stops[number]()
				c.up(number, step%3 == 0)
				kills++
			})
			if kills == 0 {
				t.Fatal("nobody was killed")
			}
			_ = c.told()
			got, _ := c.outcome()
			if !slices.Equal(got, want) {
				t.Errorf("results differ from those of an undisturbed run: %d, %d", len(got), len(want))
			}
			if rows := c.rows(); !maps.Equal(rows, calm.rows()) {
				t.Errorf("%d rows, want %d", len(rows), len(calm.rows()))
			}
		})
	}
}

// TestTwoOwnersMakeOneChain lets a second owner of each part begin while the first one goes on, as after a lease that ended unnoticed: the chains
// hold each handover once, and no result differs.
func TestTwoOwnersMakeOneChain(t *testing.T) {
	const windows, shares = 4, 2
	run := func(t *testing.T, between func(*crowd)) *crowd {
		w := newWorld(t, 31)
		w.populate(150)
		c := newCrowd(w, shares)
		c.launch(w.deploy("k1", 3, []string{"cooling"}, meanPlan("hybrid")))
		w.script(w.record, windows, func() { between(c) })
		c.settle()
		return c
	}
	want, _ := run(t, func(*crowd) {}).outcome()
	step, fenced := 0, 0
	c := run(t, func(c *crowd) {
		if step++; step%4 != 2 {
			return
		}
		number := step / 4 % (shares + 1)
		if number < shares { // rows are another test's: a sink that fences is the storage's
			c.sinks[number] = newMemorySink()
		}
		c.up(number, false)
		fenced++
	})
	if fenced < shares+1 {
		t.Fatalf("%d parts had two owners", fenced)
	}
	_ = c.told()
	if got, _ := c.outcome(); !slices.Equal(got, want) {
		t.Errorf("results differ from those of one owner for each part: %d, %d", len(got), len(want))
	}
	stream, err := c.broker.JetStream().Stream(t.Context(), broker.StreamPartials)
	if err != nil {
		t.Fatal(err)
	}
	marks := map[uint64]uint64{}
	for sequence := stream.CachedInfo().State.FirstSeq; sequence <= stream.CachedInfo().State.LastSeq; sequence++ {
		m, err := stream.GetMsg(t.Context(), sequence)
		if err != nil {
			continue // trimmed
		}
		h, err := decodeHandover(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if before := marks[h.share]; before != 0 && h.previous != before {
			t.Errorf("share %d: mark %d follows %d, and %d stands before it", h.share, h.mark, h.previous, before)
		}
		marks[h.share] = h.mark
	}
}
