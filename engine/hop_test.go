package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// hops gives a kappa windows of so many panes.
func (w *world) hops(record *quadratv1.KappaRecord, panes uint32) *quadratv1.KappaRecord {
	record.Revisions[0].Plan.Panes = panes
	w.panes = int64(panes)
	return record
}

// unitsOver is what devices answered in the panes of a window: each stratum of each pane is a stratum of its own.
func (w *world) unitsOver(record *quadratv1.KappaRecord, all []answer, last int64, statistic uint32) (units []unit, population map[string]int) {
	population = map[string]int{}
	for index := last - w.panes + 1; index <= last; index++ {
		of, sizes := w.unitsOf(record, all, index, statistic)
		for _, u := range of {
			u.stratum = fmt.Sprint(u.stratum, "@", index)
			units = append(units, u)
		}
		for name, n := range sizes {
			population[fmt.Sprint(name, "@", index)] = n
		}
	}
	return units, population
}

// TestHoppingWindowsAreTheirPanes holds the results of windows of three panes against loops over the single answers, with devices that
// join and change, late and double answers.
func TestHoppingWindowsAreTheirPanes(t *testing.T) {
	const windows, panes = 8, 3
	statistics := []*quadratv1.StatisticPlan{meanPlan("hybrid"), bitPlan("proportion", "warner"), totalPlan("hybrid"), bitPlan("count", "warner")}
	w := newWorld(t, 41)
	w.populate(900)
	record := w.hops(w.deploy("k1", 4, []string{"cooling"}, statistics...), panes)
	w.start(true, nil, record)
	all := w.script(record, windows, func() {})
	w.caughtUp()
	w.stop()
	checked := 0
	for _, r := range w.sink.newest() {
		last := r.GetWindowEnd().AsTime().UnixMilli()/windowMs - 1
		if span := r.GetWindowEnd().AsTime().Sub(r.GetWindowStart().AsTime()); span != panes*windowMs*time.Millisecond {
			t.Fatalf("a window of %v", span)
		}
		whole := last >= firstWindow+panes-1
		if gap := strings.Contains(strings.Join(r.GetWarnings(), ""), "of its 3 panes"); gap == whole {
			t.Errorf("window %d: warnings %q", last-firstWindow, r.GetWarnings())
		}
		if !whole || last >= firstWindow+windows {
			continue
		}
		at := slices.IndexFunc(statistics, func(s *quadratv1.StatisticPlan) bool { return s.GetName() == r.GetStatistic() })
		units, population := w.unitsOver(record, all, last, uint32(at))
		cell := column.Cell(r.GetCell())
		value, sampling, privacy := oracle(statistics[at].GetKind(), units, population, cell)
		if kind := statistics[at].GetKind(); kind == "total" || kind == "count" {
			value, sampling, privacy = value/panes, sampling/panes/panes, privacy/panes/panes
		}
		if relative(r.GetValue(), value) > 1e-9 || relative(r.GetVarianceSampling()+r.GetVariancePrivacy(), sampling+privacy) > 1e-9 ||
			relative(r.GetVariancePrivacy(), privacy) > 1e-9 {
			t.Errorf("window %d %s %s: %g with variances %g, %g, want %g, %g, %g", last-firstWindow, r.GetStatistic(), cell,
				r.GetValue(), r.GetVarianceSampling(), r.GetVariancePrivacy(), value, sampling, privacy)
		}
		if n := r.GetRunning().GetWindows(); n < uint32(last-firstWindow+1) || n > windows+2 {
			t.Errorf("window %d: a running mean of %d panes", last-firstWindow, r.GetRunning().GetWindows())
		}
		checked++
	}
	if checked < 6*4*3 {
		t.Errorf("only %d results were checked", checked)
	}
}

