//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"encoding/binary"
	mathrand "math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/disk/disktest"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	"github.com/quadrat-dev/quadrat/edge/spool"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// What the tortured household may give, in millionths: in any ten minutes, and ever. It is asked for one a minute.
const (
	tortureMost   = 3_000_000
	tortureEver   = 9_000_000
	tortureLength = 36 // minutes; without faults the lifetime is spent before
)

// tortured is a gateway on a disk that fails, whose every step the test takes itself.
type tortured struct {
	t       *testing.T
	disk    *disktest.Memory
	ledger  *ledger.File // nil while it is dead
	spool   *spool.Spool
	crew    *Crew
	refused error // why it doesn't open
	window  int64 // that is going on
	random  uint64
	silent  bool // the server doesn't answer: nothing is settled

	broker  map[int64]string // what reached it, by window
	changed bool
}

func torture(t *testing.T, seed uint64) *tortured {
	t.Helper()
	return &tortured{t: t, disk: disktest.New(seed), broker: map[int64]string{}}
}

func (w *tortured) open() {
	w.t.Helper()
	w.random++
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], w.random)
	limits := law.Limits{PerPeriod: tortureMost, Period: 10 * time.Minute, Lifetime: tortureEver}
	w.ledger, w.refused = ledger.Open(ledger.Config{
		Folder: w.disk, Device: "block", Machine: "board-1", Limits: limits, Random: mathrand.NewChaCha8(seed), CompactRecords: 4,
	}, time.UnixMilli(w.window*minute))
	if w.refused != nil {
		w.ledger = nil
		return
	}
	w.spool, w.refused = spool.Open(spool.Config{Folder: w.disk, BytesMax: spool.BytesLeast})
	if w.refused != nil {
		_ = w.ledger.Close()
		w.ledger = nil
		return
	}
	p := planOf(statistics[2], 1)
	p.PeriodMs = 600_000
	w.crew = crewOf(w.t, 5, w.ledger, p)
}

// minute lets one pass: a window ends, is released and spooled as a collector does it, and the line empties the spool.
func (w *tortured) minute() {
	w.t.Helper()
	if w.ledger == nil {
		w.open()
	}
	if w.ledger != nil {
		for u := range 5 {
			w.crew.hear(u, w.window, privacy.Micro(15_000_000+u*3_000_000))
		}
		if b, outcome, _ := w.crew.Report(nil, "k7f3q2", w.window); outcome == agent.Reported {
			_, _ = w.spool.Append(b)
		}
		w.send()
	}
	w.window++
}

func (w *tortured) send() {
	w.t.Helper()
	after := uint64(0)
	for {
		e, ok, err := w.spool.Next(after)
		if err != nil || !ok {
			return
		}
		r, err := wire.DecodeReleaseRequest(e.Bytes)
		if err != nil {
			w.t.Fatal(err)
		}
		before, known := w.broker[r.Window]
		w.changed = w.changed || known && before != string(e.Bytes)
		w.broker[r.Window] = string(e.Bytes)
		after = e.ID
		if !w.silent {
			_ = w.spool.Settle(e.ID, spool.Stored)
		}
	}
}

func (w *tortured) die(power bool) {
	w.ledger = nil
	if power {
		w.disk.Crash()
	} else {
		w.disk.Kill()
	}
}

// law counts what reached the broker: within the policy, and never more than the ledger charged.
func (w *tortured) law(step, mode int) int64 {
	w.t.Helper()
	if w.ledger == nil {
		w.open()
	}
	if w.refused != nil {
		w.t.Fatalf("step %d, mode %d: doesn't open: %v", step, mode, w.refused)
	}
	w.send()
	if charged := w.ledger.Book().Spent().Reports; uint64(len(w.broker)) > charged || w.changed {
		w.t.Fatalf("step %d, mode %d: %d releases, %d charges, changed %v", step, mode, len(w.broker), charged, w.changed)
	}
	windows := []int64{}
	for window := range w.broker {
		windows = append(windows, window)
	}
	slices.Sort(windows)
	for i, from := range windows {
		n := 0
		for _, at := range windows[i:] {
			if at < from+10 {
				n++
			}
		}
		if n*1_000_000 > tortureMost {
			w.t.Fatalf("step %d, mode %d: %d releases in ten minutes", step, mode, n)
		}
	}
	if n := int64(len(windows)) * 1_000_000; n <= tortureEver {
		return n
	}
	w.t.Fatalf("step %d, mode %d: %d releases in a life", step, mode, len(windows))
	return 0
}

// The process, or its machine, dies at every single step of the disk; half a write may be left behind. What reached the broker was
// charged before, no window has two releases, and at most what was in flight is lost.
func TestTortureDeathAtEveryStep(t *testing.T) {
	whole := torture(t, 1)
	for whole.window < tortureLength {
		whole.minute()
	}
	if got := whole.law(-1, 0); got != tortureEver || whole.disk.Steps() < 40 {
		t.Fatalf("without faults ε %d of %d was spent in %d steps", got, tortureEver, whole.disk.Steps())
	}
	for step := range whole.disk.Steps() {
		for mode := range 4 {
			w := torture(t, uint64(step*4+mode))
			w.silent = mode&2 == 2
			w.disk.FailAfter(step, syscall.EIO)
			for w.disk.Steps() <= step && w.window < tortureLength {
				w.minute()
			}
			w.die(mode&1 == 1)
			w.law(step, mode)
			for w.window < tortureLength {
				w.minute()
			}
			if got := w.law(step, mode); got < tortureEver-1_000_000 {
				t.Fatalf("step %d, mode %d: only ε %d was spent", step, mode, got)
			}
		}
	}
}
