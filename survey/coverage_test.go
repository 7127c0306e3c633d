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
	epsilon, low, high float64
}

// variance is corollary 1 of that paper, in the unit of the bounds.
func (h hybrid) variance() float64 {
	half, whole := math.Exp(h.epsilon/2), math.Exp(h.epsilon)
	scale := (h.high - h.low) / 2
	return scale * scale * ((half+3)/(3*half*(half-1)) + (whole+1)*(whole+1)/(half*(whole-1)*(whole-1)))
}

// score returns an unbiased score of the value.
func (h hybrid) score(value float64, source *rand.Rand) float64 {
	scale := (h.high - h.low) / 2
	t := (value-h.low)/scale - 1
	half, whole := math.Exp(h.epsilon/2), math.Exp(h.epsilon)
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

// statistics are the estimates that every sample gives.
var statistics = [...]struct {
	name      string
	domain    bool
	estimator func([]Sample, float64) (Estimate, error)
}{
	{"mean", false, Mean}, {"domain mean", true, Mean}, {"total", false, Total}, {"domain total", true, Total},
}

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
	var sum, inside, members float64
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
		}
		w.values, w.domain = append(w.values, values), append(w.domain, domain)
		w.regions = append(w.regions, AllocStratum{Population: int64(size), StdDev: 2, Most: int64(size)})
	}
	w.truth = [...]float64{sum / float64(units), inside / members, sum, inside}
	return w
}

// plan is one cell of the study.
type plan struct {
	world      world
	n          int64
	epsilon    float64 // 0 for no noise
	response   float64 // the probability that a unit that is due reports
	repetition int
}

// draw samples every stratum without replacement, loses some reports, randomises the others, and returns the strata
// for the whole population and for the domain.
func (p plan) draw(sizes []int64, order [][]int, source *rand.Rand) (whole, domain []Sample) {
	h := hybrid{epsilon: p.epsilon, low: 5, high: 45}
	noise := 0.0
	if p.epsilon > 0 {
		noise = h.variance()
	}
	for i, values := range p.world.values {
		all := Sample{Stratum: fmt.Sprint("r", i), Population: int64(len(values)), Panel: sizes[i]}
		part := all
		for k := range int(sizes[i]) {
			j := k + source.IntN(len(values)-k)
			order[i][k], order[i][j] = order[i][j], order[i][k]
			if p.response < 1 && source.Float64() >= p.response {
				continue
			}
			unit := order[i][k]
			score := values[unit]
			if p.epsilon > 0 {
				score = h.score(score, source)
			}
			all.Responses++
			all.Domain.Add(score, noise)
			if p.world.domain[i][unit] {
				part.Domain.Add(score, noise)
			}
		}
		part.Responses = all.Responses
		whole, domain = append(whole, all), append(domain, part)
	}
	return whole, domain
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
		whole, domain := p.draw(sizes, order, source)
		whole, _, _ = Collapse(whole, 2)
		domain, _, _ = Collapse(domain, 2)
		for i, s := range statistics {
			strata := whole
			if s.domain {
				strata = domain
			}
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
	}{{"N=20000", large}, {"N=2000", small}} {
		for _, n := range []int64{30, 100, 1000} {
			for _, epsilon := range []float64{0, 1, 4} {
				for _, response := range []float64{1, 0.8} {
					p := plan{world: w.world, n: n, epsilon: epsilon, response: response, repetition: 5000}
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
		t.Logf("%s covers %.2f %%", s.name, 100*share[i])
		most := 0.965
		if s.name == "domain total" && p.n < 100 {
			most = 0.98
		}
		if share[i] < 0.935 || share[i] > most {
			t.Errorf("%s covers %.2f %%", s.name, 100*share[i])
		}
	}
}
