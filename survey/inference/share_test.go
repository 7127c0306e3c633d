package inference_test

import (
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
	"github.com/quadrat-dev/quadrat/survey/interval"
)

// Rows and sums give one score interval for a randomised share, wherever noise puts it: below 0, inside, above 1.
func TestNoisyShareFromRowsAndSums(t *testing.T) {
	const n, population, keep = 30, 500, 0.73
	const variance = keep * (1 - keep) / ((2*keep - 1) * (2*keep - 1))
	below, above := 0, 0
	for yes := 0; yes <= n; yes++ {
		s := survey.Sample{Stratum: "all", Population: population, Panel: n, Responses: n}
		q := inference.Statistic{Kind: inference.Mean}
		size := make([]float64, n)
		for i := range n {
			score := (keep - 1) / (2*keep - 1)
			if i < yes {
				score = keep / (2*keep - 1)
			}
			s.Domain.Add(score, variance)
			q.Y, q.Noise, size[i] = append(q.Y, score), append(q.Noise, variance), population
		}
		want, err := survey.Proportion([]survey.Sample{s}, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		d := mustDesign(t, design.Spec{Rows: n, Stages: []design.Stage{{Size: size}}})
		got, err := mustStudy(t, inference.Study{Design: d, Interval: interval.Wilson}).Estimate(q, nil)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got.Low-want.Low) > 1e-12 || math.Abs(got.High-want.High) > 1e-12 || math.Abs(got.Value-want.Value) > 1e-12 {
			t.Errorf("%d of %d: [%v, %v] from rows, [%v, %v] from sums", yes, n, got.Low, got.High, want.Low, want.High)
		}
		if got.Value < 0 {
			below++
		}
		if got.Value > 1 {
			above++
		}
	}
	if below == 0 || above == 0 {
		t.Errorf("%d shares below 0, %d above 1: the test has lost its point", below, above)
	}
}
