package laplace

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
)

var epsilons = []privacy.Epsilon{
	1, 1000, 100_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 20_000_000,
}

// falseAlarm is the probability with which a correct sampler fails one test.
const falseAlarm = 1e-6

func build(t *testing.T, e privacy.Epsilon, levels uint32) *Mechanism {
	t.Helper()
	m, err := NewOnGrid(e, levels)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCertificates(t *testing.T) {
	for _, e := range epsilons {
		for _, levels := range []uint32{1, 2, 16, Levels} {
			c, err := build(t, e, levels).Certificate()
			if err != nil || !c.Holds() {
				t.Errorf("ε=%v, %d levels: %v, %v", e, levels, c, err)
			}
		}
	}
}

// TestCertificateSeesWrongIntegers changes what the certificate is made from.
func TestCertificateSeesWrongIntegers(t *testing.T) {
	for name, edit := range map[string]func(m *Mechanism){
		"all of ε is used":    func(m *Mechanism) { m.rate++ },
		"ε twice":             func(m *Mechanism) { m.rate *= 2 },
		"half the range":      func(m *Mechanism) { m.unit /= 2 },
		"no code beyond":      func(m *Mechanism) { m.reach = 0 },
		"cut within the code": func(m *Mechanism) { m.reach = 100 * m.levels },
		"hardly any ε":        func(m *Mechanism) { m.rate /= 1000; m.epsilon = 20_000_000 },
	} {
		m := build(t, 1_000_000, Levels)
		edit(m)
		if c, err := m.Certificate(); err == nil && c.Holds() {
			t.Errorf("%s: the certificate holds", name)
		}
	}
}

// twin has the mechanism's integers and a rational in place of e^(-1/t), so that
// its matrix is exact.
type twin struct {
	*Mechanism

	r *big.Rat
}

func (w twin) Probability(code, input uint32) *big.Rat {
	one, p := big.NewRat(1, 1), big.NewRat(1, 1)
	for range max(w.steps(code, input), -w.steps(code, input)) {
		p.Mul(p, w.r)
	}
	if code != 0 && code != w.Codes()-1 {
		p.Mul(p, new(big.Rat).Sub(one, w.r))
	}
	return p.Quo(p, new(big.Rat).Add(one, w.r))
}

func (w twin) steps(code, input uint32) int64 {
	return int64(code) - int64(w.reach) - int64(input)
}

// ExactScore is Score as a rational: r/(1-r) steps beyond the ends.
func (w twin) ExactScore(code uint32) (*big.Rat, error) {
	place := big.NewRat(int64(code)-int64(w.reach), 1)
	beyond := new(big.Rat).Sub(big.NewRat(1, 1), w.r)
	beyond.Quo(w.r, beyond)
	switch code {
	case 0:
		place.Sub(place, beyond)
	case w.Codes() - 1:
		place.Add(place, beyond)
	}
	return place.Quo(place, big.NewRat(int64(w.levels), 1)), nil
}

// TestTheWholeMatrix enumerates small grids: rows sum to one, scores are
// unbiased, and the ratio is below the certificate's.
func TestTheWholeMatrix(t *testing.T) {
	for _, e := range []privacy.Epsilon{3_000_000, 8_000_000, 20_000_000} {
		for _, levels := range []uint32{1, 2, 4} {
			m := build(t, e, levels)
			// 30 bits keep the powers short; rounding r up would hide a bit of ε.
			r, _ := m.decay().Float64()
			w := twin{m, big.NewRat(int64(r*(1<<30)), 1<<30)}
			c, err := privacy.Enumerate(w)
			if err != nil {
				t.Fatal(err)
			}
			if !c.RowsSumToOne || !c.Unbiased {
				t.Errorf("ε=%v, %d levels: rows %v, unbiased %v", e, levels, c.RowsSumToOne, c.Unbiased)
			}
			structural, err := m.Certificate()
			if err != nil {
				t.Fatal(err)
			}
			got, _ := c.WorstRatio.Float64()
			want, _ := structural.WorstRatio.Float64()
			// r is short by 2⁻³⁰ of one, at most 2⁻⁹ of itself at ε = 20 on one level.
			if slack := float64(levels) / r / (1 << 30); got < want*(1-slack)*(1-1e-9) || got > want*(1+2*slack) {
				t.Errorf("ε=%v, %d levels: worst ratio %v, certificate %v", e, levels, got, want)
			}
		}
	}
}

// TestMoments compares probabilities, scores and variances with sums over all
// codes.
func TestMoments(t *testing.T) {
	for _, e := range epsilons[2:] {
		for _, levels := range []uint32{1, 4, 16} {
			m := build(t, e, levels)
			// A reach of a few steps puts much into the ends.
			for _, reach := range []uint32{m.reach, 1, 3} {
				m.reach = min(m.reach, reach)
				for _, input := range []uint32{0, levels / 2, levels} {
					moments(t, m, input)
				}
			}
		}
	}
}

func moments(t *testing.T, m *Mechanism, input uint32) {
	t.Helper()
	truth := float64(input) / float64(m.levels)
	sum, mean, variance := 0.0, 0.0, 0.0
	for code := range m.Codes() {
		p, _ := m.Probability(code, input).Float64()
		score, err := m.Score(code)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Below(code+1, input) - m.Below(code, input); math.Abs(got-p) > 1e-12 {
			t.Fatalf("ε=%v: code %d of input %d has %v, %v by difference", m.epsilon, code, input, p, got)
		}
		sum += p
		mean += p * score
		variance += p * (score - truth) * (score - truth)
	}
	if math.Abs(sum-1) > 1e-12 || math.Abs(mean-truth) > 1e-9*(1+math.Sqrt(variance)) {
		t.Errorf("ε=%v, reach %d, input %d: sum %v, mean %v", m.epsilon, m.reach, input, sum, mean)
	}
	if got := m.VarianceAt(input); math.Abs(got-variance) > 1e-9*variance {
		t.Errorf("ε=%v, reach %d, input %d: variance %v, want %v", m.epsilon, m.reach, input, got, variance)
	}
}

// TestVarianceTable checks 8/ε² on [-1, 1] to 1 % (Laplace), and that the
// variance is constant.
func TestVarianceTable(t *testing.T) {
	for _, e := range epsilons {
		m := build(t, e, Levels)
		middle, end := m.VarianceAt(Levels/2), m.VarianceAt(0)
		if !m.ConstantVariance() || middle-end > 1e-6*middle || m.NoiseVariance() < max(middle, end) {
			t.Errorf("ε=%v: variances %v and %v", e, middle, end)
		}
		want := 2 / e.Float64() / e.Float64()
		// Below ε = 0.001 the codes end within 32 scales, which takes variance away.
		if m.reach < reachMax && math.Abs(middle-want) > 0.01*want {
			t.Errorf("ε=%v: variance %v, want %v", e, middle, want)
		}
	}
}

// TestSmallGridDraws compares each code's count with its exact probability,
// where zero and the ends matter.
func TestSmallGridDraws(t *testing.T) {
	const draws = 200_000
	for seed, c := range []struct {
		e      privacy.Epsilon
		levels uint32
	}{{500_000, 1}, {1_000_000, 1}, {4_000_000, 1}, {1_000_000, 4}, {8_000_000, 4}, {20_000_000, 16}} {
		m := build(t, c.e, c.levels)
		for _, input := range []uint32{0, c.levels / 2, c.levels} {
			r, err := audit.Sample(m, input, draws, privacy.NewSeeded(uint64(seed)+1))
			if err != nil {
				t.Fatal(err)
			}
			if r.Fit.PValue < falseAlarm || r.Bias.PValue < falseAlarm {
				t.Errorf("ε=%v, %d levels, input %d: %+v", c.e, c.levels, input, r)
			}
		}
	}
}

// TestDraws puts the codes of the full grid in 64 bins of equal probability.
func TestDraws(t *testing.T) {
	const draws, bins = 200_000, 64
	for _, e := range []privacy.Epsilon{1, 100_000, 1_000_000, 4_000_000, 20_000_000} {
		m := build(t, e, Levels)
		for _, input := range []uint32{0, Levels / 3, Levels} {
			src := privacy.NewSeeded(uint64(e) + uint64(input))
			observed, expected := make([]float64, bins), make([]float64, bins)
			edges := make([]uint32, bins+1)
			for i := 1; i < bins; i++ {
				edges[i] = edge(m, input, float64(i)/bins)
			}
			edges[bins] = m.Codes()
			for i := range bins {
				expected[i] = draws * (m.Below(edges[i+1], input) - m.Below(edges[i], input))
			}
			for range draws {
				code, err := m.Randomise(input, src)
				if err != nil {
					t.Fatal(err)
				}
				observed[bin(edges, code)]++
			}
			if r := audit.ChiSquare(observed, expected); r.PValue < falseAlarm {
				t.Errorf("ε=%v, input %d: %+v", e, input, r)
			}
		}
	}
}

// edge returns the first code that has at least p below it.
func edge(m *Mechanism, input uint32, p float64) uint32 {
	lo, hi := uint32(0), m.Codes()
	for lo < hi {
		if middle := lo + (hi-lo)/2; m.Below(middle, input) < p {
			lo = middle + 1
		} else {
			hi = middle
		}
	}
	return lo
}

func bin(edges []uint32, code uint32) int {
	i := 0
	for code >= edges[i+1] {
		i++
	}
	return i
}

// TestCoin checks e^(-a/b) and the even spread by counting. A binomial of 200,000
// leaves 5.5 standard deviations less than once in 10⁷ times.
func TestCoin(t *testing.T) {
	const draws, far = 200_000, 5.5
	src, err := privacy.NewSeeded(3).Expand()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]uint64{{0, 5}, {1, 1_000_000}, {1, 3}, {1, 1}, {1 << 55, 1 << 56}} {
		heads := 0.0
		for range draws {
			head, err := bernoulliExp(src, c[0], c[1])
			if err != nil {
				t.Fatal(err)
			}
			if head {
				heads++
			}
		}
		p := math.Exp(-float64(c[0]) / float64(c[1]))
		if off := math.Abs(heads - draws*p); off > far*math.Sqrt(draws*p*(1-p)) {
			t.Errorf("e^(-%d/%d): %v of %d", c[0], c[1], heads, draws)
		}
	}
	// 3·2⁶⁰ would be uneven in 1 of 4 words if they were not drawn again.
	third := 0.0
	for range draws {
		place, err := uniform(src, 3<<59)
		if err != nil {
			t.Fatal(err)
		}
		if place < 1<<59 {
			third++
		}
	}
	if off := math.Abs(third - draws/3.0); off > far*math.Sqrt(draws*2/9.0) {
		t.Errorf("uniform: %v of %d in the first third", third, draws)
	}
}

