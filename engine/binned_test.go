package engine

import (
	"math"
	"math/bits"
	"slices"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// binnedPlans is a histogram, a frequency and a quantile, and a mean before them.
func binnedPlans(mechanism, scalar string) []*quadratv1.StatisticPlan {
	out := []*quadratv1.StatisticPlan{meanPlan(scalar)}
	for _, s := range []struct {
		kind              string
		categories, share uint32
	}{{"histogram", 12, 0}, {"frequency", 31, 0}, {"quantile", 16, 500_000}} {
		p := meanPlan(mechanism)
		p.Name, p.Kind, p.Categories, p.ShareMicro = s.kind, s.kind, s.categories, s.share
		out = append(out, p)
	}
	return out
}

// manyPlans is histograms of more categories than a word has bits, and a mean before them. At ε = 4 sets of 200 categories
// are short enough to be listed, and of 1024 they are not.
func manyPlans() []*quadratv1.StatisticPlan {
	out := []*quadratv1.StatisticPlan{meanPlan("hybrid")}
	for _, s := range []struct {
		kind, mechanism string
		categories      uint32
	}{{"histogram", "subset", 200}, {"wide", "olh", 1024}, {"frequency", "grr", 31 + 60}} {
		p := meanPlan(s.mechanism)
		p.Name, p.Kind, p.Categories = s.kind, "histogram", s.categories
		if s.kind == "frequency" {
			p.Kind, p.HiMicro = s.kind, 100e6
		}
		out = append(out, p)
	}
	return out
}

// openPlans is manyPlans without noise.
func openPlans() []*quadratv1.StatisticPlan {
	out := manyPlans()
	for _, p := range out {
		p.Mechanism = "none"
	}
	return out
}

// TestCategories runs statistics of categories beside a mean, with late halves, duplicates and a restart between, and
// computes each category's share once more from single scores. The edges of a quantile are checked through its interval.
func TestCategories(t *testing.T) {
	for name, statistics := range map[string][]*quadratv1.StatisticPlan{
		"none": binnedPlans("none", "none"), "subset": binnedPlans("subset", "hybrid"), "memo": binnedPlans("memo", ""),
		"many": manyPlans(), "many, none": openPlans(),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 9)
			w.populate(900)
			if name == "memo" { // permanent answers, of which a mean has none
				statistics = []*quadratv1.StatisticPlan{statistics[1], statistics[2]}
			}
			record := w.deploy("k1", 2, []string{"cooling"}, statistics...)
			if name == "memo" {
				record.Revisions[0].Device.EpsilonValueMicro = testForever
			}
			w.start(true, nil, record)
			var all []answer
			for window := int64(firstWindow); window < firstWindow+4; window++ {
				w.clock.Set(end(window).Add(-time.Millisecond))
				said := w.answers(record, window, 0.8)
				all = append(all, said...)
				w.publish(said[:len(said)/2], 7)
				if window == firstWindow+1 {
					w.caughtUp()
					w.stop()
					w.start(true, nil, record)
				}
				w.publish(said, 7) // the first half once more
				w.clock.Set(end(window))
				w.closed(window, 1)
			}
			w.stop()
			if checked := w.checkCategories(record, all); checked < 200 {
				t.Errorf("%d shares were checked", checked)
			}
		})
	}
}

