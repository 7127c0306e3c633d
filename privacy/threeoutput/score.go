package threeoutput

import (
	"math"
	"math/big"

	"github.com/quadrat-dev/quadrat/privacy"
)

// lean returns how many words out of 2⁶⁴ high has more than low for the largest
// input.
func (m *Mechanism) lean() uint64 { return m.step * uint64(m.levels) }

// scale returns C, the scores being -C, 0 and C on [-1, 1].
func (m *Mechanism) scale() float64 { return (1 << 64) / float64(m.lean()) }

// Score returns (1-C)/2, 1/2 or (1+C)/2.
func (m *Mechanism) Score(code uint32) (float64, error) {
	if code >= codes {
		return 0, privacy.ErrCode
	}
	return (1 + (float64(code)-nothing)*m.scale()) / 2, nil
}

// ExactScore is Score as a rational.
func (m *Mechanism) ExactScore(code uint32) (*big.Rat, error) {
	if code >= codes {
		return nil, privacy.ErrCode
	}
	score := privacy.Words(m.lean())
	score.Quo(big.NewRat(int64(code)-nothing, 1), score)
	score.Add(score, big.NewRat(1, 1))
	return score.Mul(score, big.NewRat(1, 2)), nil
}

// VarianceAt returns the variance of the score given an input, on the unit
// scale: (C²(1-P) - x²)/4, P the probability of nothing and x = 2·input/Levels-1.
func (m *Mechanism) VarianceAt(input uint32) float64 {
	first, second := m.thresholds(input)
	c, x := m.scale(), 2*float64(input)/float64(m.levels)-1
	return (c*c*(1-share(second-first)) - x*x) / 4
}

// NoiseVariance returns the largest variance. It falls from the middle to the
// end of the plateau and is a parabola behind it, with its top at |x| = C/2, so
// that it is the one in the middle, at the top or, when that is out of reach,
// at the end.
func (m *Mechanism) NoiseVariance() float64 {
	half := float64(m.levels) / 2
	largest := max(m.VarianceAt(m.levels/2), m.VarianceAt(m.levels))
	if top := half * m.scale() / 2; top < half {
		// The parabola is symmetric about its top: the nearest input wins.
		largest = max(largest, m.VarianceAt(m.levels/2+uint32(math.Round(top))))
	}
	return largest
}

// ConstantVariance returns false.
func (*Mechanism) ConstantVariance() bool { return false }

// near is the distance from the middle, as a part of the way to the ends, at
// which NoiseOf is exact where it can't be exact in the middle: the mean one of
// what plans suppose, readings about the middle with a deviation of a quarter.
const near = 0.2

// NoiseOf returns what a code tells of the variance: over the codes of an input
// its mean is C²(1-P)/4 less a bound of x²/4 that is a line in P, hence at least
// VarianceAt. It fails with privacy.ErrCode.
//
// The bound is a tangent of x² that isn't above it on the plateau: the one
// through the plateau's end, which touches at twice that, or the one that
// touches at near if that is further out; or the chord to the end of the range
// when the first would touch beyond.
func (m *Mechanism) NoiseOf(code uint32) (float64, error) {
	if code >= codes {
		return 0, privacy.ErrCode
	}
	c, most := m.scale(), share(m.most)
	edge := max(0, 1-c*share(m.most-m.least))
	touch := max(2*edge, near)
	slope, constant := 2*touch, touch*(touch-2*edge)
	if edge > 0.5 {
		slope, constant = 1/(1-edge), 0
	}
	if code == nothing {
		return (slope*c*(1-most) + constant) / 4, nil
	}
	return ((c-slope*most)*c + constant) / 4, nil
}

// Probability returns the exact probability of the code given the input.
func (m *Mechanism) Probability(code, input uint32) *big.Rat {
	if code >= codes || input > m.levels {
		return new(big.Rat)
	}
	return privacy.Words(m.words(code, input))
}

// words is the number of words that give the code.
func (m *Mechanism) words(code, input uint32) uint64 {
	first, second := m.thresholds(input)
	switch code {
	case low:
		return first
	case nothing:
		return second - first
	default:
		return -second
	}
}

// Certificate visits all inputs and proves the ratio from the smallest and the
// largest number of words of each code. The mean score is
// 1/2 + (high-low)/2·lean, which is input/Levels just when high has
// 2·step·(input-Levels/2) words more than low.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	var least, most [codes]uint64
	sums, unbiased := true, true
	for input := uint32(0); input <= m.levels; input++ {
		first, second := m.thresholds(input)
		sums = sums && first <= second
		unbiased = unbiased && -second-first == 2*m.step*(uint64(input)-uint64(m.levels)/2)
		for code := range least {
			n := m.words(uint32(code), input)
			if input == 0 {
				least[code], most[code] = n, n
			}
			least[code], most[code] = min(least[code], n), max(most[code], n)
		}
	}
	ratio := new(big.Rat)
	for code := range least {
		if least[code] == 0 {
			return privacy.Certificate{}, privacy.ErrCertificate
		}
		r := new(big.Rat).SetFrac(new(big.Int).SetUint64(most[code]), new(big.Int).SetUint64(least[code]))
		if r.Cmp(ratio) > 0 {
			ratio = r
		}
	}
	return privacy.Certificate{
		Mechanism: Name, Epsilon: m.epsilon, Levels: m.levels, Codes: codes,
		WorstRatio: ratio, Bound: privacy.ExpLowerBound(m.epsilon),
		RowsSumToOne: sums, Unbiased: unbiased,
	}, nil
}

func share(words uint64) float64 { return float64(words) / (1 << 64) }
