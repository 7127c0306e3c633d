package study

import (
	"math"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// noise is what devices do to their answers: nothing, or the mechanism that a plan with this ε names for numbers and bits.
type noise struct {
	number, bit privacy.Mechanism // nil for none
	source      *privacy.Seeded
}

// newNoise returns the mechanisms for ε, or no noise for 0.
func newNoise(epsilon float64, seed uint64) (noise, error) {
	n := noise{source: privacy.NewSeeded(seed)}
	if epsilon == 0 {
		return n, nil
	}
	e, err := privacy.NewEpsilon(epsilon)
	if err != nil {
		return n, err
	}
	if n.number, err = mechanisms.ForMean(e); err != nil {
		return n, err
	}
	n.bit, err = mechanisms.ForBit(e)
	return n, err
}

// mechanism returns the one for a variable, or nil.
func (n noise) mechanism(v *variable) privacy.Mechanism {
	if v.bit {
		return n.bit
	}
	return n.number
}

// report appends the scores of the units' answers, and what each tells of the variance of its noise, nothing without noise.
func (n noise) report(v *variable, sampled []int, scores, told []float64) (_, _ []float64, err error) {
	m := n.mechanism(v)
	if m == nil {
		for _, k := range sampled {
			scores = append(scores, v.values[k])
		}
		return scores, told, nil
	}
	low, width := v.bounds.Score(0), v.bounds.Score(1)-v.bounds.Score(0)
	levels := float64(m.Levels())
	for _, k := range sampled {
		input := uint32(math.Round((v.values[k] - low) / width * levels))
		code, err := m.Randomise(input, n.source)
		if err != nil {
			return scores, told, err
		}
		unit, err := m.Score(code)
		if err != nil {
			return scores, told, err
		}
		variance := m.NoiseVariance()
		if graded, ok := m.(privacy.Graded); ok {
			if variance, err = graded.NoiseOf(code); err != nil {
				return scores, told, err
			}
		}
		scores, told = append(scores, low+width*unit), append(told, width*width*variance)
	}
	return scores, told, nil
}

// deviation returns the standard deviation of one report's noise.
func deviation(v *variable, epsilon float64) (float64, error) {
	n, err := newNoise(epsilon, 0)
	if err != nil || epsilon == 0 {
		return 0, err
	}
	return math.Sqrt(v.bounds.Variance(n.mechanism(v).NoiseVariance())), nil
}
