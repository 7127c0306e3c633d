package engine

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
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
		"ratio": func(w *world) *quadratv1.KappaRecord {
			return w.deploy("k1", 2, []string{"cooling"}, ratioPlan("hybrid")...)
		},
		"clusters": func(w *world) *quadratv1.KappaRecord {
			w.house(300)
			return w.cluster(w.deploy("k1", 2, []string{"cooling"}, meanPlan("hybrid"), bitPlan("count", "warner"), histogram), "building")
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

// house lets devices say hello again, with the building that they stand in: some stand in none.
func (w *world) house(n int) {
	w.t.Helper()
	for i := range n {
		attributes := map[string]string{"region": []string{"asia", "europe"}[i%2], "cooling": []string{"mixed", "air"}[i/2%2]}
		if i%13 > 0 {
			attributes["building"] = fmt.Sprint(i / 2 % 25)
		}
		w.join(fmt.Sprintf("d%d", i), attributes, epoch.Add(-90*time.Minute))
	}
}

// TestSharesTellGateways: a cluster counts the releases of gateways, in whichever share they and the devices of their own stand, twice or late, as
// a single engine does.
func TestSharesTellGateways(t *testing.T) {
	const windows = 4
	for name, statistics := range map[string][]*quadratv1.StatisticPlan{
		"sums":   {meanPlan("hybrid"), bitPlan("count", "warner")},
		"counts": {countsPlan("quantile"), countsPlan("histogram")},
	} {
		t.Run(name, func(t *testing.T) {
			homes := func(w *world) *households {
				return newHouseholds(t, 31, w.registry, 60, 30, 2, statistics...)
			}
			single := newWorld(t, 31)
			h := homes(single)
			single.start(true, nil, h.record)
			h.script(single, windows)
			single.caughtUp()
			single.stop()
			_, want := single.outcome()

			w := newWorld(t, 31)
			c := newCrowd(w, 4)
			h = homes(w)
			c.launch(h.record)
			h.script(w, windows)
			c.settle()
			c.alike(single)
			if rows := c.rows(); !maps.Equal(rows, want) {
				t.Errorf("%d rows differ from the %d of a single engine", len(rows), len(want))
			}
			sums := 0
			for text := range want {
				if !unitless.MatchString(text) {
					sums++
				}
			}
			if sums == 0 {
				t.Error("no sum is among the rows")
			}
		})
	}
}

// script lets the due households of some windows answer: every third gateway twice, every seventh a window late, in the last window never.
func (h *households) script(w *world, windows int64) {
	w.t.Helper()
	plan := h.kappa(w.t).plans[0]
	var late [][]byte
	send := func(cluster string, body []byte) {
		w.publishRaw(broker.ReportSubject(fleet.Partition(h.keyer.Key(cluster))), body)
	}
	for window := int64(firstWindow); window < firstWindow+windows; window++ {
		w.clock.Set(end(window).Add(-time.Millisecond))
		for _, body := range late {
			w.publishRaw(broker.ReportSubject(5), body)
		}
		late = nil
		due, statistic := h.due(window)
		for i, cluster := range due {
			key := h.keyer.Key(cluster)
			if h.units[cluster][0] == cluster {
				w.publishBatch(fleet.Partition(key), []answer{{
					ref: "k1", revision: 1, window: window, key: key, statistic: statistic[cluster], value: validValue(&plan.statistics[statistic[cluster]], i),
				}})
				continue
			}
			r := h.release(cluster, window, statistic[cluster], func(id string) bool { return len(id)%3 > 0 || i%2 == 0 }, func() int64 { return int64(i * i) })
			if len(r.GetDevice()) == 0 {
				continue
			}
			body, err := proto.Marshal(&quadratv1.StoredBatch{Version: 1, Releases: []*quadratv1.StoredRelease{r}})
			if err != nil {
				w.t.Fatal(err)
			}
			if i%7 == 0 {
				late = append(late, body)
				continue
			}
			for range 1 + i%3/2 {
				send(cluster, body)
			}
		}
		w.clock.Set(end(window))
		w.closed(window, 1)
	}
	for window := int64(firstWindow) + windows; window < firstWindow+windows+2; window++ {
		w.clock.Set(end(window))
		w.closed(window, 1)
	}
}
