package engine

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestNoiseOfReportsIsNeverTooLittle: what reports about a reading tell of their noise is on average at least the variance that
// they have, by exact probabilities, and at most the stated part more.
func TestNoiseOfReportsIsNeverTooLittle(t *testing.T) {
	for _, c := range []struct {
		mechanism string
		epsilon   privacy.Epsilon
		most      float64 // part that it may be too much
	}{
		{"hybrid", 1e6, 0},
		{"duchi", 50_000, 0.00063},
		{"duchi", 610_000, 0.096},
		{"three-output", 800_000, 0.07},
		{"three-output", 1e6, 0.044},
		{"three-output", 2e6, 0.75},
		{"three-output", 3_780_000, 10},
	} {
		s, err := newStatistic(meanPlan(c.mechanism), mechanisms.Price{Report: c.epsilon})
		if err != nil {
			t.Fatal(err)
		}
		m, err := mechanisms.ByName(c.mechanism, c.epsilon)
		if err != nil {
			t.Fatal(err)
		}
		for input := uint32(0); input <= m.Levels(); input += 1 << 13 {
			mean, square, told := 0.0, 0.0, 0.0
			for code := range m.Codes() {
				p, _ := m.Probability(code, input).Float64()
				noise, _ := s.noiseOf(int64(code))
				mean += p * s.scores[code]
				square += p * s.scores[code] * s.scores[code]
				told += p * noise
			}
			is := square - mean*mean
			if told < is*(1-1e-6) || told > is*(1+s.loose)*(1+1e-6) || s.loose > c.most {
				t.Errorf("%s at ε=%v, input %d: told %v of %v, and %v more at most", c.mechanism, c.epsilon, input, told, is, s.loose)
			}
		}
	}
}

// TestRowsTellTheNoiseOfTheirCodes holds the stored rows of two windows against the codes that devices sent.
func TestRowsTellTheNoiseOfTheirCodes(t *testing.T) {
	w := newWorld(t, 37)
	w.populate(400)
	record := w.deploy("k1", 2, []string{"cooling"}, meanPlan("three-output"), bitPlan("count", "warner"))
	w.start(true, nil, record)
	for window := int64(firstWindow); window < firstWindow+2; window++ {
		w.clock.Set(end(window).Add(-time.Millisecond))
		w.publish(w.answers(record, window, 1), 30)
		w.clock.Set(end(window))
		w.closed(window, 1)
	}
	w.stop()
	s, err := newStatistic(meanPlan("three-output"), testPrice(meanPlan("three-output")))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int64]int{}
	for _, row := range w.sink.rows {
		if row.Statistic != s.name {
			continue
		}
		for code := range int64(3) {
			if row.Score != s.scores[code] {
				continue
			}
			seen[code]++
			if want, _ := s.noiseOf(code); row.NoiseVariance != want {
				t.Errorf("a row of the score %v has the noise %v, want %v", row.Score, row.NoiseVariance, want)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("codes seen: %v", seen)
	}
}

// TestBoundThatMattersIsToldOf: an interval that may be more than 2 % too wide says so, with how much.
func TestBoundThatMattersIsToldOf(t *testing.T) {
	const start = "the noise variance of "
	for _, c := range []struct {
		laps uint32 // windows over which the fleet takes turns
		plan *quadratv1.StatisticPlan
		told bool
	}{
		{1, meanPlan("three-output"), true},
		{1, meanPlan("hybrid"), false},
		{40, meanPlan("hybrid"), false},
		{1, meanPlan("duchi"), true}, // at ε = 4 the ends have a fourteenth of the variance of the middle
	} {
		t.Run(fmt.Sprint(c.plan.GetMechanism(), " ", c.laps), func(t *testing.T) {
			w := newWorld(t, 38)
			w.populate(400)
			record := w.deploy("k1", c.laps, nil, c.plan)
			w.start(true, nil, record)
			w.clock.Set(end(firstWindow).Add(-time.Millisecond))
			w.publish(w.answers(record, firstWindow, 1), 30)
			w.clock.Set(end(firstWindow))
			w.closed(firstWindow, 1)
			w.stop()
			if got := warned(w.sink.newest()[0], start); (got != "") != c.told {
				t.Errorf("warning %q", got)
			}
		})
	}
	// In a panel of a hundredth, at ε = 1, even the worst reading makes it only 0.02 % too wide.
	s, err := newStatistic(meanPlan("three-output"), mechanisms.Price{Report: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{statistics: []statistic{s}}
	for pi, want := range map[float64]float64{0.01: 0.00022, 0.4: 0.0086, 1: 0.0215} {
		w := &window{plan: p, layout: &layout{strata: make([]string, 2)}, pi: []float64{pi, pi / 2}}
		if got := w.tooWide(0); math.Abs(got-want) > 0.03*want {
			t.Errorf("share %v: %v too wide, want %v", pi, got, want)
		}
	}
}

// TestFrameHasOnlyWhomThePlanCanAsk: a device that has not named the mechanism is in no frame of a plan that asks by it.
func TestFrameHasOnlyWhomThePlanCanAsk(t *testing.T) {
	w := newWorld(t, 39)
	w.populate(50)
	old := &quadratv1.Hello{
		Device: "old", Capabilities: []*quadratv1.Capability{{Name: "sense.temperature"}}, Limits: &quadratv1.Limits{Models: []string{"local"}},
	}
	if err := w.registry.Hello(old, end(firstWindow-2)); err != nil {
		t.Fatal(err)
	}
	for mechanism, want := range map[string]int{"three-output": 50, "hybrid": 51} {
		k, err := newKappa(w.deploy("k1", 2, nil, meanPlan(mechanism), bitPlan("count", "warner")))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(w.registry.Frame(k.plans[0].query, end(firstWindow-1))); got != want {
			t.Errorf("%s: %d devices in the frame, want %d", mechanism, got, want)
		}
	}
}
