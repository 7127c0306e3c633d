package engine

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/attr"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

func meanPlan(mechanism string) *quadratv1.StatisticPlan {
	return &quadratv1.StatisticPlan{
		Name: "mean(temperature)", Kind: "mean", Reading: "temperature", Summary: "avg", Mechanism: mechanism,
		LoMicro: 10e6, HiMicro: 40e6,
	}
}

func totalPlan(mechanism string) *quadratv1.StatisticPlan {
	s := meanPlan(mechanism)
	s.Name, s.Kind = "total(temperature)", "total"
	return s
}

func bitPlan(kind, mechanism string) *quadratv1.StatisticPlan {
	return &quadratv1.StatisticPlan{
		Name: kind + "(temperature > 26)", Kind: kind, Reading: "temperature", Summary: "avg", Comparison: ">",
		ThresholdMicro: 26e6, Mechanism: mechanism,
	}
}

// unit is one device that answered, as the oracle sees it.
type unit struct {
	stratum, cell string
	score, noise  float64
}

// oracle estimates unit by unit, with loops over units and no shared code: weights N/m, scores, variance of the weighted
// scores by stratum, and the share of the noise that it lacks.
func oracle(kind string, units []unit, population map[string]int, cell string) (value, sampling, privacy float64) {
	weight := func(u unit) float64 { return float64(population[u.stratum]) / count(units, u.stratum) }
	size, sum := 0.0, 0.0
	for _, u := range units {
		if cell == "{}" || u.cell == cell {
			size += weight(u)
			sum += weight(u) * u.score
		}
	}
	centre, scale := 0.0, 1.0
	value = sum
	if kind == "mean" || kind == "proportion" {
		value = sum / size
		centre, scale = value, size
	}
	variance := 0.0
	for stratum, n := range population {
		var z []float64
		m := count(units, stratum)
		for _, u := range units {
			if u.stratum != stratum {
				continue
			}
			linear := 0.0
			if cell == "{}" || u.cell == cell {
				linear = weight(u) * (u.score - centre) / scale
				a := weight(u) / scale
				privacy += a * a * u.noise
				variance += m / float64(n) * a * a * u.noise
			}
			z = append(z, linear)
		}
		if m < 2 {
			continue
		}
		mean, spread := 0.0, 0.0
		for _, x := range z {
			mean += x / m
		}
		for _, x := range z {
			spread += (x - mean) * (x - mean)
		}
		variance += (1 - m/float64(n)) * m / (m - 1) * spread
	}
	sampling = math.Max(0, variance-privacy)
	return value, sampling, variance - sampling
}

func count(units []unit, stratum string) float64 {
	n := 0.0
	for _, u := range units {
		if u.stratum == stratum {
			n++
		}
	}
	return n
}

// unitsOf looks up what devices answered a statistic in a window, and how large the strata are after collapsing.
func (w *world) unitsOf(record *quadratv1.KappaRecord, all []answer, window int64, statistic uint32) ([]unit, map[string]int) {
	plan := record.GetRevisions()[0].GetDevice()
	compiled := w.compile(plan.GetStatistics()[statistic])
	byKey, population := map[fleet.Key]*fleet.Row{}, map[string]int{}
	for _, r := range w.registry.Frame(fleet.Query{}, time.UnixMilli(window*windowMs)) {
		byKey[r.Key] = r
		population[named(r.Attributes["region"])]++
	}
	var units []unit
	seen := map[fleet.Key]bool{}
	for _, a := range all {
		if a.ref != plan.GetRef() || a.window != window || a.statistic != statistic || seen[a.key] {
			continue
		}
		seen[a.key] = true
		score, _ := compiled.score(a.value)
		if w.scoring != nil {
			score = w.scoring(*compiled, a.value)
		}
		cell := map[string]string{}
		for _, by := range plan.GetGroupBy() {
			cell[by] = named(byKey[a.key].Attributes[by])
		}
		noise, _ := compiled.noiseOf(a.value)
		units = append(units, unit{
			stratum: named(byKey[a.key].Attributes["region"]), cell: column.Cell(cell), score: score, noise: noise,
		})
	}
	return w.collapse(units, population)
}

