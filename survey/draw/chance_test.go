package draw

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quadrat-dev/quadrat/survey/panel"
)

// falseAlarm is the probability with which a statistical test fails although all is well; seeds are fixed besides.
const falseAlarm = 1e-6

// limit is the number of standard errors that so many comparisons exceed together with the probability falseAlarm.
func limit(comparisons int) float64 {
	return distuv.UnitNormal.Quantile(1 - falseAlarm/2/float64(comparisons))
}

// numbersOf draws a permanent random number for each unit.
func numbersOf(r *rand.Rand, n int) []panel.Number {
	out := make([]panel.Number, n)
	for i := range out {
		out[i] = panel.Number(r.Uint64())
	}
	return out
}

// design is a way of drawing from the test's frame, with the probabilities that it promises.
type design struct {
	name string
	draw func(r *rand.Rand) (Sample, error)
	pi   []float64
	size int     // 0 when random
	bias float64 // how far an approximate design's inclusion probabilities may be off
}

const units = 12

// frameSizes and frameValues are the frame: a measure of size and a variable that follows it loosely.
var (
	frameSizes  = []float64{1, 2, 3, 4, 5, 6, 9, 20, 3, 2, 7, 4}
	frameValues = []float64{3, 1, 8, 5, 12, 6, 11, 49, 2, 9, 15, 4}
	frameStrata = []int{0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2}
)

func even(p float64) []float64 {
	out := make([]float64, units)
	for i := range out {
		out[i] = p
	}
	return out
}

func designs(t *testing.T) []design {
	t.Helper()
	pi, err := Proportional(frameSizes, 5)
	if err != nil {
		t.Fatal(err)
	}
	byKey, err := ByKey(frameSizes)
	if err != nil {
		t.Fatal(err)
	}
	stratified := []float64{2. / 3, 2. / 3, 2. / 3, .6, .6, .6, .6, .6, .25, .25, .25, .25}
	twoStage := []float64{4. / 9, 4. / 9, 4. / 9, .4, .4, .4, .4, .4, 2. / 3, 2. / 3, 2. / 3, 2. / 3}
	return []design{
		{"SRS", func(r *rand.Rand) (Sample, error) { return SRS(r, units, 5) }, even(5. / 12), 5, 0},
		{"Bernoulli", func(r *rand.Rand) (Sample, error) { return Bernoulli(r, units, 0.3) }, even(0.3), 0, 0},
		{"Poisson", func(r *rand.Rand) (Sample, error) { return Poisson(r, pi) }, pi, 0, 0},
		{"systematic", func(r *rand.Rand) (Sample, error) { return Systematic(r, byKey, 5) }, even(5. / 12), 5, 0},
		{"several starts", func(r *rand.Rand) (Sample, error) { return SystematicStarts(r, byKey, 5, 2) }, even(0.4), 0, 0},
		{"stratified", func(r *rand.Rand) (Sample, error) { return Stratified(r, frameStrata, []int{2, 3, 1}) }, stratified, 6, 0},
		{"one stage", func(r *rand.Rand) (Sample, error) { return OneStage(r, frameStrata, 2) }, even(2. / 3), 0, 0},
		{"two stages", func(r *rand.Rand) (Sample, error) { return TwoStage(r, frameStrata, 2, []int{2, 3, 4}) }, twoStage, 0, 0},
		{"systematic proportional", func(r *rand.Rand) (Sample, error) { return SystematicProportional(r, pi, byKey) }, pi, 5, 0},
		{"Sampford", func(r *rand.Rand) (Sample, error) { return Sampford(r, pi) }, pi, 5, 0},
		{"maximum entropy", func(r *rand.Rand) (Sample, error) { return MaxEntropy(r, pi) }, pi, 5, 0},
		{"elimination", func(r *rand.Rand) (Sample, error) { return Elimination(r, pi) }, pi, 5, 0},
		{"Pareto", func(r *rand.Rand) (Sample, error) { return Pareto(numbersOf(r, units), pi) }, pi, 5, 0.01},
		{"sequential Poisson", func(r *rand.Rand) (Sample, error) { return SequentialPoisson(numbersOf(r, units), pi) }, pi, 5, 0.04},
	}
}

