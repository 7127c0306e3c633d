//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/differential-privacy/go/v3/noise"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quadrat-dev/quadrat/privacy"
)

// falseAlarm is how often a right program fails a test of this file.
const falseAlarm = 1e-6

// Two sets of readings that differ in one unit, by anything, differ in the sums by at most Δ in L1, over all parts together; and the
// noise of every number has the scale Δ/ε. Both without a tolerance: there is no noise in the test.
func TestSensitivity(t *testing.T) {
	const units = 7
	r := rand.New(rand.NewPCG(7, 1))
	draw := func() privacy.Micro {
		switch r.IntN(4) {
		case 0:
			return privacy.Micro(r.Int64() - r.Int64())
		case 1:
			return []privacy.Micro{math.MinInt64, math.MaxInt64, lo, hi, 0, 20_000_000}[r.IntN(6)]
		}
		return lo + privacy.Micro(r.Int64N(hi-lo))
	}
	for i := range statistics {
		s := &statistics[i]
		most := int64(0)
		for range 80 {
			values := make([]privacy.Micro, units)
			for u := range values {
				values[u] = draw()
			}
			other := append([]privacy.Micro(nil), values...)
			other[r.IntN(units)] = draw()
			l1 := int64(0)
			a, b := sums(t, i, values), sums(t, i, other)
			for k := range a {
				l1 += max(a[k], b[k]) - min(a[k], b[k])
			}
			most = max(most, l1)
		}
		if most > delta(s) || most < delta(s)/2 {
			t.Errorf("%s: the sums differ by up to %d, Δ is %d", s.Name, most, delta(s))
		}
	}
}

// sums returns what stands in a release before noise, and checks what the noise was asked for.
func sums(t *testing.T, statistic int, values []privacy.Micro) (all []int64) {
	t.Helper()
	const window = 4
	p := planOf(statistics[statistic], 1)
	l := &book{}
	c := crewOf(t, len(values), l, p)
	n := &exact{Noise: noise.Laplace(), after: l}
	c.noise = n
	for u, x := range values {
		c.hear(u, window, x)
	}
	for _, part := range c.released(t, p.Ref, window).Parts {
		all = append(all, part.Values...)
	}
	for _, k := range n.calls {
		if k != (call{delta(&statistics[statistic]), 1, 0}) {
			t.Fatalf("%s: noise for %+v, Δ is %d", statistics[statistic].Name, k, delta(&statistics[statistic]))
		}
	}
	if n.early || len(n.calls) < len(all) {
		t.Fatalf("%s: noise before the charge, or for %d of %d numbers only", statistics[statistic].Name, len(n.calls), len(all))
	}
	return all
}

// law is the exact distribution of the noise: P(noise ≤ k). With granularity g and λ = g·ε/(Δ + g) it is g times a two-sided geometric
// number, rounded to a whole one where g < 1.
type lawOf struct{ lambda, g float64 }

func lawFor(delta int64, epsilon float64) lawOf {
	g := math.Exp2(math.Ceil(math.Log2(float64(delta) / epsilon / math.Exp2(40))))
	return lawOf{lambda: g * epsilon / (float64(delta) + g), g: g}
}

// above is P(noise > k) for k ≥ 0: the geometric number s has P(s ≥ m) = q^m/(1 + q), q = e^−λ.
func (l lawOf) above(k int64) float64 {
	m := math.Ceil((float64(k) + 0.5) / l.g)
	return math.Exp(-l.lambda*m) / (1 + math.Exp(-l.lambda))
}

// variance is the page's formula; rounding adds at most 1/12.
func (l lawOf) variance() float64 {
	q := math.Exp(-l.lambda)
	return l.g * l.g * 2 * q / (1 - q) / (1 - q)
}

// The noise of releases is the law's: its variance by moments, its shape by χ² over cells of equal probability. Randomness is
// the kernel's, so nothing is seeded; each of the two tests fails a right program with a probability of 10⁻⁶ at most.
func TestNoiseIsTheLaws(t *testing.T) {
	const units, windows = 3, 2000
	for i := range statistics {
		s := &statistics[i]
		p := planOf(*s, 1)
		c := crewOf(t, units, &book{}, p)
		law := lawFor(delta(s), 1)
		base := make([]privacy.Micro, units)
		for u := range base {
			base[u] = 11_000_000 + privacy.Micro(u)*7_100_000
		}
		before := sums(t, i, base)
		var draws []int64
		for w := range int64(windows) {
			for u := range units {
				c.hear(u, w, base[u])
			}
			k := 0
			for _, part := range c.released(t, p.Ref, w).Parts {
				for _, v := range part.Values {
					draws = append(draws, v-before[k])
					k++
				}
			}
		}
		moments(t, s.Name, draws, law)
		chiSquare(t, s.Name, draws, law)
	}
}

// moments compares the mean of the squares with the variance. Laplace's fourth moment is 6σ⁴, so the mean of n squares has the
// standard error σ²√(5/n).
func moments(t *testing.T, name string, draws []int64, law lawOf) {
	t.Helper()
	sum := 0.0
	for _, x := range draws {
		sum += float64(x) * float64(x)
	}
	n := float64(len(draws))
	z := distuv.UnitNormal.Quantile(1 - falseAlarm/2)
	got, want := sum/n, law.variance()
	if slack := z*want*math.Sqrt(5/n) + 1.0/12; math.Abs(got-want) > slack {
		t.Errorf("%s: variance %g, want %g ± %g", name, got, want, slack)
	}
}

// chiSquare counts draws in cells whose edges are whole numbers near the law's quantiles.
func chiSquare(t *testing.T, name string, draws []int64, law lawOf) {
	t.Helper()
	edges := []int64{} // ascending, from 0; symmetric below
	for i := 1; i < 12; i++ {
		k := int64(math.Floor(-math.Log(1-float64(i)/12) / law.lambda * law.g))
		if len(edges) == 0 || k > edges[len(edges)-1] {
			edges = append(edges, k)
		}
	}
	cells := make([]int, 2*len(edges)+1)
	for _, x := range draws {
		at := 0
		for at < len(edges) && max(x, -x) > edges[at] {
			at++
		}
		switch {
		case at == 0:
			cells[0]++
		case x > 0:
			cells[2*at-1]++
		default:
			cells[2*at]++
		}
	}
	sum, n := 0.0, float64(len(draws))
	for i, got := range cells {
		want := n * (1 - 2*law.above(edges[0]))
		if at := (i + 1) / 2; i > 0 {
			want = n * law.above(edges[at-1])
			if at < len(edges) {
				want -= n * law.above(edges[at])
			}
		}
		sum += (float64(got) - want) * (float64(got) - want) / want
	}
	if p := (distuv.ChiSquared{K: float64(len(cells) - 1)}).Survival(sum); p < falseAlarm {
		t.Errorf("%s: χ² %.1f over %d cells, p = %.2g: %v", name, sum, len(cells), p, cells)
	}
}
