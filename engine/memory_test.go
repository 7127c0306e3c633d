package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/memory"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// With no room at all to read ahead, to gather rows, and for more than one frame, the engine is slower and its results and rows are the
// same.
func TestTightMemoryChangesNothing(t *testing.T) {
	run := func(budget *memory.Budget) (results []string, rows map[string]int) {
		w := newWorld(t, 12)
		w.populate(200)
		record := w.deploy("k1", 3, []string{"cooling"}, meanPlan("hybrid"), bitPlan("count", "warner"))
		other := w.deploy("k2", 2, nil, meanPlan("none"))
		w.start(true, func(c *Config) { c.Memory = budget }, record, other)
		w.script(record, 4, func() {})
		w.caughtUp()
		w.stop()
		for name, a := range map[string]*memory.Account{"queue": budget.Queue, "rows": budget.Rows} {
			if a.Used() != 0 {
				t.Errorf("%d bytes are left in the account of %s", a.Used(), name)
			}
		}
		return w.outcome()
	}
	tight := &memory.Budget{Queue: memory.NewAccount(1), Rows: memory.NewAccount(1), Frames: memory.NewAccount(1)}
	wantResults, wantRows := run(memory.Divide(0))
	results, rows := run(tight)
	if !slices.Equal(results, wantResults) || !maps.Equal(rows, wantRows) {
		t.Errorf("%d results and %d rows differ from %d and %d of an engine with room", len(results), len(rows), len(wantResults), len(wantRows))
	}
	for name, a := range map[string]*memory.Account{"queue": tight.Queue, "rows": tight.Rows, "frames": tight.Frames} {
		if a.Refused() == 0 {
			t.Errorf("the account of %s was never full", name)
		}
	}
}

// While the sink can't write, what the engine has read ahead and gathered keeps within its accounts, and the rest waits in REPORTS.
// Afterwards everything is counted once.
func TestSlowSinkLeavesReportsInTheBroker(t *testing.T) {
	const limit = 4 << 10
	w := newWorld(t, 3)
	w.populate(2000)
	record := w.deploy("k1", 1, nil, meanPlan("none"))
	budget := &memory.Budget{Queue: memory.NewAccount(limit), Rows: memory.NewAccount(limit)}
	w.start(true, func(c *Config) { c.Memory = budget }, record)
	w.sink.wait(t, "the start", func() bool { return w.sink.restored })
	full := errors.New("disk full")
	w.sink.fail(full)
	w.clock.Set(end(firstWindow).Add(-time.Millisecond))
	said := w.answers(record, firstWindow, 1)
	w.publish(said, 1)
	for !errors.Is(w.engine.Status().Fault, full) || budget.Queue.Refused() == 0 {
		time.Sleep(time.Millisecond)
	}
	const message, row = 128 + messageBytes, 512 // one of each may go beyond
	if budget.Queue.Used() > limit || budget.Rows.Used() > limit+row || w.engine.Status().Sequence > 2*limit/message+limit/28 {
		t.Errorf("%d and %d bytes are held, at most %d; %d messages are read of %d", budget.Queue.Used(), budget.Rows.Used(), limit,
			w.engine.Status().Sequence, len(said))
	}
	w.sink.fail(nil)
	w.clock.Set(end(firstWindow))
	w.closed(firstWindow, 1)
	w.stop()
	w.check(record, said, firstWindow)
	if len(w.sink.rows) != len(said) {
		t.Errorf("%d rows of %d reports", len(w.sink.rows), len(said))
	}
}

// When windows take more memory than they may, the oldest closed ones can't be revised any more: a late report for one is a dead
// letter, and for a newer one it counts. No window that is open goes.
func TestOldestWindowsGoFirst(t *testing.T) {
	const windows = 12
	w := newWorld(t, 5)
	w.populate(60)
	record := w.deploy("k1", 1, nil, meanPlan("none"))
	budget := &memory.Budget{States: memory.NewAccount(8 * 800)}
	w.start(true, func(c *Config) { c.Memory = budget }, record)
	late := map[int64]answer{}
	for window := int64(firstWindow); window < firstWindow+windows; window++ {
		w.clock.Set(end(window).Add(-time.Millisecond))
		said := w.answers(record, window, 1)
		late[window] = said[0]
		w.publish(said[1:], 100)
		w.clock.Set(end(window))
		w.closed(window, 1)
	}
	w.caughtUp()
	kept := w.engine.Status().KeptWindows
	if kept < 2 || kept > windows/2+2 || budget.States.Used() > budget.States.Limit() || budget.States.Used() == 0 {
		t.Fatalf("%d windows are kept and take %d bytes, at most %d", kept, budget.States.Used(), budget.States.Limit())
	}
	w.publish([]answer{late[firstWindow], late[firstWindow+windows-2]}, 1)
	w.clock.Set(end(firstWindow + windows))
	w.closed(firstWindow+windows-2, 2)
	w.caughtUp()
	w.stop()
	for _, r := range w.sink.newest() {
		window := r.GetWindowStart().AsTime().UnixMilli()/windowMs - firstWindow
		if want := uint32(60); window == windows-2 && r.GetReports() != want || window == 0 && r.GetReports() != want-1 {
			t.Errorf("window %d has %d reports", window, r.GetReports())
		}
	}
	if budget.States.Used() == 0 {
		t.Error("no window is counted")
	}
	again := newWorld(t, 5)
	again.broker, again.registry, again.clock, again.sink, again.folder = w.broker, w.registry, w.clock, w.sink, w.folder
	second := &memory.Budget{States: memory.NewAccount(8 * 800)}
	again.start(true, func(c *Config) { c.Memory = second }, record)
	again.sink.wait(t, "the start", func() bool { return again.engine.Status().KeptWindows > 0 })
	if second.States.Used() != budget.States.Used() {
		t.Errorf("after a restart windows are counted as %d bytes, before as %d", second.States.Used(), budget.States.Used())
	}
	again.engine.Remove("k1")
	if second.States.Used() != 0 {
		t.Errorf("a kappa that went leaves %d bytes", second.States.Used())
	}
}

