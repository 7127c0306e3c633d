package inference_test

import (
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
	"github.com/quadrat-dev/quadrat/survey/interval"
)

// Rows and sums give one score interval for a randomised share and a count, wherever noise puts it: below 0, inside, above 1.
func TestNoisyShareFromRowsAndSums(t *testing.T) {
	if below, above := shareFromRowsAndSums(t, 0.73, 30); below == 0 || above == 0 {
		t.Errorf("%d shares below 0, %d above 1: the test has lost its point", below, above)
	}
	shareFromRowsAndSums(t, 0.73, 20)
}

// So they do for bits without noise, none and all of them included.
func TestShareFromRowsAndSums(t *testing.T) {
	shareFromRowsAndSums(t, 1, 30)
	shareFromRowsAndSums(t, 1, 20)
}

// shareFromRowsAndSums compares all shares and counts of bits that are kept with a probability, in a domain of the first
// rows, and says how many shares are below 0 and above 1.
func shareFromRowsAndSums(t *testing.T, keep float64, domain int) (below, above int) {
	t.Helper()
	const n, population = 30, 500
	variance := keep * (1 - keep) / ((2*keep - 1) * (2*keep - 1))
	for yes := 0; yes <= domain; yes++ {
		s := survey.Sample{Stratum: "all", Population: population, Panel: n, Responses: n}
		q := inference.Statistic{}
		size, in := make([]float64, n), make([]bool, n)
		for i := range n {
			score := (keep - 1) / (2*keep - 1)
			if i < yes {
				score = keep / (2*keep - 1)
			}
			if in[i] = i < domain; in[i] {
				s.Domain.Add(score, variance)
			}
			q.Y, q.Noise, size[i] = append(q.Y, score), append(q.Noise, variance), population
		}
		d := mustDesign(t, design.Spec{Rows: n, Stages: []design.Stage{{Size: size}}})
		a := mustStudy(t, inference.Study{Design: d, Interval: interval.Wilson, DomainFreedom: true})
		var got inference.Estimate
		for _, kind := range []inference.Kind{inference.Total, inference.Mean} {
			sums := survey.Proportion
			if q.Kind = kind; kind == inference.Total {
				sums = survey.Count
			}
			want, err := sums([]survey.Sample{s}, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			if got, err = a.Estimate(q, in); err != nil {
				t.Fatal(err)
			}
			for i, pair := range [][2]float64{{got.Low, want.Low}, {got.High, want.High}, {got.Value, want.Value}, {got.StdError, want.StdError}} {
				if math.Abs(pair[0]-pair[1]) > 1e-10*max(1, math.Abs(pair[1])) {
					t.Errorf("%v of %d in %d: number %d is %v from rows, %v from sums", kind, yes, domain, i, pair[0], pair[1])
				}
			}
		}
		if got.Value < 0 {
			below++
		}
		if got.Value > 1 {
			above++
		}
	}
	return below, above
}
