package engine

import (
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/attr"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// goldenClusters is an engine with one window of a clustered plan, of which some devices were heard.
func goldenClusters(t testing.TB) *Engine {
	t.Helper()
	e := &Engine{config: Config{}.withDefaults(), kappas: map[string]*kappa{}, sequence: 99, markMs: 1_800_000_001_200}
	k, err := newKappa(&quadratv1.KappaRecord{Version: 1, Kappa: &quadratv1.Kappa{Ref: "k1", Name: "one"}, Revisions: []*quadratv1.PlanRevision{{
		Device: &quadratv1.DevicePlan{
			Ref: "k1", Name: "one", Revision: 1, FromWindow: firstWindow, WindowMs: windowMs, GraceMs: graceMs, Salt: make([]byte, 16),
			LapWindows: 1, Statistics: []*quadratv1.StatisticPlan{meanPlan("none"), totalPlan("none")}, Model: "none",
			Capability: "sense.temperature", Confidence: 0.95, GroupBy: []string{"cooling"}, ClusteredBy: "building",
			Strata: []*quadratv1.StratumPlan{{Name: "(all)", Last: []uint64{1 << 63, 1<<64 - 1}}},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var rows []*fleet.Row
	for i, building := range []string{"a", "a", "b", "c", "b", "", "d", "", "a", "d"} {
		rows = append(rows, &fleet.Row{
			ID: string(rune('p' + i)), Key: fleet.Key(i) << 60,
			Attributes: map[string]string{"building": building, "cooling": []string{"air", ""}[i%2]},
		})
	}
	w := newWindow(firstWindow, k.plans[0], newFrame(k.plans[0], rows))
	for i := range w.moments {
		w.moments[i].Add(20+float64(i*i), 0.5)
	}
	w.heard[0] = 0b10110
	k.windows[firstWindow], k.next, k.oldest = w, firstWindow, firstWindow
	e.kappas["k1"], e.order = k, []string{"k1"}
	return e
}

// TestGoldenClusters freezes version 2 of the checkpoint, and finds the same estimates behind it.
func TestGoldenClusters(t *testing.T) {
	e := goldenClusters(t)
	golden, _, again := frozen(t, 2, goldenClusters)
	want, have := e.kappas["k1"].estimate(e.kappas["k1"].windows[firstWindow], 0), again.kappas["k1"].estimate(again.kappas["k1"].windows[firstWindow], 0)
	for i := range want {
		if !proto.Equal(want[i], have[i]) {
			t.Errorf("estimate %v, want %v", have[i], want[i])
		}
	}
	for i := range golden {
		if _, err := decodeCheckpoint(golden[:i]); err == nil {
			t.Fatalf("cut at %d, and the checkpoint was read", i)
		}
	}
}

// TestClusterStateAgainstPlaces lets two thirds of the due devices answer and compares the engine's estimates, for all and in
// each cell, with those of samples that are put together from the places.
func TestClusterStateAgainstPlaces(t *testing.T) {
	p := newPlaces(t)
	p = p.part("region", "europe")
	k := p.deploy(t, "SELECT mean(temperature), total(temperature) FROM sense.temperature WHERE region = 'europe' GROUP BY cooling_type "+
		"SAMPLE ALL STRATIFIED BY climate CLUSTERED BY building 30 CLUSTERS WINDOW 1m PRIVACY NONE BETWEEN 0 AND 50", 5)
	index := epoch.UnixMilli() / 60_000
	w, _ := k.open(p.registry, k.plans[0], index)
	answered := map[string]uint64{}
	r := &reports{revision: 1, window: index}
	var v verdict
	i := 0
	for d, statistic := range w.dueDevices() {
		place := p.byKey[d.key]
		i++
		answered[place.ID] = statistic + 10 // due
		if i%3 == 0 {
			continue
		}
		answered[place.ID] = statistic
		r.device, r.statistic, r.value = append(r.device, d.key), append(r.statistic, statistic), append(r.value, int64(place.Readings[0]))
	}
	w.count(r, &v, nil, 1)
	if v.counted == 0 || v.counted != len(r.device) {
		t.Fatalf("%d of %d counted", v.counted, len(r.device))
	}
	results := k.estimate(w, 0)
	domains := len(w.layout.cells) + 1
	compared := 0
	for s, estimator := range []func([]survey.ClusterSample, float64) (survey.Estimate, error){survey.ClusterMean, survey.ClusterTotal} {
		for d := range domains {
			cell := ""
			if d > 0 {
				cell = w.layout.cells[d-1].values["cooling_type"]
			}
			merged, _, _ := survey.CollapseClusters(p.samples(w, answered, uint64(s), cell), 2)
			want, err := estimator(merged, 0.95)
			got := results[s*domains+d]
			if (err != nil) != (got.Value == nil) {
				t.Fatalf("cell %q: %v, warnings %v", cell, err, got.GetWarnings())
			}
			if err != nil {
				continue
			}
			compared++
			if math.Abs(got.GetValue()-want.Value) > 1e-9*math.Abs(want.Value) || math.Abs(got.GetStdError()-want.StdError) > 1e-9*want.StdError ||
				got.GetDegreesOfFreedom() != want.DegreesOfFreedom {
				t.Errorf("cell %q: %v ± %v, want %v ± %v", cell, got.GetValue(), got.GetStdError(), want.Value, want.StdError)
			}
		}
	}
	if compared < 4 {
		t.Errorf("only %d estimates were compared", compared)
	}
}

// samples puts the clusters of a statistic together place by place; answered holds the statistic of those that answered,
// and ten more for those that were due and silent.
func (p *places) samples(w *window, answered map[string]uint64, statistic uint64, cell string) []survey.ClusterSample {
	type name struct{ stratum, building string }
	all, due, order := map[name]bool{}, map[name]*survey.Cluster{}, []name{}
	out := make([]survey.ClusterSample, len(w.plan.strata))
	number := map[string]int{}
	for h, s := range w.plan.strata {
		out[h].Stratum, number[s] = s, h
	}
	for i := range p.list {
		place := &p.list[i]
		stratum := w.plan.strata[w.plan.stratumOf(place.Attributes, nil)]
		n := name{stratum, place.Attributes["building"]}
		h := &out[number[stratum]]
		h.Population++
		if !all[n] {
			all[n] = true
			h.Clusters++
		}
		said, isDue := answered[place.ID]
		if !isDue || said%10 != statistic {
			continue
		}
		if due[n] == nil {
			due[n] = &survey.Cluster{}
			order = append(order, n)
		}
		due[n].Size++
		if said < 10 {
			due[n].Responses++
			kind := place.Attributes["cooling_type"]
			if kind == "" {
				kind = attr.Missing
			}
			if cell == "" || cell == kind {
				due[n].Domain.Add(place.Readings[0].Float64(), 0)
			}
		}
	}
	for _, n := range order {
		h := &out[number[n.stratum]]
		h.Due = append(h.Due, *due[n])
	}
	return out
}
