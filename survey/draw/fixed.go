package draw

import (
	"math"
	"math/rand/v2"
	"slices"
)

// split sets the certain units apart: sure has π = 1, open 0 < π < 1, and n of the open ones are to be drawn.
func split(pi []float64) (sure, open []int, n int, err error) {
	if n, err = fixedSize(pi); err != nil {
		return nil, nil, 0, err
	}
	for k, p := range pi {
		switch {
		case p == 1:
			sure = append(sure, k)
			n--
		case p > 0:
			open = append(open, k)
		}
	}
	return sure, open, n, nil
}

func pick(xs []float64, units []int) []float64 {
	out := make([]float64, len(units))
	for i, k := range units {
		out[i] = xs[k]
	}
	return out
}

func complements(pi []float64) []float64 {
	out := make([]float64, len(pi))
	for i, p := range pi {
		out[i] = 1 - p
	}
	return out
}

// Sampford draws Σπ units by Sampford's design (Sampford 1967): P(s) ∝ Σ_{k∈s}(1−π_k) Π_{k∈s} π_k/(1−π_k), whose inclusion
// probabilities are pi exactly and whose joint ones are known ([SampfordJoint]). It goes once through the list and decides
// each unit by its exact conditional probability, so it always ends, where Sampford's own procedure rejects nearly every
// attempt once n²/N is large. It takes N·n time and memory; a frame beyond 2^25 cells is Infeasible.
func Sampford(src rand.Source, pi []float64) (Sample, error) {
	sure, open, n, err := split(pi)
	if err != nil {
		return Sample{}, err
	}
	q := pick(pi, open)
	units, err := conditioned(src, q, complements(q), n)
	if err != nil {
		return Sample{}, err
	}
	return joinUnits(sure, open, units, pi), nil
}

// MaxEntropy draws Σπ units by the fixed-size design of maximum entropy, conditional Poisson sampling (Hájek 1981; Chen,
// Dempster and Liu 1994). Its inclusion probabilities are pi to 1e-10; the joint ones are those of [MaxEntropyJoint].
func MaxEntropy(src rand.Source, pi []float64) (Sample, error) {
	sure, open, n, err := split(pi)
	if err != nil {
		return Sample{}, err
	}
	q, err := working(pick(pi, open), n)
	if err != nil {
		return Sample{}, err
	}
	units, err := conditioned(src, q, nil, n)
	if err != nil {
		return Sample{}, err
	}
	return joinUnits(sure, open, units, pi), nil
}

func joinUnits(sure, open, drawn []int, pi []float64) Sample {
	units := slices.Clone(sure)
	for _, i := range drawn {
		units = append(units, open[i])
	}
	slices.Sort(units)
	return withPi(units, pi)
}

// conditioned draws n of the units, as a Poisson design with the probabilities q would, given n and weighted with the sum
// of extra over the drawn (not weighted when extra is nil).
func conditioned(src rand.Source, q, extra []float64, n int) ([]int, error) {
	t, err := newTable(q, extra, n)
	if err != nil {
		return nil, err
	}
	r := rand.New(src)
	units, sum := make([]int, 0, n), 0.0
	for i := 0; i < len(q) && len(units) < n; i++ {
		left, with := n-len(units), sum
		if extra != nil {
			with += extra[i]
		}
		in := q[i] * t.weight(i+1, left-1, with)
		out := (1 - q[i]) * t.weight(i+1, left, sum)
		if r.Float64()*(in+out) < in {
			units, sum = append(units, i), with
		}
	}
	return units, nil
}

// working returns the probabilities of the Poisson design that, given n units, has the inclusion probabilities pi; they
// add up to n. Each turn multiplies the odds by wanted over had (Chen, Dempster and Liu 1994).
func working(pi []float64, n int) ([]float64, error) {
	q := slices.Clone(pi)
	rest := make([]float64, len(pi))
	const turnsMost = 1000
	for range turnsMost {
		chance, _ := counts(q, nil)
		worst := 0.0
		odds := make([]float64, len(q))
		for k, p := range q {
			without(chance, nil, p, 0, rest, nil)
			in := p * rest[n-1] / chance[n]
			worst = max(worst, math.Abs(in-pi[k]))
			odds[k] = p / (1 - p) * (pi[k] / (1 - pi[k])) * ((1 - in) / in)
		}
		if worst < 1e-13*float64(len(q)) || len(q) == 0 {
			return q, nil
		}
		tilt(q, odds, n)
	}
	return nil, invalid("no Poisson design was found that has these probabilities given its size")
}

// tilt sets q to the probabilities whose odds are proportional to the given ones and that add up to n.
func tilt(q, odds []float64, n int) {
	low, high := -50.0, 50.0
	for range 100 {
		middle := (low + high) / 2
		factor, sum := math.Exp(middle), 0.0
		for k, o := range odds {
			q[k] = factor * o / (1 + factor*o)
			sum += q[k]
		}
		if sum < float64(n) {
			low = middle
		} else {
			high = middle
		}
	}
}

// MaxEntropyWorking returns the inclusion probabilities of the Poisson design that [MaxEntropy] conditions on its size,
// normalised to the same sum; 0 and 1 stay.
func MaxEntropyWorking(pi []float64) ([]float64, error) {
	_, open, n, err := split(pi)
	if err != nil {
		return nil, err
	}
	q, err := working(pick(pi, open), n)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(pi)
	for i, k := range open {
		out[k] = q[i]
	}
	return out, nil
}
