package survey

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestPlacesAgainstScores writes the scores of each report out, for every place, and finds the moments of a state, with the noise that
// the law of the sets has at the shares that the state tells.
func TestPlacesAgainstScores(t *testing.T) {
	source := rand.New(rand.NewPCG(5, 1))
	for _, epsilon := range []float64{0, 1, 4} {
		how := subsetOf(8, epsilon)
		var state Support
		var sets []uint64
		for range 300 {
			set := how.draw(source.IntN(8), source)
			sets = append(sets, set)
			state.Add(set, 8, true)
		}
		for b := range 8 {
			for _, part := range []float64{0, 0.25, 0.5, 1} {
				var want Moments
				for _, set := range sets {
					held := -(float64(b) + part) * how.Other()
					for v := range b {
						held += float64(set >> v & 1)
					}
					want.Add((held+part*float64(set>>b&1))/(how.Include-how.Other()), 0)
				}
				got := state.Place(how, b, part)
				under, next := state.upTo(how, b).Mean, state.Bin(how.Pure(), b).Mean
				where := fmt.Sprintf("epsilon %g, bin %d, part %g", epsilon, b, part)
				agree(t, where+": mean", got.Mean, want.Mean)
				agree(t, where+": spread", got.M2, want.M2)
				agree(t, where+": noise", got.Noise, math.Max(0, 300*how.PartNoise(b, part, under, next)))
			}
		}
	}
}

// TestReleasedAgainstLeastSquares solves for counts that make up the units, the closest ones to those released, and takes the variance
// of what is asked from the matrix that does so.
func TestReleasedAgainstLeastSquares(t *testing.T) {
	r := Released{Units: 7, Counts: []float64{3, -1, 4, 0, 2}, Noise: 8}
	r.Merge(Released{Units: 2, Counts: []float64{0, 1, 5, -2, 0}, Noise: 8})
	r.Merge(Released{})
	counts, k := []float64{3, 0, 9, -2, 2}, 5
	for b := range k {
		for _, part := range []float64{0, 0.3, 1} {
			mean, variance := 0.0, 0.0
			weight := func(v int) float64 {
				switch {
				case v < b:
					return 1
				case v == b:
					return part
				}
				return 0
			}
			for v := range k {
				row := 0.0 // Σ weight·matrix, the matrix being 1 − 1/k
				for u := range k {
					row -= weight(u) / float64(k)
				}
				row += weight(v)
				mean += row * counts[v]
				mean += weight(v) * 9 / float64(k)
				variance += row * row * 16
			}
			got := r.Place(b, part)
			if got.Count != 9 || got.M2 != 0 {
				t.Errorf("%+v", got)
			}
			agree(t, fmt.Sprint("sum ", b, part), got.Mean*9, mean)
			agree(t, fmt.Sprint("noise ", b, part), got.Noise, variance)
			if part == 0 && b > 0 {
				cell := r.Bin(b - 1)
				agree(t, "cells", cell.Mean, r.Place(b, 0).Mean-r.Place(b-1, 0).Mean)
				agree(t, "noise of a cell", cell.Noise, 16*(1-1/float64(k)))
			}
		}
	}
	all := r.Place(k-1, 1)
	agree(t, "all units", all.Mean, 1)
	agree(t, "noise in all", all.Noise, 0)
}

// homes are clusters of categories, alike within a cluster, from a large population.
type homes struct {
	how    Subset
	decay  float64 // of the released counts' noise: the chance of a further step
	source *rand.Rand
}

// noise is drawn two-sided geometric.
func (h *homes) noise() float64 {
	draw := func() float64 { return math.Floor(math.Log(1-h.source.Float64()) / math.Log(h.decay)) }
	return draw() - draw()
}

func (h *homes) variance() float64 { return 2 * h.decay / ((1 - h.decay) * (1 - h.decay)) }

