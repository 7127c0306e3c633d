package replicate_test

import (
	"errors"
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/replicate"
)

func clusters(t *testing.T, strata []string, size []float64) (design.Clusters, []float64) {
	t.Helper()
	d, err := design.New(design.Spec{Rows: len(strata), Stages: []design.Stage{{Stratum: design.NewFactor(strata), Size: size}}})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := d.Clusters()
	if !ok {
		t.Fatal("no clusters")
	}
	return c, d.Weights()
}

func total(y []float64) func([]float64) (float64, error) {
	return func(w []float64) (float64, error) {
		sum := 0.0
		for k := range w {
			sum += w[k] * y[k]
		}
		return sum, nil
	}
}

// By hand: w = 5, u = 5, 15, 20, 40; the jackknife's variance of a total is (1−f) n/(n−1) Σ(u−ū)² = 0.8 · 4/3 · 650.
func TestJackknifeByHand(t *testing.T) {
	c, w := clusters(t, []string{"a", "a", "a", "a"}, []float64{20, 20, 20, 20})
	for _, kind := range []replicate.Kind{replicate.JK1, replicate.JKn} {
		for _, mse := range []bool{false, true} {
			v, err := replicate.Plan{Kind: kind, MSE: mse}.Variance(c, w, total([]float64{1, 3, 4, 8}))
			if want := 0.8 * 4 / 3 * 650; err != nil || math.Abs(v-want) > 1e-9 {
				t.Errorf("kind %d: %v, %v, want %v", kind, v, err, want)
			}
		}
	}
	if share := (replicate.Plan{Kind: replicate.JK1}).Share(c, 2); share != 0.2 {
		t.Errorf("share %v, want the sampling fraction", share)
	}
	if share := (replicate.Plan{Kind: replicate.BRR}).Share(c, 2); share != 0 {
		t.Errorf("share %v of half samples, which ignore the fraction", share)
	}
}

func TestRefusals(t *testing.T) {
	c, w := clusters(t, []string{"a", "a", "a", "b", "b"}, nil)
	estimate := total([]float64{1, 2, 3, 4, 5})
	for _, p := range []replicate.Plan{
		{Kind: replicate.JK1}, {Kind: replicate.BRR}, {Kind: replicate.Bootstrap, Count: 1}, {}, {Kind: replicate.BRR, Fay: 1},
	} {
		if _, err := p.Variance(c, w, estimate); design.CodeOf(err) == 0 {
			t.Errorf("%+v: %v", p, err)
		}
	}
	broken := errors.New("broken")
	_, err := replicate.Plan{Kind: replicate.JKn}.Variance(c, w, func([]float64) (float64, error) { return 0, broken })
	if !errors.Is(err, broken) {
		t.Errorf("%v, want the estimator's own error", err)
	}
}

// The same seed gives the same bootstrap, another seed another one.
func TestBootstrapIsSeeded(t *testing.T) {
	c, w := clusters(t, []string{"a", "a", "a", "b", "b", "b"}, nil)
	variance := func(seed uint64) float64 {
		v, err := replicate.Plan{Kind: replicate.Bootstrap, Count: 50, Seed: seed}.Variance(c, w, total([]float64{1, 2, 3, 4, 5, 7}))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if variance(1) != variance(1) || variance(1) == variance(2) {
		t.Error("the seed doesn't decide")
	}
}