func (w *world) collapse(units []unit, population map[string]int) ([]unit, map[string]int) {
	var samples []survey.Sample
	for name, n := range population {
		m := int64(count(units, name))
		samples = append(samples, survey.Sample{Stratum: name, Population: int64(n), Panel: int64(n), Responses: m})
	}
	merged, mapping, _ := survey.Collapse(samples, leastResponses)
	into, sizes := map[string]string{}, map[string]int{}
	for i, s := range samples {
		into[s.Stratum] = merged[mapping[i]].Stratum
		sizes[merged[mapping[i]].Stratum] = int(merged[mapping[i]].Population)
	}
	for i := range units {
		units[i].stratum = into[units[i].stratum]
	}
	return units, sizes
}

func named(value string) string {
	if value == "" {
		return attr.Missing
	}
	return value
}

// check holds the newest results of windows against the oracle.
func (w *world) check(record *quadratv1.KappaRecord, all []answer, windows ...int64) {
	w.t.Helper()
	plan := record.GetRevisions()[0].GetDevice()
	checked := 0
	for _, r := range w.sink.newest() {
		window := r.GetWindowStart().AsTime().UnixMilli() / windowMs
		if r.GetRef() != plan.GetRef() || !slices.Contains(windows, window) {
			continue
		}
		at := slices.IndexFunc(plan.GetStatistics(), func(s *quadratv1.StatisticPlan) bool { return s.GetName() == r.GetStatistic() })
		units, population := w.unitsOf(record, all, window, uint32(at))
		cell := column.Cell(r.GetCell())
		reports := len(units)
		if cell != "{}" {
			reports = 0
			for _, u := range units {
				if u.cell == cell {
					reports++
				}
			}
		}
		if int(r.GetReports()) != reports {
			w.t.Errorf("window %d %s %s: %d reports, want %d", window-firstWindow, r.GetStatistic(), cell, r.GetReports(), reports)
			continue
		}
		if r.Value == nil {
			if reports > len(population) {
				w.t.Errorf("window %d %s %s: no value from %d reports: %v", window-firstWindow, r.GetStatistic(), cell, reports, r.GetWarnings())
			}
			continue
		}
		checked++
		value, sampling, privacy := oracle(plan.GetStatistics()[at].GetKind(), units, population, cell)
		for what, pair := range map[string][2]float64{
			"value": {r.GetValue(), value}, "sampling": {r.GetVarianceSampling(), sampling}, "privacy": {r.GetVariancePrivacy(), privacy},
			"std error": {r.GetStdError(), math.Sqrt(sampling + privacy)},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-9*(math.Abs(value)+sampling+privacy) {
				w.t.Errorf("window %d %s %s: %s %v, oracle %v", window-firstWindow, r.GetStatistic(), cell, what, pair[0], pair[1])
			}
		}
	}
	if checked == 0 {
		w.t.Error("no result with a value was checked")
	}
}

func TestEndToEnd(t *testing.T) {
	cases := map[string][]*quadratv1.StatisticPlan{
		"local": {meanPlan("hybrid"), bitPlan("proportion", "warner"), totalPlan("duchi"), bitPlan("count", "warner")},
		"three": {meanPlan("three-output"), bitPlan("proportion", "warner"), totalPlan("three-output"), bitPlan("count", "warner")},
		"none":  {meanPlan("none"), bitPlan("proportion", "none"), totalPlan("none"), bitPlan("count", "none")},
	}
	for name, statistics := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 7)
			w.populate(600)
			record := w.deploy("k1", 4, []string{"cooling"}, statistics...)
			w.start(true, nil, record)
			var all []answer
			for window := int64(firstWindow); window < firstWindow+5; window++ {
				w.clock.Set(end(window).Add(-time.Millisecond))
				said := w.answers(record, window, 0.8)
				all = append(all, said...)
				w.publish(append(said, said[:len(said)/3]...), 7)
				w.clock.Set(end(window))
				w.closed(window, 1)
			}
			w.stop()
			w.check(record, all, firstWindow, firstWindow+1, firstWindow+2, firstWindow+3, firstWindow+4)
			if len(w.sink.rows) != len(all) {
				t.Errorf("%d stored rows of %d answers", len(w.sink.rows), len(all))
			}
			if got := w.sink.newest()[0].GetRunning(); got.GetWindows() == 0 {
				t.Errorf("no running mean: %v", got)
			}
		})
	}
}
