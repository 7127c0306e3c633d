package memory

import (
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// The parts must fit into the whole with a quarter to spare, which the program, the fleet and the plans need.
func TestPartsLeaveAQuarter(t *testing.T) {
	for _, bytes := range []int64{Least, 512 << 20, 1 << 40} {
		for _, b := range []*Budget{Divide(bytes), Counting(bytes)} {
			sum := b.Broker.Limit()
			for _, a := range b.parts() {
				if a.Limit() <= 0 {
					t.Errorf("%d bytes: a part without a share", bytes)
				}
				sum += a.Limit()
			}
			if sum > bytes/4*3+bytes/64 {
				t.Errorf("%d bytes: the parts take %d", bytes, sum)
			}
		}
	}
	for name, a := range Divide(0).parts() {
		if a.Limit() != 0 || a.Full() || !a.Take(1<<50) {
			t.Errorf("without a budget %s is bounded", name)
		}
	}
}

// Whatever many goroutines take and give, nobody goes beyond the limit, and all is given back in the end.
func TestAccountNeverGoesBeyondItsLimit(t *testing.T) {
	const limit, each = 1000, 7
	a := NewAccount(limit)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			held := 0
			for range 10_000 {
				if a.Take(each) {
					held++
				} else {
					a.Give(int64(held) * each)
					held = 0
				}
			}
			a.Give(int64(held) * each)
		})
	}
	group.Wait()
	if a.Used() != 0 || a.Refused() == 0 {
		t.Errorf("%d bytes are left, %d refusals", a.Used(), a.Refused())
	}
	for range limit / each {
		if !a.Take(each) {
			t.Fatal("refused with room left")
		}
	}
	if a.Take(each) || a.Full() {
		t.Errorf("%d of %d bytes: taken beyond the limit, or full below it", a.Used(), limit)
	}
}

func TestNilAccountHasNoBound(t *testing.T) {
	var a *Account
	a.Add(1)
	a.Refuse()
	if !a.Take(1<<60) || a.Full() || a.Used() != 0 || a.Limit() != 0 || a.Refused() != 0 {
		t.Error("a nil account has a bound")
	}
}

func TestDefaultIsAShareOfTheMachine(t *testing.T) {
	if n := Default(); n != 0 && n < Least {
		t.Errorf("%d bytes by default", n)
	}
	for bytes, wrong := range map[int64]bool{0: false, Least: false, Least - 1: true, -1: true} {
		if (Validate(bytes) != nil) != wrong {
			t.Errorf("Validate(%d) gives %v", bytes, Validate(bytes))
		}
	}
}

func TestMetricsTellEveryPart(t *testing.T) {
	b, to := Divide(512<<20), prometheus.NewRegistry()
	if err := b.Register(to); err != nil {
		t.Fatal(err)
	}
	b.Intake.Add(5)
	families, err := to.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "quadrat_memory_used_bytes" && m.GetLabel()[0].GetValue() == "intake" && m.GetGauge().GetValue() == 5 {
				found++
			}
		}
		if f.GetName() == "quadrat_memory_used_bytes" && len(f.GetMetric()) != len(b.parts()) {
			t.Errorf("%d parts are told of", len(f.GetMetric()))
		}
	}
	if found != 1 {
		t.Error("the use of the intake is not told")
	}
}

// What one engine of a process holds takes no room of another, all together keep within the process's budget, windows are counted without a
// bound, and what an engine held is given back when it has ended.
func TestEnginesHaveRoomOfTheirOwn(t *testing.T) {
	const most = 9
	process := Counting(Least)
	var engines []*Budget
	var ends []func()
	for range most {
		engine, end := process.Engine(most)
		engines, ends = append(engines, engine), append(ends, end)
	}
	for name, sum := range map[string]*Account{"queue": process.Queue, "rows": process.Rows, "frames": process.Frames} {
		for i, engine := range engines {
			own := engine.parts()[name]
			if own.Limit() == 0 || own.Limit() != sum.Limit()/most || !own.Take(own.Limit()) || own.Take(1) {
				t.Errorf("engine %d of %d has not just its own room for %s, with %d bytes of %d taken", i, most, name, sum.Used(), sum.Limit())
			}
		}
		if sum.Used() > sum.Limit() || sum.Used() < sum.Limit()-most || sum.Refused() != most {
			t.Errorf("%s: %d bytes of %d and %d refusals are told of the process", name, sum.Used(), sum.Limit(), sum.Refused())
		}
	}
	for _, engine := range engines {
		if !engine.States.Take(process.States.Limit()) || engine.States.Full() {
			t.Error("a share's windows are bounded")
		}
	}
	if !process.States.Full() || process.States.Used() != most*process.States.Limit() || process.States.Refused() != 0 {
		t.Errorf("windows of the process: %d bytes of %d, %d refusals", process.States.Used(), process.States.Limit(), process.States.Refused())
	}
	for _, end := range ends {
		end()
	}
	for name, a := range process.parts() {
		if a.Used() != 0 {
			t.Errorf("engines that have ended leave %d bytes in the account of %s", a.Used(), name)
		}
	}
	engine, _ := Counting(0).Engine(most)
	for name, a := range engine.parts() {
		if a.Limit() != 0 || !a.Take(1<<50) {
			t.Errorf("without a budget %s of an engine is bounded", name)
		}
	}
}
