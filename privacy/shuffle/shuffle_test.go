package shuffle_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/shuffle"
)

// TestReference holds the figures against those of another implementation of the paper, rounded to two or three digits; 0 where
// it has none. Its figures of Warner's response look at one direction only, towards more ones; the other one, in which more is
// told, makes ours larger.
func TestReference(t *testing.T) {
	for _, c := range []struct {
		n                      int
		local                  privacy.Epsilon
		closed, bound, tightly float64
	}{
		{1_000, 1e6, .650, .182, .116},
		{10_000, 1e6, .233, .053, .0348},
		{10_000, 2e6, .524, .155, .0819},
		{100_000, 1e6, .075, .0153, 0},
		{100_000, 4e6, .538, .170, 0},
		{1_000_000, 2e6, .063, .013, 0},
		{100, 1e6, 1, .64, 0},
		{1_000, 4e6, 4, 3.99, 0},
	} {
		s := shuffle.Setting{Reports: c.n, Local: c.local, Delta: 1e-6}
		closed, bound, warner := figures(t, s)
		near(t, s, "closed form", closed, c.closed)
		near(t, s, "numerical", bound, c.bound)
		if c.tightly > 0 {
			one := oneDirection(s)
			near(t, s, "Warner, one direction", one, c.tightly)
			if warner < one || warner > 1.1*one {
				t.Errorf("%+v: Warner %g, one direction alone %g", s, warner, one)
			}
		}
		if !(warner <= bound*1.001 && bound <= closed*1.001 && closed <= c.local.Float64()) {
			t.Errorf("%v: Warner %g, numerical %g, closed form %g are out of order", s, warner, bound, closed)
		}
	}
}

// near allows half a unit of the reference's last digit and a hundredth for its steps.
func near(t *testing.T, s shuffle.Setting, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.0005+0.01*want {
		t.Errorf("%+v: %s %.4g, want %.4g", s, what, got, want)
	}
}

func figures(t *testing.T, s shuffle.Setting) (closed, bound, warner float64) {
	t.Helper()
	var err [3]error
	closed, err[0] = s.ClosedForm()
	bound, err[1] = s.Epsilon()
	warner, err[2] = s.Warner()
	if e := errors.Join(err[:]...); e != nil {
		t.Fatal(e)
	}
	return closed, bound, warner
}

// counts is the distribution of the number of ones in a shuffled batch of Warner's answers, by convolution.
func counts(ones, zeros int, keep float64) []float64 {
	out := []float64{1}
	for i := range ones + zeros {
		p := keep
		if i >= ones {
			p = 1 - keep
		}
		next := make([]float64, len(out)+1)
		for j, w := range out {
			next[j] += w * (1 - p)
			next[j+1] += w * p
		}
		out = next
	}
	return out
}

// above is Σ (p − e^ε q)₊.
func above(p, q []float64, e float64) float64 {
	sum, factor := 0.0, math.Exp(e)
	for i := range p {
		sum += max(0, p[i]-factor*q[i])
	}
	return sum
}

