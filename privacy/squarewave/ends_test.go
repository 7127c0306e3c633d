package squarewave

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

// population is a distribution on [0, 1] with its distribution function.
type population struct {
	name  string
	draw  func(rng *rand.Rand) float64
	below func(x float64) float64
}

// triangle is the distribution function of a symmetric triangle.
func triangle(x, middle, half float64) float64 {
	switch x = (x - middle) / half; {
	case x <= -1:
		return 0
	case x >= 1:
		return 1
	case x < 0:
		return (1 + x) * (1 + x) / 2
	default:
		return 1 - (1-x)*(1-x)/2
	}
}

func populations() []population {
	return []population{
		{"Beta(5, 2)", secondOfSix, below},
		{"uniform", (*rand.Rand).Float64, func(x float64) float64 { return x }},
		{"narrow", func(rng *rand.Rand) float64 { return 0.59 + 0.01*(rng.Float64()+rng.Float64()) }, func(x float64) float64 {
			return triangle(x, 0.6, 0.01)
		}},
		{"two peaks", func(rng *rand.Rand) float64 {
			if rng.Float64() < 0.6 {
				return 0.15 + 0.1*(rng.Float64()+rng.Float64())
			}
			return 0.65 + 0.1*(rng.Float64()+rng.Float64())
		}, func(x float64) float64 { return 0.6*triangle(x, 0.25, 0.1) + 0.4*triangle(x, 0.75, 0.1) }},
	}
}

// TestNoOtherEndIsBetter ends the rounds at other changes of the likelihood, on shapes
// that are smooth and shapes that are not: what is better for the ones is worse for the
// others, so that nothing speaks for leaving the published rule.
func TestNoOtherEndIsBetter(t *testing.T) {
	const reports, samples = 10_000, 10
	limits := []float64{1e-1, 1e-2, settled, 1e-4}
	m, err := New(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	better, worse := map[float64]bool{}, map[float64]bool{}
	for _, p := range populations() {
		sums := map[float64]float64{}
		for seed := range uint64(samples) {
			tally, err := m.NewTally(256)
			if err != nil {
				t.Fatal(err)
			}
			rng, src := rand.New(rand.NewPCG(seed, 3)), privacy.NewSeeded(seed)
			for range reports {
				code, err := m.Randomise(uint32(math.Round(p.draw(rng)*Levels)), src)
				if err != nil || tally.Add(code, 1) != nil {
					t.Fatal(err)
				}
			}
			p.ends(tally, limits, sums)
		}
		for _, limit := range limits {
			t.Logf("%s: rounds that end at %g: Wasserstein error %.4f", p.name, limit, sums[limit]/samples)
			better[limit] = better[limit] || sums[limit] < sums[settled]
			worse[limit] = worse[limit] || sums[limit] > sums[settled]
		}
	}
	for _, limit := range limits {
		if better[limit] && !worse[limit] {
			t.Errorf("rounds that end at %g are better for every shape", limit)
		}
	}
}

// ends adds the errors of the shapes at which the rounds end, the largest limit first.
func (p population) ends(tally *Tally, limits []float64, into map[float64]float64) {
	e := newRounds(tally)
	share := make([]float64, len(tally.counts))
	for j := range share {
		share[j] = 1 / float64(len(share))
	}
	for last, done := math.Inf(-1), 0; done < len(limits); {
		now := e.round(share)
		e.smooth(share)
		for ; done < len(limits) && math.Abs(now-last) < limits[done]; done++ {
			into[limits[done]] += p.distance(share)
		}
		last = now
	}
}

func (p population) distance(share []float64) float64 {
	sum, out := 0.0, 0.0
	for j, s := range share {
		out += math.Abs(sum+s/2-p.below((float64(j)+0.5)/float64(len(share)))) / float64(len(share))
		sum += s
	}
	return out
}
