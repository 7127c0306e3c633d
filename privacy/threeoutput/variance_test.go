package threeoutput

import (
	"errors"
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/hybrid"
	"github.com/quadrat-dev/quadrat/privacy/internal/proof"
)

// TestVarianceFormula compares VarianceAt with the enumerated variance.
func TestVarianceFormula(t *testing.T) {
	small(t, func(m *Mechanism) {
		largest := proof.Variance(t, m, 1e-15) // at ε = 20 what is left of 1 has nine digits
		if got := m.NoiseVariance(); math.Abs(got-largest) > 1e-9*largest+1e-15 {
			t.Errorf("ε=%v, %d levels: largest variance %v, want %v", m.epsilon, m.levels, got, largest)
		}
	})
}

// ideal is the mechanism in real numbers, on [-1, 1]: a minimises the mean
// variance over even readings, found by search and not by the formula.
type ideal struct{ a, b, c float64 }

func newIdeal(e float64) ideal {
	at := func(a float64) ideal {
		b := a * math.Exp(-e)
		return ideal{a, b, (math.Exp(e) + 1) / (math.Exp(e) - 1) / (1 - b)}
	}
	left, right := 0.0, 1.0
	for range 200 {
		p, q := left+(right-left)*0.4, left+(right-left)*0.6
		if at(p).mean() < at(q).mean() {
			right = q
		} else {
			left = p
		}
	}
	return at(left)
}

func (i ideal) silent(x float64) float64 { return min(i.a, i.b+(1-math.Abs(x))/i.c) }

func (i ideal) variance(x float64) float64 { return i.c*i.c*(1-i.silent(x)) - x*x }

// mean integrates the variance over [0, 1] by parts at the plateau's end.
func (i ideal) mean() float64 {
	edge := max(0, 1-i.c*(i.a-i.b))
	silent := i.silent(0)*edge + (1-edge)*(i.silent(edge)+i.silent(1))/2
	return i.c*i.c*(1-silent) - 1.0/3
}

// TestPlateauMinimisesTheMean compares the integers with the ideal, within 1 %,
// above the ε at which the share falls below 1/256.
func TestPlateauMinimisesTheMean(t *testing.T) {
	for micro := privacy.Epsilon(700_000); micro <= 16_000_000; micro += 50_000 {
		m, want := full(t, micro), newIdeal(micro.Float64())
		// The mean is flat about its minimum, so the search finds it to about 10⁻⁷; what isn't answered falls to 3·10⁻⁷.
		if got := share(m.most); math.Abs(got-want.a) > 2e-7 {
			t.Errorf("ε=%v: a is %v, want %v", micro, got, want.a)
		}
		if micro > 12_000_000 {
			continue // the search is too coarse for the variance in the middle
		}
		mean := 0.0
		for input := uint32(32); input < Levels; input += 64 {
			x := 2*float64(input)/Levels - 1
			got, want := 4*m.VarianceAt(input), want.variance(x)
			if math.Abs(got-want) > 0.01*want {
				t.Errorf("ε=%v, x=%v: variance %v, formula %v", micro, x, got, want)
			}
			mean += got / (Levels / 64)
		}
		if math.Abs(mean-want.mean()) > 0.01*want.mean() {
			t.Errorf("ε=%v: mean variance %v, formula %v", micro, mean, want.mean())
		}
	}
}

// TestNoiseOfIsAnUpperBound adds up what the codes tell, for every input.
func TestNoiseOfIsAnUpperBound(t *testing.T) {
	for _, e := range epsilons {
		m := full(t, e)
		widest := 0.0
		for input := uint32(0); input <= Levels; input += 16 {
			told := 0.0
			for code := range m.Codes() {
				noise, err := m.NoiseOf(code)
				if err != nil || noise < 0 {
					t.Fatalf("ε=%v code %d: %v, %v", e, code, noise, err)
				}
				told += noise * share(m.words(code, input))
			}
			is := m.VarianceAt(input)
			if told < is*(1-1e-9)-1e-15 {
				t.Errorf("ε=%v input %d: the codes tell %v, and the variance is %v", e, input, told, is)
			}
			widest = max(widest, told-is)
			if input == Levels/2 && told-is > 0.01+1e-9 {
				t.Errorf("ε=%v: the codes tell %v in the middle, and the variance is %v", e, told, is)
			}
			if e >= 2_000_000 && input == Levels/2+6560 && told-is > 1e-6 { // where the line touches, to a level of 16
				t.Errorf("ε=%v: the codes tell %v at a fifth, and the variance is %v", e, told, is)
			}
		}
		if widest > 0.25+1e-9 {
			t.Errorf("ε=%v: the codes tell %v too much", e, widest)
		}
	}
	if _, err := full(t, 1_000_000).NoiseOf(codes); !errors.Is(err, privacy.ErrCode) {
		t.Errorf("a code out of range: %v", err)
	}
}

// TestWhereItWins compares with the hybrid mechanism over even readings and in
// the middle: it suits where it has less variance in both.
func TestWhereItWins(t *testing.T) {
	for micro := privacy.Epsilon(620_000); micro <= 6_000_000; micro += 10_000 {
		m := full(t, micro)
		other, err := hybrid.New(micro)
		if err != nil {
			t.Fatal(err)
		}
		mean := 0.0
		for input := uint32(32); input < Levels; input += 64 { // the middles of 1,024 parts
			mean += m.VarianceAt(input) / (Levels / 64)
		}
		wins := mean < other.NoiseVariance() && m.VarianceAt(Levels/2) < other.NoiseVariance()
		if wins != Suits(micro) {
			t.Errorf("ε=%v: mean %v and middle %v against %v", micro, 4*mean, 4*m.VarianceAt(Levels/2), 4*other.NoiseVariance())
		}
	}
}