// TestHoppingPanelsThatAnswerTwice holds the variance of windows in which each device answers three times, or twice by turns of two panels,
// against that of each device's sum.
func TestHoppingPanelsThatAnswerTwice(t *testing.T) {
	for _, lap := range []uint32{1, 2} {
		w := newWorld(t, 42)
		w.populate(500)
		record := w.deploy("k1", lap, nil, meanPlan("none"))
		if lap == 1 {
			record = w.fix(record, 0.4)
		}
		record = w.hops(record, 3*lap)
		w.start(true, nil, record)
		var all []answer
		for index := int64(firstWindow); index < firstWindow+7; index++ {
			w.clock.Set(end(index).Add(-time.Millisecond))
			said := w.drift(record, w.answers(record, index, 1))
			all = append(all, said...)
			w.publish(append(slices.Clone(said), said[:20]...), 9)
			w.clock.Set(end(index))
			w.closed(index, 1)
			if index == firstWindow+4 { // the answers of the lap are in the checkpoint
				w.stop()
				w.start(true, nil, record)
			}
		}
		last := int64(firstWindow + 6)
		got := w.result(last, "mean(temperature)", nil)
		units, population := w.unitsOver(record, all, last, 0)
		_, apart, _ := oracle("mean", units, population, "{}")
		want := w.varianceOfSums(record, all, last)
		if v := got.GetVarianceSampling(); relative(v, want) > 1e-9 || v < 1.5*apart {
			t.Errorf("a lap of %d: a variance of %g, of the sums %g, as if windows were independent %g", lap, v, want, apart)
		}
		if got.GetDegreesOfFreedom() > float64(len(units))/3*float64(lap) {
			t.Errorf("%g degrees of freedom from %d answers", got.GetDegreesOfFreedom(), len(units))
		}
	}
}

// varianceOfSums is the variance of a mean over a window in which all that are due answer: of each class of panes the sums of its
// devices are a simple random sample in each stratum.
func (w *world) varianceOfSums(record *quadratv1.KappaRecord, all []answer, last int64) float64 {
	lap := int64(record.GetRevisions()[0].GetDevice().GetLapWindows())
	_, population := w.unitsOf(record, all, last, 0)
	regions := map[uint64]string{}
	for _, r := range w.registry.Frame(fleet.Query{}, w.clock.Now()) {
		regions[uint64(r.Key)] = named(r.Attributes["region"])
	}
	type sumKey struct {
		region string
		class  int64
		key    uint64
	}
	sums := map[sumKey]float64{}
	for _, a := range all {
		if a.window > last-w.panes && a.window <= last {
			sums[sumKey{regions[uint64(a.key)], a.window % lap, uint64(a.key)}] += float64(a.value) / 1e6
		}
	}
	total := 0.0
	for _, n := range population {
		total += float64(n)
	}
	variance := 0.0
	for region, n := range population {
		for class := range lap {
			var of []float64
			for k, x := range sums {
				if k.region == region && k.class == class {
					of = append(of, x)
				}
			}
			m, mean, spread := float64(len(of)), 0.0, 0.0
			for _, x := range of {
				mean += x / m
			}
			for _, x := range of {
				spread += (x - mean) * (x - mean) / (m - 1)
			}
			share := float64(n) / total / float64(w.panes)
			variance += share * share * (1 - m/float64(n)) * spread / m
		}
	}
	return variance
}

// TestHoppingLateReportsReviseTheirWindows: a late answer revises each window that its pane stands in, and no other; one whose pane is
// kept only for the windows of later ones is refused.
func TestHoppingLateReportsReviseTheirWindows(t *testing.T) {
	const panes = 3
	w := newWorld(t, 43)
	w.populate(300)
	record := w.hops(w.deploy("k1", 4, nil, meanPlan("hybrid")), panes)
	w.start(true, func(c *Config) { c.Retention = 5 * windowMs * time.Millisecond }, record)
	held := map[int64][]answer{}
	for index := int64(firstWindow); index < firstWindow+8; index++ {
		w.clock.Set(end(index).Add(-time.Millisecond))
		said := w.answers(record, index, 1)
		held[index] = said[:3]
		w.publish(said[3:], 7)
		w.clock.Set(end(index))
		w.closed(index, 1)
	}
	const late, tooLate = firstWindow + 4, firstWindow + 1
	w.publish(held[late], 7)
	w.publish(held[tooLate], 7)
	w.caughtUp()
	w.clock.Set(end(firstWindow + 8))
	w.closed(late+panes-1, 2)
	w.closed(firstWindow+8, 1)
	w.stop()
	revisions := map[int64]uint32{}
	for _, r := range w.sink.newest() {
		revisions[r.GetWindowEnd().AsTime().UnixMilli()/windowMs-1-firstWindow] = r.GetRevision()
	}
	want := map[int64]uint32{0: 1, 1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 1, 8: 1}
	if !maps.Equal(revisions, want) {
		t.Errorf("revisions %v, want %v", revisions, want)
	}
	for _, a := range held[tooLate] {
		for _, r := range w.sink.rows {
			at, err := time.Parse("2006-01-02 15:04:05.999999999Z", r.WindowStart)
			if err != nil {
				t.Fatal(err)
			}
			if r.Device == fmt.Sprintf("%016x", uint64(a.key)) && at.UnixMilli() == tooLate*windowMs {
				t.Errorf("an answer was counted whose window is past retention")
			}
		}
	}
}

