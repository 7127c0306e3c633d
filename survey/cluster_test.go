package survey

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// clusterRow is one report, as the oracle sees it.
type clusterRow struct {
	stratum, cluster int
	score, noise     float64
	inDomain         bool
}

// clusterCase is a sample in rows and what is known of its frame.
type clusterCase struct {
	clusters []int64   // in the frame, by stratum
	sizes    [][]int64 // of the clusters that were due
	rows     []clusterRow
}

func (c clusterCase) samples() []ClusterSample {
	out := make([]ClusterSample, len(c.clusters))
	for h := range out {
		out[h] = ClusterSample{Stratum: fmt.Sprint("s", h), Clusters: c.clusters[h]}
		for _, b := range c.sizes[h] {
			out[h].Due = append(out[h].Due, Cluster{Size: b})
			out[h].Population += b
		}
		out[h].Population += 3 * (c.clusters[h] - int64(len(c.sizes[h])))
	}
	for _, r := range c.rows {
		due := &out[r.stratum].Due[r.cluster]
		said := Cluster{Responses: 1}
		if r.inDomain {
			said.Domain.Add(r.score, r.noise)
		}
		due.Merge(said)
	}
	return out
}

// oracle computes Σ w z and its variance from the rows, by the formula of two stages as it is printed.
func (c clusterCase) oracle(z func(clusterRow) float64) (value, variance float64) {
	for h := range c.clusters {
		answers := make([][]clusterRow, len(c.sizes[h]))
		for _, r := range c.rows {
			if r.stratum == h {
				answers[r.cluster] = append(answers[r.cluster], r)
			}
		}
		m := 0.0
		for _, a := range answers {
			if len(a) > 0 {
				m++
			}
		}
		f := m / float64(c.clusters[h])
		var totals []float64
		second := 0.0
		for i, a := range answers {
			if len(a) == 0 {
				continue
			}
			n, size := float64(len(a)), float64(c.sizes[h][i])
			u := make([]float64, len(a))
			sum := 0.0
			for k, r := range a {
				w := size / (f * n)
				u[k] = w * z(r)
				sum += u[k]
				if r.inDomain {
					slope := z(clusterRow{score: 1, inDomain: true}) - z(clusterRow{inDomain: true})
					second += f * n / size * w * w * slope * slope * r.noise
				}
			}
			totals = append(totals, sum)
			value += sum
			if n < size {
				spread := 0.0
				for _, x := range u {
					spread += (x - sum/n) * (x - sum/n)
				}
				second += f * (1 - n/size) * n / (n - 1) * spread
			}
		}
		mean := 0.0
		for _, u := range totals {
			mean += u / m
		}
		spread := 0.0
		for _, u := range totals {
			spread += (u - mean) * (u - mean)
		}
		variance += (1-f)*m/(m-1)*spread + second
	}
	return value, variance
}

// drawCase draws a sample in which each cluster with silent units has two reports or none.
func drawCase(t *rapid.T) clusterCase {
	var c clusterCase
	for h := range rapid.IntRange(1, 3).Draw(t, "strata") {
		due := rapid.IntRange(2, 6).Draw(t, "due")
		c.clusters = append(c.clusters, int64(due)+rapid.Int64Range(0, 9).Draw(t, "others"))
		sizes := make([]int64, due)
		for i := range sizes {
			sizes[i] = rapid.Int64Range(1, 6).Draw(t, "size")
			answers := sizes[i]
			if i > 1 && sizes[i] > 2 {
				answers = rapid.SampledFrom([]int64{0, 2, sizes[i]}).Draw(t, "answers")
			}
			level := rapid.Float64Range(-20, 20).Draw(t, "level")
			for range answers {
				c.rows = append(c.rows, clusterRow{
					stratum: h, cluster: i, score: level + rapid.Float64Range(-3, 3).Draw(t, "score"),
					noise: rapid.SampledFrom([]float64{0, 2}).Draw(t, "noise"), inDomain: rapid.IntRange(0, 4).Draw(t, "domain") > 0,
				})
			}
		}
		c.sizes = append(c.sizes, sizes)
	}
	return c
}

func TestClusterEstimatesAgainstRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCase(t)
		score := func(r clusterRow) float64 {
			if !r.inDomain {
				return 0
			}
			return r.score
		}
		one := func(r clusterRow) float64 {
			if !r.inDomain {
				return 0
			}
			return 1
		}
		wantTotal, wantVariance := c.oracle(score)
		size, _ := c.oracle(one)
		total, err := ClusterTotal(c.samples(), 0.95)
		if err != nil {
			if code := CodeOf(err); code == NoDomain || code == NoFreedom {
				return
			}
			t.Fatal(err)
		}
		closeTo(t, "total", total.Value, wantTotal, 1e-9)
		closeTo(t, "variance of the total", total.StdError*total.StdError, wantVariance, 1e-9)
		mean, err := ClusterMean(c.samples(), 0.95)
		if err != nil {
			t.Fatal(err)
		}
		want := wantTotal / size
		_, wantVariance = c.oracle(func(r clusterRow) float64 {
			if !r.inDomain {
				return 0
			}
			return (r.score - want) / size
		})
		closeTo(t, "mean", mean.Value, want, 1e-9)
		closeTo(t, "variance of the mean", mean.StdError*mean.StdError, wantVariance, 1e-9)
	})
}

// closeTo fails when got and want differ by more than the tolerance, relative beyond 1.
func closeTo(t *rapid.T, what string, got, want, tolerance float64) {
	if math.Abs(got-want) > tolerance*max(1, math.Abs(want)) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// combinations lists the subsets of k of n.
func combinations(n, k int) [][]int {
	if k == 0 {
		return [][]int{nil}
	}
	var out [][]int
	for last := k - 1; last < n; last++ {
		for _, c := range combinations(last, k-1) {
			out = append(out, append(slices.Clone(c), last))
		}
	}
	return out
}

// TestClusterTotalIsUnbiased goes through all samples of 3 of 5 clusters, all ways of two of each three devices to answer,
// and all signs of a noise of ±2: the total, and its variance's estimate, are right on average, exactly.
func TestClusterTotalIsUnbiased(t *testing.T) {
	population := [][]float64{{1, 4, 2}, {30, 31, 35}, {-7, 2, 0}, {12, 12, 13}, {5, 9, -8}}
	truth := 0.0
	for _, c := range population {
		for _, y := range c {
			truth += y
		}
	}
	pairs := combinations(3, 2)
	var count, sum, squares, variances float64
	for _, drawn := range combinations(5, 3) {
		for way := range 27 {
			for signs := range 64 {
				s := ClusterSample{Stratum: "a", Population: 15, Clusters: 5}
				for i, id := range drawn {
					c := Cluster{Size: 3}
					for k, unit := range pairs[way/[]int{1, 3, 9}[i]%3] {
						noise := 2.0
						if signs>>(2*i+k)&1 == 1 {
							noise = -2
						}
						said := Cluster{Responses: 1}
						said.Domain.Add(population[id][unit]+noise, 4)
						c.Merge(said)
					}
					s.Due = append(s.Due, c)
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
		t.Errorf("mean of all estimates %v, want %v", mean, truth)
	}
	if got, want := variances/count, squares/count; math.Abs(got-want) > 1e-9*want {
		t.Errorf("mean of all variances %v, want %v", got, want)
	}
}

// clusteredPopulation is two strata of 300 clusters whose devices are much alike: the correlation within a cluster is
// about 0.9. Clusters have 2 to 10 devices.
func clusteredPopulation(r *rand.Rand) (population [2][][]float64) {
	for h := range population {
		for range 300 {
			level := float64(10*h) + 3*r.NormFloat64()
			devices := make([]float64, 2+r.IntN(9))
			for k := range devices {
				devices[k] = level + r.NormFloat64()
			}
			population[h] = append(population[h], devices)
		}
	}
	return population
}

// TestClusterCoverage draws 10,000 samples of 2 × 20 clusters, with and without noise, and with a tenth of the devices
// silent. The standard error of a coverage is 0.22 points, so that one of 95 % leaves 93.5–96.5 % with a probability below
// 1e-10. Intervals that take devices for independent draws would hold the truth in about 60 % of the samples.
func TestClusterCoverage(t *testing.T) {
	const runs = 10_000
	for _, each := range []struct {
		name    string
		noise   float64 // standard deviation
		silence float64
	}{{"bare", 0, 0}, {"silent", 0, 0.1}, {"noisy", 6, 0}, {"silent and noisy", 6, 0.1}} {
		r := rand.New(rand.NewPCG(11, 7))
		population := clusteredPopulation(r)
		truth, size, high := 0.0, 0.0, 0.0
		for _, stratum := range population {
			for _, c := range stratum {
				for _, y := range c {
					truth += y
					size++
					if y > 5 {
						high++
					}
				}
			}
		}
		var means, totals, proportions int
		for range runs {
			samples, bits := drawClusters(r, population, each.noise, each.silence)
			mean, errMean := ClusterMean(samples, 0.95)
			total, errTotal := ClusterTotal(samples, 0.95)
			proportion, errBits := ClusterProportion(bits, 0.95)
			if errMean != nil || errTotal != nil || errBits != nil {
				t.Fatal(errMean, errTotal, errBits)
			}
			means += holds(mean, truth/size)
			totals += holds(total, truth)
			proportions += holds(proportion, high/size)
		}
		for what, n := range map[string]int{"mean": means, "total": totals, "proportion": proportions} {
			if c := float64(n) / runs; c < 0.935 || c > 0.965 {
				t.Errorf("%s, %s: coverage %.4f", each.name, what, c)
			}
		}
	}
}

func holds(e Estimate, truth float64) int {
	if e.Low <= truth && truth <= e.High {
		return 1
	}
	return 0
}

// drawClusters draws 20 clusters of each stratum, their scores, and the bits "above 5".
func drawClusters(r *rand.Rand, population [2][][]float64, noise, silence float64) (scores, bits []ClusterSample) {
	for h, stratum := range population {
		s := ClusterSample{Stratum: fmt.Sprint(h), Clusters: int64(len(stratum))}
		for _, c := range stratum {
			s.Population += int64(len(c))
		}
		b := s
		for _, i := range r.Perm(len(stratum))[:20] {
			c := Cluster{Size: int64(len(stratum[i]))}
			bit := c
			for _, y := range stratum[i] {
				if r.Float64() < silence {
					continue
				}
				said, yes := Cluster{Responses: 1}, Cluster{Responses: 1}
				said.Domain.Add(y+noise*r.NormFloat64(), noise*noise)
				above := 0.0
				if y > 5 {
					above = 1
				}
				yes.Domain.Add(above, 0)
				c.Merge(said)
				bit.Merge(yes)
			}
			s.Due, b.Due = append(s.Due, c), append(b.Due, bit)
		}
		scores, bits = append(scores, s), append(bits, b)
	}
	return scores, bits
}

func TestClusterErrors(t *testing.T) {
	full := func(b int64, scores ...float64) Cluster {
		c := Cluster{Size: b}
		for _, x := range scores {
			c.Responses++
			c.Domain.Add(x, 0)
		}
		return c
	}
	for _, each := range []struct {
		name string
		want Code
		in   ClusterSample
	}{
		{"too many due", Invalid, ClusterSample{Population: 9, Clusters: 1, Due: []Cluster{full(2, 1), full(2, 1)}}},
		{"more answers than units", Invalid, ClusterSample{Population: 9, Clusters: 3, Due: []Cluster{full(1, 1, 2)}}},
		{"units beyond the population", Invalid, ClusterSample{Population: 3, Clusters: 3, Due: []Cluster{full(2, 1), full(2, 1)}}},
		{"silence", NoReports, ClusterSample{Population: 9, Clusters: 3, Due: []Cluster{full(2), full(2)}}},
		{"lonely", Lonely, ClusterSample{Population: 9, Clusters: 3, Due: []Cluster{full(2, 1, 2), full(2)}}},
		{"one cluster only", NoFreedom, ClusterSample{Population: 2, Clusters: 1, Due: []Cluster{full(2, 1, 2)}}},
		{"confidence", Invalid, ClusterSample{}},
	} {
		confidence := 0.95
		if each.name == "confidence" {
			confidence = 1
		}
		if _, err := ClusterMean([]ClusterSample{each.in}, confidence); CodeOf(err) != each.want {
			t.Errorf("%s: %v, want %v", each.name, err, each.want)
		}
	}
}

// A stratum in which every cluster has one report of several units can't tell what silence costs, and forgoes its
// correction; strata with one responding cluster are collapsed by name.
func TestClusterFallbacks(t *testing.T) {
	one := func(x float64) Cluster {
		c := Cluster{Size: 3, Responses: 1}
		c.Domain.Add(x, 0)
		return c
	}
	whole := ClusterSample{Stratum: "a", Population: 9, Clusters: 3, Due: []Cluster{one(1), one(2), one(6)}}
	e, err := ClusterTotal([]ClusterSample{whole}, 0.95)
	if want := 9 * 3 * 7.0; err != nil || math.Abs(e.StdError*e.StdError-want) > 1e-9 { // 3²·m·s², s² = 7
		t.Errorf("variance %v, want %v: %v", e.StdError*e.StdError, want, err)
	}
	lonely := ClusterSample{Stratum: "b", Population: 6, Clusters: 2, Due: []Cluster{one(4), {Size: 3}}}
	merged, mapping, notes := CollapseClusters([]ClusterSample{whole, lonely}, 2)
	if len(merged) != 1 || merged[0].Stratum != "a+b" || merged[0].Clusters != 5 || merged[0].Population != 15 ||
		len(merged[0].Due) != 5 || !slices.Equal(mapping, []int{0, 0}) || len(notes) != 1 {
		t.Errorf("merged %+v, mapping %v, notes %q", merged, mapping, notes)
	}
}
