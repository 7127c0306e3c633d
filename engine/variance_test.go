package engine

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
	"github.com/quadrat-dev/quadrat/survey/interval"
)

func variancePlan(mechanism string) *quadratv1.StatisticPlan {
	s := meanPlan(mechanism)
	s.Name, s.Kind = "variance(temperature)", "variance"
	return s
}

// varianceOfRows estimates the variance of a cell from rows, the way that is held against R.
func varianceOfRows(t *testing.T, units []unit, population map[string]int, cell string) (inference.Estimate, error) {
	t.Helper()
	labels, size, y, noise, in := make([]string, len(units)), make([]float64, len(units)), make([]float64, len(units)),
		make([]float64, len(units)), make([]bool, len(units))
	for i, u := range units {
		labels[i], size[i], y[i], noise[i] = u.stratum, float64(population[u.stratum]), u.score, u.noise
		in[i] = cell == "{}" || u.cell == cell
	}
	d, err := design.New(design.Spec{Rows: len(units), Stages: []design.Stage{{Stratum: design.NewFactor(labels), Size: size}}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := inference.New(inference.Study{Design: d, DomainFreedom: true, Interval: interval.Log})
	if err != nil {
		t.Fatal(err)
	}
	return a.Estimate(inference.Statistic{Kind: inference.Variance, Y: y, Noise: noise}, in)
}

// checkVariances holds the variances of windows against those of rows and returns how many had a value.
func (w *world) checkVariances(record *quadratv1.KappaRecord, all []answer) (valued int) {
	w.t.Helper()
	for _, r := range w.sink.newest() {
		if r.GetStatistic() != "variance(temperature)" {
			continue
		}
		window := r.GetWindowStart().AsTime().UnixMilli() / windowMs
		cell := column.Cell(r.GetCell())
		units, population := w.unitsOf(record, all, window, 1)
		want, err := varianceOfRows(w.t, units, population, cell)
		if (err == nil) != (r.Value != nil) {
			w.t.Errorf("window %d %s: %v %v; from rows %v", window-firstWindow, cell, r.Value, r.GetWarnings(), err)
		}
		if err != nil || r.Value == nil {
			continue
		}
		valued++
		if r.Running != nil {
			w.t.Error("a variance has a running mean")
		}
		for what, pair := range map[string][2]float64{
			"value": {r.GetValue(), want.Value}, "std error": {r.GetStdError(), want.StdError}, "low": {r.GetCiLow(), want.Low},
			"high": {r.GetCiHigh(), want.High}, "df": {r.GetDegreesOfFreedom(), want.DegreesOfFreedom},
			"deff": {r.GetDesignEffect(), want.DesignEffect}, "both parts": {r.GetVarianceSampling() + r.GetVariancePrivacy(), want.StdError * want.StdError},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-9*max(1, math.Abs(pair[1])) {
				w.t.Errorf("window %d %s: %s %v, from rows %v", window-firstWindow, cell, what, pair[0], pair[1])
			}
		}
		if r.GetVarianceSampling() < 0 || r.GetVariancePrivacy() < 0 {
			w.t.Errorf("window %d %s: parts %v and %v", window-firstWindow, cell, r.GetVarianceSampling(), r.GetVariancePrivacy())
		}
		if negative := strings.Contains(strings.Join(r.GetWarnings(), "\n"), "negative"); negative != (r.GetValue() < 0) {
			w.t.Errorf("%v with warnings %q", r.GetValue(), r.GetWarnings())
		}
	}
	return valued
}

// TestVariance runs a variance beside a mean over a lap and a half, with silent devices and a restart between, against rows.
func TestVariance(t *testing.T) {
	for _, mechanism := range []string{"none", "hybrid"} {
		t.Run(mechanism, func(t *testing.T) {
			w := newWorld(t, 9)
			w.populate(900)
			record := w.deploy("k1", 4, []string{"cooling"}, meanPlan(mechanism), variancePlan(mechanism))
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
			if valued := w.checkVariances(record, all); valued < 18 {
				t.Errorf("%d variances with a value", valued)
			}
		})
	}
}

// TestVarianceTellsTheNoise randomises known summaries again and again. The estimates are S² on average, and their part of
// the variance that is called privacy is what the mechanism's exact probabilities make of the noise. Means of 2,000 windows
// lie within 5 standard errors, which a right estimate misses once in 1.7 million; the privacy part has besides 2 % for the
// linearisation about an estimated mean.
func TestVarianceTellsTheNoise(t *testing.T) {
	const n, windows = 200, 2000
	m, err := mechanisms.ByName("hybrid", 8e6)
	if err != nil {
		t.Fatal(err)
	}
	bounds, err := privacy.NewBounds(10e6, 40e6)
	if err != nil {
		t.Fatal(err)
	}
	law, err := powersOf(m, bounds)
	if err != nil {
		t.Fatal(err)
	}
	source := privacy.NewSeeded(7)
	draw := rand.New(rand.NewPCG(1, 9))
	levels, truth := make([]uint32, n), survey.Moments{}
	noise := bounds.Variance(m.NoiseVariance())
	for i := range levels {
		levels[i] = uint32(draw.IntN(int(m.Levels()) + 1))
		truth.Add(bounds.Score(float64(levels[i])/float64(m.Levels())), 0)
	}
	var values, parts survey.Moments
	for range windows {
		s := survey.Sample{Population: 1_000_000, Panel: n, Responses: n}
		for _, level := range levels {
			code, err := m.Randomise(level, source)
			if err != nil {
				t.Fatal(err)
			}
			unit, err := m.Score(code)
			if err != nil {
				t.Fatal(err)
			}
			score := bounds.Score(unit)
			s.Tails.Add(s.Domain, score)
			s.Domain.Add(score, noise)
		}
		e, err := survey.Variance([]survey.Sample{s}, law, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		values.Add(e.Value, 0)
		parts.Add(e.VariancePrivacy, 0)
	}
	five := func(m survey.Moments) float64 { return 5 * math.Sqrt(m.M2/(windows-1)/windows) }
	if want := truth.M2 / (n - 1); math.Abs(values.Mean-want) > five(values) {
		t.Errorf("mean variance %v ± %v, want %v", values.Mean, five(values)/5, want)
	}
	// With the sample given the values vary by the noise alone.
	want := values.M2 / (windows - 1)
	tolerance := five(parts) + 0.02*want + 5*want*math.Sqrt(2.0/windows)
	if math.Abs(parts.Mean-want) > tolerance {
		t.Errorf("privacy part %v, want %v ± %v", parts.Mean, want, tolerance)
	}
}

// TestVariancePlanRefuses refuses a mechanism whose code tells nothing of squares, and clusters.
func TestVariancePlanRefuses(t *testing.T) {
	w := newWorld(t, 9)
	w.populate(40)
	e, err := New(Config{
		JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: w.folder, Clock: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	good := w.deploy("k1", 1, nil, variancePlan("hybrid"))
	for name, change := range map[string]func(*quadratv1.DevicePlan){
		"one bit":         func(p *quadratv1.DevicePlan) { p.Statistics[0].Mechanism = "duchi" },
		"little epsilon":  func(p *quadratv1.DevicePlan) { p.EpsilonMicro = 610_000 },
		"almost nothing":  func(p *quadratv1.DevicePlan) { p.EpsilonMicro = 1 },
		"clusters":        func(p *quadratv1.DevicePlan) { p.ClusteredBy = "floor" },
		"noise varies":    func(p *quadratv1.DevicePlan) { p.Statistics[0].Mechanism = "piecewise" },
		"bounds are gone": func(p *quadratv1.DevicePlan) { p.Statistics[0].LoMicro = p.Statistics[0].HiMicro },
	} {
		bad := proto.Clone(good).(*quadratv1.KappaRecord)
		change(bad.GetRevisions()[0].GetDevice())
		if err := e.Apply(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := e.Apply(good); err != nil {
		t.Error(err)
	}
}

// goldenVariance is goldenState with a variance in place of the mean.
func goldenVariance(t testing.TB) *Engine {
	t.Helper()
	e := goldenState(t)
	k := e.kappas["k1"]
	compiled, err := newStatistic(variancePlan("none"), mechanisms.Price{})
	if err != nil {
		t.Fatal(err)
	}
	k.plans[0].statistics = []statistic{compiled}
	open := newWindow(firstWindow+1, k.plans[0], k.windows[firstWindow].frame)
	for _, score := range []float64{20, 24, 22} {
		open.tails[0].Add(open.moments[0], score)
		open.moments[0].Add(score, 0)
	}
	open.heard[0] = 0b1011
	k.windows = map[int64]*window{firstWindow + 1: open}
	return e
}

// TestGoldenVariance freezes version 4 of the checkpoint, and finds the same estimates behind it.
func TestGoldenVariance(t *testing.T) {
	golden, _, again := frozen(t, 4, goldenVariance)
	for i := range golden {
		if _, err := decodeCheckpoint(golden[:i]); err == nil {
			t.Fatalf("cut at %d, and the checkpoint was read", i)
		}
	}
	w := again.kappas["k1"].windows[firstWindow+1]
	w.tails = nil // as an engine that knows no tails would have kept it
	if w.fits() {
		t.Error("a window without tails fits a plan with a variance")
	}
	w.plan.statistics[0].kind = "mean"
	if !w.fits() {
		t.Error("a window without tails does not fit a plan without a variance")
	}
}
