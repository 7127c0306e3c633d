package collector

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/uplink"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
)

// marker is a reading that nothing but the device may know.
const marker = "21537191"

var begin = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// yamlOf is a device with one thermal zone.
func yamlOf(url, data, policy string) []byte {
	return fmt.Appendf(nil, `
server: %s
device: pi-7
data: %s
interval: 1s
sensors: [{capability: sense.temperature, source: thermal, zone: cpu, scale: "0.001"}]
policy: {capabilities: [sense.temperature], %s}
`, url, data, policy)
}

// bench is a collector on a clock that the test moves.
type bench struct {
	*Collector
	t     *testing.T
	clock *clock.Manual
	log   *safeBuffer
	stop  func()
}

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// timeless leaves out the moment of a line, which could look like a reading.
func timeless(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func run(t *testing.T, url, data, policy string, c *clock.Manual) *bench {
	t.Helper()
	config, err := Parse(yamlOf(url, data, policy), "/")
	if err != nil {
		t.Fatal(err)
	}
	log := &safeBuffer{}
	d, err := Open(Parts{
		Config: config, Software: "test", Data: disk.OS(data), Clock: c, Random: rand.Reader,
		Root: fstest.MapFS{
			"sys/class/thermal/thermal_zone0/type": {Data: []byte("cpu")},
			"sys/class/thermal/thermal_zone0/temp": {Data: []byte(marker)},
		},
		Log:    slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: timeless})),
		Uplink: uplink.Config{PauseLeast: time.Millisecond, PauseMost: 20 * time.Millisecond, BacklogPerSecond: 1000},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return &bench{Collector: d, t: t, clock: c, log: log, stop: stop}
}

// planned waits until the plan is there.
func (b *bench) planned() {
	b.t.Helper()
	eventually(b.t, "the plan arrives", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.voice.Version() == 1
	})
}

// outcomes counts the windows that were looked at.
func (b *bench) outcomes() (n uint64) {
	for _, c := range b.Counters() {
		n += c
	}
	return n
}

// window lets one window pass: the sensor is read in it, then it ends and is looked at.
func (b *bench) window(length time.Duration) {
	b.t.Helper()
	index := b.clock.Now().UnixMilli() / length.Milliseconds()
	b.clock.Advance(length / 2)
	eventually(b.t, "a reading", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, s := range b.voice.(*device).Wanted() {
			summary := b.voice.(*device).buffer.Summary(s, index)
			if summary.Count() > 0 {
				return true
			}
		}
		return false
	})
	before := b.outcomes()
	b.clock.Set(time.UnixMilli((index + 1) * length.Milliseconds()))
	eventually(b.t, "the window is looked at", func() bool { return b.outcomes() > before })
}

const minute = time.Minute