// Each unit is drawn as often as its inclusion probability says, every sample says these probabilities, and the
// Horvitz-Thompson total has no bias.
func TestInclusionAndUnbiasedTotals(t *testing.T) {
	const draws = 20_000
	truth := 0.0
	for _, y := range frameValues {
		truth += y
	}
	all := designs(t)
	z := limit(len(all) * (units + 1))
	for seed, d := range all {
		r := rand.New(rand.NewPCG(uint64(seed), 77))
		hits := make([]int, units)
		mean, m2 := 0.0, 0.0
		for i := range draws {
			s, err := d.draw(r)
			if err != nil {
				t.Fatalf("%s: %v", d.name, err)
			}
			if d.size > 0 && len(s.Units) != d.size || len(s.Pi) != len(s.Units) {
				t.Fatalf("%s: %+v", d.name, s)
			}
			total := 0.0
			for j, k := range s.Units {
				hits[k]++
				total += frameValues[k] * s.Weights()[j]
				if math.Abs(s.Pi[j]-d.pi[k]) > 1e-12 {
					t.Fatalf("%s: unit %d says π = %g, want %g", d.name, k, s.Pi[j], d.pi[k])
				}
			}
			delta := total - mean
			mean += delta / float64(i+1)
			m2 += delta * (total - mean)
		}
		for k, h := range hits {
			p := d.pi[k]
			got := float64(h) / draws
			if math.Abs(got-p) > z*math.Sqrt(p*(1-p)/draws)+d.bias {
				t.Errorf("%s: unit %d was drawn with frequency %g, want %g", d.name, k, got, p)
			}
		}
		if se := math.Sqrt(m2 / draws / (draws - 1)); math.Abs(mean-truth) > z*se+10*d.bias*truth {
			t.Errorf("%s: the mean total is %g ± %g, want %g", d.name, mean, se, truth)
		}
	}
}

// Pairs are drawn together as often as the joint probabilities say. A remainder drawn without replacement, the known
// defect of another implementation of Sampford's design, shifts these by up to 0.05.
func TestJointInclusion(t *testing.T) {
	const draws = 25_000
	pi := []float64{0.2, 0.3, 1, 0.4, 0.5, 0.7, 0.9, 0}
	order := identity(len(pi))
	cases := []struct {
		name  string
		draw  func(src rand.Source) (Sample, error)
		joint func() ([][]float64, error)
	}{
		{
			"Sampford", func(src rand.Source) (Sample, error) { return Sampford(src, pi) },
			func() ([][]float64, error) { return SampfordJoint(pi) },
		},
		{
			"maximum entropy", func(src rand.Source) (Sample, error) { return MaxEntropy(src, pi) },
			func() ([][]float64, error) { return MaxEntropyJoint(pi) },
		},
		{
			"elimination", func(src rand.Source) (Sample, error) { return Elimination(src, pi) },
			func() ([][]float64, error) { return EliminationJoint(pi) },
		},
		{
			"systematic", func(src rand.Source) (Sample, error) { return SystematicProportional(src, pi, order) },
			func() ([][]float64, error) { return SystematicJoint(pi, order) },
		},
	}
	for seed, c := range cases {
		joint, err := c.joint()
		if err != nil {
			t.Fatal(err)
		}
		src := rand.NewPCG(uint64(seed), 5)
		together := make([][]int, len(pi))
		for k := range together {
			together[k] = make([]int, len(pi))
		}
		for range draws {
			s, err := c.draw(src)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range s.Units {
				for _, l := range s.Units {
					together[k][l]++
				}
			}
		}
		z := limit(len(cases) * len(pi) * len(pi))
		for k := range pi {
			sum := 0.0
			for l, p := range joint[k] {
				sum += p
				if got := float64(together[k][l]) / draws; math.Abs(got-p) > z*math.Sqrt(p*(1-p)/draws)+1e-12 {
					t.Errorf("%s: %d and %d are drawn with frequency %g, want %g", c.name, k, l, got, p)
				}
			}
			if want := 4 * pi[k]; math.Abs(sum-want) > 1e-10 || math.Abs(joint[k][k]-pi[k]) > 1e-15 {
				t.Errorf("%s: row %d adds up to %.15g, want %g", c.name, k, sum, want)
			}
		}
	}
}

