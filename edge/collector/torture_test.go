package collector

import (
	"encoding/binary"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/spool"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
)

// What the tortured device may give, in millionths: in any tortureSpan, and ever. It is asked for far more.
const (
	torturePolicy = "epsilon: 3, per: 10m, lifetime: 12"
	tortureMost   = 3_000_000
	tortureEver   = 12_000_000
	tortureSpan   = int64(10 * time.Minute / time.Millisecond)
	tortureLength = 48 // minutes; without faults the lifetime is spent before
)

// tortured is a device on a disk that fails, whose every step the test takes itself: there is no goroutine.
type tortured struct {
	t       *testing.T
	disk    *disktest.Memory
	witness *disktest.Memory // nil for none
	machine string
	clock   *clock.Manual
	device  *Collector // nil while it is dead, or its ledger refuses to open
	refused error      // why it doesn't open
	minutes int
	silent  bool   // the server doesn't answer: nothing is settled
	broker  *heard // shared by copies of the device
	log     io.Writer
	random  *uint64 // so that no two openings share randomness
	plans   []*wire.DevicePlan
	reads   func(minute int64) privacy.Micro // what the sensor says in a minute of the epoch
}

// heard is what reached the broker.
type heard struct {
	reports map[reportID]string
	changed bool // two different reports came for one window
	epsilon map[reportID]int64
	times   int
}

type reportID struct {
	kappa  string
	window int64
}

var torturePlans = func() []*wire.DevicePlan {
	fast, slow := always(60_000), always(120_000)
	slow.Ref, slow.Name, slow.EpsilonMicro, slow.PlanSetVersion = "slow", "slow", 500_000, 2
	return []*wire.DevicePlan{fast, slow}
}()

func torture(t *testing.T, seed uint64) *tortured {
	t.Helper()
	return &tortured{
		t: t, disk: disktest.New(seed), machine: "board-1", clock: clock.NewManual(begin), random: new(uint64), log: io.Discard,
		broker: &heard{reports: map[reportID]string{}, epsilon: map[reportID]int64{}},
		plans:  torturePlans, reads: func(int64) privacy.Micro { return 21_537_191 },
	}
}

// open starts the collector and lets the server tell it the plans.
func (w *tortured) open() {
	w.t.Helper()
	config, err := Parse(yamlOf("nats://127.0.0.1:1", "/data", torturePolicy), "/")
	if err != nil {
		w.t.Fatal(err)
	}
	*w.random++
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], *w.random)
	p := Parts{
		Config: config, Software: "test", Data: w.disk, Clock: w.clock, Random: mathrand.NewChaCha8(seed),
		Root: machineRoot(w.machine),
		Log:  slog.New(slog.NewTextHandler(w.log, nil)), LedgerRecords: 5,
	}
	if w.witness != nil {
		p.Witness = w.witness
	}
	w.device, w.refused = Open(p)
	if w.refused != nil {
		w.device = nil
		return
	}
	reply := w.reply()
	if _, err := w.device.ApplyReply(0, &reply); err != nil {
		w.t.Fatal(err)
	}
}

// machineRoot is where a board tells who it is.
func machineRoot(machine string) fstest.MapFS {
	return fstest.MapFS{"etc/machine-id": {Data: []byte(machine + "\n")}}
}

// reply is what the server tells the device.
func (w *tortured) reply() wire.HelloReply {
	reply := wire.HelloReply{PlanSetVersion: 2, Plans: w.plans}
	for _, plan := range w.plans {
		reply.Live = append(reply.Live, plan.Ref)
	}
	return reply
}

// listen keeps the log from now on.
func (w *tortured) listen() *safeBuffer {
	log := &safeBuffer{}
	w.log = log
	return log
}

// minute lets one pass: a reading, the windows that end with it, and what the line does afterwards.
func (w *tortured) minute() {
	w.t.Helper()
	if w.device == nil {
		w.open()
	}
	w.minutes++
	now := w.clock.Now()
	w.clock.Set(now.Add(30 * time.Second))
	if w.device != nil {
		w.device.Add(Reading{
			Capability: "sense.temperature", Reading: "temperature", AtMs: w.clock.Now().UnixMilli(), Value: w.reads(now.Unix() / 60),
		})
	}
	w.clock.Set(now.Add(time.Minute))
	if w.device == nil {
		return
	}
	end := w.clock.Now().UnixMilli()
	for _, p := range w.plans {
		if length := int64(p.WindowMs); end%length == 0 {
			w.device.make(task{ref: p.Ref, window: end/length - 1, end: end})
		}
	}
	w.send()
}

// send empties the spool, as the uplink does.
func (w *tortured) send() {
	w.t.Helper()
	after := uint64(0)
	for {
		e, ok, err := w.device.spool.Next(after)
		if err != nil || !ok {
			return
		}
		w.hear(e.Bytes)
		after = e.ID
		if !w.silent {
			_ = w.device.spool.Settle(e.ID, spool.Stored)
		}
	}
}

func (w *tortured) hear(b []byte) {
	w.t.Helper()
	r, err := wire.DecodeRequest(b)
	if err != nil {
		w.t.Fatal(err)
	}
	id := reportID{r.Kappa, r.Window}
	if before, ok := w.broker.reports[id]; ok && before != string(b) {
		w.broker.changed = true
	}
	i := slices.IndexFunc(w.plans, func(p *wire.DevicePlan) bool { return p.Ref == r.Kappa })
	w.broker.reports[id], w.broker.epsilon[id] = string(b), int64(w.plans[i].EpsilonMicro)
	w.broker.times++
}

// die ends the process without a word: with its machine, or alone.
func (w *tortured) die(power bool) {
	w.device = nil
	for _, d := range []*disktest.Memory{w.disk, w.witness} {
		switch {
		case d == nil:
		case power:
			d.Crash()
		default:
			d.Kill()
		}
	}
}

// law counts what reached the broker.
func (w *tortured) law(what string, args ...any) int64 {
	w.t.Helper()
	if w.broker.changed {
		w.t.Fatalf(what+": a window had two different reports", args...)
	}
	starts, costs, total := []int64{}, map[int64]int64{}, int64(0)
	for id, epsilon := range w.broker.epsilon {
		if id.kappa == valuesRef {
			continue
		}
		i := slices.IndexFunc(w.plans, func(p *wire.DevicePlan) bool { return p.Ref == id.kappa })
		start := id.window * int64(w.plans[i].WindowMs)
		starts = append(starts, start)
		costs[start] += epsilon
		total += epsilon
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	for i, from := range starts {
		sum := int64(0)
		for _, at := range starts[i:] {
			if at < from+tortureSpan {
				sum += costs[at]
			}
		}
		if sum > tortureMost {
			w.t.Fatalf(what+": ε %d in a period", append(args, sum)...)
		}
	}
	if total > tortureEver {
		w.t.Fatalf(what+": ε %d in a life", append(args, total)...)
	}
	return total
}

func (w *tortured) rest() {
	w.t.Helper()
	for w.minutes < tortureLength {
		w.minute()
	}
}
