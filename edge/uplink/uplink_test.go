package uplink_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/spool"
	"github.com/quadrat-dev/quadrat/edge/uplink"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

const patience = time.Minute

var begin = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// device notes what it is told.
type device struct {
	mu         sync.Mutex // guards all below
	broadcasts int
	replies    int
	gap, again bool
	err        error
	units      []string
}

func (d *device) Speakers() int { return max(len(d.units), 1) }

func (d *device) Hello(speaker int) wire.Hello {
	h := wire.Hello{Device: "pi-7", ClockMs: begin.UnixMilli()}
	if len(d.units) > 0 {
		h.Device, h.Gateway = d.units[speaker], "pi-7"
	}
	return h
}

func (d *device) ApplyReply(_ int, r *wire.HelloReply) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Error != "" {
		return false, errors.New("refused")
	}
	d.replies++
	again := d.again
	d.again = false
	return again, d.err
}

func (d *device) ApplyBroadcast(*wire.PlanBroadcast) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broadcasts++
	return d.gap
}

func (d *device) heard() (broadcasts, replies int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.broadcasts, d.replies
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// start begins a server and a connection of its own to it.
func start(t *testing.T) *nats.Conn {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(patience) {
		t.Fatal("server isn't ready")
	}
	conn, err := nats.Connect(s.ClientURL(), nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func subscribe(t *testing.T, conn *nats.Conn, subject string, handle nats.MsgHandler) {
	t.Helper()
	_, err := conn.Subscribe(subject, handle)
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// registry answers hellos with a clock that is three seconds behind.
func registry(t *testing.T, conn *nats.Conn) {
	t.Helper()
	subscribe(t, conn, "quadrat.hello.pi-7", func(m *nats.Msg) {
		_ = m.Respond((&wire.HelloReply{ServerTimeMs: begin.UnixMilli() - 3000}).Append(nil))
	})
}

// A gateway says hello for each unit on its own subject; one that is refused keeps the others from nothing.
func TestEveryUnitSaysHello(t *testing.T) {
	conn := start(t)
	var mu sync.Mutex // guards heard
	heard := map[string]int{}
	subscribe(t, conn, "quadrat.hello.pi-7", func(m *nats.Msg) {
		h, err := wire.DecodeHello(m.Data)
		reply := wire.HelloReply{ServerTimeMs: begin.UnixMilli()}
		if err != nil || h.Device == "pi-7-b" {
			reply.Error = "no"
		}
		mu.Lock()
		heard[h.Device]++
		mu.Unlock()
		_ = m.Respond(reply.Append(nil))
	})
	s := open(t)
	d := &device{units: []string{"pi-7-a", "pi-7-b", "pi-7-c"}}
	run(t, uplink.Config{URL: conn.ConnectedUrl(), Clock: clock.NewManual(begin)}, d, s)
	eventually(t, "all have spoken, and the refused one again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return heard["pi-7-a"] > 0 && heard["pi-7-b"] > 1 && heard["pi-7-c"] > 0
	})
}

func run(t *testing.T, c uplink.Config, d uplink.Device, s *spool.Spool) *uplink.Uplink {
	t.Helper()
	c.Device, c.PauseLeast, c.PauseMost = "pi-7", time.Millisecond, 10*time.Millisecond
	u := uplink.New(c, d, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return u
}

func open(t *testing.T) *spool.Spool {
	t.Helper()
	s, err := spool.Open(spool.Config{Folder: disktest.New(1), BytesMax: spool.BytesLeast})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSubjectsAreTheBrokers(t *testing.T) {
	if wire.InSubject("x") != broker.PrefixIn+"x" || wire.HelloSubject("x") != broker.PrefixHello+"x" || wire.PlanSubject != broker.SubjectPlan {
		t.Error("device and broker disagree")
	}
}

func TestHellos(t *testing.T) {
	conn := start(t)
	registry(t, conn)
	d := &device{again: true}
	c := clock.NewManual(begin)
	u := run(t, uplink.Config{URL: conn.ConnectedUrl(), Clock: c}, d, open(t))
	eventually(t, "hello at joining, and again", func() bool { _, n := d.heard(); return n == 2 })
	eventually(t, "both are counted", func() bool { return u.Status().Hellos == 2 })
	if s := u.Status(); !s.Connected || s.Offset != 3*time.Second {
		t.Errorf("%+v", s)
	}
	if !c.Now().Equal(begin) {
		t.Error("the server moved the device's clock")
	}

	publish := func(b []byte) {
		if err := conn.Publish(wire.PlanSubject, b); err != nil {
			t.Fatal(err)
		}
	}
	publish((&wire.PlanBroadcast{PlanSetVersion: 2}).Append(nil))
	eventually(t, "a broadcast", func() bool { n, _ := d.heard(); return n == 1 })
	d.mu.Lock()
	d.gap = true
	d.mu.Unlock()
	publish((&wire.PlanBroadcast{PlanSetVersion: 9}).Append(nil))
	eventually(t, "hello after a gap", func() bool { _, n := d.heard(); return n == 3 })
	publish([]byte{0xff})
	eventually(t, "hello after an unreadable broadcast", func() bool { _, n := d.heard(); return n == 4 })
	eventually(t, "the periodic hello", func() bool {
		c.Advance(time.Minute)
		_, n := d.heard()
		return n >= 5
	})
}

func TestRefusedDeviceGoesOnAsking(t *testing.T) {
	conn := start(t)
	registry(t, conn)
	d := &device{err: errors.New("not in the fleet")}
	u := run(t, uplink.Config{URL: conn.ConnectedUrl(), Clock: clock.NewManual(begin)}, d, open(t))
	eventually(t, "three hellos", func() bool { _, n := d.heard(); return n >= 3 })
	if u.Status().Hellos != 0 {
		t.Error("a refusal counts as an answer")
	}
}

// A report that is made while the line is up overtakes the backlog, which goes out in its order.
func TestLiveIsNotStarved(t *testing.T) {
	conn := start(t)
	registry(t, conn)
	s := open(t)
	for i := range 20 {
		if _, err := s.Append([]byte{'a' + byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var got strings.Builder
	live := make(chan struct{}) // closed when the live report is there; until then the backlog stands still
	subscribe(t, conn, "quadrat.in.pi-7", func(m *nats.Msg) {
		mu.Lock()
		got.Write(m.Data)
		mu.Unlock()
		<-live
		_ = m.Respond(wire.IntakeReply{Status: wire.Stored}.Append(nil))
	})
	read := func() string {
		mu.Lock()
		defer mu.Unlock()
		return got.String()
	}
	u := run(t, uplink.Config{
		URL: conn.ConnectedUrl(), Clock: clock.NewManual(begin), BacklogPerSecond: 4, RequestTimeout: patience,
	}, &device{}, s)
	eventually(t, "the backlog begins", func() bool { return read() != "" })
	if _, err := s.Append([]byte{'!'}); err != nil {
		t.Fatal(err)
	}
	u.Wake()
	close(live)
	eventually(t, "all is sent", func() bool { n, _ := s.Pending(); return n == 0 })
	text := read()
	if strings.HasSuffix(text, "!") || strings.Replace(text, "!", "", 1) != "abcdefghijklmnopqrst" {
		t.Error(text)
	}
}

func TestRejectedIsCountedAndGone(t *testing.T) {
	conn := start(t)
	registry(t, conn)
	s := open(t)
	if _, err := s.Append([]byte{'x'}); err != nil {
		t.Fatal(err)
	}
	answers := []wire.Status{wire.Unspecified, wire.Retry, wire.Rejected, wire.Stored}
	var asked atomic.Int64
	subscribe(t, conn, "quadrat.in.pi-7", func(m *nats.Msg) {
		status := answers[min(asked.Add(1), int64(len(answers)))-1]
		_ = m.Respond(wire.IntakeReply{Status: status}.Append(nil))
	})
	run(t, uplink.Config{URL: conn.ConnectedUrl(), Clock: clock.NewManual(begin)}, &device{}, s)
	eventually(t, "it is gone", func() bool { n, _ := s.Pending(); return n == 0 })
	if got := s.Totals(); got.Rejected != 1 || got.Stored != 0 || asked.Load() != 3 {
		t.Errorf("%+v, asked %d times", got, asked.Load())
	}
}

func TestUnusableAddress(t *testing.T) {
	u := uplink.New(uplink.Config{URL: "nats://%zz", Device: "pi-7", Clock: clock.NewManual(begin)}, &device{}, open(t))
	if err := u.Run(t.Context()); err == nil {
		t.Error("accepted")
	}
}
