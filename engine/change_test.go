package engine

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// fix makes a kappa's panel a FIXED one, of a share of each stratum.
func (w *world) fix(record *quadratv1.KappaRecord, share float64) *quadratv1.KappaRecord {
	w.t.Helper()
	plan := record.GetRevisions()[0].GetDevice()
	record.Revisions[0].Plan.Rotation = "fixed"
	for _, s := range plan.GetStrata() {
		var numbers []panel.Number
		for _, r := range w.registry.Frame(fleet.Query{}, epoch.Add(-time.Hour)) {
			if r.Attributes["region"] == s.GetMembers()[0].GetValues()[0] {
				numbers = append(numbers, panel.NumberOf(panel.Salt(plan.GetSalt()), r.ID))
			}
		}
		slices.Sort(numbers)
		slots := len(plan.GetStatistics())
		sizes := panel.Partition(int(share*float64(len(numbers))), slots)
		rotation, err := panel.Draw(numbers, 0, 1, uint32(slots), sizes)
		if err != nil {
			w.t.Fatal(err)
		}
		s.Origin, s.Last = uint64(rotation.Origin), rotation.Last
	}
	return record
}

// drift gives answers the values of devices that hardly change between windows, in the unit of the mechanism none.
func (w *world) drift(record *quadratv1.KappaRecord, said []answer) []answer {
	for i := range said {
		a := &said[i]
		level := 15 + 15*float64(a.key>>32)/(1<<32) + 0.3*float64(a.window-firstWindow) + 0.2*w.rand.NormFloat64()
		a.value = int64(1e6 * level)
		if kind := record.GetRevisions()[0].GetDevice().GetStatistics()[a.statistic].GetKind(); kind == "proportion" || kind == "count" {
			a.value = 0
			if level > 22 {
				a.value = 1_000_000
			}
		}
	}
	return said
}

// changeOf is the change of a mean over all cells that the answers of two windows tell, and its variance, by other sums
// than the engine's.
func (w *world) changeOf(first, second []answer) (value, variance float64, matched int) {
	population, at := map[string]float64{}, map[fleet.Key]string{}
	for _, r := range w.registry.Frame(fleet.Query{}, w.clock.Now()) {
		population[r.Attributes["region"]]++
		at[r.Key] = r.Attributes["region"]
	}
	total := 0.0
	for _, n := range population {
		total += n
	}
	for _, region := range slices.Sorted(maps.Keys(population)) {
		size := population[region]
		scores := [2]map[fleet.Key]float64{{}, {}}
		for i, answers := range [][]answer{first, second} {
			for _, a := range answers {
				if at[a.key] == region {
					scores[i][a.key] = float64(a.value) / 1e6
				}
			}
		}
		var x, y []float64
		for _, key := range slices.Sorted(maps.Keys(scores[0])) {
			if score, both := scores[1][key]; both {
				x, y = append(x, scores[0][key]), append(y, score)
			}
		}
		mean := func(values []float64) float64 {
			sum := 0.0
			for _, v := range values {
				sum += v
			}
			return sum / float64(len(values))
		}
		product := func(a, b []float64) float64 {
			sum := 0.0
			for i := range a {
				sum += (a[i] - mean(a)) * (b[i] - mean(b))
			}
			return sum
		}
		a, b := slices.Collect(maps.Values(scores[0])), slices.Collect(maps.Values(scores[1]))
		m1, m2, c := float64(len(a)), float64(len(b)), float64(len(x))
		s1, s2 := product(a, a)/(m1-1), product(b, b)/(m2-1)
		r := product(x, y) / math.Sqrt(product(x, x)*product(y, y))
		share := size / total
		value += share * (mean(b) - mean(a))
		variance += share * share * ((1/m1-1/size)*s1 + (1/m2-1/size)*s2 - 2*(c/(m1*m2)-1/size)*r*math.Sqrt(s1*s2))
		matched += len(x)
	}
	return value, variance, matched
}

// say publishes what the panel of a window answers, the last held back ones excepted, some of it twice, and closes it.
func (w *world) say(record *quadratv1.KappaRecord, window int64, held int) (all, late []answer) {
	w.t.Helper()
	w.clock.Set(end(window).Add(-time.Millisecond))
	all = w.drift(record, w.answers(record, window, 0.9))
	cut := len(all) - held
	w.publish(append(slices.Clone(all[:cut]), all[:cut/3]...), 7)
	w.clock.Set(end(window))
	w.closed(window, 1)
	return all, all[cut:]
}

// result is the newest result of a window, statistic and cell.
func (w *world) result(window int64, statistic string, cell map[string]string) *quadratv1.Result {
	w.t.Helper()
	for _, r := range w.sink.newest() {
		if r.GetWindowStart().AsTime().UnixMilli() == w.from(window) && r.GetStatistic() == statistic && maps.Equal(r.GetCell(), cell) {
			return r
		}
	}
	w.t.Fatalf("no result of %s %v in window %d", statistic, cell, window-firstWindow)
	return nil
}

