package engine

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/central"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// validValue is one of the values below 256 that a device can send for a statistic; half of those of a bit are 1.
func validValue(s *statistic, i int) int64 {
	if s.bins == nil {
		return int64(i % 2)
	}
	var values []int64
	for value := range int64(256) {
		if _, _, ok := s.read(value); ok {
			values = append(values, value)
		}
	}
	return values[i%len(values)]
}

// heardCluster is what one due cluster said, as the oracle sees it.
type heardCluster struct {
	size, responses int64
	gateway         bool
	sets            []uint64  // of devices that lie in the domain
	parts           [][]int64 // of releases, in the domain
	units           []int64   // of each part
}

// scores gives the moments of a weighted sum of categories, each report and each part written out.
func (c *heardCluster) scores(how survey.Subset, noise float64, weights []float64) survey.Moments {
	var m survey.Moments
	all, squares := 0.0, 0.0
	for _, w := range weights {
		all += w
		squares += w * w
	}
	for _, set := range c.sets {
		score := -all * how.Other()
		for v, w := range weights {
			score += w * float64(set>>v&1)
		}
		m.Add(score/(how.Include-how.Other()), 0)
	}
	k := float64(len(weights))
	for i, part := range c.parts {
		sum, missing := 0.0, float64(c.units[i])
		for v, w := range weights {
			sum += w * float64(part[v])
			missing -= float64(part[v])
		}
		m.Merge(survey.Sum(c.units[i], sum+missing/k*all, noise*(squares-all*all/k)))
	}
	return m
}

// sampleOf is the oracle's sample; noised adds the noise of the reports' scores to their moments.
func (h *households) sampleOf(heard []heardCluster, of func(*heardCluster) survey.Moments) []survey.ClusterSample {
	s := survey.ClusterSample{Stratum: "(all)", Clusters: int64(len(h.units))}
	for _, units := range h.units {
		s.Population += int64(len(units))
	}
	for i := range heard {
		c := &heard[i]
		s.Due = append(s.Due, survey.Cluster{Size: c.size, Responses: c.responses, Domain: of(c), Pooled: c.gateway})
	}
	return []survey.ClusterSample{s}
}

// fillWindow sends everything that is due, and writes down what lies in a floor, or in any for "".
func (h *households) fillWindow(t *testing.T, w *window, floor string) (heard []heardCluster) {
	t.Helper()
	s := &w.plan.statistics[0]
	due, _ := h.due(firstWindow)
	for i, cluster := range due {
		c := heardCluster{size: int64(len(h.units[cluster])), gateway: h.units[cluster][0] != cluster}
		if !c.gateway {
			value := validValue(s, 7*i)
			w.count(&reports{revision: 1, window: firstWindow, device: []uint64{uint64(h.keyer.Key(cluster))}, statistic: []uint64{0}, value: []int64{value}}, &verdict{}, nil, 1)
			c.responses = 1
			if _, set, _ := s.read(value); floor == "" || floor == h.floor[cluster] {
				c.sets = []uint64{set}
			}
			heard = append(heard, c)
			continue
		}
		step := int64(i)
		noise := func() int64 { step++; return step*step%7 - 3 }
		has := func(id string) bool { return !strings.HasSuffix(id, "-4") }
		sent := h.release(cluster, firstWindow, 0, has, noise)
		if cause, ok := w.countRelease(read(t, sent)); !ok || cause == causeDuplicate {
			t.Fatalf("refused: %v", cause)
		}
		width := len(sent.GetValues()) / len(sent.GetDevice())
		for part, units := range sent.GetUnits() {
			c.responses += int64(units)
			at := slices.IndexFunc(h.units[cluster], func(id string) bool { return uint64(h.keyer.Key(id)) == sent.GetDevice()[part] })
			if floor == "" || floor == h.floor[h.units[cluster][at]] {
				c.parts, c.units = append(c.parts, sent.GetValues()[part*width:(part+1)*width]), append(c.units, int64(units))
			}
		}
		heard = append(heard, c)
	}
	return heard
}

// A window of releases and reports of categories gives what survey makes of the clusters' totals, with the reports and parts written out
// one by one, for the whole and each cell.
func TestReleasesOfCategories(t *testing.T) {
	law, err := central.New(2, privacy.Epsilon(gatewayEpsilon))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*quadratv1.StatisticPlan{countsPlan("histogram"), countsPlan("quantile")} {
		for at, floor := range []string{"", "0", "1"} {
			h := newHouseholds(t, 5, fleet.New(fleet.NewKeyer([16]byte{1})), 60, 40, 2, s)
			k := h.kappa(t)
			w, _ := k.open(h.registry, k.plans[0], firstWindow)
			heard := h.fillWindow(t, w, floor)
			b := k.plans[0].statistics[0].bins
			weighing := func(weigh func(v int) float64, own func(m survey.Moments) float64) []survey.ClusterSample {
				weights := make([]float64, b.Categories)
				for v := range weights {
					weights[v] = weigh(v)
				}
				return h.sampleOf(heard, func(c *heardCluster) survey.Moments {
					m := c.scores(b.How, law.Variance(), weights)
					if len(c.sets) > 0 {
						m.Noise = own(m)
					}
					return m
				})
			}
			var want []survey.Estimate
			if b.Cumulative() {
				e, err := survey.ClusterQuantile(b.Edges, b.How, func(bin int, part float64) []survey.ClusterSample {
					place := func(v int) float64 { return map[bool]float64{v < bin: 1, v == bin: part}[true] }
					alone := weighing(func(v int) float64 { return map[bool]float64{v == bin: 1}[true] }, func(survey.Moments) float64 { return 0 })
					i := -1
					return weighing(place, func(m survey.Moments) float64 {
						for i++; heard[i].sets == nil; i++ {
						}
						next := alone[0].Due[i].Domain.Mean
						return max(0, b.How.PartNoise(bin, part, m.Mean-part*next, next))
					})
				}, b.Share, 0.95)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, e)
			}
			for v := 0; v < b.Categories && !b.Cumulative(); v++ {
				e, err := survey.ClusterShare(weighing(func(u int) float64 { return map[bool]float64{u == v: 1}[true] },
					func(m survey.Moments) float64 { return b.Pure.Noise(m.Mean) }), b.Pure, 0.95)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, e)
			}
			got := k.estimate(w, 0)[at*len(want) : (at+1)*len(want)]
			for i, e := range want {
				closeEstimate(t, s.GetKind()+" floor "+floor, got[i], e)
			}
		}
	}
}

