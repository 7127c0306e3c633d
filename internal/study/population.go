package study

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/survey/design"
)

// The population: buildings of perBuilding devices in four regions. A thousand is a sixth of it, so that a wrong share of
// the noise, or a wrong finite-population correction, would show.
const (
	units       = 6000
	perBuilding = 5
	buildings   = units / perBuilding
)

// warmAbove splits the population into about two fifths and three; alarmShare is a rare condition.
const (
	warmAbove  = 23
	alarmShare = 0.02
)

// variable is what devices are asked: its values, the bounds that a script would name, and the values on the grid of a
// mechanism.
type variable struct {
	values []float64
	bounds privacy.Bounds
	bit    bool
}

// population is a fleet with all that is known of it. Values that are asked are variables; the rest is public.
type population struct {
	temperature, energy, cost variable // near normal; proportional to floor; skewed
	warm, alarm               variable // bits
	floor                     []float64
	region, class, building   []int32
	inside                    []bool // the domain
	regions, classes, ages    *design.Factor
	classCount, ageCount      map[string]float64
	floorTotal                float64
	sorted                    []int // units by what goes with the temperature
}

// regionShares and regionSpread make Neyman's allocation differ from the proportional one.
var (
	regionShares = [...]float64{0.5, 0.25, 0.15, 0.1}
	regionSpread = [...]float64{1.5, 2, 3, 4}
)

// newPopulation makes the same fleet each time.
func newPopulation() (*population, error) {
	rng := rand.New(rand.NewPCG(2026, 11))
	p := &population{floor: make([]float64, units), inside: make([]bool, units)}
	for _, v := range []*variable{&p.temperature, &p.energy, &p.cost, &p.warm, &p.alarm} {
		v.values = make([]float64, units)
	}
	p.region, p.class, p.building = make([]int32, units), make([]int32, units), make([]int32, units)
	key := make([]float64, units)
	level, region, ends := 0.0, int32(0), regionShares[0]
	for k := range units {
		if k%perBuilding == 0 {
			level = rng.NormFloat64()
		}
		if float64(k) >= ends*units {
			region++
			ends += regionShares[region]
		}
		p.region[k], p.building[k] = region, int32(k/perBuilding)
		p.class[k] = int32(indicator(rng.Float64() < 0.6) + indicator(rng.Float64() < 0.5)) // shares of 0.2, 0.5 and 0.3
		p.inside[k] = rng.Float64() < 0.5
		p.floor[k] = 1 + 2*rng.Float64()
		trend := 19 + float64(region)/2 + float64(p.class[k]) + p.floor[k]/2 + level/2
		t := trend + regionSpread[region]*rng.NormFloat64()
		if p.inside[k] {
			t++
		}
		p.temperature.values[k], key[k] = t, trend
		p.energy.values[k] = p.floor[k] * (3 + 0.5*rng.NormFloat64())
		p.cost.values[k] = math.Exp(1.2 * rng.NormFloat64())
		p.warm.values[k] = indicator(t > warmAbove)
	}
	for _, k := range rng.Perm(units)[:int(math.Round(alarmShare*units))] {
		p.alarm.values[k] = 1
	}
	p.sorted = order(key)
	p.regions = factor(p.region)
	p.classes = factor(p.class)
	ages := make([]int32, units)
	for k, in := range p.inside {
		ages[k] = int32(indicator(in))
	}
	p.ages = factor(ages)
	p.classCount, p.ageCount, p.floorTotal = counts(p.classes), counts(p.ages), sum(p.floor)
	return p, p.bound()
}

// bound sets bounds and grid of every variable.
func (p *population) bound() error {
	for _, b := range []struct {
		v        *variable
		low, top float64
	}{{&p.temperature, 0, 45}, {&p.energy, 0, 15}, {&p.cost, 0, slices.Max(p.cost.values)}, {&p.warm, 0, 1}, {&p.alarm, 0, 1}} {
		low, err := privacy.MicroOf(b.low)
		if err != nil {
			return err
		}
		top, err := privacy.MicroOf(b.top)
		if err != nil {
			return err
		}
		if b.v.bounds, err = privacy.NewBounds(low, top); err != nil {
			return err
		}
		b.v.bit = b.v == &p.warm || b.v == &p.alarm
	}
	return nil
}

func indicator(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}

func order(key []float64) []int {
	out := make([]int, len(key))
	for k := range out {
		out[k] = k
	}
	slices.SortStableFunc(out, func(i, j int) int {
		if key[i] < key[j] {
			return -1
		}
		return int(indicator(key[i] > key[j]))
	})
	return out
}

// factor names the codes of a column by their numbers.
func factor(codes []int32) *design.Factor {
	f := &design.Factor{Codes: codes}
	for code := range slices.Max(codes) + 1 {
		f.Levels = append(f.Levels, strconv.Itoa(int(code)))
	}
	return f
}

// pick returns the labels of the sampled units.
func pick(f *design.Factor, sampled []int) *design.Factor {
	out := &design.Factor{Codes: make([]int32, len(sampled)), Levels: f.Levels}
	for i, k := range sampled {
		out.Codes[i] = f.Codes[k]
	}
	return out
}

// counts returns how many units of the population have each level.
func counts(f *design.Factor) map[string]float64 {
	out := map[string]float64{}
	for _, code := range f.Codes {
		out[f.Levels[code]]++
	}
	return out
}

func sum(xs []float64) float64 {
	total := 0.0
	for _, x := range xs {
		total += x
	}
	return total
}

func mean(xs []float64) float64 { return sum(xs) / float64(len(xs)) }