// A kappa for whose windows there is no memory is refused with what it needs; the same one again is no new kappa.
func TestKappaWithoutRoomIsRefused(t *testing.T) {
	e, err := New(Config{
		JetStream: newWorld(t, 1).broker.JetStream(), Frames: still(nil), Sink: newMemorySink(), Folder: t.TempDir(),
		Memory: &memory.Budget{States: memory.NewAccount(2 << 20)},
	})
	if err != nil {
		t.Fatal(err)
	}
	wide := func(ref string) *quadratv1.KappaRecord {
		r := crossed(ref)
		r.GetRevisions()[0].GetPlan().Combinations = 50_000
		return r
	}
	if err := e.Check(crossed("k1")); err != nil {
		t.Fatal(err)
	}
	var full *NoRoomError
	if err := e.Check(wide("k2")); !errors.As(err, &full) || full.Need <= full.Left || !strings.Contains(err.Error(), "--memory") {
		t.Errorf("50,000 states: %v", err)
	}
	taken := 0
	for ; taken < 1000; taken++ {
		record := crossed(fmt.Sprint("k", taken))
		if err := e.Check(record); err != nil {
			break
		}
		if err := e.Apply(record); err != nil {
			t.Fatal(err)
		}
	}
	if taken < 10 || taken == 1000 {
		t.Errorf("%d kappas were taken", taken)
	}
	if err := e.Check(crossed("k0")); err != nil {
		t.Errorf("one that is there is refused: %v", err)
	}
	e.Remove("k0")
	if err := e.Check(crossed("k0")); err != nil {
		t.Errorf("one in the place of another is refused: %v", err)
	}
	if w, err := e.Weigh(wide("k2").GetRevisions()[0]); err != nil || w.WindowBytes < 50_000*40 || w.KeptBytes < w.WindowBytes*10_000 {
		t.Errorf("weighs %+v, %v", w, err)
	}
}

// peeking is a sink that looks at something whenever results come.
type peeking struct {
	Sink

	look func()
}

func (p peeking) Results(results []*quadratv1.Result) error {
	p.look()
	return p.Sink.Results(results)
}

// An engine that was away for long closes all windows that it has missed at one mark. What it makes of them and what it keeps stay within
// their accounts meanwhile, and each has its result.
func TestMissedWindowsStayWithinMemory(t *testing.T) {
	const missed, window, row = 3000, 800, 2048
	w := newWorld(t, 5)
	w.populate(60)
	record := w.deploy("k1", 1, nil, meanPlan("none"))
	budget := &memory.Budget{States: memory.NewAccount(8 * window), Rows: memory.NewAccount(16 << 10)}
	var states, rows int64
	w.start(true, func(c *Config) {
		c.Memory = budget
		c.Sink = peeking{c.Sink, func() { states, rows = max(states, budget.States.Used()), max(rows, budget.Rows.Used()) }}
	}, record)
	w.clock.Set(end(firstWindow).Add(-time.Millisecond))
	said := w.answers(record, firstWindow, 1)
	w.publish(said, 100)
	w.caughtUp()
	w.clock.Set(end(firstWindow + missed))
	w.closed(firstWindow+missed, 1)
	w.stop()
	if most := budget.States.Limit() + (missedWindows+2)*window; states > most || states == 0 {
		t.Errorf("windows took %d bytes, at most %d", states, most)
	}
	if most := budget.Rows.Limit() + row; rows > most || budget.Rows.Refused() == 0 {
		t.Errorf("what was made took %d bytes, at most %d", rows, most)
	}
	told := map[int64]bool{}
	for _, r := range w.sink.newest() {
		told[r.GetWindowStart().AsTime().UnixMilli()/windowMs-firstWindow] = true
	}
	if len(told) != missed+1 {
		t.Errorf("%d windows have results, not %d", len(told), missed+1)
	}
}
