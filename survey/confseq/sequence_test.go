package confseq

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/quadrat-dev/quadrat/survey"
)

// Every boundary grows with v and with the confidence, and its mixture takes the value 1/α there.
func TestBoundariesGrowAndSolve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		best := rapid.Float64Range(0.1, 1e4).Draw(t, "best")
		v := rapid.Float64Range(0, 1e5).Draw(t, "v")
		alpha := rapid.Float64Range(1e-6, 0.4).Draw(t, "alpha")
		c := rapid.Float64Range(0.1, 3).Draw(t, "c")
		one, err1 := NewNormal(best, 0.05, OneSided)
		two, err2 := NewNormal(best, 0.05, TwoSided)
		exponential, err3 := NewGammaExponential(best, 0.05, c)
		poisson, err4 := NewGammaPoisson(best, 0.05, c)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		for i, m := range []interface {
			LogMixture(s, v float64) float64
			Bound(v, alpha float64) float64
		}{one, two, exponential, poisson} {
			u := m.Bound(v, alpha)
			if got := m.LogMixture(u, v); math.Abs(got+math.Log(alpha)) > 1e-6*(1+v) {
				t.Fatalf("%d: mixture %g at the bound %g, want %g", i, got, u, -math.Log(alpha))
			}
			if m.Bound(v*1.1+1e-3, alpha) < u*(1-1e-9) || m.Bound(v, alpha/2) <= u {
				t.Fatalf("%d: doesn't grow", i)
			}
		}
	})
}

func TestIntervalsNeverWiden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 50).Draw(t, "values")
		plan := Plan{Range: Range{0, 1}, Confidence: 0.9}
		if rapid.Bool().Draw(t, "finite") {
			plan.Population = int64(len(values)) + rapid.Int64Range(0, 30).Draw(t, "more")
		}
		p, err1 := NewPredictableMixture(plan)
		b, err2 := NewBetting(plan, 50)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		for _, s := range []bounded{p, b} {
			low, high := s.Interval()
			for _, x := range values {
				if err := s.Add(x); err != nil {
					t.Fatal(err)
				}
				l, h := s.Interval()
				if !(l >= low && h <= high && l <= h) {
					t.Fatalf("[%g, %g] after [%g, %g]", l, h, low, high)
				}
				low, high = l, h
			}
		}
	})
}

func TestBadInputIsRefused(t *testing.T) {
	nan := math.NaN()
	faults := map[string]error{}
	note := func(name string, err error) { faults[name] = err }
	for name, f := range map[string]func() error{
		"normal variance":  func() error { _, err := NewNormal(0, 0.05, TwoSided); return err },
		"normal level":     func() error { _, err := NewNormal(1, 0.5, OneSided); return err },
		"normal sides":     func() error { _, err := NewNormal(1, 0.05, 0); return err },
		"gamma scale":      func() error { _, err := NewGammaExponential(1, 0.05, nan); return err },
		"poisson scale":    func() error { _, err := NewGammaPoisson(1, 0.05, 0); return err },
		"beta range":       func() error { _, err := NewBetaBinomial(1, 0.05, 0, 1, TwoSided); return err },
		"bits":             func() error { _, _, err := Bits(3, 2, 0.95, 10); return err },
		"bits confidence":  func() error { _, _, err := Bits(1, 2, 1, 10); return err },
		"bits time":        func() error { _, _, err := Bits(1, 2, 0.9, nan); return err },
		"process":          func() error { _, err := NewEmpiricalProcess(0.05, 100, 0.7); return err },
		"asymptotic":       func() error { _, err := NewAsymptotic(0); return err },
		"asymptotic value": func() error { a, _ := NewAsymptotic(1); return a.Add(math.Inf(1)) },
		"range":            func() error { _, err := NewBetting(Plan{Range: Range{1, 1}, Confidence: 0.9}, 10); return err },
		"wide range": func() error {
			_, err := NewPredictableMixture(Plan{Range: Range{-math.MaxFloat64, math.MaxFloat64}, Confidence: 0.9})
			return err
		},
		"plan":  func() error { _, err := NewPredictableMixture(Plan{Range: Range{0, 1}}); return err },
		"steps": func() error { _, err := NewBetting(Plan{Range: Range{0, 1}, Confidence: 0.9}, 3); return err },
		"Bernstein": func() error {
			_, err := NewEmpiricalBernstein(Range{0, 1}, 0, 1)
			return err
		},
		"value": func() error {
			e, err := NewEmpiricalBernstein(Range{0, 1}, 0.9, 1)
			if err != nil {
				return nil
			}
			return e.Add(nan)
		},
	} {
		note(name, f())
	}
	for name, err := range faults {
		if survey.CodeOf(err) != survey.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Where no bound can be given the answer is +Inf, never NaN.
func TestSenselessArgumentsPromiseNothing(t *testing.T) {
	normal, _ := NewNormal(1, 0.05, TwoSided)
	gamma, _ := NewGammaExponential(1, 0.05, 1)
	beta, _ := NewBetaBinomial(1, 0.05, 1, 1, TwoSided)
	process, _ := NewEmpiricalProcess(0.05, 100, 0.85)
	stitching := PolyStitching{VMin: 1, S: 1.4, Eta: 2}
	for i, u := range []float64{
		normal.Bound(-1, 0.05), normal.Bound(1, 0), gamma.Bound(math.NaN(), 0.05), gamma.Bound(math.Inf(1), 0.05), beta.Bound(1, 1),
		Normal{}.Bound(1, 0.05), GammaExponential{}.Bound(1, 0.05), GammaPoisson{}.Bound(1, 0.05), BetaBinomial{}.Bound(1, 0.05),
		process.Bound(99), process.Bound(math.NaN()), stitching.Bound(1, 2), PolyStitching{}.Bound(1, 0.05),
		DoubleStitching{}.Bound(0.5, 1, 0.05),
	} {
		if !math.IsInf(u, 1) {
			t.Errorf("%d: %g", i, u)
		}
	}
	if low, high := (Asymptotic{}).Interval(0.95); !math.IsInf(low, -1) || !math.IsInf(high, 1) {
		t.Error("an empty stream has an interval")
	}
	if low, high, err := Bits(0, 0, 0.95, 10); low != 0 || high != 1 || err != nil {
		t.Error("no trials")
	}
}

func TestWindowLevelsSumToTheLevel(t *testing.T) {
	sum := 0.0
	for w := int64(1); w <= 1_000_000; w++ {
		sum += WindowLevel(0.05, w)
	}
	if sum > 0.05 || sum < 0.0499999 {
		t.Errorf("%g", sum)
	}
	if WindowLevel(0.05, 0) != 0 {
		t.Error("window 0")
	}
}
