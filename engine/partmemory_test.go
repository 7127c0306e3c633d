package engine

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/memory"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// With no room at all to read ahead, to gather rows, and for more than one frame, the parts of a cluster are slower, and results and rows are
// those of a single engine with room. Windows take what they take, and are told of.
func TestTightMemoryOfPartsChangesNothing(t *testing.T) {
	const windows, shares = 2, 2
	deploy := func(w *world) []*quadratv1.KappaRecord {
		w.populate(200)
		return []*quadratv1.KappaRecord{
			w.deploy("k1", 3, []string{"cooling"}, meanPlan("hybrid"), bitPlan("count", "warner")), w.deploy("k2", 2, nil, meanPlan("none")),
		}
	}
	single := newWorld(t, 12)
	records := deploy(single)
	single.start(true, nil, records...)
	single.script(records[0], windows, func() {})
	single.caughtUp()
	single.stop()
	_, want := single.outcome()

	w := newWorld(t, 12)
	records = deploy(w)
	c := newCrowd(w, shares)
	for range shares + 1 {
		c.budgets = append(c.budgets, &memory.Budget{
			Queue: memory.NewAccount(1), Rows: memory.NewAccount(1), Frames: memory.NewAccount(1), States: memory.NewAccount(0),
		})
	}
	c.launch(records...)
	w.script(records[0], windows, func() {})
	c.settle()
	c.alike(single)
	if rows := c.rows(); !maps.Equal(rows, want) {
		t.Errorf("%d rows differ from the %d of a single engine", len(rows), len(want))
	}
	for number, budget := range c.budgets {
		for name, a := range map[string]*memory.Account{"queue": budget.Queue, "rows": budget.Rows, "frames": budget.Frames} {
			if a.Refused() == 0 {
				t.Errorf("part %d: the account of %s was never full", number, name)
			}
			if name != "frames" && a.Used() != 0 {
				t.Errorf("part %d: %d bytes are left in the account of %s", number, a.Used(), name)
			}
		}
		if budget.States.Used() == 0 || budget.States.Refused() != 0 {
			t.Errorf("part %d: %d bytes of windows are told, %d refusals", number, budget.States.Used(), budget.States.Refused())
		}
	}
}

// A share whose rows can't be written fills its own accounts: the other ones of the process read and count all that is theirs. Results
// wait for it, and then are those of everybody.
func TestAStuckShareHoldsNoOtherUp(t *testing.T) {
	const shares = 2
	w := newWorld(t, 3)
	w.populate(1200)
	record := w.deploy("k1", 1, nil, meanPlan("none"))
	c := newCrowd(w, shares)
	process := &memory.Budget{
		Queue: memory.NewAccount(12 << 10), Rows: memory.NewAccount(12 << 10), Frames: memory.NewAccount(0), States: memory.NewAccount(0),
	}
	for range shares + 1 {
		budget, end := process.Engine(shares + 1)
		defer end()
		c.budgets = append(c.budgets, budget)
	}
	c.launch(record)
	full := errors.New("disk full")
	c.sinks[0].wait(t, "the start", func() bool { return c.sinks[0].restored })
	c.sinks[0].fail(full)
	w.clock.Set(end(firstWindow).Add(-time.Millisecond))
	said := w.answers(record, firstWindow, 1)
	w.publish(said, 1)
	stuck, other := c.engines[0], c.engines[1]
	for !errors.Is(stuck.Status().Fault, full) || c.budgets[0].Queue.Refused() == 0 {
		time.Sleep(time.Millisecond)
	}
	stream, err := w.broker.JetStream().Stream(t.Context(), broker.StreamReports)
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for _, subject := range other.subjects()[1:] {
		if m, err := stream.GetLastMsgForSubject(t.Context(), subject); err == nil {
			last = max(last, m.Sequence)
		}
	}
	for begun := time.Now(); other.Status().Sequence < last; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("the other share stands at %d of %d, with %d bytes in the process's queue", other.Status().Sequence, last, process.Queue.Used())
		}
	}
	if held := c.budgets[0].Queue.Used(); held > c.budgets[0].Queue.Limit() || stuck.Status().Sequence >= last {
		t.Errorf("the stuck share has read to %d of %d and holds %d bytes", stuck.Status().Sequence, last, held)
	}
	c.sinks[0].fail(nil)
	w.clock.Set(end(firstWindow))
	w.closed(firstWindow, 1)
	c.settle()
	w.check(record, said, firstWindow)
	if got := len(c.sinks[0].rows) + len(c.sinks[1].rows); got != len(said) {
		t.Errorf("%d rows of %d reports", got, len(said))
	}
}
