package engine

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// ratioPlan is the two parts of ratio(a, b), and a mean before them.
func ratioPlan(mechanism string) []*quadratv1.StatisticPlan {
	out := []*quadratv1.StatisticPlan{meanPlan(mechanism)}
	for _, part := range []string{"numerator", "denominator"} {
		s := meanPlan(mechanism)
		s.Name, s.Kind, s.Part = "ratio(a, b) "+part, "ratio", part
		out = append(out, s)
	}
	return out
}

// meanApart estimates a mean unit by unit: weights N/m, and n/(n−1) times the squared deviations of the weighted scores by
// stratum, without finite-population correction.
func meanApart(units []unit, population map[string]int, cell string) (value, variance, noise float64) {
	size := 0.0
	for _, u := range units {
		if w := float64(population[u.stratum]) / count(units, u.stratum); cell == "{}" || u.cell == cell {
			value, size = value+w*u.score, size+w
		}
	}
	value /= size
	for stratum, n := range population {
		m := count(units, stratum)
		var z []float64
		sum := 0.0
		for _, u := range units {
			if u.stratum != stratum {
				continue
			}
			linear := 0.0
			if cell == "{}" || u.cell == cell {
				a := float64(n) / m / size
				linear = a * (u.score - value)
				noise += a * a * u.noise
			}
			z, sum = append(z, linear), sum+linear
		}
		for _, x := range z {
			variance += m / (m - 1) * (x - sum/m) * (x - sum/m)
		}
	}
	return value, variance, min(noise, variance)
}

// checkRatios holds the ratios of windows against the definition and returns how many had a value.
func (w *world) checkRatios(record *quadratv1.KappaRecord, all []answer) (valued int) {
	w.t.Helper()
	for _, r := range w.sink.newest() {
		if strings.HasSuffix(r.GetStatistic(), "ator") {
			w.t.Errorf("a result speaks of the part %q", r.GetStatistic())
		}
		if r.GetStatistic() != "ratio(a, b)" {
			continue
		}
		window := r.GetWindowStart().AsTime().UnixMilli() / windowMs
		cell := column.Cell(r.GetCell())
		above, sizesAbove := w.unitsOf(record, all, window, 1)
		below, sizesBelow := w.unitsOf(record, all, window, 2)
		reports := 0
		for _, u := range slices.Concat(above, below) {
			if cell == "{}" || u.cell == cell {
				reports++
			}
		}
		if int(r.GetReports()) != reports || r.GetPanel() < r.GetReports() || r.Running != nil {
			w.t.Errorf("window %d %s: %d reports of %d, want %d; running %v", window-firstWindow, cell, r.GetReports(), r.GetPanel(), reports, r.GetRunning())
		}
		if r.Value == nil {
			if !strings.Contains(strings.Join(r.GetWarnings(), "\n"), "no estimate: ") {
				w.t.Errorf("window %d %s: neither value nor cause: %v", window-firstWindow, cell, r.GetWarnings())
			}
			continue
		}
		valued++
		a, va, na := meanApart(above, sizesAbove, cell)
		b, vb, nb := meanApart(below, sizesBelow, cell)
		ratio := a / b
		privacy := (na + ratio*ratio*nb) / (b * b)
		total := (va + ratio*ratio*vb) / (b * b)
		for what, pair := range map[string][2]float64{
			"value": {r.GetValue(), ratio}, "privacy": {r.GetVariancePrivacy(), privacy},
			"sampling": {r.GetVarianceSampling(), total - privacy}, "std error": {r.GetStdError(), math.Sqrt(total)},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-9*(math.Abs(ratio)+total) {
				w.t.Errorf("window %d %s: %s %v, oracle %v", window-firstWindow, cell, what, pair[0], pair[1])
			}
		}
	}
	return valued
}

