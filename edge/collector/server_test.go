package collector

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// patienceMost bounds every wait of these tests; none of them depends on how long things take below it.
const patienceMost = time.Minute

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patienceMost); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// fake is a server with an intake and a registry that know one plan.
type fake struct {
	t    *testing.T
	door net.Listener // open from the first start to the end of the test, so that nobody else takes its port meanwhile
	conn *nats.Conn
	plan *wire.DevicePlan

	mu      sync.Mutex     // guards all below
	nats    *server.Server // nil while the server is away
	arrived []wire.Report
	bytes   map[int64][]byte // by window
	hellos  []wire.Hello
	raw     [][]byte // everything that came
	answer  func(n int) wire.Status
	changed bool // two different reports came for one window
}

func newFake(t *testing.T, plan *wire.DevicePlan) *fake {
	t.Helper()
	f := &fake{t: t, plan: plan, bytes: map[int64][]byte{}, answer: func(int) wire.Status { return wire.Stored }}
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.door = door
	go f.admit()
	t.Cleanup(func() { _ = door.Close() })
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *fake) url() string { return "nats://" + f.door.Addr().String() }

// admit leads each caller to the server, or hangs up while there is none.
func (f *fake) admit() {
	for {
		caller, err := f.door.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		s := f.nats
		f.mu.Unlock()
		if s == nil {
			_ = caller.Close()
			continue
		}
		inside, err := s.InProcessConn()
		if err != nil {
			_ = caller.Close()
			continue
		}
		for _, way := range [2][2]net.Conn{{caller, inside}, {inside, caller}} {
			go func() {
				_, _ = io.Copy(way[0], way[1])
				_ = way[0].Close()
				_ = way[1].Close()
			}()
		}
	}
}

func (f *fake) start() {
	f.t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, NoLog: true, NoSigs: true})
	if err != nil {
		f.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patienceMost) {
		f.t.Fatal("server isn't ready")
	}
	f.conn, err = nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		f.t.Fatal(err)
	}
	for subject, handle := range map[string]nats.MsgHandler{
		broker.PrefixIn + "*": f.intake, broker.PrefixHello + "*": f.hello,
	} {
		if _, err := f.conn.Subscribe(subject, handle); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := f.conn.Flush(); err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	f.nats = s
	f.mu.Unlock()
}

func (f *fake) stop() {
	f.mu.Lock()
	s := f.nats
	f.nats = nil
	f.mu.Unlock()
	if s == nil {
		return
	}
	f.conn.Close()
	s.Shutdown()
	s.WaitForShutdown()
}

func (f *fake) hello(m *nats.Msg) {
	h, err := wire.DecodeHello(m.Data)
	if err != nil || h.Validate() != nil {
		f.t.Errorf("bad hello: %v", err)
	}
	reply := wire.HelloReply{ServerTimeMs: h.ClockMs, PlanSetVersion: f.plan.PlanSetVersion, Live: []string{f.plan.Ref}}
	if h.PlanSetVersion < f.plan.PlanSetVersion {
		reply.Plans = []*wire.DevicePlan{f.plan}
	}
	f.mu.Lock()
	f.hellos, f.raw = append(f.hellos, h), append(f.raw, m.Data)
	f.mu.Unlock()
	_ = m.Respond(reply.Append(nil))
}

func (f *fake) intake(m *nats.Msg) {
	r, err := wire.DecodeRequest(m.Data)
	if err != nil || m.Subject != broker.PrefixIn+r.Device {
		f.t.Errorf("bad report on %s: %v", m.Subject, err)
	}
	f.mu.Lock()
	f.raw = append(f.raw, m.Data)
	status := f.answer(len(f.raw))
	if before, ok := f.bytes[r.Window]; ok && !slices.Equal(before, m.Data) {
		f.changed = true
	}
	f.bytes[r.Window] = m.Data
	if status == wire.Stored {
		f.arrived = append(f.arrived, r)
	}
	f.mu.Unlock()
	_ = m.Respond(wire.IntakeReply{Status: status}.Append(nil))
}

// answers says how the n-th message is answered.
func (f *fake) answers(with func(n int) wire.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = with
}

// windows lists the windows of the reports that were stored, in the order of their arrival.
func (f *fake) windows() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]int64, len(f.arrived))
	for i, r := range f.arrived {
		out[i] = r.Window
	}
	return out
}

// always is a plan that asks every device in every window.
func always(windowMs uint64) *wire.DevicePlan {
	return &wire.DevicePlan{
		Ref: "k7f3q2", Name: "room", Revision: 1, PlanSetVersion: 1, WindowMs: windowMs, Salt: make([]byte, 16),
		Capability: "sense.temperature", LapWindows: 1, Model: "local", EpsilonMicro: 1_000_000,
		EpsilonPeriodMicro: 1_000_000_000_000, PeriodMs: windowMs * 10,
		Strata: []wire.StratumPlan{{Name: "(all)", Last: []uint64{^uint64(0)}}},
		Statistics: []wire.StatisticPlan{{
			Name: "mean(temperature)", Kind: "mean", Reading: "temperature", Summary: "avg", Mechanism: "hybrid",
			LoMicro: 10_000_000, HiMicro: 40_000_000,
		}},
	}
}
