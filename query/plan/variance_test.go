package plan_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey"
)

// TestVarianceMargin sets the predicted margin against the intervals of windows with normal summaries about the middle of
// the bounds and the mechanism that the plan names. The mean half-width of 400 windows has a standard error of about
// 0.2 %; normal summaries are clipped at four deviations, and half-widths of skewed intervals have a bias of order 1/n.
func TestVarianceMargin(t *testing.T) {
	const n, windows, deviation = 400, 400, 1.0
	for _, model := range []string{"LOCAL EPSILON 2 PER 4m", "LOCAL EPSILON 8 PER 1m", "NONE"} {
		text := "SELECT variance(x) FROM a.q SAMPLE 400 DEVICES WINDOW 1m PRIVACY " + model + " BETWEEN 10 AND 18"
		rev, err := plan.Build(prepared(t, text, nil), fleet("asia", "", 4000), plan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		said := rev.GetDevice().GetStatistics()[0]
		var m privacy.Mechanism
		if said.GetMechanism() != "none" {
			if m, err = mechanisms.ByName(said.GetMechanism(), privacy.Epsilon(rev.GetDevice().GetEpsilonMicro())); err != nil {
				t.Fatal(err)
			}
		}
		bounds := privacy.Bounds{Lo: privacy.Micro(said.GetLoMicro()), Hi: privacy.Micro(said.GetHiMicro())}
		source, draw := privacy.NewSeeded(3), rand.New(rand.NewPCG(5, 8))
		half := 0.0
		for range windows {
			s := survey.Sample{Population: 4000, Panel: n, Responses: n}
			for range n {
				score, noise := max(10, min(18, 14+deviation*draw.NormFloat64())), 0.0
				if m != nil {
					code, err := m.Randomise(bounds.Level(privacy.Micro(1e6*score), m.Levels()), source)
					if err != nil {
						t.Fatal(err)
					}
					unit, err := m.Score(code)
					if err != nil {
						t.Fatal(err)
					}
					score, noise = bounds.Score(unit), bounds.Variance(m.NoiseVariance())
				}
				s.Tails.Add(s.Domain, score)
				s.Domain.Add(score, noise)
			}
			e, err := survey.Variance([]survey.Sample{s}, survey.Powers{}, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			half += (e.High - e.Low) / 2 / windows
		}
		margin := rev.GetPlan().GetStatistics()[0].GetMargin()
		if math.Abs(margin/half-1) > 0.02 {
			t.Errorf("%s: margin %g, half-widths of %g", model, margin, half)
		}
	}
}

// TestVarianceNeedsEpsilon shares the epsilon of a period out only as far as reports still tell of squares.
func TestVarianceNeedsEpsilon(t *testing.T) {
	build := func(model string) (float64, error) {
		s, err := script.Prepare("SELECT variance(x) FROM a.q SAMPLE ALL WINDOW 1m PRIVACY LOCAL EPSILON "+model+" BETWEEN 10 AND 18", nil)
		if err != nil {
			t.Fatal(err)
		}
		rev, err := plan.Build(s, fleet("asia", "", 40_000), plan.Options{})
		return float64(rev.GetDevice().GetEpsilonMicro()) / 1e6, err
	}
	for _, model := range []string{"0.62 PER 1h", "1 PER 1h", "8 PER 1h", "20 PER 1h"} {
		if epsilon, err := build(model); err != nil || epsilon <= 0.61 {
			t.Errorf("EPSILON %s: %g a report, %v", model, epsilon, err)
		}
	}
	for _, model := range []string{"0.61 PER 1h", "0.000001 PER 1h"} {
		_, err := build(model)
		if _, ok := errors.AsType[*plan.Infeasible](err); !ok {
			t.Errorf("EPSILON %s: %v", model, err)
		}
	}
}