// The oracle: Sampford's probability of every set, summed up over all sets.
func TestSampfordJointByEnumeration(t *testing.T) {
	pi, err := Proportional(frameSizes, 5)
	if err != nil {
		t.Fatal(err)
	}
	got, err := SampfordJoint(pi)
	if err != nil {
		t.Fatal(err)
	}
	want, total := square(units), 0.0
	sure := slices.Index(pi, 1)
	for set := range 1 << units {
		size, odds, carried := 0, 1.0, 0.0
		for k, p := range pi {
			if set>>k&1 == 1 && k != sure {
				size, odds, carried = size+1, odds*p/(1-p), carried+1-p
			}
		}
		if size != 4 || set>>sure&1 == 0 {
			continue
		}
		total += odds * carried
		for k := range pi {
			for l := range pi {
				if set>>k&1 == 1 && set>>l&1 == 1 {
					want[k][l] += odds * carried
				}
			}
		}
	}
	for k := range pi {
		for l := range pi {
			if w := want[k][l] / total; math.Abs(got[k][l]-w) > 1e-12 {
				t.Errorf("[%d][%d]: %.15g, want %.15g", k, l, got[k][l], w)
			}
		}
	}
}

// Every one of the 20 sets of three from six is drawn as often as each other.
func TestSRSDrawsEverySetEqually(t *testing.T) {
	const draws = 200_000
	src := rand.NewPCG(8, 8)
	times := map[[3]int]int{}
	for range draws {
		s, err := SRS(src, 6, 3)
		if err != nil {
			t.Fatal(err)
		}
		times[[3]int(s.Units)]++
	}
	if len(times) != 20 {
		t.Errorf("%d sets", len(times))
	}
	square := 0.0
	for _, n := range times {
		d := float64(n) - draws/20
		square += d * d / (draws / 20)
	}
	if bound := (distuv.ChiSquared{K: 19}).Quantile(1 - falseAlarm); square > bound {
		t.Errorf("χ² = %g, at most %g", square, bound)
	}
}

// Sorted systematic samples have the smaller variance, successive differences see it, the formula of SRS doesn't; several
// starts are unbiased.
func TestSystematicVariances(t *testing.T) {
	const population, n, draws = 400, 40, 4000
	r := rand.New(rand.NewPCG(4, 4))
	y := make([]float64, population)
	truth := 0.0
	for k := range y {
		y[k] = float64(k)/20 + r.NormFloat64()*2
		truth += y[k] / population
	}
	order := identity(population)
	var differences, simple, spread, between, several float64
	for range draws {
		s, err := Systematic(r, order, n)
		if err != nil {
			t.Fatal(err)
		}
		values := pick(y, s.Units)
		mean := average(values)
		spread += (mean - truth) * (mean - truth) / draws
		v, err := SuccessiveDifferences(values, population)
		if err != nil {
			t.Fatal(err)
		}
		differences += v / draws
		squares := 0.0
		for _, x := range values {
			squares += (x - mean) * (x - mean)
		}
		simple += (1 - 0.1) / n * squares / (n - 1) / draws

		s, err = SystematicStarts(r, order, 40, 20)
		if err != nil {
			t.Fatal(err)
		}
		classes := map[int][]float64{}
		for i, k := range s.Units {
			classes[s.Groups[i]] = append(classes[s.Groups[i]], y[k])
		}
		var means []float64
		for class := range 40 {
			if values, ok := classes[class]; ok {
				means = append(means, average(values))
			}
		}
		mean, v, err = SeveralStarts(means, 40)
		if err != nil {
			t.Fatal(err)
		}
		several += v / draws
		between += (mean - truth) * (mean - truth) / draws
	}
	t.Logf("systematic %.3g: differences %.3g, SRS's %.3g; twenty starts %.3g: estimate %.3g", spread, differences, simple, between, several)
	// The trend within a step (0.02) is what successive differences don't see of 0.11.
	if differences < 0.65*spread || differences > 1.1*spread || simple < 5*spread {
		t.Error("one start")
	}
	// Both are means of 4000 draws with relative standard errors below 3 %; 1e-6 is 4.9 of their difference's.
	if math.Abs(several/between-1) > 4.9*0.03*math.Sqrt2 {
		t.Error("several starts")
	}
}

func average(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}