func relative(a, b float64) float64 { return math.Abs(a-b) / (math.Abs(a) + math.Abs(b) + 1e-300) }

// TestChangeOfAFixedPanel holds the change against other sums over the same answers, before and after late ones, and against
// the standard error of panels that are not the same devices.
func TestChangeOfAFixedPanel(t *testing.T) {
	w := newWorld(t, 21)
	w.populate(600)
	record := w.fix(w.deploy("k1", 1, []string{"cooling"}, meanPlan("none")), 0.5)
	w.start(true, nil, record)
	first, late := w.say(record, firstWindow, 9)
	second, _ := w.say(record, firstWindow+1, 0)
	third, _ := w.say(record, firstWindow+2, 0)
	const name = "mean(temperature)"
	hold := func(window int64, before, now []answer) {
		t.Helper()
		got := w.result(window, name, nil)
		value, variance, matched := w.changeOf(before, now)
		c := got.GetChange()
		if relative(c.GetValue(), value) > 1e-9 || relative(c.GetStdError()*c.GetStdError(), variance) > 1e-9 || int(c.GetMatched()) != matched ||
			c.GetVariancePrivacy() != 0 || c.GetSince().AsTime().UnixMilli() != (window-1)*windowMs {
			t.Errorf("window %d: %v, want %g with variance %g of %d", window-firstWindow, c, value, variance, matched)
		}
		if apart := math.Hypot(got.GetStdError(), w.result(window-1, name, nil).GetStdError()); c.GetStdError() > 0.5*apart {
			t.Errorf("window %d: standard error %g, of other devices %g", window-firstWindow, c.GetStdError(), apart)
		}
		if !(c.GetCiLow() < c.GetValue() && c.GetValue() < c.GetCiHigh()) {
			t.Errorf("interval of %v", c)
		}
		for _, cell := range []string{"air", "mixed", "(missing)"} {
			cell := map[string]string{"cooling": cell}
			now, then := w.result(window, name, cell), w.result(window-1, name, cell)
			diff := now.GetValue() - then.GetValue()
			if c := now.GetChange(); c == nil || relative(c.GetValue(), diff) > 1e-9 || c.GetStdError() >= math.Hypot(now.GetStdError(), then.GetStdError()) {
				t.Errorf("window %d, cell %v: %v, want %g", window-firstWindow, cell, c, diff)
			}
		}
	}
	if c := w.result(firstWindow, name, nil).GetChange(); c != nil {
		t.Errorf("the first window changed since %v", c)
	}
	hold(firstWindow+1, first[:len(first)-9], second)
	hold(firstWindow+2, second, third)
	w.publish(late, 3)
	w.caughtUp()
	w.clock.Set(end(firstWindow + 3)) // a mark: late answers are gathered no longer
	w.closed(firstWindow, 2)
	w.closed(firstWindow+1, 2)
	hold(firstWindow+1, first, second)
	hold(firstWindow+2, second, third)
	if got := w.result(firstWindow+2, name, nil); got.GetRevision() != 1 {
		t.Errorf("window 2 has revision %d, though nothing of it changed", got.GetRevision())
	}
}

// TestChangeOfEveryStatistic: statistics take turns, so a window is compared with the one in which the same devices answered.
func TestChangeOfEveryStatistic(t *testing.T) {
	w := newWorld(t, 22)
	w.populate(900)
	statistics := []*quadratv1.StatisticPlan{totalPlan("none"), bitPlan("proportion", "none"), bitPlan("count", "none")}
	record := w.fix(w.deploy("k1", 1, nil, statistics...), 0.9)
	w.start(true, nil, record)
	for i := range int64(4) {
		w.say(record, firstWindow+i, 0)
	}
	for _, s := range statistics {
		now, then := w.result(firstWindow+3, s.GetName(), nil), w.result(firstWindow, s.GetName(), nil)
		c, diff := now.GetChange(), now.GetValue()-then.GetValue()
		if relative(c.GetValue(), diff) > 1e-9 || !c.GetSince().AsTime().Equal(then.GetWindowStart().AsTime()) ||
			float64(c.GetMatched()) < 0.7*float64(then.GetReports()) || c.GetStdError() > 0.7*math.Hypot(now.GetStdError(), then.GetStdError()) {
			t.Errorf("%s: %v, want %g; reports %d, errors %g and %g", s.GetName(), c, diff, then.GetReports(), now.GetStdError(), then.GetStdError())
		}
		if c := w.result(firstWindow+2, s.GetName(), nil).GetChange(); c != nil {
			t.Errorf("%s: %v", s.GetName(), c)
		}
	}
}

