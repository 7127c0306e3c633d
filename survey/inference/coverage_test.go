package inference_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
)

// fleet is a population of 100 sites with 20 devices each, in 4 regions, whose temperatures differ by region and site.
type fleet struct {
	temperature, energy, size []float64
	region, site              []int
}

const (
	sites, perSite = 100, 20
	people         = sites * perSite
)

func newFleet(rng *rand.Rand) fleet {
	f := fleet{
		temperature: make([]float64, people), energy: make([]float64, people), size: make([]float64, people),
		region: make([]int, people), site: make([]int, people),
	}
	for i := range sites {
		level := rng.NormFloat64()
		for j := range perSite {
			k := i*perSite + j
			f.site[k], f.region[k] = i, i%4
			f.temperature[k] = 20 + float64(i%4) + level + 2*rng.NormFloat64()
			f.size[k] = 1 + rng.ExpFloat64()
			f.energy[k] = f.size[k] * (3 + 0.3*rng.NormFloat64())
		}
	}
	return f
}

// sample is a draw: units of the population with what the design says of them.
type sample struct {
	units []int
	spec  design.Spec
}

func draws() map[string]func(*rand.Rand, fleet) sample {
	return map[string]func(*rand.Rand, fleet) sample{
		"stratified": func(rng *rand.Rand, f fleet) sample {
			var s sample
			counts := [4]int{}
			for _, k := range rng.Perm(people) {
				if counts[f.region[k]] < 25*(f.region[k]+1) { // unequal fractions
					counts[f.region[k]]++
					s.units = append(s.units, k)
				}
			}
			size := make([]float64, len(s.units))
			for i := range size {
				size[i] = people / 4
			}
			s.spec.Stages = []design.Stage{{Stratum: f.labels(s.units, f.region), Size: size}}
			return s
		},
		"clusters": func(rng *rand.Rand, f fleet) sample { return f.twoStage(rng, 40, perSite) },
		"stages":   func(rng *rand.Rand, f fleet) sample { return f.twoStage(rng, 40, 5) },
		"poisson": func(rng *rand.Rand, f fleet) sample {
			s := sample{spec: design.Spec{Method: design.Poisson}}
			for k := range people {
				if pi := min(1, 0.1*f.size[k]); rng.Float64() < pi {
					s.units, s.spec.Pi = append(s.units, k), append(s.spec.Pi, pi)
				}
			}
			return s
		},
		"responders": func(rng *rand.Rand, f fleet) sample {
			s := sample{units: rng.Perm(people)[:600]}
			responded := make([]bool, len(s.units))
			for i, k := range s.units {
				responded[i] = rng.Float64() < 0.9-0.15*float64(f.region[k])
			}
			size := make([]float64, len(s.units))
			for i := range size {
				size[i] = people
			}
			s.spec.Stages = []design.Stage{{Size: size}}
			s.spec.Phase2 = &design.Phase2{Responded: responded, Class: f.labels(s.units, f.region)}
			return s
		},
	}
}

func (f fleet) twoStage(rng *rand.Rand, first, second int) sample {
	var s sample
	var one, two []float64
	for _, site := range rng.Perm(sites)[:first] {
		for _, j := range rng.Perm(perSite)[:second] {
			s.units, one, two = append(s.units, site*perSite+j), append(one, sites), append(two, perSite)
		}
	}
	s.spec.Stages = []design.Stage{{Unit: f.labels(s.units, f.site), Size: one}, {Size: two}}
	return s
}

func (f fleet) labels(units, of []int) *design.Factor {
	names := make([]string, len(units))
	for i, k := range units {
		names[i] = fmt.Sprint(of[k])
	}
	return design.NewFactor(names)
}

// 95 % intervals hold the truth in 95 % of samples, with and without noise, for designs whose fractions are so large that
// a wrong share of the noise would show. 2,000 samples a cell; 20 cells at a false alarm of 1e-6 in all are 5.5 standard
// errors of 0.49 %; another 1 % is for the normal approximation.
func TestCoverage(t *testing.T) {
	const repeats = 2000
	slack := 0.01 + 5.5*math.Sqrt(0.95*0.05/repeats)
	for name, draw := range draws() {
		for _, noise := range []float64{0, 8} { // Laplace with this scale
			rng := rand.New(rand.NewPCG(11, uint64(len(name))))
			f := newFleet(rng)
			mean, energy, size := 0.0, 0.0, 0.0
			for k := range people {
				mean += f.temperature[k] / people
				energy += f.energy[k]
				size += f.size[k]
			}
			covered := [2]int{}
			for range repeats {
				s := draw(rng, f)
				questions := f.questions(rng, s.units, noise)
				s.spec.Rows = len(s.units)
				a := mustStudy(t, inference.Study{Design: mustDesign(t, s.spec)})
				for i, truth := range []float64{mean, energy / size} {
					e, err := a.Estimate(questions[i], nil)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if e.Low <= truth && truth <= e.High {
						covered[i]++
					}
				}
			}
			for i, what := range []string{"mean", "ratio"} {
				share := float64(covered[i]) / repeats
				t.Logf("%s, noise %v, %s: %.1f %%", name, noise, what, 100*share)
				if math.Abs(share-0.95) > slack {
					t.Errorf("%s, noise %v: the interval of the %s holds the truth in %.1f %% of samples", name, noise, what, 100*share)
				}
			}
		}
	}
}

// questions are the mean of the temperature and the ratio of energy to size, both with Laplace noise in the numerator.
func (f fleet) questions(rng *rand.Rand, units []int, scale float64) [2]inference.Statistic {
	q := [2]inference.Statistic{{Kind: inference.Mean}, {Kind: inference.Ratio}}
	for _, k := range units {
		for i, y := range [2]float64{f.temperature[k], f.energy[k]} {
			if scale > 0 {
				y += scale * (rng.ExpFloat64() - rng.ExpFloat64())
				q[i].Noise = append(q[i].Noise, 2*scale*scale)
			}
			q[i].Y = append(q[i].Y, y)
		}
		q[1].X = append(q[1].X, f.size[k])
	}
	return q
}
