//go:build !race

package engine

import (
	"container/list"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/memory"
)

// heldBy is the live heap that making something adds, in bytes.
func heldBy(make func() any) (held int64, made any) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	made = make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc), made
}

// Ten thousand kappas with a hundred combinations of stratum and cell each, all of whose windows are open at once, fit in 2 GiB with what
// the rest of a server needs: the engine holds them, with frames as far as their share goes, in half of that.
func TestMillionStatesOfTenThousandKappas(t *testing.T) {
	const kappas, devices, budget = 10_000, 200, int64(2 << 30)
	rows := crossedRows(devices)
	frames := still(rows)
	held, made := heldBy(func() any {
		e := &Engine{
			config: Config{Frames: frames, Memory: memory.Divide(budget), Retention: time.Hour}.withDefaults(), metrics: unseen(t), kick: make(chan struct{}, 1),
			kappas: map[string]*kappa{}, used: list.New(),
		}
		for i := range kappas {
			record := crossed(fmt.Sprint("k", i))
			if err := e.Check(record); err != nil {
				t.Fatal(err)
			}
			if err := e.Apply(record); err != nil {
				t.Fatal(err)
			}
		}
		return e
	})
	e := made.(*Engine)
	t.Logf("%d kappas that sleep: %d bytes each", kappas, held/kappas)
	if held/kappas > 4096 {
		t.Errorf("a kappa that sleeps takes %d bytes, at most 4096", held/kappas)
	}
	windows, _ := heldBy(func() any {
		e.nowMs = epoch.UnixMilli()
		for _, ref := range e.order {
			k := e.kappas[ref]
			w, cause, ok := e.admit(k, firstMinute, 1, &output{})
			if !ok || len(w.due) != 100 {
				t.Fatalf("%s: %v, %d states", ref, cause, len(w.due))
			}
			k.rows = nil
		}
		return e
	})
	states := int64(kappas * 100)
	counted := e.config.Memory.States.Used()
	t.Logf("%d open states: %d bytes, %d each; counted as %d; frames counted as %d", states, windows, windows/states, counted, e.config.Memory.Frames.Used())
	if total := held + windows; total > budget/2 {
		t.Errorf("the engine holds %d bytes, at most %d", total, budget/2)
	}
	if e.config.Memory.Frames.Used() > e.config.Memory.Frames.Limit() || counted > e.config.Memory.States.Limit() {
		t.Errorf("frames take %d of %d, windows %d of %d", e.config.Memory.Frames.Used(), e.config.Memory.Frames.Limit(), counted, e.config.Memory.States.Limit())
	}
	if real := windows - e.config.Memory.Frames.Used(); counted < real*3/4 {
		t.Errorf("windows are counted as %d bytes and take %d", counted, real)
	}
	runtime.KeepAlive(e)
}

// unseen is metrics that nobody reads.
func unseen(t *testing.T) *metrics {
	t.Helper()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
