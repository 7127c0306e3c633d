package fleet

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/attr"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// filled is a registry of n devices with six attributes each, over a few hundred combinations.
func filled(tb testing.TB, n int) *Registry {
	tb.Helper()
	r := newTestRegistry()
	h := &quadratv1.Hello{
		Capabilities: []*quadratv1.Capability{{Name: "sense.temperature"}},
		Limits:       &quadratv1.Limits{EpsilonMicro: 4_000_000, PeriodMs: 3_600_000, Models: []string{"local"}},
		Software:     "quadrat-edge 0.1.0",
	}
	for i := range n {
		h.Device = "device-" + strconv.Itoa(i)
		h.Attributes = map[string]string{
			"region": fmt.Sprint("r", i%7), "country": fmt.Sprint("c", i%49), "city": fmt.Sprint("t", i%98),
			"climate": fmt.Sprint("k", i%5), "building_type": "office", "cooling_type": fmt.Sprint("x", i%3),
		}
		if err := r.Hello(h, epoch); err != nil {
			tb.Fatal(err)
		}
	}
	return r
}

func TestMemoryPerDevice(t *testing.T) {
	const n, most = 100_000, 200 // bytes
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := filled(t, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.0f bytes per device", per)
	if per > most {
		t.Errorf("%.0f bytes per device, more than %d", per, most)
	}
	runtime.KeepAlive(r)
}

func BenchmarkFrame(b *testing.B) {
	const n = 1_000_000
	r := filled(b, n)
	where := &attr.Predicate{Op: "<>", Attribute: "climate", Values: []attr.Literal{{Text: "k1"}}}
	for b.Loop() {
		if rows := r.Frame(Query{Capability: "sense.temperature", Model: "local", Where: where}, epoch); len(rows) != n/5*4 {
			b.Fatal(len(rows))
		}
	}
}

func BenchmarkHelloUnchanged(b *testing.B) {
	r := filled(b, 1000)
	h := helloOf("device-7", "region", "r0")
	for b.Loop() {
		if err := r.Hello(h, epoch); err != nil {
			b.Fatal(err)
		}
	}
}
