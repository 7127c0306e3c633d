package agent_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

func BenchmarkDueAt(b *testing.B) {
	p := everyone()
	c := agent.Config{
		Device: "pi", Capabilities: []wire.Capability{{Name: "sense.temperature"}},
		Policy: agent.Policy{Models: []string{agent.Local}, Limits: limits()},
		Ledger: &refuser{}, Source: privacy.NewSeeded(1), Readings: &reading{},
	}
	a, err := agent.New(c)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := a.ApplyReply(&wire.HelloReply{PlanSetVersion: 1, Plans: []*wire.DevicePlan{p}, Live: []string{p.Ref}}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	w := int64(0)
	for b.Loop() {
		a.DueAt(p.Ref, w)
		w++
	}
}

// A hundred thousand agents must fit in one process: with plan, book and two reports each takes less than 2 KB.
func TestAgentsAreSmall(t *testing.T) {
	const agents = 2000
	p, library, all := everyone(), &agent.Library{}, make([]*agent.Agent, agents)
	c := config(t, "pi")
	c.Library = library
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range all {
		book, err := ledger.NewBook(limits())
		if err != nil {
			t.Fatal(err)
		}
		c.Device, c.Ledger = fmt.Sprintf("device-%d", i), book
		all[i] = start(t, c, p)
		for w, n := int64(-1), 0; n < 2; n++ {
			w, _ = all[i].NextDue(p.Ref, w)
			if _, outcome, _ := all[i].Report(nil, p.Ref, w); outcome != agent.Reported {
				t.Fatal(outcome)
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / agents; each > 2048 {
		t.Errorf("%d bytes each", each)
	} else {
		t.Logf("%d bytes each", each)
	}
	runtime.KeepAlive(all)
}
