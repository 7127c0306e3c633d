package survey

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// hybrid randomises numbers in [low, high] in the way of Wang et al. (2019, algorithm 4): the piecewise mechanism with
// probability 1 − e^(−ε/2), otherwise Duchi's. Its noise variance is the same for every input when ε > 0.61. This is a
// simulation in floating point, not a private mechanism.
type hybrid struct {
	low, scale  float64 // the lower bound and half the width of the bounds
	half, whole float64 // e^(ε/2) and e^ε
	variance    float64
}

// newHybrid sets the mechanism up. Its noise variance is corollary 1 of that paper, in the unit of the bounds.
func newHybrid(epsilon, low, high float64) hybrid {
	half, whole := math.Exp(epsilon/2), math.Exp(epsilon)
	scale := (high - low) / 2
	return hybrid{
		low: low, scale: scale, half: half, whole: whole,
		variance: scale * scale * ((half+3)/(3*half*(half-1)) + (whole+1)*(whole+1)/(half*(whole-1)*(whole-1))),
	}
}

// score returns an unbiased score of the value.
func (h hybrid) score(value float64, source *rand.Rand) float64 {
	half, whole, scale := h.half, h.whole, h.scale
	t := (value-h.low)/scale - 1
	if source.Float64() >= 1-1/half {
		c := (whole + 1) / (whole - 1)
		if source.Float64() >= 0.5+t/(2*c) {
			c = -c
		}
		return h.low + scale*(1+c)
	}
	c := (half + 1) / (half - 1)
	left := (c+1)/2*t - (c-1)/2
	right := left + c - 1
	x := left + (right-left)*source.Float64()
	if source.Float64() >= half/(half+1) {
		// Uniform on [−c, left) and (right, c], of length c+1 together.
		x = -c + (c+1)*source.Float64()
		if x >= left {
			x += right - left
		}
	}
	return h.low + scale*(1+x)
}

// warmThreshold splits the population into about two fifths and three.
const warmThreshold = 22

// warner randomises bits by randomised response (Warner 1965). The noise variance is the same for both bits.
type warner struct{ keep, variance float64 }

func newWarner(epsilon float64) warner {
	keep := math.Exp(epsilon) / (1 + math.Exp(epsilon))
	return warner{keep: keep, variance: keep * (1 - keep) / ((2*keep - 1) * (2*keep - 1))}
}

// score returns an unbiased score of the bit.
func (w warner) score(bit bool, source *rand.Rand) float64 {
	if (source.Float64() < w.keep) == bit {
		return w.keep / (2*w.keep - 1)
	}
	return (w.keep - 1) / (2*w.keep - 1)
}

// The three ways to sum a sample up.
const (
	wholeFleet = iota
	domainOnly
	warmBits
	views
)

// statistics are the estimates that every sample gives. least is the smallest n for which theory promises the coverage:
// the t interval of bits needs more reports than that of temperatures.
var statistics = [...]struct {
	name      string
	view      int
	estimator func([]Sample, float64) (Estimate, error)
	least     int64
}{
	{"mean", wholeFleet, Mean, 30},
	{"domain mean", domainOnly, Mean, 30},
	{"total", wholeFleet, Total, 30},
	{"domain total", domainOnly, Total, 30},
	{"proportion", warmBits, Proportion, 100},
}

var regionNames = [...]string{"east", "north", "south", "west"}

// world is a stratified population with an indoor temperature for each unit and a domain.
type world struct {
	values  [][]float64
	domain  [][]bool
	regions []AllocStratum
	truth   [len(statistics)]float64
}

func newWorld(units int) world {
	source := rand.New(rand.NewPCG(7, uint64(units)))
	var w world
	var sum, inside, members, warm float64
	for h, share := range []float64{0.5, 0.25, 0.15, 0.1} {
		size := int(math.Round(share * float64(units)))
		values, domain := make([]float64, size), make([]bool, size)
		for i := range values {
			domain[i] = source.Float64() < 0.45+0.1*float64(h)
			values[i] = 20 + 1.5*float64(h) + 2*source.NormFloat64()
			if domain[i] {
				values[i]++
				inside += values[i]
				members++
			}
			sum += values[i]
			if values[i] > warmThreshold {
				warm++
			}
		}
		w.values, w.domain = append(w.values, values), append(w.domain, domain)
		w.regions = append(w.regions, AllocStratum{Population: int64(size), StdDev: 2, Most: int64(size)})
	}
	w.truth = [...]float64{sum / float64(units), inside / members, sum, inside, warm / float64(units)}
	return w
}

// plan is one cell of the study.
type plan struct {
	world      world
	n          int64
	epsilon    float64 // 0 for no noise
	response   float64 // the probability that a unit that is due reports
	repetition int
	numbers    hybrid
	bits       warner
}

