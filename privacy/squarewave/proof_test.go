package squarewave

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

var epsilons = []privacy.Epsilon{
	1, 100_000, 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 20_000_000,
}

// TestStructureIsTheMatrix compares the structural certificate with the one that
// visits every entry, and the variance with the enumerated one.
func TestStructureIsTheMatrix(t *testing.T) {
	for _, e := range epsilons {
		for _, levels := range []uint32{1, 2, 4, 16} {
			m, err := newOnGrid(e, levels)
			if err != nil {
				t.Fatal(err)
			}
			structural, err := m.Certificate()
			if err != nil {
				t.Fatal(err)
			}
			whole, err := privacy.Enumerate(m)
			if err != nil {
				t.Fatal(err)
			}
			if !structural.Holds() || !whole.Holds() || structural.WorstRatio.Cmp(whole.WorstRatio) != 0 {
				t.Errorf("ε=%v, %d levels: %v and %v", e, levels, structural, whole)
			}
			if structural.Mechanism != Name || whole.Mechanism != Name {
				t.Errorf("the certificate names %s", structural.Mechanism)
			}
			for input := uint32(0); input <= levels; input++ {
				if got, want := m.VarianceAt(input), variance(t, m, input); math.Abs(got-want) > 1e-9*want {
					t.Errorf("ε=%v, %d levels, input %d: variance %v, want %v", e, levels, input, got, want)
				}
			}
		}
	}
}

func variance(t *testing.T, m *Mechanism, input uint32) (sum float64) {
	t.Helper()
	truth := float64(input) / float64(m.Levels())
	for code := range m.Codes() {
		score, err := m.Score(code)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := m.Probability(code, input).Float64()
		sum += p * (score - truth) * (score - truth)
	}
	return sum
}

// TestEveryDrawLandsOnItsSide counts codes inside and outside the window against
// the exact probability of the window. A binomial of 100,000 leaves 5.5 standard
// deviations less than once in 10⁷ times.
func TestEveryDrawLandsOnItsSide(t *testing.T) {
	const draws, far = 100_000, 5.5
	m, err := New(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, input := range []uint32{0, Levels / 3, Levels} {
		src, inside := privacy.NewSeeded(uint64(input)+7), 0.0
		for range draws {
			code, err := m.Randomise(input, src)
			if err != nil {
				t.Fatal(err)
			}
			if code >= input && code < input+m.Window() {
				inside++
			}
		}
		share := new(big.Rat).Mul(m.Probability(input, input), big.NewRat(int64(m.Window()), 1))
		p, _ := share.Float64()
		if off := math.Abs(inside - draws*p); off > far*math.Sqrt(draws*p*(1-p)) {
			t.Errorf("input %d: %v of %d inside, want %v", input, inside, draws, p)
		}
	}
}

// TestPosition puts the window's middle on the input, and the ends at -b and
// 1+b with the b of Li et al.
func TestPosition(t *testing.T) {
	for _, e := range epsilons[1:] {
		m, err := New(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, input := range []uint32{0, 1000, Levels} {
			low, errLow := m.Position(input)
			high, errHigh := m.Position(input + m.Window() - 1)
			if middle := (low + high) / 2; errLow != nil || errHigh != nil || math.Abs(middle-float64(input)/Levels) > 1e-12 {
				t.Errorf("ε=%v: the window of input %d is around %v", e, input, middle)
			}
		}
		x := e.Float64()
		b := (x*math.Exp(x) - math.Exp(x) + 1) / (2 * math.Exp(x) * (math.Exp(x) - 1 - x))
		low, err := m.Position(0)
		// A cell is 1/65536 wide; the window is rounded to one, and has one at least.
		if err != nil || math.Abs(low+b) > 1.5/Levels {
			t.Errorf("ε=%v: outputs begin at %v, want %v", e, low, -b)
		}
	}
	m, err := New(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Position(m.Codes()); !errors.Is(err, privacy.ErrCode) {
		t.Errorf("a code out of range: %v", err)
	}
	if _, err := New(0); !errors.Is(err, privacy.ErrEpsilon) {
		t.Errorf("ε = 0: %v", err)
	}
}
