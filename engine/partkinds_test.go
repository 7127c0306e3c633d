package engine

import (
	"maps"
	"testing"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestSharesTellAllKinds: what a single engine tells of every kind of statistic, of changes between windows of a FIXED panel, and of windows of
// several panes, a cluster tells too.
func TestSharesTellAllKinds(t *testing.T) {
	const windows = 4
	histogram := &quadratv1.StatisticPlan{
		Name: "histogram(temperature, 8)", Kind: "histogram", Reading: "temperature", Summary: "avg", Mechanism: "subset",
		Categories: 8, LoMicro: 10e6, HiMicro: 40e6,
	}
	shape := &quadratv1.StatisticPlan{
		Name: "distribution(temperature, 16)", Kind: "distribution", Reading: "temperature", Summary: "avg", Mechanism: "square-wave",
		Categories: 16, LoMicro: 10e6, HiMicro: 40e6,
	}
	variance := meanPlan("hybrid")
	variance.Name, variance.Kind = "variance(temperature)", "variance"
	for name, deploy := range map[string]func(*world) *quadratv1.KappaRecord{
		"categories": func(w *world) *quadratv1.KappaRecord {
			return w.deploy("k1", 1, []string{"cooling"}, histogram, shape, variance)
		},
		"fixed": func(w *world) *quadratv1.KappaRecord {
			return w.fix(w.deploy("k1", 1, []string{"cooling"}, meanPlan("hybrid"), bitPlan("count", "warner")), 0.6)
		},
		"panes": func(w *world) *quadratv1.KappaRecord {
			return w.hops(w.deploy("k1", 4, []string{"cooling"}, meanPlan("hybrid"), totalPlan("hybrid")), 3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			single := newWorld(t, 29)
			single.populate(300)
			record := deploy(single)
			single.start(true, nil, record)
			single.script(record, windows, func() {})
			single.caughtUp()
			single.stop()
			_, want := single.outcome()

			w := newWorld(t, 29)
			w.populate(300)
			c := newCrowd(w, 4)
			c.launch(deploy(w))
			w.script(w.record, windows, func() {})
			c.settle()
			c.alike(single)
			if rows := c.rows(); !maps.Equal(rows, want) {
				t.Errorf("%d rows differ from the %d of a single engine", len(rows), len(want))
			}
		})
	}
}