// inTurn gives the same words for ever.
type inTurn struct {
	words []uint64
	next  int
}

func (s *inTurn) Uint64() uint64 {
	s.next++
	return s.words[(s.next-1)%len(s.words)]
}

// TestBrokenSourceStops feeds words that would keep each of the loops going for
// ever: each loop has a bound, and then nothing is sent.
func TestBrokenSourceStops(t *testing.T) {
	m := build(t, 1_000_000, Levels)
	const half = 1 << 63
	for name, words := range map[string][]uint64{
		"the series never ends":    {1, 2}, // every place is 0
		"no attempt is kept":       {half + 1, 1, half + 2},
		"no word is spread evenly": {0, 1 << 22}, // 10⁶·2⁵⁸ words have nothing left over
		"the words stand still":    {0},
	} {
		if _, err := m.noise(&inTurn{words: words}); !errors.Is(err, privacy.ErrEntropy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, levels := range []uint32{0, 3, Levels * 2} {
		if _, err := NewOnGrid(1_000_000, levels); !errors.Is(err, privacy.ErrInput) {
			t.Errorf("grid of %d levels: %v", levels, err)
		}
	}
}

// TestCutNoiseLiesBeyondEveryCode is what makes the bound on whole scales free.
func TestCutNoiseLiesBeyondEveryCode(t *testing.T) {
	for _, e := range epsilons {
		for _, levels := range []uint32{1, 2, 4, 16, Levels} {
			m := build(t, e, levels)
			if cut := m.steps(wholeMax, 0); cut < int64(m.reach)+int64(levels) {
				t.Errorf("ε=%v, %d levels: cut at %d, codes reach %d", e, levels, cut, m.reach)
			}
			if most := m.steps(wholeMax, m.unit-1); most >= 1<<50 {
				t.Errorf("ε=%v, %d levels: noise up to %d", e, levels, most)
			}
		}
	}
}