// oneDirection is the least ε with a divergence of at most δ of a batch with a one from the batch without.
func oneDirection(s shuffle.Setting) float64 {
	keep := 1 / (1 + math.Exp(-s.Local.Float64()))
	one, zero := counts(1, s.Reports-1, keep), counts(0, s.Reports, keep)
	low, high := 0.0, s.Local.Float64()
	for range 20 {
		if middle := (low + high) / 2; above(one, zero, middle) <= s.Delta {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// TestWarnerIsTheWorstBatch recomputes the divergences of every batch from whole distributions: at the ε that is told each of them is at
// most δ, in both directions, and just below that ε one is more. Where all others are alike is not always worst.
func TestWarnerIsTheWorstBatch(t *testing.T) {
	mixed := false
	for _, s := range append(settings(), shuffle.Setting{Reports: 5, Local: 1e6, Delta: 0.111}) {
		_, _, e := figures(t, s)
		keep := 1 / (1 + math.Exp(-s.Local.Float64()))
		most, least := 0.0, 0.0 // divergences at the ε and just below
		for others := range s.Reports {
			one, zero := counts(others+1, s.Reports-1-others, keep), counts(others, s.Reports-others, keep)
			most = max(most, above(one, zero, e), above(zero, one, e))
			below := max(above(one, zero, e*0.998), above(zero, one, e*0.998))
			least = max(least, below)
			alike := others == 0 || others == s.Reports-1
			mixed = mixed || !alike && below > s.Delta && below > max(above(one, zero, e), above(zero, one, e))*1.001
		}
		if most > s.Delta*(1+1e-6) {
			t.Errorf("%+v: δ at %g is %g", s, e, most)
		}
		if least <= s.Delta {
			t.Errorf("%+v: %g is not the least, δ is %g below", s, e, least)
		}
	}
	if !mixed {
		t.Error("no batch of mixed bits mattered")
	}
}

// TestBoundsEveryBatch computes the privacy of shuffled Warner batches with every number of ones among the others: the numerical
// bound covers each of them.
func TestBoundsEveryBatch(t *testing.T) {
	for _, s := range settings() {
		_, bound, _ := figures(t, s)
		keep := 1 / (1 + math.Exp(-s.Local.Float64()))
		for others := range s.Reports {
			one, zero := counts(others+1, s.Reports-1-others, keep), counts(others, s.Reports-others, keep)
			if got := max(above(one, zero, bound), above(zero, one, bound)); got > s.Delta*(1+1e-6) {
				t.Errorf("%+v, %d ones: δ at %g is %g", s, others, bound, got)
			}
		}
	}
}

// TestBitBoundsEveryBatch: the bound of Warner's answers lies between the numerical bound and the worst batch, which it covers.
func TestBitBoundsEveryBatch(t *testing.T) {
	for _, s := range append(settings(), shuffle.Setting{Reports: 5, Local: 1e6, Delta: 0.111}) {
		_, bound, worst := figures(t, s)
		bit, err := s.Bit()
		if err != nil {
			t.Fatal(err)
		}
		if !(worst <= bit*1.001 && bit <= bound*1.001) {
			t.Errorf("%+v: worst %g, bit %g, numerical %g are out of order", s, worst, bit, bound)
		}
		keep := 1 / (1 + math.Exp(-s.Local.Float64()))
		for others := range s.Reports {
			one, zero := counts(others+1, s.Reports-1-others, keep), counts(others, s.Reports-others, keep)
			if got := max(above(one, zero, bit), above(zero, one, bit)); got > s.Delta*(1+1e-6) {
				t.Errorf("%+v, %d ones: δ at %g is %g", s, others, bit, got)
			}
		}
	}
}

// TestNumericalBoundIsTheReduction recomputes the dominating pair cell by cell: the bound covers it and is at most a hundredth above.
func TestNumericalBoundIsTheReduction(t *testing.T) {
	for _, s := range settings() {
		_, bound, _ := figures(t, s)
		local := s.Local.Float64()
		truth := 1 / (1 + math.Exp(-local))
		clones := counts(s.Reports-1, 0, math.Exp(-local))
		divergence := func(e float64) float64 {
			sum := 0.0
			for c, w := range clones {
				fair := counts(c, 0, 0.5)
				p, q := make([]float64, c+2), make([]float64, c+2)
				for i, f := range fair {
					p[i] += f * (1 - truth)
					p[i+1] += f * truth
					q[i] += f * truth
					q[i+1] += f * (1 - truth)
				}
				sum += w * above(p, q, e)
			}
			return sum
		}
		if got := divergence(bound); got > s.Delta*(1+1e-6) {
			t.Errorf("%+v: δ at %g is %g", s, bound, got)
		}
		if got := divergence(bound * 0.99); got <= s.Delta {
			t.Errorf("%+v: %g is more than a hundredth above the least", s, bound)
		}
	}
}

func settings() []shuffle.Setting {
	var out []shuffle.Setting
	for _, n := range []int{2, 17, 60} {
		for _, local := range []privacy.Epsilon{500_000, 1e6, 2_500_000} {
			for _, delta := range []float64{1e-6, 1e-2} {
				out = append(out, shuffle.Setting{Reports: n, Local: local, Delta: delta})
			}
		}
	}
	return out
}

func TestRefusals(t *testing.T) {
	good := shuffle.Setting{Reports: 100, Local: 1e6, Delta: 1e-6}
	for i, change := range []func(*shuffle.Setting){
		func(s *shuffle.Setting) { s.Reports = 1 },
		func(s *shuffle.Setting) { s.Reports = 100_000_001 },
		func(s *shuffle.Setting) { s.Local = 0 },
		func(s *shuffle.Setting) { s.Delta = 0 },
		func(s *shuffle.Setting) { s.Delta = 1 },
		func(s *shuffle.Setting) { s.Delta = math.NaN() },
	} {
		s := good
		change(&s)
		for _, f := range []func() (float64, error){s.ClosedForm, s.Epsilon, s.Warner, s.Bit} {
			if _, err := f(); !errors.Is(err, shuffle.ErrSetting) {
				t.Errorf("case %d: %v", i, err)
			}
		}
	}
}

func Example() {
	e, err := shuffle.Setting{Reports: 10_000, Local: 1_000_000, Delta: 1e-6}.Epsilon()
	fmt.Printf("%.2g %v\n", e, err)
	// Output: 0.053 <nil>
}

// The table of docs/privacy.md: the exact figure of Warner's answers, the bound for two answers, and that for any mechanism.
func Example_table() {
	for _, s := range []shuffle.Setting{
		{Reports: 1_000, Local: 1_000_000, Delta: 1e-6},
		{Reports: 10_000, Local: 1_000_000, Delta: 1e-6},
		{Reports: 10_000, Local: 4_000_000, Delta: 1e-6},
	} {
		exact, errExact := s.Warner()
		two, errTwo := s.Bit()
		every, errEvery := s.Epsilon()
		fmt.Printf("%d %v: %.3g %.3g %.3g %v\n", s.Reports, s.Local, exact, two, every, errors.Join(errExact, errTwo, errEvery))
	}
	// Output:
	// 1000 1: 0.127 0.149 0.182 <nil>
	// 10000 1: 0.0357 0.0432 0.053 <nil>
	// 10000 4: 0.315 0.411 0.601 <nil>
}
