package privacy

import "math/big"

// Mechanism turns one input into one randomised code such that, for every code
// and every two inputs, the probabilities of the code differ by a factor of at
// most e^ε. A Mechanism is immutable and safe for concurrent use; the Source
// that it is given is not.
type Mechanism interface {
	// Name is the name in plans, results and on the command line: "hybrid",
	// "duchi", "piecewise", "square-wave", "warner", ….
	Name() string
	// Epsilon is the ε that one code costs.
	Epsilon() Epsilon
	// Levels is the largest input: 1 for a bit, 65536 for a bounded number.
	Levels() uint32
	// Codes is the number of codes; they are 0…Codes-1.
	Codes() uint32
	// Randomise draws the code for an input in 0…Levels. It fails with ErrInput
	// before anything is drawn, or with ErrEntropy; then there is no code.
	Randomise(input uint32, src Source) (code uint32, err error)
	// Score is the unbiased score on the unit scale:
	// E[Score | input] = input/Levels exactly. It lies outside [0, 1] for most
	// codes and must not be clipped. It fails with ErrCode.
	Score(code uint32) (float64, error)
	// NoiseVariance is the largest variance of the score given the input, on
	// the unit scale.
	NoiseVariance() float64
	// ConstantVariance says that the variance is the same for every input, to
	// 1e-6 of itself, so that NoiseVariance is exact and not only a bound.
	ConstantVariance() bool
	// Probability is the exact probability of the code given the input, from
	// the integers that Randomise compares with; zero for a code or an input
	// out of range.
	Probability(code, input uint32) *big.Rat
	// Certificate proves the worst ratio for the whole matrix from the same
	// integers.
	Certificate() (Certificate, error)
}

// Exact is a mechanism whose scores are known as rationals, which is what an
// exact proof of unbiasedness needs.
type Exact interface {
	Mechanism
	// ExactScore is Score without rounding.
	ExactScore(code uint32) (*big.Rat, error)
}

// Varied is a mechanism whose variance depends on the input.
type Varied interface {
	Mechanism
	// VarianceAt is the variance of the score given the input, on the unit
	// scale, at most NoiseVariance. The input of a device is known nowhere: it is
	// for tests, plans and curves. input must not be above Levels.
	VarianceAt(input uint32) float64
}

// Graded is a mechanism whose codes tell of their own noise.
type Graded interface {
	Varied
	// NoiseOf is what a code tells of the variance of its score, on the unit
	// scale: E[NoiseOf | input] is at least VarianceAt(input). It fails with
	// ErrCode.
	NoiseOf(code uint32) (float64, error)
}

// NoiseTold is what reports about an input tell of its noise on average, on the
// unit scale: NoiseVariance, or where codes tell of their own noise the mean of
// that. input must not be above Levels.
func NoiseTold(m Mechanism, input uint32) float64 {
	graded, ok := m.(Graded)
	if !ok {
		return m.NoiseVariance()
	}
	told := 0.0
	for code := range m.Codes() {
		noise, err := graded.NoiseOf(code)
		if err != nil {
			return m.NoiseVariance()
		}
		p, _ := m.Probability(code, input).Float64()
		told += p * noise
	}
	return told
}
