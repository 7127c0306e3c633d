//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/uplink"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
)

// patience bounds every wait of these tests; none of them depends on how long things take below it.
const patience = time.Minute

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// fake is a server that knows one plan.
type fake struct {
	url string

	mu       sync.Mutex // guards all below
	hellos   map[string]wire.Hello
	releases map[int64]string // by window
	changed  bool             // two different releases came for one window
	raw      [][]byte         // everything that came
	lost     int              // answers to withhold
}

func newFake(t *testing.T, plan *wire.DevicePlan) *fake {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server isn't ready")
	}
	conn, err := nats.Connect(s.ClientURL(), nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	f := &fake{url: s.ClientURL(), hellos: map[string]wire.Hello{}, releases: map[int64]string{}}
	handle := func(subject string, answer func([]byte) []byte) {
		if _, err := conn.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond(answer(m.Data)) }); err != nil {
			t.Fatal(err)
		}
	}
	handle(wire.HelloSubject("block"), func(b []byte) []byte { return f.hello(b, plan) })
	handle(wire.InSubject("block"), f.release)
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fake) hello(b []byte, plan *wire.DevicePlan) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.raw = append(f.raw, b)
	h, err := wire.DecodeHello(b)
	if err != nil || h.Gateway != "block" || !strings.HasPrefix(h.Device, "block-") {
		return (&wire.HelloReply{Error: "not a unit"}).Append(nil)
	}
	f.hellos[h.Device] = h
	reply := wire.HelloReply{ServerTimeMs: 1, PlanSetVersion: 1, Live: []string{plan.Ref}}
	if h.PlanSetVersion == 0 {
		reply.Plans = []*wire.DevicePlan{plan}
	}
	return reply.Append(nil)
}

func (f *fake) release(b []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.raw = append(f.raw, b)
	r, err := wire.DecodeReleaseRequest(b)
	if err != nil {
		return wire.IntakeReply{Status: wire.Rejected, Reason: "malformed"}.Append(nil)
	}
	if before, known := f.releases[r.Window]; known && before != string(b) {
		f.changed = true
	}
	f.releases[r.Window] = string(b)
	if f.lost > 0 {
		f.lost--
		return wire.IntakeReply{Status: wire.Retry}.Append(nil)
	}
	return wire.IntakeReply{Status: wire.Stored}.Append(nil)
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.releases)
}

// logged is a log that may be read while it is written.
type logged struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a gateway on a clock that the test moves.
type running struct {
	*Gateway
	t     *testing.T
	clock *clock.Manual
	log   *logged
	stop  func()
}

func run(t *testing.T, f *fake, data string, at time.Time) *running {
	t.Helper()
	text := strings.NewReplacer("nats://127.0.0.1:1", f.url, "/data", data, "0.0.0.0:8650", "127.0.0.1:0").Replace(house)
	config, err := collector.Parse([]byte(text), "/")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, clock: clock.NewManual(at), log: &logged{}}
	timeless := func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}
	r.Gateway, err = Open(Parts{Collector: collector.Parts{
		Config: config, Software: "test", Data: disk.OS(data), Clock: r.clock, Random: rand.Reader, Root: secrets,
		Log:    slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: timeless})),
		Uplink: uplink.Config{PauseLeast: time.Millisecond, PauseMost: 20 * time.Millisecond, BacklogPerSecond: 1000},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// send posts readings as a sensor does.
func (r *running) send(token, body string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.Address().String()+"/readings", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		r.t.Fatal(answer.Status)
	}
}

// minute lets one window pass in which both units measured the marker.
func (r *running) minute() {
	r.t.Helper()
	now := r.clock.Now()
	r.send(tokenB, `{"sensor": "bath", "reading": "temperature", "value": 21.537191}`)
	r.send(tokenA, `{"sensor": "hall", "value": 21537.191}`)
	r.clock.Set(now.Add(time.Minute))
}

