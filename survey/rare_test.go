package survey

import (
	"math/rand/v2"
	"testing"
)

// A condition that holds for one unit in twenty: the t interval misses the truth far too often, the score interval
// doesn't, with noise and without. Coverage of intervals for bits without noise jumps with n and p (Brown, Cai and
// DasGupta 2001), hence 93–98.5 %; the standard error of a coverage over 5,000 samples is 0.0031, so that a true
// coverage of 94.5 % leaves the band with probability 1e-6.
func TestRareProportionsKeepTheirCoverage(t *testing.T) {
	const units, repetitions = 4000, 5000
	const share = 0.05
	for _, epsilon := range []float64{0, 4} {
		noise := newWarner(epsilon)
		for _, n := range []int{40, 60, 100} {
			source := rand.New(rand.NewPCG(uint64(n), uint64(epsilon)))
			order := source.Perm(units)
			score, byT := 0, 0
			for range repetitions {
				s := Sample{Stratum: "all", Population: units, Panel: int64(n), Responses: int64(n)}
				for k := range n {
					j := k + source.IntN(units-k)
					order[k], order[j] = order[j], order[k]
					bit := order[k] < share*units
					switch {
					case epsilon > 0:
						s.Domain.Add(noise.score(bit, source), noise.variance)
					case bit:
						s.Domain.Add(1, 0)
					default:
						s.Domain.Add(0, 0)
					}
				}
				e, err := Proportion([]Sample{s}, 0.95)
				if err != nil {
					t.Fatal(err)
				}
				if e.Low <= share && share <= e.High {
					score++
				}
				if e, err = Mean([]Sample{s}, 0.95); err != nil {
					t.Fatal(err)
				}
				if e.Low <= share && share <= e.High {
					byT++
				}
			}
			covered, plain := float64(score)/repetitions, float64(byT)/repetitions
			t.Logf("ε = %g, n = %d: score %.4f, t %.4f", epsilon, n, covered, plain)
			if covered < 0.93 || covered > 0.985 {
				t.Errorf("ε = %g, n = %d: the score interval covers %.4f", epsilon, n, covered)
			}
			if epsilon == 0 && plain > 0.93 {
				t.Errorf("n = %d: the t interval covers %.4f: is it still the plain one?", n, plain)
			}
		}
	}
}
