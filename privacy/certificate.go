package privacy

import "math/big"

// Certificate is a proof by integers that a mechanism keeps its ε: the worst
// ratio of two probabilities of one code, as an exact rational, beside a
// rational that is proven not to exceed e^ε.
type Certificate struct {
	Mechanism string
	Epsilon   Epsilon
	Levels    uint32
	Codes     uint32
	// WorstRatio is max over codes and pairs of inputs of P(code|x)/P(code|x′).
	WorstRatio *big.Rat
	// Bound is ExpLowerBound(Epsilon).
	Bound *big.Rat
	// RowsSumToOne says that the probabilities of each input add up to 1.
	RowsSumToOne bool
	// Unbiased says that E[score | input] = input/Levels for each input.
	Unbiased bool
	// Enumerated says that every entry of the matrix was visited; otherwise the
	// certificate follows from the structure that the mechanism's PROOF.md
	// states, for which every enumerated small matrix is the test.
	Enumerated bool
}

// Holds says whether the certificate proves ε-local differential privacy and
// unbiasedness.
func (c Certificate) Holds() bool {
	return c.WorstRatio != nil && c.Bound != nil &&
		c.WorstRatio.Sign() > 0 && c.WorstRatio.Cmp(c.Bound) <= 0 &&
		c.RowsSumToOne && c.Unbiased
}

// boundBits is the precision of ExpLowerBound after the point. The device's
// fixed point has 128, so that its own bound, when it is one, stays below.
const boundBits = 160

// ExpLowerBound returns a rational that doesn't exceed e^ε and falls short of
// it by less than 2⁻¹⁵⁰ of it. It is the partial sum of the Taylor series,
// whose terms are all positive, rounded down to a multiple of 2⁻¹⁶⁰.
func ExpLowerBound(e Epsilon) *big.Rat {
	num, den := expPartial(e.Micro())
	num.Lsh(num, boundBits)
	num.Quo(num, den)
	return new(big.Rat).SetFrac(num, new(big.Int).Lsh(big.NewInt(1), boundBits))
}

// expPartial returns the partial sum Σ xⁿ/n! for n ≤ N as a fraction, x in
// millionths, by Horner's rule. N = 62 + 12⌊x⌋ leaves less than 2⁻²⁸⁰: the first
// term left out is at most x^(N+1)/(N+1)!, and the rest shrinks by 12 each.
func expPartial(micro uint64) (num, den *big.Int) {
	terms := 50 + 12*(micro/million+1)
	num, den = big.NewInt(1), big.NewInt(1)
	x := new(big.Int).SetUint64(micro)
	for n := terms; n >= 1; n-- {
		// S = 1 + x/n · S, with x = micro/10⁶.
		den.Mul(den, new(big.Int).SetUint64(n*million))
		num.Mul(num, x)
		num.Add(num, den)
	}
	return num, den
}

// enumerateMax bounds the entries that Enumerate visits.
const enumerateMax = 1 << 21

// Enumerate certifies a mechanism by visiting every entry of its matrix. It is
// the oracle beside the structural certificates and fails with ErrTooLarge
// above two million entries.
func Enumerate(m Exact) (Certificate, error) {
	inputs := uint64(m.Levels()) + 1
	if inputs*uint64(m.Codes()) > enumerateMax {
		return Certificate{}, ErrTooLarge
	}
	c := Certificate{
		Mechanism: m.Name(), Epsilon: m.Epsilon(), Levels: m.Levels(), Codes: m.Codes(),
		WorstRatio: new(big.Rat), Bound: ExpLowerBound(m.Epsilon()),
		RowsSumToOne: true, Unbiased: true, Enumerated: true,
	}
	for code := range m.Codes() {
		ratio, err := worstOfCode(m, code)
		if err != nil {
			return Certificate{}, err
		}
		if ratio.Cmp(c.WorstRatio) > 0 {
			c.WorstRatio = ratio
		}
	}
	for input := uint32(0); input <= m.Levels(); input++ {
		sum, mean, err := rowMoments(m, input)
		if err != nil {
			return Certificate{}, err
		}
		want := big.NewRat(int64(input), int64(m.Levels()))
		c.RowsSumToOne = c.RowsSumToOne && sum.Cmp(big.NewRat(1, 1)) == 0
		c.Unbiased = c.Unbiased && mean.Cmp(want) == 0
	}
	return c, nil
}

// worstOfCode returns the largest over the smallest probability of one code. A
// code that some inputs can give and others can't has no finite ratio.
func worstOfCode(m Exact, code uint32) (*big.Rat, error) {
	low, high := m.Probability(code, 0), m.Probability(code, 0)
	for input := uint32(1); input <= m.Levels(); input++ {
		p := m.Probability(code, input)
		if p.Cmp(low) < 0 {
			low = p
		}
		if p.Cmp(high) > 0 {
			high = p
		}
	}
	if low.Sign() <= 0 {
		return nil, ErrCertificate
	}
	return new(big.Rat).Quo(high, low), nil
}

func rowMoments(m Exact, input uint32) (sum, mean *big.Rat, err error) {
	sum, mean = new(big.Rat), new(big.Rat)
	for code := range m.Codes() {
		p := m.Probability(code, input)
		score, err := m.ExactScore(code)
		if err != nil {
			return nil, nil, err
		}
		sum.Add(sum, p)
		mean.Add(mean, score.Mul(score, p))
	}
	return sum, mean, nil
}

// Words returns n/2⁶⁴, the probability that a uniform word is one of n.
func Words(n uint64) *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(n), new(big.Int).Lsh(big.NewInt(1), 64))
}