// From the sensors over the network to the broker and through a restart: every window once, the same bytes when it is sent again,
// and the readings in no file, no log and no message.
func TestReadingsStayInTheProcess(t *testing.T) {
	plan := planOf(statistics[0], 1)
	plan.GroupBy, plan.PeriodMs = nil, 3_600_000
	plan.EpsilonMicro, plan.EpsilonPeriodMicro = 1_000_000, 4_000_000
	f := newFake(t, plan)
	f.lost = 3
	data := t.TempDir()
	r := run(t, f, data, begin)
	eventually(t, "both units are there, with one plan", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.hellos) == 2 && f.hellos["block-b"].PlanSetVersion == 1
	})
	eventually(t, "both answers are taken in", func() bool { s, _ := r.Status(); return s.Hellos >= 2 })
	r.clock.Set(begin.Add(30 * time.Second)) // the windows begin that the plan asks for
	for n := range 3 {
		r.minute()
		eventually(t, "a release", func() bool { return f.count() > n })
	}
	eventually(t, "all is sent", func() bool { _, waiting := r.Status(); return waiting == 0 })
	r.stop()
	first := r.log.String()

	r = run(t, f, data, r.clock.Now())
	eventually(t, "the units are there again", func() bool { s, _ := r.Status(); return s.Hellos >= 2 })
	r.minute()
	eventually(t, "a release after the restart", func() bool { return f.count() == 4 })
	r.minute() // epsilon 4 an hour is spent
	eventually(t, "silence", func() bool { return r.Counters()["refused_period"] > 0 })
	r.stop()

	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.releases) != 4 || f.changed {
		t.Errorf("%d releases, changed %v", len(f.releases), f.changed)
	}
	for _, b := range f.releases {
		release, err := wire.DecodeReleaseRequest([]byte(b))
		if err != nil || len(release.Parts) != 1 || release.Parts[0].Units != 2 || release.Parts[0].Device != "block-a" {
			t.Errorf("%+v, %v", release, err)
		}
	}
	if !strings.Contains(r.log.String(), "refused_period") {
		t.Error("the log doesn't say why it is silent:\n" + r.log.String())
	}
	for where, text := range files(t, data) {
		lookFor(t, where, text)
	}
	lookFor(t, "the log", []byte(first+r.log.String()))
	for _, m := range f.raw {
		lookFor(t, "a message", m)
	}
}

func files(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil || len(out) < 3 {
		t.Fatalf("%d files, %v", len(out), err)
	}
	return out
}

// lookFor looks for the marker, for its sum and for what stands in a release before noise, in every form in which a program might
// write them. What is written holds fewer than two thousand random bytes, in which the two short forms turn up by chance with a
// probability below 10⁻⁶.
func lookFor(t *testing.T, where string, in []byte) {
	t.Helper()
	const reading = int64(21_537_191)
	var forms [][]byte
	for _, x := range []int64{reading, 2 * reading, reading - lo, 2 * (reading - lo)} {
		forms = append(forms, fmt.Append(nil, x), []byte(privacy.Micro(x).String()),
			binary.LittleEndian.AppendUint64(nil, uint64(x)), binary.BigEndian.AppendUint64(nil, uint64(x)))
	}
	forms = append(forms, binary.AppendVarint(nil, reading), binary.AppendVarint(nil, 2*(reading-lo)))
	for _, form := range forms {
		if bytes.Contains(in, form) {
			t.Errorf("%s holds %x", where, form)
		}
	}
}

// A gateway that can't keep its word doesn't begin, and says all that is wrong.
func TestOpenFails(t *testing.T) {
	for name, c := range map[string]struct{ change, want string }{
		"no token":        {"/etc/all", "not exist"},
		"no certificate":  {"certificate", "listen.key"},
		"no such address": {"address", "listen.address"},
	} {
		text := strings.Replace(house, "/data", t.TempDir(), 1)
		root := fstest.MapFS{"etc/all": secrets["etc/all"], "etc/bath": secrets["etc/bath"]}
		switch c.change {
		case "/etc/all":
			delete(root, "etc/all")
		case "certificate":
			text = strings.Replace(text, "token_file: /etc/all}", "token_file: /etc/all, certificate: /etc/c, key: /etc/k}", 1)
		case "address":
			text = strings.Replace(text, "0.0.0.0:8650", "192.0.2.1:8650", 1)
		}
		config, err := collector.Parse([]byte(text), "/")
		if err != nil {
			t.Fatal(name, err)
		}
		_, err = Open(Parts{Collector: collector.Parts{
			Config: config, Data: disk.OS(t.TempDir()), Clock: clock.NewManual(begin), Random: rand.Reader, Root: root,
			Log: slog.New(slog.DiscardHandler),
		}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
