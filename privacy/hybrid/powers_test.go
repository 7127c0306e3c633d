package hybrid

import (
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

var _ privacy.Powered = (*Mechanism)(nil)

// TestPowersAreThoseOfTheMatrix sums over every code with its exact probability, for every input of small grids.
func TestPowersAreThoseOfTheMatrix(t *testing.T) {
	small(t, func(m *Mechanism) {
		p, ok := m.Powers()
		if ok != (m.epsilon > Crossing) {
			t.Errorf("ε=%v: Powers is %v", m.epsilon, ok)
		}
		if !ok {
			return
		}
		for input := uint32(0); input <= m.Levels(); input++ {
			x := 2*float64(input)/float64(m.Levels()) - 1
			var got [5]float64
			var squares float64
			for code := range m.Codes() {
				probability, _ := m.Probability(code, input).Float64()
				score, err := m.Score(code)
				if err != nil {
					t.Fatal(err)
				}
				z := 2*score - 1
				for k := range got {
					got[k] += probability * math.Pow(z, float64(k))
				}
				excess := z*z - x*x - p.Variance
				squares += probability * excess * excess
			}
			want := [5]float64{
				1, x, x*x + p.Variance, p.Third[0]*x*x*x + p.Third[1]*x,
				p.Fourth[0]*x*x*x*x + p.Fourth[1]*x*x + p.Fourth[2],
			}
			for k := range got {
				// The variance is constant to 10⁻⁶ of itself only.
				if math.Abs(got[k]-want[k]) > 2e-6*max(1, math.Abs(want[k])) {
					t.Errorf("ε=%v, %d levels, input %d: power %d is %v, want %v", m.epsilon, m.Levels(), input, k, got[k], want[k])
				}
			}
			if want := p.SquareNoise(x*x, x*x*x*x); math.Abs(squares-want) > 1e-5*max(1, squares) {
				t.Errorf("ε=%v, %d levels, input %d: square %v, want %v", m.epsilon, m.Levels(), input, squares, want)
			}
		}
	})
}

// TestPowersOnTheFullGrid sums over all codes of the grid that devices use.
func TestPowersOnTheFullGrid(t *testing.T) {
	m, err := New(4_000_000)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := m.Powers()
	for _, input := range []uint32{0, 20_000, Levels / 2} {
		x := 2*float64(input)/Levels - 1
		inside, outside := m.Probability(input, input), m.Probability((input+m.cells.Codes()-1)%m.cells.Codes(), input)
		near, _ := inside.Float64()
		far, _ := outside.Float64()
		var third, fourth float64
		for code := range m.Codes() {
			score, err := m.Score(code)
			if err != nil {
				t.Fatal(err)
			}
			probability := far
			switch {
			case code >= m.cellCodes():
				probability, _ = m.Probability(code, input).Float64()
			case code >= input && m.cells.Probability(code, input).Cmp(m.cells.Probability(input, input)) == 0:
				probability = near
			}
			z := 2*score - 1
			third += probability * z * z * z
			fourth += probability * z * z * z * z
		}
		if want := p.Third[0]*x*x*x + p.Third[1]*x; math.Abs(third-want) > 1e-9 {
			t.Errorf("input %d: third power %v, want %v", input, third, want)
		}
		if want := p.Fourth[0]*x*x*x*x + p.Fourth[1]*x*x + p.Fourth[2]; math.Abs(fourth-want) > 1e-9 {
			t.Errorf("input %d: fourth power %v, want %v", input, fourth, want)
		}
	}
}
