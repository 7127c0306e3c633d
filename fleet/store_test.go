package fleet

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/clock"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// memoryKV is a bucket in memory that can be made to fail.
type memoryKV struct {
	values map[string][]byte
	puts   int
	fail   error
}

type memoryEntry struct {
	jetstream.KeyValueEntry
	value []byte
}

func (e memoryEntry) Value() []byte { return e.value }

func (m *memoryKV) Get(_ context.Context, key string) (jetstream.KeyValueEntry, error) {
	v, ok := m.values[key]
	if !ok {
		return nil, jetstream.ErrKeyNotFound
	}
	return memoryEntry{value: v}, nil
}

func (m *memoryKV) Put(_ context.Context, key string, value []byte) (uint64, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	m.puts++
	m.values[key] = value
	return uint64(m.puts), nil
}

func load(t *testing.T, kv KV, clk clock.Clock) (*Registry, *Store) {
	t.Helper()
	r := newTestRegistry()
	s, err := Load(context.Background(), r, kv, StoreConfig{Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

func flatRows(r *Registry) []Row {
	var out []Row
	r.Rows(func(row *Row) bool {
		c := *row
		c.attributes, c.profile = nil, nil
		out = append(out, c)
		return true
	})
	return out
}

func TestAReloadedRegistryTellsTheSame(t *testing.T) {
	kv := &memoryKV{values: map[string][]byte{}}
	clk := clock.NewManual(epoch)
	r, s := load(t, kv, clk)
	for i := range 5000 {
		clk.Advance(time.Millisecond)
		h := helloOf(fmt.Sprint("d", i%1700), "region", fmt.Sprint(i%7), "x", fmt.Sprint(i%3))
		h.Leaving = i%11 == 0
		h.Mechanisms = [][]string{nil, {"b", "three-output", "b"}}[i/5%2]
		h.Counters = map[string]uint64{"spool_dropped": uint64(i)}
		h.Software, h.PlanSetVersion, h.ClockMs = "quadrat-edge 0.1.0", uint64(i), clk.Now().UnixMilli()+int64(i%5)
		mustHello(t, r, h, clk.Now())
	}
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	again, _ := load(t, kv, clk)
	if !reflect.DeepEqual(flatRows(r), flatRows(again)) {
		t.Fatal("rows differ after a restart")
	}
	for i := range 1700 {
		a, okA := r.Device(fmt.Sprint("d", i))
		b, okB := again.Device(fmt.Sprint("d", i))
		if okA != okB || !proto.Equal(a, b) {
			t.Fatalf("device differs after a restart: %v, %v", a, b)
		}
	}
	if err := again.Hello(helloOf("d1", "late", "1"), epoch); err != nil {
		t.Fatal(err)
	}
	if row, ok := again.Lookup("d1"); !ok || row.FromMs < clk.Now().UnixMilli() {
		t.Fatal("a clock that went back changed the past")
	}
}

func TestFlushWritesOnlyWhatChangedAndTriesAgain(t *testing.T) {
	kv := &memoryKV{values: map[string][]byte{}}
	r, s := load(t, kv, clock.NewManual(epoch))
	flush := func(want int) {
		t.Helper()
		kv.puts = 0
		if err := s.Flush(context.Background()); err != nil || kv.puts != want {
			t.Fatalf("%d writes, want %d (%v)", kv.puts, want, err)
		}
	}
	mustHello(t, r, helloOf("a"), epoch)
	flush(1)
	mustHello(t, r, helloOf("a"), epoch.Add(59*time.Minute))
	flush(0)
	mustHello(t, r, helloOf("a"), epoch.Add(61*time.Minute))
	flush(1)
	mustHello(t, r, helloOf("a", "x", "1"), epoch.Add(62*time.Minute))
	kv.fail = errors.New("disk full")
	if err := s.Flush(context.Background()); !errors.Is(err, kv.fail) {
		t.Fatalf("got %v", err)
	}
	kv.fail = nil
	flush(1)
}

func TestLoadRefusesDamageAndAnotherSecret(t *testing.T) {
	kv := &memoryKV{values: map[string][]byte{}}
	r, s := load(t, kv, clock.NewManual(epoch))
	mustHello(t, r, helloOf("a"), epoch)
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	var name string
	for name = range kv.values {
	}
	good := kv.values[name]
	refused := func(r *Registry, what string) {
		t.Helper()
		_, err := Load(context.Background(), r, kv, StoreConfig{})
		var e *Error
		if !errors.As(err, &e) || e.Code != Format {
			t.Fatalf("%s: got %v", what, err)
		}
	}
	refused(New(NewKeyer([16]byte{9})), "another secret")
	for what, b := range map[string][]byte{
		"cut":         good[:len(good)-1],
		"bad zstd":    append(append([]byte{}, zstdMagic...), good...),
		"new version": append([]byte{}, append([]byte{8, 2}, good[2:]...)...),
		"twice":       append(append([]byte{}, good...), good[2:]...),
	} {
		kv.values[name] = b
		refused(newTestRegistry(), what)
	}
}

func FuzzShard(f *testing.F) {
	c, err := newCodec()
	if err != nil {
		f.Fatal(err)
	}
	r := newTestRegistry()
	if err := r.Hello(helloOf("a", "x", "1"), epoch); err != nil {
		f.Fatal(err)
	}
	i := shardOf(r.keyer.Key("a"))
	b, err := c.encode(r.shards[i].save())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := c.decode(b)
		if err != nil {
			return
		}
		fresh := newTestRegistry()
		if fresh.restore(i, m) != nil {
			return
		}
		again := newTestRegistry()
		if err := again.restore(i, fresh.shards[i].save()); err != nil {
			t.Fatalf("what was restored can't be stored: %v", err)
		}
	})
}

// fixedPlans is a plan set that counts how often it was asked.
type fixedPlans struct {
	version   uint64
	mechanism string
}

func (p fixedPlans) Version(uint64) uint64 { return p.version }

func (p fixedPlans) Since(version uint64) (plans []*quadratv1.DevicePlan, current uint64, live []string) {
	if version < p.version {
		plans = []*quadratv1.DevicePlan{{
			Ref: "k1", Revision: 1, PlanSetVersion: p.version, Statistics: []*quadratv1.StatisticPlan{{Mechanism: "warner"}, {Mechanism: p.mechanism}},
		}}
	}
	return plans, p.version, []string{"k1"}
}

func answer(t *testing.T, b []byte) *quadratv1.HelloReply {
	t.Helper()
	m := &quadratv1.HelloReply{}
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// patience bounds every wait; nothing depends on how long things take below it.
const patience = time.Minute

func TestServerOverNATS(t *testing.T) {
	ns, err := server.NewServer(&server.Options{Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	defer func() { ns.Shutdown(); ns.WaitForShutdown() }()
	if !ns.ReadyForConnections(patience) {
		t.Fatal("no NATS")
	}
	conn, err := nats.Connect(ns.ClientURL(), nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "DEVICES"})
	if err != nil {
		t.Fatal(err)
	}
	r := newTestRegistry()
	store, err := Load(ctx, r, kv, StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	clk := clock.NewManual(epoch)
	srv := NewServer(r, fixedPlans{version: 7}, ServerConfig{Clock: clk})
	if err := srv.Start(conn); err != nil {
		t.Fatal(err)
	}
	request := func(subject string, body []byte) *quadratv1.HelloReply {
		t.Helper()
		m, err := conn.Request(subject, body, patience)
		if err != nil {
			t.Fatal(err)
		}
		return answer(t, m.Data)
	}
	body, err := proto.Marshal(helloOf("d1", "region", "asia"))
	if err != nil {
		t.Fatal(err)
	}
	got := request("quadrat.hello.d1", body)
	if got.GetError() != "" || got.GetServerTimeMs() != epoch.UnixMilli() || got.GetPlanSetVersion() != 7 || len(got.GetPlans()) != 1 || len(got.GetLive()) != 1 {
		t.Fatalf("reply: %v", got)
	}
	if got := request("quadrat.hello.d2", body); got.GetError() == "" || len(got.GetPlans()) != 0 {
		t.Fatalf("a hello on another's subject got %v", got)
	}
	if got := request("quadrat.hello.d1", []byte{0xff}); got.GetError() == "" {
		t.Fatal("a malformed hello was accepted")
	}
	if c := srv.Counts(); c.Accepted != 1 || c.Refused[Identity] != 1 || c.Refused[Malformed] != 1 {
		t.Fatalf("counts: %+v", c)
	}
	if err := store.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	again := newTestRegistry()
	if _, err := Load(ctx, again, kv, StoreConfig{}); err != nil || again.Len() != 1 {
		t.Fatalf("%d devices after a restart (%v)", again.Len(), err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRepliesFollowThePlanSet(t *testing.T) {
	plans := &fixedPlans{version: 1}
	srv := NewServer(newTestRegistry(), plans, ServerConfig{Clock: clock.NewManual(epoch)})
	ask := func(held uint64) *quadratv1.HelloReply {
		h := helloOf("d")
		h.PlanSetVersion = held
		b, err := proto.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return answer(t, srv.Answer("quadrat.hello.d", b))
	}
	if len(ask(0).GetPlans()) != 1 || len(ask(1).GetPlans()) != 0 || len(ask(0).GetPlans()) != 1 {
		t.Fatal("plans don't follow the version that the device holds")
	}
	for name, knows := range map[string][]string{"an old device": nil, "a new one": {"three-output"}, "a later one": {"six-output", "three-output"}} {
		plans.mechanism = "three-output"
		clear(srv.replies)
		h := helloOf("d")
		h.Mechanisms = knows
		b, err := proto.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		want := min(1, len(knows))
		got := answer(t, srv.Answer("quadrat.hello.d", b))
		if len(got.GetPlans()) != want || got.GetPlanSetVersion() != 1 {
			t.Errorf("%s is told of %d plans with a mechanism that not all know, want %d", name, len(got.GetPlans()), want)
		}
		if len(ask(0).GetPlans()) != 0 {
			t.Error("a device that names nothing is told what another is told")
		}
	}
	plans.mechanism = ""
	plans.version = 2
	if got := ask(1); len(got.GetPlans()) != 1 || got.GetPlanSetVersion() != 2 {
		t.Fatalf("after a change: %v", got)
	}
}

// manyPlans is a plan set of so many kappas, each of which came with a version of its own.
type manyPlans int

func (p manyPlans) Version(uint64) uint64 { return uint64(p) }

func (p manyPlans) Since(version uint64) (plans []*quadratv1.DevicePlan, current uint64, live []string) {
	for v := uint64(1); v <= uint64(p); v++ {
		ref := fmt.Sprintf("k%05d", v)
		live = append(live, ref)
		if v > version {
			plans = append(plans, &quadratv1.DevicePlan{Ref: ref, Revision: 1, PlanSetVersion: v, Salt: make([]byte, 1000)})
		}
	}
	return plans, uint64(p), live
}

// A device that lacks more plans than a message carries gets them piece by piece, each as a plan set that ends there, and the server keeps
// no more of such answers than it should.
func TestManyPlansComeInPieces(t *testing.T) {
	const kappas = 3000
	srv := NewServer(newTestRegistry(), manyPlans(kappas), ServerConfig{Clock: clock.NewManual(epoch)})
	held, version, pieces := map[string]bool{}, uint64(0), 0
	for more := true; more; pieces++ {
		h := helloOf("d")
		h.PlanSetVersion = version
		b, err := proto.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		raw := srv.Answer("quadrat.hello.d", b)
		reply := answer(t, raw)
		for _, p := range reply.GetPlans() {
			held[p.GetRef()] = true
		}
		if len(raw) > replyBytesMost+replyBytesMost/4 || reply.GetPlanSetVersion() <= version || len(reply.GetLive()) != len(held) {
			t.Fatalf("a piece of %d bytes leads from version %d to %d; %d kappas live and %d are held", len(raw), version, reply.GetPlanSetVersion(),
				len(reply.GetLive()), len(held))
		}
		for _, ref := range reply.GetLive() {
			if !held[ref] {
				t.Fatalf("%s lives, and its plan was not told", ref)
			}
		}
		version, more = reply.GetPlanSetVersion(), reply.GetMore()
	}
	if len(held) != kappas || version != kappas || pieces < kappas*1000/replyBytesMost {
		t.Errorf("%d plans of version %d came in %d pieces", len(held), version, pieces)
	}
	for version := range uint64(100) {
		srv.reply(holds{version: version})
		if srv.kept > repliesBytesMost+2*replyBytesMost {
			t.Fatalf("%d bytes of answers are kept", srv.kept)
		}
	}
}