// closeEstimate fails when a result isn't that of an estimate.
func closeEstimate(t *testing.T, what string, r *quadratv1.Result, e survey.Estimate) {
	t.Helper()
	for name, pair := range map[string][2]float64{
		"value": {r.GetValue(), e.Value}, "variance": {r.GetVarianceSampling() + r.GetVariancePrivacy(), e.StdError * e.StdError},
		"noise": {r.GetVariancePrivacy(), e.VariancePrivacy}, "low": {r.GetCiLow(), e.Low}, "high": {r.GetCiHigh(), e.High},
		"reports": {float64(r.GetReports()), float64(e.Reports)}, "degrees": {r.GetDegreesOfFreedom(), e.DegreesOfFreedom},
	} {
		if r.Value == nil || math.Abs(pair[0]-pair[1]) > 1e-6*math.Max(1, math.Abs(pair[1])) {
			t.Errorf("%s: %s %v, want %v (%v)", what, name, pair[0], pair[1], r.GetWarnings())
		}
	}
	if r.GetPrivacy().GetMechanism() != "laplace (gateways), subset (devices)" {
		t.Errorf("%s: mechanism %q", what, r.GetPrivacy().GetMechanism())
	}
}

// goldenReleased is an engine with a window of a plan for gateways, in which one device and two gateways said their categories.
func goldenReleased(t testing.TB) *Engine {
	t.Helper()
	e := &Engine{config: Config{}.withDefaults(), kappas: map[string]*kappa{}, sequence: 99, markMs: 1_800_000_001_200}
	h := newHouseholds(t, 6, fleet.New(fleet.NewKeyer([16]byte{1})), 3, 2, 1, countsPlan("quantile"))
	k := h.kappa(t)
	w, _ := k.open(h.registry, k.plans[0], firstWindow)
	for i, cluster := range []string{"d0", "g0", "g2"} {
		if i == 0 {
			w.count(&reports{revision: 1, window: firstWindow, device: []uint64{uint64(h.keyer.Key(cluster))}, statistic: []uint64{0}, value: []int64{1}}, &verdict{}, nil, 1)
			continue
		}
		step := int64(0)
		w.countRelease(read(t, h.release(cluster, firstWindow, 0, everyone, func() int64 { step += 100; return step - 450 })))
	}
	k.windows[firstWindow], k.next, k.oldest = w, firstWindow, firstWindow
	e.kappas["k1"], e.order = k, []string{"k1"}
	return e
}

// TestGoldenReleased freezes version 7 of the checkpoint, finds the same state behind it, and refuses what it could not have written.
func TestGoldenReleased(t *testing.T) {
	_, s, _ := frozen(t, 7, goldenReleased)
	for name, damage := range map[string]func(*window, int){
		"counts beside reports": func(w *window, i int) {
			w.supports[i] = survey.Support{}
			w.supports[i].Add(1, 8, true)
			w.moments[i].Count = 1
		},
		"too many counts": func(w *window, i int) { w.released[i] = make([]int64, 65) },
	} {
		bad := goldenReleased(t)
		w := bad.kappas["k1"].windows[firstWindow]
		damage(w, slices.IndexFunc(w.released, func(counts []int64) bool { return counts != nil }))
		if _, err := decodeCheckpoint(bad.encode()); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
	kept := &s.kappas[0].windows[0].window
	kept.plan = goldenReleased(t).kappas["k1"].plans[0]
	if !kept.fits() {
		t.Fatal("the state doesn't fit its own plan")
	}
	kept.plan.statistics[0].bins.Categories = 7
	if kept.fits() {
		t.Error("counts of another number of categories were adopted")
	}
}

// TestClustersOfManyCategoriesAreRefused: beyond 64 categories, and for a shape, a plan with clusters is taken for broken.
func TestClustersOfManyCategoriesAreRefused(t *testing.T) {
	for categories, want := range map[uint32]bool{64: true, 65: false} {
		s := countsPlan("histogram")
		s.Categories = categories
		h := newHouseholds(t, 4, fleet.New(fleet.NewKeyer([16]byte{1})), 3, 3, 1, s)
		if _, err := newKappa(h.record); (err == nil) != want {
			t.Errorf("%d categories: %v", categories, err)
		}
	}
}
