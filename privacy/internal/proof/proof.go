// Package proof holds what the tests of the mechanisms' folders prove alike: that a certificate is that of every entry of the matrix,
// that scores are the exact ones rounded, and that formulas of variances are what enumeration gives.
//
// It is for those tests alone. What only one mechanism promises, and the planted faults that its certificate must see, stand in its folder.
//
//	proof.Matrix(t, m)
package proof

import (
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

// certified is a mechanism that states its certificate from the integers that it uses.
type certified interface {
	Epsilon() privacy.Epsilon
	Certificate() (privacy.Certificate, error)
}

// Matrix compares the certificate of a privacy.Mechanism or a privacy.Categorical with every entry of its matrix.
func Matrix(t *testing.T, m certified) {
	t.Helper()
	structural, err := m.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	var whole privacy.Certificate
	switch m := m.(type) {
	case privacy.Exact:
		whole, err = privacy.Enumerate(m)
	case privacy.Categorical:
		whole, err = privacy.EnumerateReports(m)
	default:
		t.Fatalf("%T has no matrix", m)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !structural.Holds() || !whole.Holds() || structural.Codes != whole.Codes || structural.WorstRatio.Cmp(whole.WorstRatio) != 0 {
		t.Errorf("ε=%v, inputs 0 to %d: %+v and %+v", m.Epsilon(), whole.Levels, structural, whole)
	}
}

// Score holds the score of a code to its exact value, to 1e-12.
func Score(t *testing.T, m privacy.Exact, code uint32) {
	t.Helper()
	exact, err := m.ExactScore(code)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := exact.Float64()
	if got, err := m.Score(code); err != nil || math.Abs(got-want) > 1e-12*(1+math.Abs(want)) {
		t.Errorf("ε=%v code %d: score %v, exactly %v, %v", m.Epsilon(), code, got, want, err)
	}
}

// Variance compares VarianceAt for every input with what enumeration gives, to 1e-9 of it or to least, whichever is more, and returns the
// largest.
func Variance(t *testing.T, m privacy.Varied, least float64) (largest float64) {
	t.Helper()
	for input := uint32(0); input <= m.Levels(); input++ {
		truth, want := float64(input)/float64(m.Levels()), 0.0
		for code := range m.Codes() {
			score, err := m.Score(code)
			if err != nil {
				t.Fatal(err)
			}
			p, _ := m.Probability(code, input).Float64()
			want += p * (score - truth) * (score - truth)
		}
		if got := m.VarianceAt(input); !(math.Abs(got-want) <= max(1e-9*want, least)) {
			t.Errorf("ε=%v, %d levels, input %d: variance %v, want %v", m.Epsilon(), m.Levels(), input, got, want)
		}
		largest = max(largest, want)
	}
	return largest
}
