package collector

import (
	"bytes"
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/ledger"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

// A question with permanent answers about eight categories, each of which costs two thirds of a period's budget and a sixth of a
// life's: a device that visits all of them can't pay for all.
const (
	valuesRef      = "values"
	valuesBins     = 8
	valuePrice     = 2_000_000
	valuesPerVisit = 5 // minutes in a category
)

func valuesPlan() *wire.DevicePlan {
	p := always(60_000)
	p.Ref, p.Name, p.EpsilonMicro, p.EpsilonValueMicro = valuesRef, valuesRef, 1_000_000, valuePrice
	p.EpsilonPeriodMicro, p.PeriodMs = valuesBins*valuePrice, uint64(law.PeriodMax.Milliseconds())
	s := &p.Statistics[0]
	s.Name, s.Kind, s.Mechanism, s.Categories = "histogram(temperature, 8)", "histogram", memo.Name, valuesBins
	s.LoMicro, s.HiMicro = 0, 8_000_000
	return p
}

// visited is the category of a minute: 0, 1, 0, 2, 0, 3, …, so that old ones come back among new ones.
func visited(minute int64) uint32 {
	visit := (minute - begin.Unix()/60) / valuesPerVisit
	if visit%2 == 0 || visit < 0 {
		return 0
	}
	return uint32(visit/2+1) % valuesBins
}

// tortureValues is a tortured device that is asked for permanent answers, and for one that is charged report by report.
func tortureValues(t *testing.T, seed uint64) *tortured {
	t.Helper()
	w := torture(t, seed)
	slow := always(120_000)
	slow.Ref, slow.Name, slow.EpsilonMicro, slow.PlanSetVersion = "slow", "slow", 100_000, 2
	w.plans = []*wire.DevicePlan{valuesPlan(), slow}
	w.reads = func(minute int64) privacy.Micro { return privacy.Micro(visited(minute))*1_000_000 + 500_000 }
	return w
}

// valuesLength is how many minutes a life takes here: enough for six visits of a category that isn't 0.
const valuesLength = 12 * valuesPerVisit

func (w *tortured) restValues() {
	w.t.Helper()
	for w.minutes < valuesLength {
		w.minute()
	}
}

// permanent holds what reached the broker against the one secret of the device: no report is about a category by any other permanent
// answer than that secret's, no window has two reports, and the categories that were told and all other reports cost no more than a
// life may. It returns how many categories were told.
func (w *tortured) permanent(what string, args ...any) int {
	w.t.Helper()
	rest := w.law(what, args...)
	m, err := memo.New(valuePrice, 1_000_000, valuesBins)
	if err != nil {
		w.t.Fatal(err)
	}
	var key *privacy.Key
	if file := w.disk.Bytes(ledger.SecretName); len(file) == 60 {
		key = privacy.NewKey((*[privacy.SecretBytes]byte)(file[24:56]))
	}
	told := map[uint32]bool{}
	for id, b := range w.broker.reports {
		if id.kappa != valuesRef {
			continue
		}
		r, err := wire.DecodeRequest([]byte(b))
		if err != nil || key == nil {
			w.t.Fatalf(what+": a report without a secret, %v", append(args, err)...)
		}
		category := visited(id.window)
		want, err := m.Answer(key, valuesQuestion, id.window*60_000, category, nil)
		if err != nil || r.Value != int64(want[0]) {
			w.t.Fatalf(what+": window %d isn't answered by the permanent answer to its category", append(args, id.window)...)
		}
		told[category] = true
	}
	if total := rest + int64(len(told))*valuePrice; total > tortureEver {
		w.t.Fatalf(what+": ε %d in a life", append(args, total)...)
	}
	return len(told)
}

// valuesQuestion is how devices name valuesPlan's question to permanent answers, for ever: each part behind its length.
const valuesQuestion = "\x00\x11sense.temperature\x00\x0btemperature\x00\x03avg\x00\x04bins\x00\x010\x00\x078000000"

// Without faults a category is charged once, however often it is told, until the life is spent; then what was told before goes on.
func TestTortureValuesBaseline(t *testing.T) {
	w := tortureValues(t, 1)
	w.plans = w.plans[:1]
	for w.minutes < 16*valuesPerVisit {
		w.minute()
	}
	if told := w.permanent("baseline"); told != tortureEver/valuePrice {
		t.Errorf("%d categories were told", told)
	}
	book := w.device.ledger.Book()
	if spent := book.Spent(); spent.Epsilon != tortureEver || spent.Reports != tortureEver/valuePrice || book.Values() != tortureEver/valuePrice {
		t.Errorf("%+v for %d categories", spent, book.Values())
	}
	counters := w.device.Counters()
	if counters["reported"] < 50 || counters["refused_lifetime"] == 0 {
		t.Errorf("%v", counters)
	}
	if kind := w.disk.Bytes(ledger.LogName)[5]; kind != byte(law.KindCheckpoint) {
		t.Errorf("the ledger begins with a record of kind %d: it was never compacted", kind)
	}
}

// Process or machine die at every step that the disk takes, the making of the secret among them: it always opens again, with the same
// permanent answers.
func TestTortureValuesDeathAtEveryStep(t *testing.T) {
	steps := func() int { w := tortureValues(t, 1); w.restValues(); return w.disk.Steps() }()
	if steps < 150 {
		t.Fatalf("only %d steps", steps)
	}
	t.Logf("%d steps", steps)
	for step := range steps {
		for mode := range 2 { // the other question's walk has all four
			power, silent := mode == 1, (step+mode)%2 == 1
			w := tortureValues(t, uint64(step*4+mode))
			w.silent = silent
			w.disk.FailAfter(step, syscall.EIO)
			for w.disk.Steps() <= step && w.minutes < valuesLength {
				w.minute()
			}
			w.die(power)
			if w.open(); w.refused != nil {
				t.Fatalf("step %d, mode %d: doesn't open: %v", step, mode, w.refused)
			}
			w.send()
			w.restValues()
			if told := w.permanent("step %d, mode %d", step, mode); told < 3 {
				t.Fatalf("step %d, mode %d: only %d categories were told", step, mode, told)
			}
		}
	}
}

// One operation of the disk fails, or all for a minute, and the process goes on.
func TestTortureValuesFailureAtEveryStep(t *testing.T) {
	steps := func() int { w := tortureValues(t, 1); w.restValues(); return w.disk.Steps() }()
	for step := range steps {
		for mode := range 2 {
			w := tortureValues(t, uint64(step*4+mode))
			fail := w.disk.FailOnce
			if mode == 1 {
				fail = w.disk.FailAfter
			}
			fail(step, []error{syscall.EIO, syscall.ENOSPC}[(step+mode)%2])
			for w.disk.Steps() <= step && w.minutes < valuesLength {
				w.minute()
			}
			w.disk.Heal()
			w.restValues()
			w.die(true)
			if w.open(); w.refused != nil {
				t.Fatalf("step %d, mode %d: doesn't open: %v", step, mode, w.refused)
			}
			w.send()
			if told := w.permanent("step %d, mode %d", step, mode); told < 3 {
				t.Fatalf("step %d, mode %d: only %d categories were told", step, mode, told)
			}
		}
	}
}

// The secret is lost, damaged, or that of another device: what asks for permanent answers gets silence, everything else goes on, and
// the secret put back brings the same answers back.
func TestTortureValuesLostSecret(t *testing.T) {
	other := tortureValues(t, 9)
	*other.random = 1000
	other.minute()
	foreign := other.disk.Bytes(ledger.SecretName)
	for at := 1; at < 40; at += 3 {
		for name, damage := range map[string]func(whole []byte) []byte{
			"gone":    nil,
			"empty":   func([]byte) []byte { return []byte{} },
			"cut":     func(whole []byte) []byte { return whole[:59] },
			"flipped": func(whole []byte) []byte { b := bytes.Clone(whole); b[30] ^= 1; return b },
			"foreign": func([]byte) []byte { return foreign },
		} {
			w := tortureValues(t, uint64(at))
			for w.minutes < at {
				w.minute()
			}
			w.die(false)
			whole := slices.Clone(w.disk.Bytes(ledger.SecretName))
			if damage == nil {
				if err := w.disk.Remove(ledger.SecretName); err != nil {
					t.Fatal(err)
				}
			} else {
				w.disk.Put(ledger.SecretName, damage(whole))
			}
			before := len(w.broker.reports)
			for w.minutes < at+6 {
				w.minute()
			}
			account, err := ReadAccount(w.parts(), w.clock.Now())
			if err != nil || !account.SecretLost || w.device.Counters()["refused_secret"] == 0 {
				t.Fatalf("%s at %d: %+v, %v", name, at, account, err)
			}
			if _, err := w.device.ledger.Secret(); !errors.Is(err, ledger.FaultSecret) {
				t.Fatalf("%s at %d: %v", name, at, err)
			}
			if n := len(w.broker.reports) - before; n > 3 {
				t.Fatalf("%s at %d: %d more reports, three of which are of the other question", name, at, n)
			}
			w.die(false)
			w.disk.Put(ledger.SecretName, whole)
			w.restValues()
			if told := w.permanent("%s at %d", name, at); told < 3 {
				t.Fatalf("%s at %d: %d categories were told", name, at, told)
			}
		}
	}
}

// A copy of the card on another board, and a restored ledger, are silent as with every other charge.
func TestTortureValuesCopiedAndRestored(t *testing.T) {
	for at := 2; at < 40; at += 5 {
		w := tortureValues(t, uint64(at))
		for w.minutes < at {
			w.minute()
		}
		backup := card(w.disk)
		twin := tortureValues(t, 1)
		twin.machine, twin.clock, twin.broker = "board-2", w.clock, w.broker
		for name, content := range backup {
			twin.disk.Put(name, content)
		}
		if twin.open(); !errors.Is(twin.refused, ledger.FaultMachine) {
			t.Fatalf("copied at %d: %v", at, twin.refused)
		}
		for w.minutes < at+15 {
			w.minute()
		}
		w.die(false)
		charged := !bytes.Equal(backup[ledger.LogName], w.disk.Bytes(ledger.LogName))
		w.disk.Put(ledger.LogName, backup[ledger.LogName])
		if w.open(); charged != (w.refused != nil) {
			t.Fatalf("restored at %d: %v, though charges were made since: %v", at, w.refused, charged)
		}
		w.permanent("at %d", at)
	}
}

// The clock is set back and forth: no window has two answers, and no category two permanent ones.
func TestTortureValuesClock(t *testing.T) {
	for at := 1; at < 60; at += 4 {
		for mode := range 2 {
			w := tortureValues(t, uint64(at))
			for w.minutes < at {
				w.minute()
			}
			now := w.clock.Now()
			w.jump(now.Add(-11*60e9), mode == 1)
			for w.minutes < at+8 {
				w.minute()
			}
			w.jump(now.Add(24*3600e9), mode == 1)
			w.restValues()
			w.permanent("set back at %d, mode %d", at, mode)
		}
	}
}

// parts is what a look from outside needs.
func (w *tortured) parts() Parts {
	config, err := Parse(yamlOf("nats://127.0.0.1:1", "/data", torturePolicy), "/")
	if err != nil {
		w.t.Fatal(err)
	}
	return Parts{Config: config, Data: w.disk, Clock: w.clock, Root: machineRoot(w.machine)}
}
