package collector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/ledger"
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
		Root: fstest.MapFS{"etc/machine-id": {Data: []byte(w.machine + "\n")}},
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
	if _, err := w.device.ApplyReply(&reply); err != nil {
		w.t.Fatal(err)
	}
}

// reply is what the server tells the device.
func (w *tortured) reply() wire.HelloReply {
	reply := wire.HelloReply{PlanSetVersion: 2, Plans: torturePlans}
	for _, plan := range torturePlans {
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
		w.device.buffer.Add("sense.temperature", "temperature", w.clock.Now().UnixMilli(), 21_537_191)
	}
	w.clock.Set(now.Add(time.Minute))
	if w.device == nil {
		return
	}
	end := w.clock.Now().UnixMilli()
	for _, p := range torturePlans {
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
	i := slices.IndexFunc(torturePlans, func(p *wire.DevicePlan) bool { return p.Ref == r.Kappa })
	w.broker.reports[id], w.broker.epsilon[id] = string(b), int64(torturePlans[i].EpsilonMicro)
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
		i := slices.IndexFunc(torturePlans, func(p *wire.DevicePlan) bool { return p.Ref == id.kappa })
		start := id.window * int64(torturePlans[i].WindowMs)
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

// Without faults all is spent, to the last millionth, and the ledger was compacted on the way.
func TestTortureBaseline(t *testing.T) {
	w := torture(t, 1)
	w.rest()
	if got := w.law("baseline"); got != tortureEver {
		t.Errorf("ε %d of %d was spent", got, tortureEver)
	}
	const kindAt, checkpoint = 5, 3
	if kind := w.disk.Bytes(ledger.LogName)[kindAt]; kind != checkpoint {
		t.Errorf("the ledger begins with a record of kind %d: it was never compacted", kind)
	}
	if n := w.device.Counters()["refused_period"] + w.device.Counters()["refused_lifetime"]; n == 0 {
		t.Errorf("nothing was refused: %v", w.device.Counters())
	}
}

// tortureSteps is how many operations the disk makes when nothing fails.
func tortureSteps(t *testing.T) int {
	t.Helper()
	w := torture(t, 1)
	w.rest()
	if n := w.disk.Steps(); n > 150 {
		return n
	}
	t.Fatalf("only %d steps", w.disk.Steps())
	return 0
}

// The process, or the whole machine, dies at every single step that the disk takes, of opening, reserving, spooling,
// settling and compacting; half a write may be left behind. It always opens again, and at most what was in flight is lost.
func TestTortureDeathAtEveryStep(t *testing.T) {
	steps := tortureSteps(t)
	for step := range steps {
		for mode := range 4 {
			power, silent := mode&1 == 1, mode&2 == 2
			w := torture(t, uint64(step*4+mode))
			w.silent = silent
			w.disk.FailAfter(step, syscall.EIO)
			for w.disk.Steps() <= step && w.minutes < tortureLength {
				w.minute()
			}
			w.die(power)
			if w.open(); w.refused != nil {
				t.Fatalf("step %d, mode %d: doesn't open: %v", step, mode, w.refused)
			}
			w.send()
			w.rest()
			if got := w.law("step %d, mode %d", step, mode); got < tortureEver-1_500_000 {
				t.Fatalf("step %d, mode %d: only ε %d was spent", step, mode, got)
			}
		}
	}
}

// One operation of the disk fails, or all for a minute, and the process goes on: a failed sync, a short write, no room.
func TestTortureFailureAtEveryStep(t *testing.T) {
	steps := tortureSteps(t)
	for step := range steps {
		for mode := range 4 {
			fault := []error{syscall.EIO, syscall.ENOSPC}[mode&1]
			w := torture(t, uint64(step*4+mode))
			if mode&2 == 0 {
				w.disk.FailOnce(step, fault)
			} else {
				w.disk.FailAfter(step, fault)
			}
			for w.disk.Steps() <= step && w.minutes < tortureLength {
				w.minute()
			}
			w.disk.Heal()
			w.rest()
			w.die(true)
			w.open()
			if w.refused != nil {
				t.Fatalf("step %d, mode %d: doesn't open: %v", step, mode, w.refused)
			}
			w.send()
			if got := w.law("step %d, mode %d", step, mode); got < tortureEver-3_000_000 {
				t.Fatalf("step %d, mode %d: only ε %d was spent", step, mode, got)
			}
		}
	}
}

// The witness fails, or dies with the machine, at every step that it takes: the device opens again, since a witness that is
// behind says nothing against it.
func TestTortureWitnessAtEveryStep(t *testing.T) {
	steps := func() int {
		w := torture(t, 1)
		w.witness = disktest.New(1)
		w.rest()
		return w.witness.Steps()
	}()
	if steps < 30 {
		t.Fatalf("only %d steps", steps)
	}
	for step := range steps {
		for mode := range 3 {
			w := torture(t, uint64(step*3+mode))
			w.witness = disktest.New(uint64(step))
			if mode == 0 {
				w.witness.FailOnce(step, syscall.EIO)
			} else {
				w.witness.FailAfter(step, syscall.EIO)
			}
			for w.witness.Steps() <= step && w.minutes < tortureLength {
				w.minute()
			}
			w.witness.Heal()
			if mode > 0 {
				w.die(mode == 2)
			}
			w.rest()
			if got := w.law("step %d, mode %d", step, mode); w.device == nil || got < tortureEver-3_000_000 {
				t.Fatalf("step %d, mode %d: only ε %d was spent: %v", step, mode, got, w.refused)
			}
		}
	}
}

// The disk is full, at any number of bytes, until there is room again.
func TestTortureFullDisk(t *testing.T) {
	most := func() int64 { w := torture(t, 1); w.rest(); return w.disk.Total() }()
	for room := int64(1); room < 2*most; room += 61 {
		w := torture(t, uint64(room))
		w.disk.Space(room, syscall.ENOSPC)
		for w.minutes < tortureLength/2 {
			w.minute()
		}
		w.law("room for %d bytes", room)
		w.disk.Heal()
		w.die(room%2 == 0)
		w.rest()
		if w.device == nil {
			t.Fatalf("room for %d bytes: doesn't open: %v", room, w.refused)
		}
		if got := w.law("room for %d bytes", room); got < tortureMost {
			t.Fatalf("room for %d bytes: only ε %d was spent", room, got)
		}
	}
}

// card is all that a disk holds.
func card(m *disktest.Memory) map[string][]byte {
	files := map[string][]byte{}
	names, _ := m.Names()
	for _, n := range names {
		files[n] = m.Bytes(n)
	}
	return files
}

// A backup of any moment is restored at any later one: everything or only some of the files. With a witness the device
// notices whatever it is that was restored; without one, whatever isn't both files of the ledger.
func TestTortureRestoredBackup(t *testing.T) {
	for taken := 1; taken < 30; taken += 3 {
		for restored := taken; restored < 40; restored += 4 {
			for which := range 8 {
				w := torture(t, uint64(taken*1000+restored))
				both := which&3 == 3
				if both || which == 2 {
					w.witness = disktest.New(1)
				}
				for w.minutes < taken {
					w.minute()
				}
				backup := card(w.disk)
				for w.minutes < restored {
					w.minute()
				}
				w.die(false)
				spent := !bytes.Equal(backup[ledger.LogName], w.disk.Bytes(ledger.LogName))
				for name, content := range backup {
					part := 4
					switch name {
					case ledger.LogName:
						part = 1
					case ledger.AnchorName:
						part = 2
					}
					if which&part != 0 {
						w.disk.Put(name, content)
					}
				}
				if w.open(); which&1 == 1 && spent && w.refused == nil {
					t.Fatalf("taken at %d, restored at %d, part %d: the ledger opens", taken, restored, which)
				}
				w.rest()
				w.law("taken at %d, restored at %d, part %d", taken, restored, which)
			}
		}
	}
}

// A copy of the card runs on another board at the same time, from any moment on: the copy is silent, until its owner
// says that the first board is gone.
func TestTortureCopiedCard(t *testing.T) {
	for copied := 1; copied < tortureLength; copied++ {
		w := torture(t, uint64(copied))
		for w.minutes < copied {
			w.minute()
		}
		twin := &tortured{
			t: t, disk: disktest.New(1), machine: "board-2", clock: w.clock, random: w.random, log: io.Discard, broker: w.broker, minutes: copied,
		}
		for name, content := range card(w.disk) {
			twin.disk.Put(name, content)
		}
		for w.minutes < copied+5 {
			if twin.open(); !errors.Is(twin.refused, ledger.FaultMachine) {
				t.Fatalf("copied at %d: %v", copied, twin.refused)
			}
			w.minute()
		}
		w.die(false)
		for name, content := range card(w.disk) {
			twin.disk.Put(name, content)
		}
		parts := Parts{
			Config: Config{Device: "pi-7"}, Data: twin.disk, Clock: w.clock,
			Root: fstest.MapFS{"etc/machine-id": {Data: []byte("board-2")}},
		}
		parts.Config.Policy.Limits.PerPeriod, parts.Config.Policy.Limits.Lifetime = privacy.Epsilon(tortureMost), privacy.Epsilon(tortureEver)
		parts.Config.Policy.Limits.Period = time.Duration(tortureSpan) * time.Millisecond
		if err := Adopt(parts); err != nil {
			t.Fatal(err)
		}
		twin.rest()
		if got := twin.law("copied at %d", copied); got < tortureEver-1_500_000 {
			t.Fatalf("copied at %d: only ε %d was spent", copied, got)
		}
	}
}

// The clock is set back, or forth and back, at any moment and by any time: no window is answered twice, and no period
// holds more than it may.
func TestTortureClock(t *testing.T) {
	for at := 1; at < tortureLength; at += 2 {
		for _, step := range []time.Duration{
			-time.Minute, -3 * time.Minute, -6 * time.Minute, -11 * time.Minute, -24 * time.Hour, 7 * time.Minute, 24 * time.Hour,
		} {
			for mode := range 2 {
				w := torture(t, uint64(at))
				for w.minutes < at {
					w.minute()
				}
				now := w.clock.Now()
				w.jump(now.Add(step), mode == 1)
				for w.minutes < at+8 {
					w.minute()
				}
				if step > 0 {
					w.jump(now.Add(8*time.Minute), mode == 1)
				}
				w.rest()
				w.law("set by %v at %d, mode %d", step, at, mode)
			}
		}
	}
}

// jump sets the clock, with a restart if wanted.
func (w *tortured) jump(to time.Time, restart bool) {
	if restart {
		w.die(false)
	}
	w.clock = clock.NewManual(to)
	if w.device != nil {
		w.device.parts.Clock = w.clock
	}
}

// Random faults, one after another, on disk and witness, with copies of old files in between.
func TestTortureRandom(t *testing.T) {
	for seed := range uint64(150) {
		r := mathrand.New(mathrand.NewPCG(seed, 99))
		w := torture(t, seed)
		w.witness = disktest.New(seed + 1000)
		var backup map[string][]byte
		for w.minutes < 2*tortureLength {
			switch r.IntN(8) {
			case 0:
				w.die(r.IntN(2) == 0)
			case 1:
				w.disk.FailOnce(r.IntN(12), syscall.EIO)
			case 2:
				w.witness.FailOnce(r.IntN(4), syscall.EIO)
			case 3:
				w.silent = !w.silent
			case 4:
				if r.IntN(6) == 0 {
					backup = card(w.disk)
				}
			case 5:
				if r.IntN(12) == 0 && backup != nil {
					w.die(false)
					for name, content := range backup {
						w.disk.Put(name, content)
					}
				}
			}
			w.minute()
		}
		w.law("seed %d", seed)
	}
}
