package draw

import (
	"math/rand/v2"
	"slices"
)

// Elimination draws Σπ units by Tillé's elimination procedure (Tillé 1996): from all open units one is struck out at a time, so
// that after each step the rest has the inclusion probabilities of a sample of its size. pi is exact and the joint
// probabilities are a plain product ([EliminationJoint]), but drawing takes N(N−n) time.
func Elimination(src rand.Source, pi []float64) (Sample, error) {
	sure, open, n, err := split(pi)
	if err != nil {
		return Sample{}, err
	}
	strike, err := strikes(pick(pi, open), n)
	if err != nil {
		return Sample{}, err
	}
	r := rand.New(src)
	left := identity(len(open))
	for _, probability := range strike {
		// Given who is left, unit k goes with the probability of its step; these add up to 1 over those left.
		u, sum := r.Float64(), 0.0
		for _, k := range left {
			sum += probability[k]
		}
		out := len(left) - 1
		for i, k := range left {
			if u -= probability[k] / sum; u < 0 {
				out = i
				break
			}
		}
		left = slices.Delete(left, out, out+1)
	}
	return joinUnits(sure, open, left, pi), nil
}

// strikes returns, for each step from N units down to n, the probability with which each unit that is left goes:
// 1 − π(k|i)/π(k|i+1), where π(k|i) is for a sample of i.
func strikes(pi []float64, n int) ([][]float64, error) {
	before := make([]float64, len(pi))
	for k := range before {
		before[k] = 1
	}
	var out [][]float64
	for size := len(pi) - 1; size >= n; size-- {
		after := pi
		if size > n {
			var err error
			if after, err = Proportional(pi, size); err != nil {
				return nil, err
			}
		}
		step := make([]float64, len(pi))
		for k := range step {
			step[k] = max(0, 1-after[k]/before[k])
		}
		out, before = append(out, step), after
	}
	return out, nil
}

// EliminationJoint returns the joint inclusion probabilities of [Elimination], with π on the diagonal: over all steps, the
// product of the probabilities that neither goes.
func EliminationJoint(pi []float64) ([][]float64, error) {
	_, open, n, err := split(pi)
	if err != nil {
		return nil, err
	}
	strike, err := strikes(pick(pi, open), n)
	if err != nil {
		return nil, err
	}
	joint := certainPairs(pi)
	for i, k := range open {
		joint[k][k] = pi[k]
		for j := i + 1; j < len(open); j++ {
			p := 1.0
			for _, step := range strike {
				p *= max(0, 1-step[i]-step[j])
			}
			joint[k][open[j]], joint[open[j]][k] = p, p
		}
	}
	return joint, nil
}
