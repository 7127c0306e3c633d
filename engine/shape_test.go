package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// shapePlan is a distribution of temperatures.
func shapePlan(mechanism string, bins uint32) *quadratv1.StatisticPlan {
	p := meanPlan(mechanism)
	p.Name, p.Kind, p.Categories = kindDistribution, kindDistribution, bins
	return p
}

// TestDistribution runs a distribution beside a mean, with late halves, duplicates and a restart between, and reconstructs each
// shape once more from the single codes, each with the weight of its stratum.
func TestDistribution(t *testing.T) {
	for mechanism, scalar := range map[string]string{"square-wave": "hybrid", "none": "none"} {
		t.Run(mechanism, func(t *testing.T) {
			w := newWorld(t, 10)
			w.populate(900)
			record := w.deploy("k1", 2, []string{"cooling"}, meanPlan(scalar), shapePlan(mechanism, 20))
			w.start(true, nil, record)
			var all []answer
			for window := int64(firstWindow); window < firstWindow+2; window++ {
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
			if checked := w.checkShapes(record, all); checked < 100 {
				t.Errorf("%d shares were checked", checked)
			}
		})
	}
}

// checkShapes returns how many shares it has compared.
func (w *world) checkShapes(record *quadratv1.KappaRecord, all []answer) (checked int) {
	w.t.Helper()
	w.scoring = func(_ statistic, value int64) float64 { return float64(value) }
	shapes := map[string][]float64{}
	for _, r := range w.sink.newest() {
		if r.GetStatistic() != kindDistribution {
			continue
		}
		marked := slices.ContainsFunc(r.GetWarnings(), func(s string) bool { return strings.HasPrefix(s, "for display only") })
		if r.Value != nil || r.StdError != nil || r.CiLow != nil || r.Running != nil || r.Change != nil || r.GetBin() == nil || !marked {
			w.t.Fatalf("a bin of a shape with a value, or without its mark: %v", r)
		}
		if r.GetBin().Consistent == nil {
			continue
		}
		window, cell := r.GetWindowStart().AsTime().UnixMilli()/windowMs, column.Cell(r.GetCell())
		key := cell + r.GetWindowStart().AsTime().String()
		if shapes[key] == nil {
			units, population := w.unitsOf(record, all, window, 1)
			shapes[key] = shapeApart(w.t, record.GetRevisions()[0].GetDevice().GetStatistics()[1], units, population, cell)
		}
		if got, want := r.GetBin().GetConsistent(), shapes[key][r.GetBin().GetIndex()]; math.Abs(got-want) > 1e-9 {
			w.t.Errorf("window %d %s bin %d: %g, want %g", window-firstWindow, cell, r.GetBin().GetIndex(), got, want)
		}
		checked++
	}
	w.scoring = nil
	return checked
}

// shapeApart reconstructs a shape code by code.
func shapeApart(t *testing.T, p *quadratv1.StatisticPlan, units []unit, population map[string]int, cell string) []float64 {
	t.Helper()
	wave, err := squarewave.New(4e6)
	if err != nil {
		t.Fatal(err)
	}
	var inside []unit
	sum, squares := 0.0, 0.0
	weight := func(u unit) float64 { return float64(population[u.stratum]) / count(units, u.stratum) }
	for _, u := range units {
		if cell == "{}" || u.cell == cell {
			inside = append(inside, u)
			sum += weight(u)
			squares += weight(u) * weight(u)
		}
	}
	if p.GetMechanism() == "none" {
		out := make([]float64, p.GetCategories())
		for _, u := range inside {
			out[int(u.score)] += weight(u) / sum
		}
		return out
	}
	tally, err := wave.NewTally(int(p.GetCategories()))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range inside {
		if err := tally.Add(uint32(u.score), weight(u)*sum/squares); err != nil {
			t.Fatal(err)
		}
	}
	shape, err := tally.Shape(squarewave.Penalised)
	if err != nil {
		t.Fatal(err)
	}
	return shape.Share
}

// TestShapeIsNoWorseThanTheReference counts codes of Beta(5, 2) in two strata, one of which is asked four times as often, as the
// engine does, in as many bins as the planner chooses. The Wasserstein distance of the shapes from the population is held against
// another implementation's of a simple random sample, whose figures are means of ten samples: it is worse when it is
// larger by 4.75 standard errors of the difference of two such means, which happens once in a million times to an equally
// good one. Weights that differ fourfold cost a factor of 1.36 in reports; the spread of the distance grows with its root. So wide a
// bound would let a much worse reconstruction pass: ours is no more than 1 % above what the same samples gave when this was written
// either.
func TestShapeIsNoWorseThanTheReference(t *testing.T) {
	const samples, tenfold, far = 40, 10, 4.75
	for _, c := range []struct {
		reports, bins  int
		distance, kept float64
	}{{1_000, 32, 0.0365, 0.0337}, {10_000, 128, 0.0102, 0.0112}} {
		b, err := categories.New(shapePlan("square-wave", uint32(c.bins)), mechanisms.Price{Report: 1e6})
		if err != nil {
			t.Fatal(err)
		}
		var sum, squares float64
		for seed := range uint64(samples) {
			d := distance(t, b, c.reports, seed)
			sum += d
			squares += d * d
		}
		mean := sum / samples
		spread := math.Sqrt((squares - samples*mean*mean) / (samples - 1))
		t.Logf("%d reports: distance %.4f, reference %.4f", c.reports, mean, c.distance)
		if mean > 1.01*c.kept {
			t.Errorf("%d reports: distance %.4f, was %.4f", c.reports, mean, c.kept)
		}
		if limit := c.distance*math.Sqrt(1.36) + far*spread*math.Sqrt(1.0/samples+1.0/tenfold); mean > limit {
			t.Errorf("%d reports: distance %.4f, reference %.4f, limit %.4f", c.reports, mean, c.distance, limit)
		}
	}
}

// distance draws a sample and reconstructs the shape of the population. The strata are its lower and its upper half.
func distance(t *testing.T, b *categories.Binning, reports int, seed uint64) float64 {
	t.Helper()
	rng, src := rand.New(rand.NewPCG(seed, 3)), privacy.NewSeeded(seed)
	sizes := [2]int64{int64(reports) * 4 / 5, int64(reports) / 5} // of the halves, which weigh 1 and 4
	var states [2]survey.Support
	for h, size := range sizes {
		for states[h].Count < size {
			six := []float64{rng.Float64(), rng.Float64(), rng.Float64(), rng.Float64(), rng.Float64(), rng.Float64()}
			slices.Sort(six) // the second largest of six is Beta(5, 2)
			if x := six[4]; (x > betaMedian) == (h == 1) {
				code, err := b.Wave.Randomise(uint32(math.Round(x*squarewave.Levels)), src)
				if err != nil {
					t.Fatal(err)
				}
				said, _ := b.Read(int64(code))
				b.Count(&states[h], said)
			}
		}
	}
	strata := []survey.Sample{{Population: 1e6, Responses: sizes[0]}, {Population: 1e6, Responses: sizes[1]}}
	shares, err := b.Shares(strata, states[:])
	if err != nil {
		t.Fatal(err)
	}
	const places = 1024
	shape, sum := squarewave.Shape{Share: shares}, 0.0
	for i := range places {
		x := (float64(i) + 0.5) / places
		sum += math.Abs(shape.Below(x)-math.Pow(x, 5)*(6-5*x)) / places
	}
	return sum
}

// betaMedian is the median of Beta(5, 2).
const betaMedian = 0.735550016704334

func TestShapeRefuses(t *testing.T) {
	for name, change := range map[string]func(*quadratv1.StatisticPlan){
		"too many bins":   func(s *quadratv1.StatisticPlan) { s.Categories = 257 },
		"one bin":         func(s *quadratv1.StatisticPlan) { s.Categories = 1 },
		"a set":           func(s *quadratv1.StatisticPlan) { s.Mechanism = "subset" },
		"a share":         func(s *quadratv1.StatisticPlan) { s.ShareMicro = 5e5 },
		"no bounds":       func(s *quadratv1.StatisticPlan) { s.LoMicro, s.HiMicro = 0, 0 },
		"other mechanism": func(s *quadratv1.StatisticPlan) { s.Mechanism = "hybrid" },
	} {
		p := shapePlan("square-wave", 32)
		change(p)
		if _, err := newStatistic(p, mechanisms.Price{Report: 1e6}); err == nil {
			t.Error(name)
		}
	}
	if _, err := newStatistic(shapePlan("square-wave", 32), mechanisms.Price{Report: 1e6, Value: 2e6}); err == nil {
		t.Error("permanent answers")
	}
	b, err := categories.New(shapePlan("square-wave", 32), mechanisms.Price{Report: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []int64{-1, int64(b.Wave.Codes()), math.MaxInt64} {
		if _, ok := b.Read(value); ok {
			t.Errorf("the value %d is taken", value)
		}
	}
	if _, err := b.Shares([]survey.Sample{{Population: 10, Responses: 1}}, []survey.Support{{Count: 1, Hits: make([]int64, 32)}}); err == nil {
		t.Error("one report has a shape")
	}
}