// The server is away for a while: nothing is lost, the order is kept, nothing is randomised twice, and no reading shows.
func TestServerAway(t *testing.T) {
	f := newFake(t, always(60_000))
	b := run(t, f.url(), t.TempDir(), "epsilon: 1000, per: 1h, lifetime: none", clock.NewManual(begin))
	b.planned()
	first := begin.UnixMilli() / 60_000
	for range 3 {
		b.window(minute)
	}
	eventually(t, "three reports, answered", func() bool { _, waiting := b.Status(); return waiting == 0 && len(f.windows()) == 3 })

	f.stop()
	eventually(t, "the line is down", func() bool { s, _ := b.Status(); return !s.Connected })
	for range 20 {
		b.window(minute)
	}
	if _, waiting := b.Status(); waiting != 20 {
		t.Fatalf("%d reports wait", waiting)
	}
	f.answers(func(n int) wire.Status { return []wire.Status{wire.Stored, wire.Retry}[n%2] })
	f.start()
	eventually(t, "the backlog is gone", func() bool { _, waiting := b.Status(); return waiting == 0 })
	b.window(minute)
	eventually(t, "the next report", func() bool { return len(f.windows()) == 24 })
	b.stop()

	got := f.windows()
	for i, w := range got {
		if w != first+int64(i) {
			t.Fatalf("windows arrived as %v, the first was %d", got, first)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed {
		t.Error("a retransmission had other bytes")
	}
	if strings.Contains(b.log.String(), marker) || strings.Contains(b.log.String(), "21.537") {
		t.Error("the log shows a reading:\n" + b.log.String())
	}
	// As the open value would be written: 21.537191 °C in millionths.
	secret := wire.Report{Device: "d", Kappa: "k", Revision: 1, Value: 21_537_191}
	tail := secret.Append(nil)
	if slices.ContainsFunc(f.raw, func(m []byte) bool { return bytes.Contains(m, tail[len(tail)-4:]) }) {
		t.Error("a message shows a reading")
	}
}

// The budget is spent: silence, also after a restart, until the period has passed.
func TestBudgetSpent(t *testing.T) {
	f := newFake(t, always(60_000))
	data, now := t.TempDir(), clock.NewManual(begin)
	policy := "epsilon: 3, per: 10m, lifetime: none"
	b := run(t, f.url(), data, policy, now)
	b.planned()
	for range 5 {
		b.window(minute)
	}
	eventually(t, "three reports", func() bool { _, waiting := b.Status(); return waiting == 0 && len(f.windows()) == 3 })
	if n := b.Counters()["refused_period"]; n != 2 {
		t.Errorf("%d refusals", n)
	}
	b.stop()
	b = run(t, f.url(), data, policy, now)
	b.planned()
	for range 5 {
		b.window(minute)
	}
	if n := b.Counters()["refused_period"]; n != 5 {
		t.Errorf("%d refusals after the restart", n)
	}
	b.window(minute)
	eventually(t, "a report in the next period", func() bool { return len(f.windows()) == 4 })

	// The window that would start now shares its period with those of the third and the eleventh minute.
	account, err := ReadAccount(b.parts, now.Now())
	if err != nil || account.Reports != 4 || account.SpentInPeriod != "2" || account.LeftInPeriod != "1" {
		t.Errorf("%+v, %v", account, err)
	}
	b.stop()
	if w := f.windows(); w[3]-w[0] != 10 {
		t.Errorf("windows %v", w)
	}
}

// A second collector on the same folder is refused, and so is one whose ledger was rolled back.
func TestLedgerIsGuarded(t *testing.T) {
	f := newFake(t, always(60_000))
	data := t.TempDir()
	b := run(t, f.url(), data, "epsilon: 3, per: 10m, lifetime: none", clock.NewManual(begin))
	parts := b.parts
	if _, err := Open(parts); err == nil {
		t.Fatal("two collectors share a ledger")
	}
	b.planned()
	b.window(minute)
	b.stop()
	log, err := disk.OS(data).Open("ledger.log", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Truncate(256); err != nil {
		t.Fatal(err)
	}
	_ = log.Close()
	if _, err := Open(parts); err == nil {
		t.Fatal("a rolled back ledger is used")
	}
}

func TestCheckShowsReadingsOnlyWhenAsked(t *testing.T) {
	f := newFake(t, always(60_000))
	config, err := Parse(yamlOf(f.url(), t.TempDir(), "epsilon: 1, lifetime: none"), "/")
	if err != nil {
		t.Fatal(err)
	}
	c := Checks{
		Config: config, Data: disk.OS(config.Data), Clock: clock.NewManual(begin), Root: fstest.MapFS{
			"sys/class/thermal/thermal_zone0/type": {Data: []byte("cpu")},
			"sys/class/thermal/thermal_zone0/temp": {Data: []byte(marker)},
		},
	}
	for _, c.ShowReadings = range []bool{false, true} {
		text := fmt.Sprintf("%+v", Check(t.Context(), c))
		if strings.Contains(text, privacy.Micro(21_537_191).String()) != c.ShowReadings || strings.Contains(text, "OK:false") {
			t.Error(text)
		}
	}
	f.mu.Lock()
	if len(f.hellos) > 0 {
		t.Error("check announced the device")
	}
	f.mu.Unlock()
	f.stop()
	if text := fmt.Sprintf("%+v", Check(t.Context(), c)); !strings.Contains(text, "OK:false") {
		t.Error(text)
	}
	f.start()
}