// draw samples every stratum without replacement, loses some reports, randomises the others, and returns the strata
// in each view.
func (p plan) draw(sizes []int64, order [][]int, source *rand.Rand) (strata [views][]Sample) {
	for i, values := range p.world.values {
		empty := Sample{Stratum: regionNames[i], Population: int64(len(values)), Panel: sizes[i]}
		for v := range strata {
			strata[v] = append(strata[v], empty)
		}
		for k := range int(sizes[i]) {
			j := k + source.IntN(len(values)-k)
			order[i][k], order[i][j] = order[i][j], order[i][k]
			if p.response < 1 && source.Float64() >= p.response {
				continue
			}
			unit := order[i][k]
			number, bit := p.scores(values[unit], source)
			for v := range strata {
				s := &strata[v][i]
				s.Responses++
				switch {
				case v == warmBits:
					s.Domain.Merge(bit)
				case v == wholeFleet || p.world.domain[i][unit]:
					s.Domain.Merge(number)
				}
			}
		}
	}
	return strata
}

// scores returns what one unit reports to a question for its temperature, and to one whether it is warm.
func (p plan) scores(value float64, source *rand.Rand) (number, bit Moments) {
	warm := value > warmThreshold
	if p.epsilon > 0 {
		number.Add(p.numbers.score(value, source), p.numbers.variance)
		bit.Add(p.bits.score(warm, source), p.bits.variance)
		return number, bit
	}
	number.Add(value, 0)
	if warm {
		bit.Add(1, 0)
	} else {
		bit.Add(0, 0)
	}
	return number, bit
}

// covered returns, for each statistic, the share of intervals that hold the truth. One of a few samples of n = 30 has
// a domain without a degree of freedom; its refusal counts as a miss, and more than one in a thousand fails.
func (p plan) covered(t *testing.T, seed uint64) (share [len(statistics)]float64) {
	t.Helper()
	sizes, err := Allocate(Proportional, p.n, p.world.regions)
	if err != nil {
		t.Fatal(err)
	}
	source := rand.New(rand.NewPCG(seed, 1))
	order := make([][]int, len(p.world.values))
	for i := range order {
		order[i] = make([]int, len(p.world.values[i]))
		for k := range order[i] {
			order[i][k] = k
		}
	}
	refused := 0
	for range p.repetition {
		drawn := p.draw(sizes, order, source)
		for v := range drawn {
			drawn[v], _, _ = Collapse(drawn[v], 2)
		}
		for i, s := range statistics {
			strata := drawn[s.view]
			e, err := s.estimator(strata, 0.95)
			if CodeOf(err) == NoFreedom && strata[0].Domain.Count < fewReports {
				refused++
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			if e.Low <= p.world.truth[i] && p.world.truth[i] <= e.High {
				share[i] += 1 / float64(p.repetition)
			}
		}
	}
	if refused > p.repetition/1000 {
		t.Errorf("%d samples of %d gave no estimate", refused, p.repetition)
	}
	return share
}

// In every cell the 95 % interval must cover 93.5–96.5 %. With the standard error √(.95·.05/repetitions) of at most 0.0031
// (5,000 repetitions) a method that covers 95 % exactly leaves that band with probability 1.3e-6; seeds are fixed.
//
// Theory promises a little more for the total of a domain in small samples: the zeros outside do add to what is known of
// its variance, but are not counted as degrees of freedom. There the band ends at 98 %.
func TestCoverage(t *testing.T) {
	large, small := newWorld(20_000), newWorld(2_000)
	for _, w := range []struct {
		name  string
		world world
		sizes []int64
	}{{"N=20000", large, []int64{30, 100}}, {"N=2000", small, []int64{30, 100, 1000}}} {
		for _, n := range w.sizes {
			for _, epsilon := range []float64{0, 1, 4} {
				for _, response := range []float64{1, 0.8} {
					p := plan{
						world: w.world, n: n, epsilon: epsilon, response: response, repetition: 5000,
						numbers: newHybrid(epsilon, 5, 45), bits: newWarner(epsilon),
					}
					t.Run(fmt.Sprintf("%s/n=%d/eps=%g/response=%g", w.name, n, epsilon, response), func(t *testing.T) {
						t.Parallel()
						p.check(t)
					})
				}
			}
		}
	}
}

func (p plan) check(t *testing.T) {
	t.Helper()
	share := p.covered(t, uint64(p.n)+uint64(100*p.epsilon))
	for i, s := range statistics {
		if p.n < s.least {
			continue
		}
		most := 0.965
		if s.name == "domain total" && p.n < 100 {
			most = 0.98
		}
		if share[i] < 0.935 || share[i] > most {
			t.Errorf("%s covers %.2f %%", s.name, 100*share[i])
		}
	}
}
