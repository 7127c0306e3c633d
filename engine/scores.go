package engine

import (
	"math"

	"github.com/quadrat-dev/quadrat/privacy"
)

// scored takes from the mechanism what its codes mean, in the statistic's unit.
func (s *statistic) scored(m privacy.Mechanism) error {
	s.noise, s.loose = s.squared(m.NoiseVariance()), looseness(m)
	s.scores = make([]float64, m.Codes())
	graded, ok := m.(privacy.Graded)
	if ok {
		s.noises = make([]float64, m.Codes())
	}
	for code := range s.scores {
		unit, err := m.Score(uint32(code))
		if err != nil {
			return err
		}
		if !s.bit {
			unit = s.bounds.Score(unit)
		}
		s.scores[code] = unit
		if !ok {
			continue
		}
		noise, err := graded.NoiseOf(uint32(code))
		if err != nil {
			return err
		}
		s.noises[code] = s.squared(noise)
	}
	return nil
}

// squared turns a variance on the unit scale into the statistic's unit.
func (s *statistic) squared(variance float64) float64 {
	if s.bit {
		return variance
	}
	return s.bounds.Variance(variance)
}

// looks is how many inputs looseness looks at, evenly between the ends.
const looks = 256

// looseness is by which part of the variance what is known of the noise is too much, at the input where that is most; 0
// where the variance is the same for all inputs, and infinite where nothing tells.
func looseness(m privacy.Mechanism) float64 {
	varied, ok := m.(privacy.Varied)
	if m.ConstantVariance() {
		return 0
	}
	if !ok {
		return math.Inf(1)
	}
	worst := 0.0
	for i := range min(looks, m.Levels()) + 1 {
		input := uint32(uint64(i) * uint64(m.Levels()) / uint64(min(looks, m.Levels())))
		worst = max(worst, privacy.NoiseTold(m, input)/varied.VarianceAt(input)-1)
	}
	return worst
}
