package draw

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/quadrat-dev/quadrat/survey"
)

// Sample is what a design drew. The caller owns the slices.
type Sample struct {
	Units  []int     // positions in the frame: ascending, or for systematic designs in the order of the list
	Pi     []float64 // the inclusion probability of each, in (0, 1]
	Groups []int     // the start or cluster that each came with; nil for designs without groups
}

// Weights returns the design weights 1/π_k.
func (s Sample) Weights() []float64 {
	w := make([]float64, len(s.Pi))
	for i, p := range s.Pi {
		w[i] = 1 / p
	}
	return w
}

func invalid(format string, args ...any) error {
	return &survey.Error{Code: survey.Invalid, Detail: "drawing: " + fmt.Sprintf(format, args...)}
}

func infeasible(best int, format string, args ...any) error {
	return &survey.Error{Code: survey.Infeasible, Best: float64(best), Detail: "drawing: " + fmt.Sprintf(format, args...)}
}

// equal returns the units with one inclusion probability.
func equal(units []int, pi float64) Sample {
	s := Sample{Units: units, Pi: make([]float64, len(units))}
	for i := range s.Pi {
		s.Pi[i] = pi
	}
	return s
}

// choose returns n of the integers 0 … population−1, each set equally likely, ascending (Floyd 1987).
func choose(r *rand.Rand, population, n int) []int {
	held := make(map[int]struct{}, n) // asked for membership only, never walked: maps have no order
	units := make([]int, 0, n)
	for j := population - n; j < population; j++ {
		unit := r.IntN(j + 1)
		if _, ok := held[unit]; ok {
			unit = j
		}
		held[unit] = struct{}{}
		units = append(units, unit)
	}
	slices.Sort(units)
	return units
}

func checkSize(population, n int) error {
	if population < 1 || n < 1 {
		return invalid("want a population and a sample of at least 1, not %d and %d", population, n)
	}
	if n > population {
		return infeasible(population, "%d units of %d", n, population)
	}
	return nil
}

// SRS draws a simple random sample of n units without replacement; π = n/N.
func SRS(src rand.Source, population, n int) (Sample, error) {
	if err := checkSize(population, n); err != nil {
		return Sample{}, err
	}
	return equal(choose(rand.New(src), population, n), float64(n)/float64(population)), nil
}

// Bernoulli takes each unit with the probability pi in (0, 1], independently. The sample's size is random and can be 0.
// Given its size it is a simple random sample, and is best analysed as one.
func Bernoulli(src rand.Source, population int, pi float64) (Sample, error) {
	if population < 1 || !(pi > 0 && pi <= 1) {
		return Sample{}, invalid("want a population of at least 1 and a probability in (0, 1], not %d and %g", population, pi)
	}
	r := rand.New(src)
	var units []int
	for k := range population {
		if r.Float64() < pi {
			units = append(units, k)
		}
	}
	return equal(units, pi), nil
}

// Poisson takes unit k with the probability pi[k] in [0, 1], independently. The sample's size is random and can be 0.
func Poisson(src rand.Source, pi []float64) (Sample, error) {
	if err := checkProbabilities(pi); err != nil {
		return Sample{}, err
	}
	r := rand.New(src)
	var s Sample
	for k, p := range pi {
		if r.Float64() < p {
			s.Units = append(s.Units, k)
			s.Pi = append(s.Pi, p)
		}
	}
	return s, nil
}

func checkProbabilities(pi []float64) error {
	if len(pi) == 0 {
		return invalid("want at least one unit")
	}
	for k, p := range pi {
		if !(p >= 0 && p <= 1) {
			return invalid("unit %d: the inclusion probability %g is outside [0, 1]", k, p)
		}
	}
	return nil
}

// fixedSize returns Σπ, which must be a whole number to 1e-9 of it.
func fixedSize(pi []float64) (int, error) {
	if err := checkProbabilities(pi); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, p := range pi {
		sum += p
	}
	n := math.Round(sum)
	if n < 1 || math.Abs(sum-n) > 1e-9*n {
		return 0, invalid("the inclusion probabilities add up to %g, which is no sample size", sum)
	}
	return int(n), nil
}
