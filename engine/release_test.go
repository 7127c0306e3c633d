package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/central"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// households is a fleet of gateways with units behind them and of devices of their own, and a plan that draws both.
type households struct {
	registry *fleet.Registry
	keyer    fleet.Keyer
	units    map[string][]string // by gateway; a device of its own is its own only unit
	reading  map[string]float64  // of each unit
	floor    map[string]string   // of each unit, which makes the cells
	record   *quadratv1.KappaRecord
	rand     *rand.Rand
}

const gatewayEpsilon = 2_000_000

// newHouseholds makes so many gateways of 1 to 5 units, and so many devices of their own.
func newHouseholds(t testing.TB, seed uint64, registry *fleet.Registry, gateways, devices int, lap uint32, statistics ...*quadratv1.StatisticPlan) *households {
	t.Helper()
	h := &households{
		registry: registry, keyer: fleet.NewKeyer([16]byte{1}), units: map[string][]string{}, reading: map[string]float64{},
		floor: map[string]string{}, rand: rand.New(rand.NewPCG(seed, 2)),
	}
	join := func(gateway, id, model string) {
		h.reading[id], h.floor[id] = 20+10*h.rand.Float64(), fmt.Sprint(h.rand.IntN(2))
		by := id
		if gateway != "" {
			by = gateway
		}
		_, err := registry.Announce(by, &quadratv1.Hello{
			Device: id, Gateway: gateway, Attributes: map[string]string{"floor": h.floor[id]},
			Capabilities: []*quadratv1.Capability{{Name: "sense.temperature"}},
			Limits:       &quadratv1.Limits{EpsilonMicro: 8e6, PeriodMs: 3.6e6, Models: []string{model}},
		}, epoch.Add(-2*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
	}
	for g := range gateways {
		gateway := fmt.Sprint("g", g)
		for u := range 1 + h.rand.IntN(5) {
			id := fmt.Sprintf("%s-%d", gateway, u)
			join(gateway, id, fleet.ModelGateway)
			h.units[gateway] = append(h.units[gateway], id)
		}
	}
	for d := range devices {
		id := fmt.Sprint("d", d)
		join("", id, "local")
		h.units[id] = []string{id}
	}
	h.draw(t, lap, statistics)
	return h
}

// draw plans one stratum in which all clusters take turns.
func (h *households) draw(t testing.TB, lap uint32, statistics []*quadratv1.StatisticPlan) {
	t.Helper()
	plan := &quadratv1.DevicePlan{
		Ref: "k1", Name: "homes", Revision: 1, FromWindow: firstWindow, WindowMs: windowMs, GraceMs: graceMs,
		Salt: []byte("0123456789abcdef"), Capability: "sense.temperature", LapWindows: lap, Statistics: statistics,
		Model: fleet.ModelGateway, EpsilonMicro: gatewayEpsilon, EpsilonPeriodMicro: gatewayEpsilon, PeriodMs: 3.6e6,
		Confidence: 0.95, ClusteredBy: fleet.GatewayAttribute, GroupBy: []string{"floor"},
	}
	var numbers []panel.Number
	for cluster := range h.units {
		numbers = append(numbers, h.number(plan, cluster))
	}
	slices.Sort(numbers)
	slots := uint32(len(statistics))
	rotation, err := panel.Draw(numbers, 0, lap, slots, panel.Partition(len(numbers), int(lap*slots)))
	if err != nil {
		t.Fatal(err)
	}
	plan.Strata = []*quadratv1.StratumPlan{{Name: "(all)", Origin: uint64(rotation.Origin), Last: rotation.Last}}
	h.record = &quadratv1.KappaRecord{
		Version: 1, Kappa: &quadratv1.Kappa{Ref: "k1", Name: "homes"},
		Revisions: []*quadratv1.PlanRevision{{Device: plan, Plan: &quadratv1.Plan{Rotation: "rotating"}}},
	}
}

// number is the permanent random number of a gateway or of a device of its own.
func (h *households) number(plan *quadratv1.DevicePlan, cluster string) panel.Number {
	value := cluster
	if h.units[cluster][0] == cluster {
		value = ""
	}
	return panel.NumberOfCluster(panel.Salt(plan.GetSalt()), "(all)", value, cluster)
}

// due lists the clusters that are due in a window, with the statistic that each answers, in order.
func (h *households) due(window int64) (clusters []string, statistic map[string]uint32) {
	plan := h.record.GetRevisions()[0].GetDevice()
	rotation := panel.Rotation{
		LapWindows: plan.GetLapWindows(), Slots: uint32(len(plan.GetStatistics())),
		Origin: panel.Number(plan.GetStrata()[0].GetOrigin()), Last: plan.GetStrata()[0].GetLast(),
	}
	statistic = map[string]uint32{}
	for cluster := range h.units {
		if s, ok := rotation.Due(h.number(plan, cluster), window); ok {
			clusters, statistic[cluster] = append(clusters, cluster), s
		}
	}
	slices.Sort(clusters)
	return clusters, statistic
}

// said is what one unit's reading is worth to a statistic.
func said(s *quadratv1.StatisticPlan, reading float64) float64 {
	if s.GetKind() == "proportion" || s.GetKind() == "count" {
		if reading > float64(s.GetThresholdMicro())/1e6 {
			return 1
		}
		return 0
	}
	return reading
}

// countsPlan is a statistic of 6 or 8 categories.
func countsPlan(kind string) *quadratv1.StatisticPlan {
	s := meanPlan("subset")
	s.Name, s.Kind, s.Categories = kind, kind, 6
	if kind == "quantile" {
		s.Categories, s.ShareMicro = 8, 500_000
	}
	return s
}

// categoryOf is where a reading belongs.
func categoryOf(s *quadratv1.StatisticPlan, reading float64) uint32 {
	return privacy.Bounds{Lo: privacy.Micro(s.GetLoMicro()), Hi: privacy.Micro(s.GetHiMicro())}.Bin(privacy.Micro(math.Round(reading*1e6)), s.GetCategories())
}

// release is what a gateway says of those of its units that have a reading, with noise in millionths or units.
func (h *households) release(gateway string, window int64, statistic uint32, has func(unit string) bool, noise func() int64) *quadratv1.StoredRelease {
	s := h.record.GetRevisions()[0].GetDevice().GetStatistics()[statistic]
	out := &quadratv1.StoredRelease{Kappa: "k1", Revision: 1, Window: window, Statistic: statistic, Gateway: uint64(h.keyer.Key(gateway))}
	for _, floor := range []string{"0", "1"} {
		first, units, sum := "", uint32(0), 0.0
		counts := make([]int64, s.GetCategories())
		for _, id := range h.units[gateway] {
			if h.floor[id] != floor {
				continue
			}
			if first == "" {
				first = id
			}
			if has(id) {
				units++
				sum += said(s, h.reading[id])
				if len(counts) > 0 {
					counts[categoryOf(s, h.reading[id])]++
				}
			}
		}
		if units == 0 {
			continue
		}
		if len(counts) > 0 {
			for _, n := range counts {
				out.Values = append(out.Values, n+noise())
			}
			out.Device, out.Units = append(out.Device, uint64(h.keyer.Key(first))), append(out.Units, units)
			continue
		}
		value := int64(math.Round(sum))
		if s.GetKind() == "mean" || s.GetKind() == "total" {
			value = int64(math.Round(sum*1e6)) - int64(units)*s.GetLoMicro()
		}
		out.Device, out.Units, out.Values = append(out.Device, uint64(h.keyer.Key(first))), append(out.Units, units), append(out.Values, value+noise())
	}
	return out
}

// read gives a release as the engine reads it.
func read(t testing.TB, r *quadratv1.StoredRelease) *release {
	t.Helper()
	body, err := proto.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	out := &release{}
	if !out.decode(body) {
		t.Fatalf("%v can't be read", r)
	}
	return out
}

func everyone(string) bool { return true }
func silent() int64        { return 0 }

func (h *households) kappa(t testing.TB) *kappa {
	t.Helper()
	k, err := newKappa(h.record)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A window of releases and reports gives just what survey makes of the clusters' sums, for the whole and each cell; the noise is that of
// the law, once a part.
func TestReleasesAreCountedAsSums(t *testing.T) {
	for _, s := range []*quadratv1.StatisticPlan{meanPlan("hybrid"), totalPlan("hybrid"), bitPlan("proportion", "warner"), bitPlan("count", "warner")} {
		h := newHouseholds(t, 3, fleet.New(fleet.NewKeyer([16]byte{1})), 60, 40, 2, s)
		k := h.kappa(t)
		w, _ := k.open(h.registry, k.plans[0], firstWindow)
		law, err := central.New(1, privacy.Epsilon(gatewayEpsilon))
		step := 1.0
		if !k.plans[0].statistics[0].bit {
			law, err = central.New(30_000_000, privacy.Epsilon(gatewayEpsilon))
			step = 1e-6
		}
		if err != nil {
			t.Fatal(err)
		}
		device := k.plans[0].statistics[0]
		due, _ := h.due(firstWindow)
		for _, floor := range []string{"", "0", "1"} {
			want := survey.ClusterSample{Stratum: "(all)", Clusters: int64(len(h.units))}
			for _, units := range h.units {
				want.Population += int64(len(units))
			}
			for i, cluster := range due {
				c := survey.Cluster{Size: int64(len(h.units[cluster]))}
				if h.units[cluster][0] == cluster {
					code := int64(i % len(device.scores))
					if floor == "" {
						w.count(&reports{revision: 1, window: firstWindow, device: []uint64{uint64(h.keyer.Key(cluster))}, statistic: []uint64{0}, value: []int64{code}}, &verdict{}, nil, 1)
					}
					c.Responses = 1
					if floor == "" || floor == h.floor[cluster] {
						c.Domain.Add(device.scores[code], device.noise)
					}
					want.Due = append(want.Due, c)
					continue
				}
				noise := func() int64 { return int64(i) - 20 }
				sent := h.release(cluster, firstWindow, 0, everyone, noise)
				if cause, ok := w.countRelease(read(t, sent)); floor == "" && (!ok || cause == causeDuplicate) {
					t.Fatalf("refused: %v", cause)
				}
				c.Pooled = true
				for _, each := range []string{"0", "1"} {
					n, sum := int64(0), 0.0
					for _, id := range h.units[cluster] {
						if h.floor[id] == each {
							n++
							sum += said(s, h.reading[id])
						}
					}
					if n == 0 {
						continue
					}
					c.Responses += n
					if floor == "" || floor == each {
						c.Domain.Merge(survey.Sum(n, sum+float64(noise())*step, law.Variance()*step*step))
					}
				}
				want.Due = append(want.Due, c)
			}
			estimators := map[string]func([]survey.ClusterSample, float64) (survey.Estimate, error){
				"mean": survey.ClusterMean, "total": survey.ClusterTotal, "proportion": survey.ClusterProportion, "count": survey.ClusterCount,
			}
			e, err := estimators[s.GetKind()]([]survey.ClusterSample{want}, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			results := k.estimate(w, 0)
			r := results[slices.Index([]string{"", "0", "1"}, floor)]
			for what, pair := range map[string][2]float64{
				"value": {r.GetValue(), e.Value}, "variance": {r.GetVarianceSampling() + r.GetVariancePrivacy(), e.StdError * e.StdError},
				"noise": {r.GetVariancePrivacy(), e.VariancePrivacy}, "low": {r.GetCiLow(), e.Low}, "high": {r.GetCiHigh(), e.High},
				"reports": {float64(r.GetReports()), float64(e.Reports)}, "degrees": {r.GetDegreesOfFreedom(), e.DegreesOfFreedom},
			} {
				if math.Abs(pair[0]-pair[1]) > 1e-6*math.Max(1, math.Abs(pair[1])) {
					t.Errorf("%s, floor %q: %s %v, want %v", s.GetKind(), floor, what, pair[0], pair[1])
				}
			}
			if r.DesignEffect != nil || r.GetPrivacy().GetMechanism() != "laplace (gateways), "+s.GetMechanism()+" (devices)" {
				t.Errorf("%s: design effect %v, mechanism %q", s.GetKind(), r.GetDesignEffect(), r.GetPrivacy().GetMechanism())
			}
		}
	}
}

// Every unit of a cluster is heard with its release: nothing of the cluster is counted again, and a refused release counts nothing.
func TestReleasesAreCountedOnceOrNotAtAll(t *testing.T) {
	h := newHouseholds(t, 4, fleet.New(fleet.NewKeyer([16]byte{1})), 40, 10, 2, meanPlan("hybrid"), bitPlan("proportion", "warner"))
	k := h.kappa(t)
	w, _ := k.open(h.registry, k.plans[0], firstWindow)
	due, statistic := h.due(firstWindow)
	later, _ := h.due(firstWindow + 1)
	at := slices.IndexFunc(due, func(c string) bool { // a gateway with units in both cells
		return len(h.units[c]) > 1 && len(h.release(c, firstWindow, statistic[c], everyone, silent).GetDevice()) == 2
	})
	gateway := due[at]
	other := due[slices.IndexFunc(due, func(c string) bool { return c != gateway && h.units[c][0] != c })]
	lone := due[slices.IndexFunc(due, func(c string) bool { return h.units[c][0] == c })]
	good := h.release(gateway, firstWindow, statistic[gateway], everyone, silent)
	state := func() string { return fmt.Sprint(w.moments, w.heard) }
	empty := state()
	for name, c := range map[string]struct {
		change func(*quadratv1.StoredRelease)
		want   cause
	}{
		"stranger":         {func(r *quadratv1.StoredRelease) { r.Device[1]++ }, causeFrame},
		"another's device": {func(r *quadratv1.StoredRelease) { r.Device[1] = uint64(h.keyer.Key(h.units[other][0])) }, causeGateway},
		"another gateway":  {func(r *quadratv1.StoredRelease) { r.Gateway = uint64(h.keyer.Key(other)) }, causeGateway},
		"no gateway":       {func(r *quadratv1.StoredRelease) { r.Gateway = 0 }, causeGateway},
		"a device's own": {func(r *quadratv1.StoredRelease) {
			r.Gateway, r.Device, r.Units, r.Values = 0, []uint64{uint64(h.keyer.Key(lone))}, []uint32{1}, []int64{1}
		}, causeGateway},
		"cell twice":     {func(r *quadratv1.StoredRelease) { r.Device[1] = r.Device[0] }, causeRelease},
		"too many units": {func(r *quadratv1.StoredRelease) { r.Units[0] = 6 }, causeRelease},
		"no unit":        {func(r *quadratv1.StoredRelease) { r.Units[1] = 0 }, causeRelease},
		"two values":     {func(r *quadratv1.StoredRelease) { r.Values = append(r.Values, 1, 2) }, causeRelease},
		"statistic":      {func(r *quadratv1.StoredRelease) { r.Statistic = 1 - r.Statistic }, causeDue},
		"no statistic":   {func(r *quadratv1.StoredRelease) { r.Statistic = 2 }, causeDue},
		"not due": {func(r *quadratv1.StoredRelease) {
			next := later[slices.IndexFunc(later, func(c string) bool { return h.units[c][0] != c })]
			*r = *h.release(next, firstWindow, statistic[gateway], everyone, silent)
		}, causeDue},
	} {
		r := proto.Clone(good).(*quadratv1.StoredRelease)
		c.change(r)
		if got, ok := w.countRelease(read(t, r)); ok || got != c.want {
			t.Errorf("%s: %v, %v, want %v", name, got, ok, c.want)
		}
		if state() != empty {
			t.Fatalf("%s: a refused release was counted", name)
		}
	}
	report := func(unit string) *verdict {
		v := &verdict{}
		w.count(&reports{revision: 1, window: firstWindow, device: []uint64{uint64(h.keyer.Key(unit))}, statistic: []uint64{uint64(statistic[gateway])}, value: []int64{1}}, v, nil, 1)
		return v
	}
	if v := report(h.units[gateway][1]); len(v.refused[causeDue]) != 1 || state() != empty {
		t.Error("a unit's own report was counted")
	}
	if got, ok := w.countRelease(read(t, good)); !ok || got == causeDuplicate {
		t.Fatalf("refused: %v", got)
	}
	full := state()
	for _, again := range []*quadratv1.StoredRelease{good, h.release(gateway, firstWindow, statistic[gateway], everyone, func() int64 { return 9 })} {
		if got, ok := w.countRelease(read(t, again)); !ok || got != causeDuplicate || state() != full {
			t.Errorf("a release was counted twice: %v, %v", got, ok)
		}
	}
	for _, unit := range h.units[gateway] {
		if v := report(unit); v.duplicate != 1 || state() != full {
			t.Errorf("%s was counted after its gateway's release: %+v", unit, v)
		}
	}
}

// A plan for gateways that draws something else can't be run, nor one whose noise doesn't fit.
func TestPlansForGatewaysAreChecked(t *testing.T) {
	h := newHouseholds(t, 4, fleet.New(fleet.NewKeyer([16]byte{1})), 3, 3, 1, meanPlan("hybrid"))
	for name, change := range map[string]func(*quadratv1.DevicePlan){
		"clusters": func(d *quadratv1.DevicePlan) { d.ClusteredBy = "floor" },
		"bounds":   func(d *quadratv1.DevicePlan) { d.Statistics[0].HiMicro = 1 << 58 },
		"epsilon":  func(d *quadratv1.DevicePlan) { d.EpsilonMicro = 0; d.Statistics[0].Mechanism = "none" },
	} {
		record := proto.Clone(h.record).(*quadratv1.KappaRecord)
		change(record.GetRevisions()[0].GetDevice())
		if _, err := newKappa(record); err == nil {
			t.Errorf("%s: the plan was taken", name)
		}
	}
}

// TestReleasesAcrossRestarts sends releases and reports through the stream, some late and some twice, stops the engine as a killed
// process again and again, and finds the results and checkpoints of an undisturbed run.
func TestReleasesAcrossRestarts(t *testing.T) {
	t.Run("sums", func(t *testing.T) { acrossRestarts(t, meanPlan("hybrid"), bitPlan("count", "warner")) })
	t.Run("counts", func(t *testing.T) { acrossRestarts(t, countsPlan("quantile"), countsPlan("histogram")) })
}

// unitless is a row that stands for one report.
var unitless = regexp.MustCompile(` 0 \d+ \d+\}$`)

func acrossRestarts(t *testing.T, statistics ...*quadratv1.StatisticPlan) {
	const windows = 4
	run := func(disturb bool) ([]string, map[string]int) {
		w := newWorld(t, 31)
		h := newHouseholds(t, 31, w.registry, 80, 40, 2, statistics...)
		plan := h.kappa(t).plans[0]
		w.start(false, nil, h.record)
		step := 0
		between := func() {
			if step++; disturb && step%3 == 0 {
				w.stop()
				w.start(step%2 == 0, nil, h.record)
			}
		}
		var late [][]byte
		for window := int64(firstWindow); window < firstWindow+windows; window++ {
			w.clock.Set(end(window).Add(-time.Millisecond))
			due, statistic := h.due(window)
			for i, cluster := range due {
				if h.units[cluster][0] == cluster {
					w.publishBatch(fleet.Partition(h.keyer.Key(cluster)), []answer{{ref: "k1", revision: 1, window: window, key: h.keyer.Key(cluster), statistic: statistic[cluster], value: validValue(&plan.statistics[statistic[cluster]], i)}})
					continue
				}
				r := h.release(cluster, window, statistic[cluster], func(id string) bool { return len(id)%3 > 0 || i%2 == 0 }, func() int64 { return int64(i * i) })
				if len(r.GetDevice()) == 0 {
					continue
				}
				body, err := proto.Marshal(&quadratv1.StoredBatch{Version: 1, Releases: []*quadratv1.StoredRelease{r}})
				if err != nil {
					t.Fatal(err)
				}
				if i%7 == 0 {
					late = append(late, body)
					continue
				}
				for range 1 + i%2 {
					w.publishRaw(broker.ReportSubject(fleet.Partition(h.keyer.Key(cluster))), body)
				}
				if i%20 == 0 {
					between()
				}
			}
			w.clock.Set(end(window))
			between()
			w.closed(window, 1)
		}
		for _, body := range late {
			w.publishRaw(broker.ReportSubject(5), body)
		}
		for window := int64(firstWindow) + windows; window < firstWindow+windows+2; window++ {
			between()
			w.clock.Set(end(window))
			w.closed(window, 1)
		}
		w.caughtUp()
		if err := w.engine.Checkpoint(t.Context()); err != nil { // a killed process keeps rows that it has not handed on
			t.Fatal(err)
		}
		w.stop()
		for _, r := range w.sink.rows {
			if n := float64(r.Units); n > 0 && r.Categories > 0 {
				var counts []float64
				if json.Unmarshal([]byte(r.UnitCounts), &counts) != nil || len(counts) != int(r.Categories) || r.Score != 0 || r.Answer != 0 ||
					math.Abs(r.NoiseVariance-2) > 0.4 { // 2·(2/ε)²
					t.Errorf("a row of %d units in categories has a score or an answer, or no counts: %v", r.Units, r)
				}
			} else if n > 0 && (r.Statistic == "count(temperature > 26)") != (math.Abs(r.NoiseVariance*n*n-0.5) < 0.1) { // 2/ε²
				t.Errorf("a row of %d units has the noise %v in %s", r.Units, r.NoiseVariance, r.Statistic)
			}
		}
		return w.outcome()
	}
	calm, calmRows := run(false)
	got, rows := run(true)
	if !slices.Equal(got, calm) || !maps.Equal(rows, calmRows) {
		t.Errorf("results or rows differ from those of an undisturbed run: %d, %d; %d, %d", len(got), len(calm), len(rows), len(calmRows))
	}
	sums := 0
	for text := range calmRows {
		if !unitless.MatchString(text) {
			sums++
		}
	}
	if sums == 0 {
		t.Error("no sum is among the rows")
	}
	valued := 0
	for _, text := range calm {
		r := &quadratv1.Result{}
		if err := proto.Unmarshal([]byte(text), r); err != nil {
			t.Fatal(err)
		}
		if r.Value != nil && r.GetReports() > 20 {
			valued++
		}
	}
	if valued < windows {
		t.Errorf("only %d results have a value", valued)
	}
}
