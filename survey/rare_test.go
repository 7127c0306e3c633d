package survey

import (
	"math"
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

// With randomised bits the coverage of a share is a finite sum: k of n reports say yes with a binomial probability. The
// score interval keeps 93.5 % at every n and ε here, also where many values p̂ lie below 0, whose V̂ falls short of the noise.
func TestNoisyScoreIntervalExactly(t *testing.T) {
	const share = 0.02
	for _, epsilon := range []float64{0.5, 1, 2} {
		noise := newWarner(epsilon)
		yes := share*noise.keep + (1-share)*(1-noise.keep)
		for _, n := range []int{30, 50, 100, 300} {
			covered := 0.0
			for k := range n + 1 {
				s := Sample{Stratum: "all", Population: 1e9, Panel: int64(n), Responses: int64(n)}
				for i := range n {
					score := (noise.keep - 1) / (2*noise.keep - 1)
					if i < k {
						score = noise.keep / (2*noise.keep - 1)
					}
					s.Domain.Add(score, noise.variance)
				}
				e, err := Proportion([]Sample{s}, 0.95)
				if err != nil {
					t.Fatal(err)
				}
				if e.Low <= share && share <= e.High {
					covered += binomial(n, k, yes)
				}
			}
			t.Logf("ε = %g, n = %d: %.4f", epsilon, n, covered)
			if covered < 0.935 {
				t.Errorf("ε = %g, n = %d: covers %.4f", epsilon, n, covered)
			}
		}
	}
}

// binomial returns the probability of k out of n.
func binomial(n, k int, p float64) float64 {
	all, _ := math.Lgamma(float64(n) + 1)
	in, _ := math.Lgamma(float64(k) + 1)
	out, _ := math.Lgamma(float64(n-k) + 1)
	return math.Exp(all - in - out + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}
