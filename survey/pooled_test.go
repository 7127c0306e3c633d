package survey

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// pool turns what a cluster's units said, without noise, into the sum that a gateway would have told, with noise that came out as so much.
func pool(c Cluster, came, variance float64) Cluster {
	if c.Responses == 0 {
		return c
	}
	c.Pooled = true
	if c.Domain.Count > 0 {
		c.Domain = Sum(c.Domain.Count, float64(c.Domain.Count)*c.Domain.Mean+came, variance)
	}
	return c
}

// A pooled cluster without silent units is one sum: value, variance and their parts must be those of the textbook's one-stage
// formula over totals, whatever its units are (Särndal, Swensson and Wretman 1992, §4.2), with the noise beside it.
func TestPooledClustersAgainstTotals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const least = 2
		due := rapid.IntRange(least, 6).Draw(t, "due")
		clusters := int64(due) + rapid.Int64Range(0, 5).Draw(t, "others")
		s := ClusterSample{Stratum: "a", Clusters: clusters}
		m, f := float64(due), float64(due)/float64(clusters)
		var totals []float64
		noise, sum := 0.0, 0.0
		for range due {
			c := Cluster{Size: rapid.Int64Range(1, 5).Draw(t, "size")}
			total := rapid.Float64Range(-50, 50).Draw(t, "total")
			variance := rapid.SampledFrom([]float64{0, 3}).Draw(t, "variance")
			c.Responses, c.Pooled = c.Size, rapid.Bool().Draw(t, "pooled")
			c.Domain = Sum(c.Size, total, variance)
			s.Population += c.Size
			s.Due = append(s.Due, c)
			totals, sum, noise = append(totals, total), sum+total, noise+variance
		}
		s.Population += 4 * (clusters - int64(due))
		e, err := ClusterTotal([]ClusterSample{s}, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		spread := 0.0
		for _, x := range totals {
			spread += (x - sum/m) * (x - sum/m)
		}
		want := (1-f)*m/(m-1)*spread/f/f + noise/f
		closeTo(t, "total", e.Value, sum/f, 1e-9)
		closeTo(t, "variance", e.StdError*e.StdError, want, 1e-9)
		closeTo(t, "part of the noise", e.VariancePrivacy, min(want, noise/f/f), 1e-9)
	})
}

// TestPooledTotalIsUnbiased goes through all samples of 3 of 5 clusters and all signs of the noise of each sum, with and without
// a unit that is silent in every way: the total is right on average, the variance's estimate too, and with silent units not too small.
func TestPooledTotalIsUnbiased(t *testing.T) {
	population := [][]float64{{1, 4, 2}, {30, 31, 35}, {-7, 2, 0}, {12, 12, 13}, {5, 9, -8}}
	truth := 0.0
	for _, c := range population {
		for _, y := range c {
			truth += y
		}
	}
	for _, silence := range []bool{false, true} {
		ways := 1
		if silence {
			ways = 27
		}
		pairs := combinations(3, 2)
		var count, sum, squares, variances float64
		for _, drawn := range combinations(5, 3) {
			for way := range ways {
				for signs := range 8 {
					s := ClusterSample{Stratum: "a", Population: 15, Clusters: 5}
					for i, id := range drawn {
						c := Cluster{Size: 3}
						units := []int{0, 1, 2}
						if silence {
							units = pairs[way/[]int{1, 3, 9}[i]%3]
						}
						for _, unit := range units {
							said := Cluster{Responses: 1}
							said.Domain.Add(population[id][unit], 0)
							c.Merge(said)
						}
						s.Due = append(s.Due, pool(c, []float64{4, -4}[signs>>i&1], 16))
					}
					e, err := ClusterTotal([]ClusterSample{s}, 0.95)
					if err != nil {
						t.Fatal(err)
					}
					count++
					sum += e.Value
					squares += (e.Value - truth) * (e.Value - truth)
					variances += e.StdError * e.StdError
				}
			}
		}
		if mean := sum / count; math.Abs(mean-truth) > 1e-9*truth {
			t.Errorf("silence %v: mean of all estimates %v, want %v", silence, mean, truth)
		}
		got, want := variances/count, squares/count
		if !silence && math.Abs(got-want) > 1e-9*want || silence && got < want {
			t.Errorf("silence %v: mean of all variances %v, want %v", silence, got, want)
		}
	}
}

// laplace draws noise with a standard deviation.
func laplace(r *rand.Rand, deviation float64) float64 {
	x := r.ExpFloat64() * deviation / math.Sqrt2
	if r.IntN(2) == 0 {
		return -x
	}
	return x
}