// TestHoppingRestartChangesNothing stops the engine in the middle of everything, of panels that rotate and that stay.
func TestHoppingRestartChangesNothing(t *testing.T) {
	statistics := []*quadratv1.StatisticPlan{meanPlan("hybrid"), bitPlan("count", "warner")}
	for _, fixed := range []bool{false, true} {
		run := func(between func(w *world, record *quadratv1.KappaRecord)) ([]string, map[string]int) {
			w := newWorld(t, 44)
			w.populate(300)
			lap := uint32(3)
			if fixed {
				lap = 1
			}
			record := w.deploy("k1", lap, []string{"cooling"}, statistics...)
			if fixed {
				record = w.fix(record, 0.7)
			}
			w.hops(record, 4)
			w.start(true, nil, record)
			w.script(record, 6, func() { between(w, record) })
			w.stop()
			w.start(true, nil, record)
			w.caughtUp()
			w.stop()
			return w.outcome()
		}
		wantResults, wantRows := run(func(*world, *quadratv1.KappaRecord) {})
		stops := 0
		results, rows := run(func(w *world, record *quadratv1.KappaRecord) {
			if stops++; stops%3 == 0 {
				w.stop()
				w.start(stops%2 == 0, nil, record)
			}
		})
		if !slices.Equal(results, wantResults) || !maps.Equal(rows, wantRows) || len(results) == 0 {
			t.Errorf("fixed %v: %d results and %d rows differ from those of an undisturbed run, %d and %d", fixed, len(results), len(rows),
				len(wantResults), len(wantRows))
		}
	}
}

// TestHoppingCategories holds shares of windows of three panes against the scores of single answers, and looks at medians, ratios,
// variances and shapes.
func TestHoppingCategories(t *testing.T) {
	const panes = 3
	w := newWorld(t, 45)
	w.populate(900)
	variance := meanPlan("hybrid")
	variance.Name, variance.Kind = "variance(temperature)", "variance"
	statistics := append(binnedPlans("subset", "hybrid"), variance)
	record := w.hops(w.deploy("k1", 4, nil, statistics...), panes)
	w.start(true, nil, record)
	var all []answer
	for index := int64(firstWindow); index < firstWindow+4; index++ {
		w.clock.Set(end(index).Add(-time.Millisecond))
		said := w.answers(record, index, 0.9)
		all = append(all, said...)
		w.publish(said, 9)
		w.clock.Set(end(index))
		w.closed(index, 1)
	}
	w.stop()
	const last = firstWindow + 3
	for i, s := range statistics {
		shares := 0.0
		for _, r := range w.sink.newest() {
			if r.GetStatistic() != s.GetName() || r.GetWindowStart().AsTime().UnixMilli() != w.from(last) {
				continue
			}
			if r.Value == nil {
				t.Errorf("%s: %v", s.GetName(), r.GetWarnings())
				continue
			}
			if r.GetBin() == nil {
				if !(r.GetCiLow() < r.GetValue() && r.GetValue() < r.GetCiHigh()) {
					t.Errorf("%s: %g in [%g, %g]", s.GetName(), r.GetValue(), r.GetCiLow(), r.GetCiHigh())
				}
				continue
			}
			w.scoring = func(s statistic, value int64) float64 {
				if _, ok := s.bins.Read(value); !ok {
					t.Fatal("a report can't be read")
				}
				hit := 0.0
				if slices.Contains(s.bins.Supported(), r.GetBin().GetIndex()) {
					hit = 1
				}
				return (hit - s.bins.Pure.Other) / (s.bins.Pure.Truth - s.bins.Pure.Other)
			}
			units, population := w.unitsOver(record, all, last, uint32(i))
			w.scoring = nil
			want, _, _ := oracle("mean", units, population, "{}")
			if math.Abs(r.GetValue()-want) > 1e-9 {
				t.Errorf("%s, category %d: %g, want %g", s.GetName(), r.GetBin().GetIndex(), r.GetValue(), want)
			}
			shares += r.GetBin().GetConsistent()
		}
		if s.GetKind() == "histogram" && math.Abs(shares-1) > 1e-9 {
			t.Errorf("%s: consistent shares sum to %g", s.GetName(), shares)
		}
	}
}
