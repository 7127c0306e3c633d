package laplace

import (
	"math/big"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Certificate bounds the worst ratio, e^(levels/t), and what the bounded loops
// add to it, by a rational from the integers that are used; see PROOF.md.
func (m *Mechanism) Certificate() (privacy.Certificate, error) {
	bound := privacy.ExpLowerBound(m.epsilon)
	// left is the part of ε that is not used: ε - levels·rate/unit.
	used := new(big.Rat).SetFrac(new(big.Int).SetUint64(m.rate), new(big.Int).SetUint64(m.unit))
	used.Mul(used, big.NewRat(int64(m.levels), 1))
	left := new(big.Rat).SetFrac(new(big.Int).SetUint64(m.epsilon.Micro()), big.NewInt(million))
	left.Sub(left, used)
	sent := new(big.Rat).Sub(big.NewRat(1, 1), m.silence())
	if left.Cmp(big.NewRat(1, 1)) > 0 || sent.Sign() <= 0 {
		return privacy.Certificate{}, privacy.ErrCertificate
	}
	// e^(ε-left) ≤ bound·(1+2⁻¹⁴⁹)·(1-left+left²/2).
	shrink := new(big.Rat).Mul(left, left)
	shrink.Mul(shrink, big.NewRat(1, 2))
	shrink.Sub(shrink, left).Add(shrink, big.NewRat(1, 1))
	ratio := shrink.Mul(shrink, bound)
	ratio.Mul(ratio, oneAndAPart(149)).Quo(ratio, sent)
	return privacy.Certificate{
		Mechanism: Name, Epsilon: m.epsilon, Levels: m.levels, Codes: m.Codes(),
		WorstRatio: ratio, Bound: bound,
		RowsSumToOne: m.complete(), Unbiased: m.complete(),
	}, nil
}

// silence bounds the probability that a loop gives up, whatever the noise: given
// the noise that unbounded loops would have drawn, the largest over all of it.
// The three terms are those of PROOF.md, from the bounds that the loops have.
func (m *Mechanism) silence() *big.Rat {
	coins := int64(attemptsMax * (1 + wholeMax))
	// A place among n is uneven in less than n of 2⁶⁴ words.
	uneven := new(big.Rat).SetFrac(
		new(big.Int).Mul(new(big.Int).SetUint64(m.unit), big.NewInt(termsMax)), new(big.Int).Lsh(big.NewInt(1), 64))
	sum := times(uneven, redrawsMax)
	sum.Mul(sum, big.NewRat(attemptsMax+coins*termsMax, 1))
	// A coin that ends goes on past termsMax terms at most 3/termsMax! of the time.
	series := big.NewRat(3*coins, 1)
	for n := int64(2); n <= termsMax; n++ {
		series.Quo(series, big.NewRat(n, 1))
	}
	// An attempt is kept with probability (1-1/e)/2 > 5/16 at least.
	return sum.Add(sum, series).Add(sum, times(big.NewRat(11, 16), attemptsMax))
}

// times returns pⁿ.
func times(p *big.Rat, n int) *big.Rat {
	out := big.NewRat(1, 1)
	for range n {
		out.Mul(out, p)
	}
	return out
}

// oneAndAPart returns 1+2⁻ⁿ.
func oneAndAPart(n uint) *big.Rat {
	whole := new(big.Int).Lsh(big.NewInt(1), n)
	return new(big.Rat).SetFrac(new(big.Int).Add(whole, big.NewInt(1)), whole)
}

// complete says that the codes reach at least a step beyond the range on both
// sides, and that noise which the sampler cuts lies beyond them for every input:
// from that the sums of PROOF.md follow.
func (m *Mechanism) complete() bool {
	return m.reach >= 1 && m.steps(wholeMax, 0) >= int64(m.reach)+int64(m.levels)
}
