package collector

import (
	"bytes"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/privacy"
)

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
			plans: w.plans, reads: w.reads,
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