// TestChangeHoldsTheNoise: noise is drawn anew in each window, so the change has that of both.
func TestChangeHoldsTheNoise(t *testing.T) {
	w := newWorld(t, 23)
	w.populate(400)
	record := w.fix(w.deploy("k1", 1, nil, meanPlan("hybrid")), 1)
	w.start(true, nil, record)
	for i := range int64(2) {
		w.clock.Set(end(firstWindow + i).Add(-time.Millisecond))
		w.publish(w.answers(record, firstWindow+i, 1), 9)
		w.clock.Set(end(firstWindow + i))
		w.closed(firstWindow+i, 1)
	}
	now, then := w.result(firstWindow+1, "mean(temperature)", nil), w.result(firstWindow, "mean(temperature)", nil)
	c, noise := now.GetChange(), now.GetVariancePrivacy()+then.GetVariancePrivacy()
	if relative(c.GetVariancePrivacy(), noise) > 1e-9 || noise == 0 || c.GetVarianceSampling() > 1e-9*noise {
		t.Errorf("%v, want the noise of both windows, %g, and no more of a census", c, noise)
	}
}

// TestChangeIsGivenUpWhenItsAnswersAreGone bounds the memory.
func TestChangeIsGivenUpWhenItsAnswersAreGone(t *testing.T) {
	w := newWorld(t, 24)
	w.populate(300)
	record := w.fix(w.deploy("k1", 1, nil, meanPlan("none")), 0.5)
	w.start(true, func(c *Config) { c.ChangeAnswers = 1 }, record)
	_, late := w.say(record, firstWindow, 5)
	for i := range int64(3) {
		w.say(record, firstWindow+1+i, 0)
	}
	w.publish(late, 9)
	w.caughtUp()
	w.clock.Set(end(firstWindow + 4))
	w.closed(firstWindow, 2)
	w.closed(firstWindow+4, 1)
	for i := range int64(3) {
		if c := w.result(firstWindow+1+i, "mean(temperature)", nil); c.GetChange() == nil || c.GetRevision() != 1 {
			t.Errorf("window %d: %v", i+1, c)
		}
	}
	w.stop()
	k := w.engine.kappas["k1"]
	if held := k.windows[firstWindow+4].values; len(held) == 0 || k.kept != len(held) {
		t.Errorf("%d answers are kept, %d of them of the newest window", k.kept, len(held))
	}
	next := k.windows[firstWindow+3]
	next.revision++
	r := k.estimate(next, 0.5)[0]
	if r.Change != nil || !slices.ContainsFunc(r.GetWarnings(), func(s string) bool { return strings.HasPrefix(s, "no change since ") }) {
		t.Errorf("a change without its answers: %v", r)
	}
}

// TestOrdinaryPanelsKeepNoAnswers: rotating panels have no change and pay nothing for it.
func TestOrdinaryPanelsKeepNoAnswers(t *testing.T) {
	w := newWorld(t, 25)
	w.populate(200)
	record := w.deploy("k1", 1, nil, meanPlan("none"))
	w.start(true, nil, record)
	w.say(record, firstWindow, 0)
	w.say(record, firstWindow+1, 0)
	w.stop()
	for _, kept := range w.engine.kappas["k1"].windows {
		if kept.values != nil || kept.layout.panel != nil {
			t.Error("single answers of a rotating panel")
		}
	}
	if c := w.result(firstWindow+1, "mean(temperature)", nil).GetChange(); c != nil {
		t.Errorf("change %v", c)
	}
	if version := w.engine.encode()[len(checkpointMagic)]; version != checkpointDevices {
		t.Errorf("checkpoint of version %d", version)
	}
}

// TestChangeAfterRestarts stops the engine in the middle of everything, with late and double answers, and devices that join and move.
func TestChangeAfterRestarts(t *testing.T) {
	statistics := []*quadratv1.StatisticPlan{meanPlan("hybrid"), bitPlan("count", "warner")}
	run := func(between func(w *world, record *quadratv1.KappaRecord)) []string {
		w := newWorld(t, 26)
		w.populate(240)
		record := w.fix(w.deploy("k1", 1, []string{"cooling"}, statistics...), 0.7)
		w.start(true, nil, record)
		w.script(record, 5, func() { between(w, record) })
		w.stop()
		w.start(true, nil, record)
		w.caughtUp()
		w.stop()
		results, _ := w.outcome()
		changes := 0
		for _, r := range w.sink.newest() {
			if r.GetChange() != nil {
				changes++
			}
		}
		if changes < 12 {
			t.Errorf("only %d changes of %d results", changes, len(results))
		}
		return results
	}
	want := run(func(*world, *quadratv1.KappaRecord) {})
	for seed := range 2 {
		stops := seed
		got := run(func(w *world, record *quadratv1.KappaRecord) {
			if stops++; stops%3 == 0 {
				w.stop()
				w.start(stops%2 == 0, nil, record)
			}
		})
		if !slices.Equal(got, want) {
			t.Errorf("seed %d: results differ from those of an undisturbed run: %d, %d", seed, len(got), len(want))
		}
	}
}
