package shuffle

import (
	"math"
	"testing"
)

// direct computes the divergence from the whole distribution of a crowd's answers.
func (c crowd) direct(e float64) float64 {
	x := []float64{1}
	for i := range c.ones + c.zeros {
		p := c.keep
		if i >= c.ones {
			p = 1 - c.keep
		}
		next := make([]float64, len(x)+1)
		for j, w := range x {
			next[j] += w * (1 - p)
			next[j+1] += w * p
		}
		x = next
	}
	sum, factor := 0.0, math.Exp(e)
	for m := range len(x) + 1 {
		before, here := 0.0, 0.0
		if m > 0 {
			before = x[m-1]
		}
		if m < len(x) {
			here = x[m]
		}
		sum += max(0, c.keep*before+(1-c.keep)*here-factor*((1-c.keep)*before+c.keep*here))
	}
	return sum
}

// TestCrowdTells holds the divergence of a tail against the sum over all numbers, and finds that it falls with everybody who joins.
func TestCrowdTells(t *testing.T) {
	for _, local := range []float64{0.2, 1, 3} {
		keep := 1 / (1 + math.Exp(-local))
		for _, e := range []float64{0.01, 0.1, 0.5, 0.9 * local, local, local + 1} {
			for ones := range 25 {
				for zeros := range 25 {
					c := crowd{ones: ones, zeros: zeros, keep: keep}
					got, want := c.divergence(e), c.direct(e)
					if math.Abs(got-want) > 1e-9*want+1e-15 {
						t.Fatalf("%+v at %g: %g, want %g", c, e, got, want)
					}
					for _, joined := range []crowd{{ones + 1, zeros, keep}, {ones, zeros + 1, keep}} {
						if more := joined.divergence(e); more > got*(1+1e-9)+1e-15 {
							t.Fatalf("%+v at %g: %g, and with one more %g", c, e, got, more)
						}
					}
				}
			}
		}
	}
}

// TestGroupsCostLittle compares many batches judged in groups with the same judged one by one: never less, and at most half a
// hundredth more.
func TestGroupsCostLittle(t *testing.T) {
	for _, s := range []Setting{
		{Reports: 1_500, Local: 1_000_000, Delta: 1e-6},
		{Reports: 12_000, Local: 500_000, Delta: 1e-6},
		{Reports: 12_000, Local: 1_000_000, Delta: 1e-3},
		{Reports: 12_000, Local: 4_000_000, Delta: 1e-6},
	} {
		told, err := s.Warner()
		if err != nil {
			t.Fatal(err)
		}
		keep := 1 / (1 + math.Exp(-s.Local.Float64()))
		if s.innocent(told*0.995, keep, 0, s.Reports-1, 1) {
			t.Errorf("%+v: %g is more than half a hundredth too much", s, told)
		}
		if !s.innocent(told, keep, 0, s.Reports-1, 1) {
			t.Errorf("%+v: %g is too little", s, told)
		}
	}
}