// TestRatio runs a ratio beside a mean over a lap and a half, with a restart between, against unit by unit.
func TestRatio(t *testing.T) {
	for _, mechanism := range []string{"none", "hybrid"} {
		t.Run(mechanism, func(t *testing.T) {
			w := newWorld(t, 9)
			w.populate(900)
			record := w.deploy("k1", 4, []string{"cooling"}, ratioPlan(mechanism)...)
			w.start(true, nil, record)
			var all []answer
			for window := int64(firstWindow); window < firstWindow+6; window++ {
				w.clock.Set(end(window).Add(-time.Millisecond))
				said := w.answers(record, window, 0.8)
				all = append(all, said...)
				w.publish(said[:len(said)/2], 7)
				if window == firstWindow+3 {
					w.caughtUp()
					w.stop()
					w.start(true, nil, record)
				}
				w.publish(said[len(said)/2:], 7)
				w.clock.Set(end(window))
				w.closed(window, 1)
			}
			w.stop()
			if valued := w.checkRatios(record, all); valued < 12 {
				t.Errorf("%d ratios with a value", valued)
			}
			names := map[string]bool{}
			for _, row := range w.sink.rows {
				names[row.Statistic] = true
			}
			if len(names) != 3 || !names["ratio(a, b) numerator"] || !names["ratio(a, b) denominator"] {
				t.Errorf("stored rows of %v", names)
			}
		})
	}
}

// TestRatioWithoutDenominator gives no value, and says why, when the denominator can't be told from 0.
func TestRatioWithoutDenominator(t *testing.T) {
	w := newWorld(t, 9)
	w.populate(300)
	statistics := ratioPlan("none")
	statistics[2].LoMicro, statistics[2].HiMicro = -1e6, 1e6
	record := w.deploy("k1", 1, nil, statistics...)
	w.start(true, nil, record)
	w.clock.Set(end(firstWindow).Add(-time.Millisecond))
	said := w.answers(record, firstWindow, 1)
	for i := range said {
		if said[i].statistic == 2 {
			said[i].value = int64(i%2)*2e6 - 1e6
		}
	}
	w.publish(said, 100)
	w.clock.Set(end(firstWindow))
	w.closed(firstWindow, 1)
	w.stop()
	for _, r := range w.sink.newest() {
		if r.GetStatistic() != "ratio(a, b)" {
			continue
		}
		if r.Value != nil || r.StdError != nil || len(r.GetWarnings()) != 1 || !strings.Contains(r.GetWarnings()[0], "denominator holds 0") {
			t.Errorf("value %v, warnings %v", r.Value, r.GetWarnings())
		}
		return
	}
	t.Error("no result of the ratio")
}

func TestRatioPlanRefuses(t *testing.T) {
	w := newWorld(t, 9)
	w.populate(40)
	e, err := New(Config{
		JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: w.folder, Clock: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	good := w.deploy("k1", 1, nil, ratioPlan("none")...)
	for name, change := range map[string]func(s []*quadratv1.StatisticPlan){
		"kind":           func(s []*quadratv1.StatisticPlan) { s[1].Kind = "mean" },
		"part of mean":   func(s []*quadratv1.StatisticPlan) { s[0].Part = "numerator" },
		"no part":        func(s []*quadratv1.StatisticPlan) { s[1].Part = "" },
		"another part":   func(s []*quadratv1.StatisticPlan) { s[1].Part = "half" },
		"other order":    func(s []*quadratv1.StatisticPlan) { s[1], s[2] = s[2], s[1] },
		"not together":   func(s []*quadratv1.StatisticPlan) { s[0], s[1] = s[1], s[0] },
		"another name":   func(s []*quadratv1.StatisticPlan) { s[2].Name = "ratio(a, c) denominator" },
		"no name":        func(s []*quadratv1.StatisticPlan) { s[1].Name = "ratio(a, b)" },
		"no denominator": func(s []*quadratv1.StatisticPlan) { s[0], s[2] = s[2], s[0]; s[0].Kind, s[0].Part = "mean", "" },
	} {
		bad := proto.Clone(good).(*quadratv1.KappaRecord)
		change(bad.GetRevisions()[0].GetDevice().GetStatistics())
		if err := e.Apply(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := e.Apply(good); err != nil {
		t.Error(err)
	}
}
