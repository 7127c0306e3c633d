package study

import (
	"math/rand/v2"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/draw"
)

// starts of a sorted systematic sample.
const starts = 10

// sample is a draw: units, what the design says of them, and how the engine sees them.
type sample struct {
	units  []int
	spec   design.Spec
	strata []survey.Sample // what the engine knows of its strata before the reports; nil where it has no such design
	within []int32         // the stratum of each unit of the population; nil for one stratum
}

// drawer draws samples of one size from the population.
type drawer struct {
	*population

	source rand.Source
	rng    *rand.Rand
	n      int
	pi     []float64 // proportional to floor
	sizes  []int     // by region
}

// plan is a design of the study.
type plan struct {
	name   string
	method survey.Method // how strata share n
	draw   func(*drawer) (sample, error)
}

// plans returns the designs, in the order of the table.
func plans() []plan {
	return []plan{
		{name: "srs", draw: (*drawer).simple},
		{name: "bernoulli", draw: (*drawer).bernoulli},
		{name: "systematic, shuffled", draw: (*drawer).systematic},
		{name: byStarts, draw: (*drawer).severalStarts},
		{name: "stratified, proportional", method: survey.Proportional, draw: (*drawer).stratified},
		{name: "stratified, neyman", method: survey.Neyman, draw: (*drawer).stratified},
		{name: byHouses, draw: (*drawer).clusters},
		{name: byBrewer, draw: (*drawer).proportional},
		{name: "poisson", draw: (*drawer).poisson},
	}
}

func newDrawer(p *population, at plan, n int, source rand.Source) (*drawer, error) {
	d := &drawer{population: p, source: source, rng: rand.New(source), n: n}
	var err error
	if d.pi, err = draw.Proportional(p.floor, n); err != nil || at.method == 0 {
		return d, err
	}
	var strata []survey.AllocStratum
	for h, share := range regionShares {
		size := int64(share * units)
		strata = append(strata, survey.AllocStratum{Population: size, StdDev: regionSpread[h], Most: size})
	}
	allocated, err := survey.Allocate(at.method, int64(n), strata)
	for _, size := range allocated {
		d.sizes = append(d.sizes, int(size))
	}
	return d, err
}

// equally is a sample of one stratum in which each unit was as likely.
func equally(sampled []int) sample {
	n := int64(len(sampled))
	return sample{
		units:  sampled,
		spec:   design.Spec{Stages: []design.Stage{{Size: constant(units, len(sampled))}}},
		strata: []survey.Sample{{Stratum: "all", Population: units, Panel: n}},
	}
}

func constant(x float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = x
	}
	return out
}

func (d *drawer) simple() (sample, error) {
	s, err := draw.SRS(d.source, units, d.n)
	return equally(s.Units), err
}

// bernoulli is analysed given its size, as the engine does.
func (d *drawer) bernoulli() (sample, error) {
	s, err := draw.Bernoulli(d.source, units, float64(d.n)/units)
	return equally(s.Units), err
}

// systematic is one start in a list in random order.
func (d *drawer) systematic() (sample, error) {
	s, err := draw.Systematic(d.source, d.rng.Perm(units), d.n)
	return equally(s.Units), err
}

// severalStarts is a sample of classes of the sorted list, which are clusters.
func (d *drawer) severalStarts() (sample, error) {
	interval := units * starts / d.n
	s, err := draw.SystematicStarts(d.source, d.sorted, interval, starts)
	classes := &design.Factor{Codes: make([]int32, len(s.Groups)), Levels: make([]string, interval)}
	for i, class := range s.Groups {
		classes.Codes[i] = int32(class)
	}
	size := constant(float64(interval), len(s.Units))
	return sample{units: s.Units, spec: design.Spec{Stages: []design.Stage{{Unit: classes, Size: size}}}}, err
}

func (d *drawer) stratified() (sample, error) {
	regions := make([]int, units)
	for k, region := range d.region {
		regions[k] = int(region)
	}
	drawn, err := draw.Stratified(d.source, regions, d.sizes)
	s := sample{units: drawn.Units, within: d.region}
	size := make([]float64, len(s.units))
	for i, k := range s.units {
		size[i] = regionShares[d.region[k]] * units
	}
	s.spec.Stages = []design.Stage{{Stratum: pick(d.regions, s.units), Size: size}}
	for h, n := range d.sizes {
		s.strata = append(s.strata, survey.Sample{
			Stratum: d.regions.Levels[h], Population: int64(regionShares[h] * units), Panel: int64(n),
		})
	}
	return s, err
}

func (d *drawer) clusters() (sample, error) {
	all := make([]int, units)
	for k, b := range d.building {
		all[k] = int(b)
	}
	drawn, err := draw.OneStage(d.source, all, d.n/perBuilding)
	s := sample{units: drawn.Units}
	codes := &design.Factor{Codes: make([]int32, len(s.units)), Levels: make([]string, buildings)}
	for i, k := range s.units {
		codes.Codes[i] = d.building[k]
	}
	s.spec.Stages = []design.Stage{{Unit: codes, Size: constant(buildings, len(s.units))}}
	return s, err
}

// proportional is systematic along a list in random order, which comes near to the most random design of its size.
func (d *drawer) proportional() (sample, error) {
	s, err := draw.SystematicProportional(d.source, d.pi, d.rng.Perm(units))
	return sample{units: s.Units, spec: design.Spec{Method: design.Brewer, Pi: s.Pi}}, err
}

func (d *drawer) poisson() (sample, error) {
	s, err := draw.Poisson(d.source, d.pi)
	return sample{units: s.Units, spec: design.Spec{Method: design.Poisson, Pi: s.Pi}}, err
}