// tallies draws so many gateways with 1 to 5 units, and so many devices of their own.
func (h *homes) tallies(gateways, devices int) (out []Tally, sizes []int64) {
	k := h.how.Categories
	category := func(level float64) int {
		x := 0.47 + (math.Sqrt(0.4)*level+math.Sqrt(0.6)*h.source.NormFloat64())/8
		return max(0, min(k-1, int(math.Floor(x*float64(k)))))
	}
	for i := range gateways + devices {
		level := h.source.NormFloat64()
		var tally Tally
		if i < gateways {
			units := int64(1 + h.source.IntN(5))
			tally.Released = Released{Units: units, Counts: make([]float64, k), Noise: h.variance()}
			for range units {
				tally.Released.Counts[category(level)]++
			}
			for v := range tally.Released.Counts {
				tally.Released.Counts[v] += h.noise()
			}
			out, sizes = append(out, tally), append(sizes, units)
			continue
		}
		tally.Support.Add(h.how.draw(category(level), h.source), k, true)
		out, sizes = append(out, tally), append(sizes, 1)
	}
	return out, sizes
}

// sampleOf makes the sample of what each cluster says.
func sampleOf(tallies []Tally, sizes []int64, of func(*Tally) Moments) []ClusterSample {
	s := ClusterSample{Clusters: 1 << 40, Population: 1 << 42}
	for i := range tallies {
		m := of(&tallies[i])
		s.Due = append(s.Due, Cluster{Size: sizes[i], Responses: m.Count, Domain: m, Pooled: tallies[i].Released.Units > 0})
	}
	return []ClusterSample{s}
}

// TestClusterCategoriesCoverage: of gateways with noisy counts and devices with randomised sets, 93.5 to 96.5 % of the 95 % intervals of a
// common category, of a rarer one and of quantiles hold the truth. Counts of 2,500 repetitions lie further outside than is allowed
// for with a chance of 1e-6.
func TestClusterCategoriesCoverage(t *testing.T) {
	const repetitions, k = 2500, 8
	shares := bell(k)
	edges := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8}
	least, most := 93.5-4.9*100*math.Sqrt(.935*.065/repetitions), 96.5+4.9*100*math.Sqrt(.965*.035/repetitions)
	for _, epsilon := range []float64{1, 4} {
		for _, mix := range [][2]int{{60, 60}, {150, 0}} {
			t.Run(fmt.Sprintf("epsilon %g of %v", epsilon, mix), func(t *testing.T) {
				t.Parallel()
				h := homes{how: subsetOf(k, epsilon), decay: math.Exp(-epsilon / 2), source: rand.New(rand.NewPCG(11, uint64(epsilon)+uint64(mix[1])))}
				cells, quantiles := []int{3, 2}, []float64{0.5, 0.2}
				held := make([]float64, 4)
				for range repetitions {
					tallies, sizes := h.tallies(mix[0], mix[1])
					for i, v := range cells {
						e, err := ClusterShare(sampleOf(tallies, sizes, func(x *Tally) Moments { return x.Bin(h.how.Pure(), v) }), h.how.Pure(), 0.95)
						if err != nil {
							t.Fatal(err)
						}
						if e.Low <= shares[v] && shares[v] <= e.High {
							held[i] += 100. / repetitions
						}
					}
					for i, p := range quantiles {
						e, err := ClusterQuantile(edges, h.how, func(b int, part float64) []ClusterSample {
							return sampleOf(tallies, sizes, func(x *Tally) Moments { return x.Place(h.how, b, part) })
						}, p, 0.95)
						if err != nil {
							t.Fatal(err)
						}
						if truth := quantileIn(shares, p); e.Low <= truth && truth <= e.High {
							held[2+i] += 100. / repetitions
						}
					}
				}
				t.Logf("%.1f", held)
				for i, rate := range held {
					if rate < least || rate > most {
						t.Errorf("number %d: %.2f %% of the intervals hold the truth", i, rate)
					}
				}
			})
		}
	}
}

// quantileIn is where the shares of bins of length 1, straight within each, come to p.
func quantileIn(shares []float64, p float64) float64 {
	sum := 0.0
	for v, share := range shares {
		if sum+share >= p {
			return float64(v) + (p-sum)/share
		}
		sum += share
	}
	return float64(len(shares))
}