// checkCategories returns how many shares it has compared.
func (w *world) checkCategories(record *quadratv1.KappaRecord, all []answer) (checked int) {
	w.t.Helper()
	sums, plans := map[string]float64{}, record.GetRevisions()[0].GetDevice().GetStatistics()
	for _, r := range w.sink.newest() {
		window := r.GetWindowStart().AsTime().UnixMilli() / windowMs
		cell := column.Cell(r.GetCell())
		switch {
		case r.GetStatistic() == "quantile" && r.Value != nil:
			if !(r.GetCiLow() >= 10 && r.GetCiLow() <= r.GetValue() && r.GetValue() <= r.GetCiHigh() && r.GetCiHigh() <= 40) {
				w.t.Errorf("quantile %g in [%g, %g]", r.GetValue(), r.GetCiLow(), r.GetCiHigh())
			}
		case r.GetBin() == nil || r.Value == nil:
			continue
		}
		if r.GetBin() == nil {
			continue
		}
		number := uint32(slices.IndexFunc(plans,
			func(s *quadratv1.StatisticPlan) bool { return s.GetName() == r.GetStatistic() }))
		category := r.GetBin().GetIndex()
		sums[r.GetStatistic()+cell+r.GetWindowStart().AsTime().String()] += r.GetBin().GetConsistent()
		if plans[number].GetCategories() > categories.Word && category%61 != 0 {
			continue // the single scores take long, and one category of many is as the others
		}
		w.scoring = func(s statistic, value int64) float64 {
			set, ok := s.bins.Read(value)
			if !ok || s.bins.Worded() && bits.OnesCount64(set) != s.bins.How.Size {
				w.t.Fatalf("the set %b", set)
			}
			hit := 0.0
			if slices.Contains(s.bins.Supported(), category) {
				hit = 1
			}
			return (hit - s.bins.Pure.Other) / (s.bins.Pure.Truth - s.bins.Pure.Other)
		}
		units, population := w.unitsOf(record, all, window, number)
		w.scoring = nil
		want, _, _ := meanApart(units, population, cell)
		if math.Abs(r.GetValue()-want) > 1e-9*max(1, math.Abs(want)) {
			w.t.Errorf("window %d %s %s %d: %g, want %g", window-firstWindow, cell, r.GetStatistic(), category, r.GetValue(), want)
		}
		checked++
	}
	for what, sum := range sums {
		if math.Abs(sum-1) > 1e-9 {
			w.t.Errorf("%s: consistent shares sum to %g", what, sum)
		}
	}
	return checked
}

// goldenSupports is goldenState with a quantile in place of the mean.
func goldenSupports(t testing.TB) *Engine {
	t.Helper()
	e := goldenState(t)
	k := e.kappas["k1"]
	p := meanPlan("none")
	p.Kind, p.Categories, p.ShareMicro = "quantile", 8, 250_000
	compiled, err := newStatistic(p, mechanisms.Price{})
	if err != nil {
		t.Fatal(err)
	}
	k.plans[0].statistics = []statistic{compiled}
	open := newWindow(firstWindow+1, k.plans[0], k.windows[firstWindow].frame)
	for _, set := range []uint64{1, 1 << 7, 1 << 3} {
		open.moments[0].Add(0, 0)
		open.supports[0].Add(set, 8, true)
	}
	open.heard[0] = 0b1011
	k.windows = map[int64]*window{firstWindow + 1: open}
	return e
}

// TestGoldenSupports freezes version 5 of the checkpoint; what it could not have written is refused.
func TestGoldenSupports(t *testing.T) {
	_, s, _ := frozen(t, 5, goldenSupports)
	for name, damage := range map[string]func(*window){
		"too many hits":    func(w *window) { w.supports[0].Hits[2] = 4 },
		"negative":         func(w *window) { w.supports[0].Hits[2] = -1 },
		"squares too few":  func(w *window) { w.supports[0].Squares[6] = 1 },
		"squares too many": func(w *window) { w.supports[0].Squares[0] = 9 },
		"a bin is missing": func(w *window) { w.supports[0].Hits = w.supports[0].Hits[1:] },
	} {
		bad := goldenSupports(t)
		damage(bad.kappas["k1"].windows[firstWindow+1])
		if _, err := decodeCheckpoint(bad.encode()); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
	other := goldenSupports(t)
	other.kappas["k1"].plans[0].statistics[0].bins.Categories = 7
	kept := &s.kappas[0].windows[0].window
	if kept.plan = other.kappas["k1"].plans[0]; kept.fits() {
		t.Error("state of another number of categories was adopted")
	}
}