// TestPooledCoverage draws 10,000 samples of 2 × 20 clusters, two thirds of which are gateways that tell noisy sums, the others
// devices of their own with noise of theirs. The standard error of a coverage is 0.22 points, so that one of 95 % leaves
// 93.5–96.5 % with a probability below 1e-10.
func TestPooledCoverage(t *testing.T) {
	const runs = 10_000
	for _, silence := range []float64{0, 0.1} {
		r := rand.New(rand.NewPCG(5, 21))
		var population [2][][]float64
		truth, size, high := 0.0, 0.0, 0.0
		for h := range population {
			for i := range 300 {
				units := 1
				if i%3 > 0 {
					units = 4 + r.IntN(5)
				}
				level := float64(10*h) + 3*r.NormFloat64()
				var c []float64
				for range units {
					y := level + r.NormFloat64()
					c = append(c, y)
					truth, size = truth+y, size+1
					if y > 5 {
						high++
					}
				}
				population[h] = append(population[h], c)
			}
		}
		held := map[string]int{}
		for range runs {
			scores, bits := drawPooled(r, population, silence)
			for name, of := range map[string]struct {
				estimate func([]ClusterSample, float64) (Estimate, error)
				samples  []ClusterSample
				truth    float64
			}{
				"mean": {ClusterMean, scores, truth / size}, "total": {ClusterTotal, scores, truth},
				"proportion": {ClusterProportion, bits, high / size}, "count": {ClusterCount, bits, high},
			} {
				e, err := of.estimate(of.samples, 0.95)
				if err != nil {
					t.Fatal(name, err)
				}
				held[name] += holds(e, of.truth)
			}
		}
		for name, n := range held {
			c := float64(n) / runs
			t.Logf("silence %g, %s: coverage %.4f", silence, name, c)
			if c < 0.935 || c > 0.965 {
				t.Errorf("silence %g, %s: coverage %.4f", silence, name, c)
			}
		}
	}
}

// drawPooled draws 20 clusters of each stratum. Those of more than one unit tell sums with the noise of ε = 1 and bounds of 30,
// the others a score with a device's noise.
func drawPooled(r *rand.Rand, population [2][][]float64, silence float64) (scores, bits []ClusterSample) {
	const sum, bit, own = 8, 1.44, 6 // standard deviations
	for h, stratum := range population {
		s := ClusterSample{Stratum: fmt.Sprint(h), Clusters: int64(len(stratum))}
		for _, c := range stratum {
			s.Population += int64(len(c))
		}
		b := s
		for _, i := range r.Perm(len(stratum))[:20] {
			c := Cluster{Size: int64(len(stratum[i]))}
			above := c
			for _, y := range stratum[i] {
				if r.Float64() < silence {
					continue
				}
				yes := 0.0
				if y > 5 {
					yes = 1
				}
				said, is := Cluster{Responses: 1}, Cluster{Responses: 1}
				if len(stratum[i]) == 1 {
					said.Domain.Add(y+own*r.NormFloat64(), own*own)
					is.Domain.Add(yes+bit*r.NormFloat64(), bit*bit)
				} else {
					said.Domain.Add(y, 0)
					is.Domain.Add(yes, 0)
				}
				c.Merge(said)
				above.Merge(is)
			}
			if len(stratum[i]) > 1 {
				c, above = pool(c, laplace(r, sum), sum*sum), pool(above, laplace(r, bit), bit*bit)
			}
			s.Due, b.Due = append(s.Due, c), append(b.Due, above)
		}
		scores, bits = append(scores, s), append(bits, b)
	}
	return scores, bits
}

// What a release hides is not made up: its spread stands for nobody else's, and a stratum of one silent gateway has no variance.
func TestPooledFallbacks(t *testing.T) {
	lone := Cluster{Size: 3, Responses: 1}
	lone.Domain.Add(5, 0)
	whole := pool(Cluster{Size: 2, Responses: 2, Domain: Moments{Count: 2, Mean: 1, M2: 50}}, 0, 1)
	s := ClusterSample{Stratum: "a", Population: 20, Clusters: 6, Due: []Cluster{lone, whole}}
	e, err := ClusterTotal([]ClusterSample{s}, 0.95)
	// Totals 15 and 2 with f = 0, weights 3: 9·2·(13²/2).
	if want := 9 * 169.; err != nil || math.Abs(e.StdError*e.StdError-want) > 1e-9 || e.DesignEffect != 0 {
		t.Errorf("variance %v, want %v, design effect %v: %v", e.StdError*e.StdError, want, e.DesignEffect, err)
	}
	// Beside a cluster whose units are seen, 1 and 5, the lone report borrows their spread of 8 and nothing of the sum's: between
	// the totals 12, 30 and 8 it is ½·3/2·274⅔ = 206, within ½·⅔·36·8 = 96, and ½·4 for the noise of the sum.
	pair := Cluster{Size: 2, Responses: 2}
	pair.Domain.Add(1, 0)
	pair.Domain.Add(5, 0)
	many := pool(Cluster{Size: 4, Responses: 4, Domain: Moments{Count: 4, Mean: 1, M2: 50}}, 0, 1)
	s.Due = []Cluster{pair, lone, many}
	if e, err = ClusterTotal([]ClusterSample{s}, 0.95); err != nil || math.Abs(e.StdError*e.StdError-304) > 1e-9 {
		t.Errorf("variance %v, want 304: %v", e.StdError*e.StdError, err)
	}
	silent := pool(Cluster{Size: 3, Responses: 2, Domain: Moments{Count: 2, Mean: 1, M2: 50}}, 0, 1)
	only := ClusterSample{Stratum: "b", Population: 3, Clusters: 1, Due: []Cluster{silent}}
	if _, err := ClusterTotal([]ClusterSample{only}, 0.95); CodeOf(err) != Lonely {
		t.Errorf("one silent gateway: %v", err)
	}
}
