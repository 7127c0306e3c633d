//go:build study

package survey

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// quantilePopulations lie within [0, 1): the planner's supposition, a skewed one, two bells with nothing between them, an even one
// and one half as wide as is supposed.
var quantilePopulations = []struct {
	name string
	draw func(*rand.Rand) float64
}{
	{"bell", func(r *rand.Rand) float64 { return 0.47 + r.NormFloat64()/8 }},
	{"skewed", func(r *rand.Rand) float64 {
		return (8 + 5*float64(r.IntN(2)) + 2.5*math.Abs(r.NormFloat64()) + r.NormFloat64()) / 30
	}},
	{"two bells", func(r *rand.Rand) float64 { return 0.3 + 0.4*float64(r.IntN(2)) + r.NormFloat64()/16 }},
	{"even", func(r *rand.Rand) float64 { return r.Float64() }},
	{"narrow", func(r *rand.Rand) float64 { return 0.42 + r.NormFloat64()/16 }},
}

// binsOf is the planner's choice for so many reports.
func binsOf(p, epsilon float64, n int) int {
	for bins := 8; ; bins *= 2 {
		how := subsetOf(bins, epsilon)
		below := min(bins-1, max(1, int(math.Round(float64(bins)*(0.5+distuv.UnitNormal.Quantile(p)/8)))))
		variance := (how.BelowNoise(below, p) + p*(1-p)) / float64(n)
		if h := 8 / float64(bins); bins == setMost || h*h/8*0.242 <= 0.1*math.Sqrt(variance) {
			return bins
		}
	}
}

// TestQuantileStudy prints how many 95 % intervals hold the quantile, and their length in parts of the bounds, for five
// populations, in which bins are not even, with the planner's bins. It holds them to no less than 92 %: that of a population that is
// half as wide as the bins are made for.
func TestQuantileStudy(t *testing.T) {
	const repetitions = 2000
	t.Logf("| ε | reports | population | 5 %% | 25 %% | 50 %% | 75 %% | 95 %% |")
	for i, epsilon := range []float64{0.5, 1, 4} {
		for _, n := range []int{50, 250, 1000, 5000} {
			for j, shape := range quantilePopulations {
				source := rand.New(rand.NewPCG(uint64(i), uint64(n+j)))
				values := make([]float64, 200000)
				for k := range values {
					values[k] = min(0.999999, max(0, shape.draw(source)))
				}
				slices.Sort(values)
				line := ""
				for q, c := range studied(epsilon, n, repetitions, values, source) {
					line += fmt.Sprintf(" %.1f (%.2f) |", c.rate, c.length)
					if c.rate < 92-4.9*100*math.Sqrt(.92*.08/repetitions) {
						t.Errorf("epsilon %g, %d reports, %s, %g: %.1f %%", epsilon, n, shape.name, quantilesAsked[q], c.rate)
					}
				}
				t.Logf("| %g | %d | %s |%s", epsilon, n, shape.name, line)
			}
		}
	}
}

// quantilesAsked are the quantiles of the study.
var quantilesAsked = [...]float64{0.05, 0.25, 0.5, 0.75, 0.95}

// studiedQuantile is how many of a quantile's intervals hold it, in percent, and their mean length.
type studiedQuantile struct{ rate, length float64 }

// studied draws samples of sorted values and counts the intervals that hold their quantiles. Quantiles with as many bins are asked of
// the same samples.
func studied(epsilon float64, n, repetitions int, values []float64, source *rand.Rand) (out [len(quantilesAsked)]studiedQuantile) {
	byBins := map[int][]int{}
	for q, p := range quantilesAsked {
		bins := binsOf(p, epsilon, n)
		byBins[bins] = append(byBins[bins], q)
	}
	for _, bins := range slices.Sorted(maps.Keys(byBins)) {
		how, edges := subsetOf(bins, epsilon), make([]float64, bins+1)
		for i := range edges {
			edges[i] = float64(i) / float64(bins)
		}
		for range repetitions {
			var state Support
			for range n {
				state.Add(how.draw(int(values[source.IntN(len(values))]*float64(bins)), source), bins, true)
			}
			below := how.edgesOf([]Support{state}, 1<<40)
			for _, q := range byBins[bins] {
				p := quantilesAsked[q]
				e, err := Quantile(edges, how, below, p, 0.95)
				if err != nil {
					panic(err)
				}
				if truth := values[int(p*float64(len(values)))]; e.Low <= truth && truth <= e.High {
					out[q].rate += 100 / float64(repetitions)
				}
				out[q].length += (e.High - e.Low) / float64(repetitions)
			}
		}
	}
	return out
}
