package survey

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// state sums scores up with one noise variance.
func state(scores []float64, noise float64) (m Moments, t Tails) {
	for _, z := range scores {
		t.Add(m, z)
		m.Add(z, noise)
	}
	return m, t
}

// Tails agree with sums about the known mean, however the scores were grouped and merged.
func TestTailsMergeExactly(t *testing.T) {
	source := rand.New(rand.NewPCG(3, 5))
	scores := make([]float64, 1000)
	var mean float64
	for i := range scores {
		scores[i] = 1e4 + math.Exp(source.NormFloat64())
		mean += scores[i] / 1000
	}
	var third, fourth float64
	for _, z := range scores {
		e := z - mean
		third += e * e * e
		fourth += e * e * e * e
	}
	for range 50 {
		var m Moments
		var tails Tails
		for from := 0; from < len(scores); {
			to := min(len(scores), from+source.IntN(120))
			part, partTails := state(scores[from:to], 1)
			if source.IntN(2) == 0 { // either side may be the larger
				partTails.Merge(part, tails, m)
				part.Merge(m)
				m, tails = part, partTails
			} else {
				tails.Merge(m, partTails, part)
				m.Merge(part)
			}
			from = to
		}
		if m.Count != 1000 || !near(tails.M3, third, 1e-10, third) || !near(tails.M4, fourth, 1e-10, fourth) || !tails.valid(m) {
			t.Fatalf("%v %v, want %v and %v", m, tails, third, fourth)
		}
	}
}

// Readings that differ by little or by nothing make estimates too, whatever their size and however they are merged.
func TestVarianceOfNearlyEqualScores(t *testing.T) {
	source := rand.New(rand.NewPCG(8, 1))
	for _, centre := range []float64{0, 20, -1e6, 1e12} {
		for _, step := range []float64{0, 1e-150, 1e-9, 1e-6, 1e-3, 1, 1e9} {
			for n := 4; n < 200; n += 7 {
				scores := make([]float64, n)
				for i := range scores {
					scores[i] = centre + step*float64(source.IntN(2))
				}
				m, tails := state(scores[:n/3], 0)
				rest, restTails := state(scores[n/3:], 0)
				tails.Merge(m, restTails, rest)
				m.Merge(rest)
				e, err := Variance([]Sample{{Population: int64(n + 9), Panel: int64(n), Responses: int64(n), Domain: m, Tails: tails}}, Powers{}, 0.95)
				if err != nil || e.Value != m.M2/float64(n)*(float64(n)/float64(n-1)) && !near(e.Value, m.M2/float64(n-1), 1e-9, e.Value) {
					t.Errorf("%d scores %v apart about %v: %v, %v", n, step, centre, e.Value, err)
				}
			}
		}
	}
}

// R: svyvar(~api00, svydesign(id=~1, fpc=~fpc, data=apisrs)), survey 4.1-1.
func TestVarianceAsInR(t *testing.T) {
	s := Sample{Population: 6194}
	for _, row := range readTable(t, "external/apisrs") {
		api := number(t, row["api00"])
		s.Panel++
		s.Responses++
		s.Tails.Add(s.Domain, api)
		s.Domain.Add(api, 0)
	}
	e, err := Variance([]Sample{s}, Powers{}, 0.95)
	if err != nil || !near(e.Value, 17682.4248994975, 1e-12, e.Value) || !near(e.StdError, 1349.23614098605, 1e-12, e.StdError) ||
		e.DegreesOfFreedom != 199 || e.VariancePrivacy != 0 {
		t.Errorf("%+v, %v", e, err)
	}
}

// Over all samples of a small population and all signs of a noise ±s the mean of the estimates is S².
func TestVarianceIsUnbiased(t *testing.T) {
	population := []float64{3, -1, 4, 1.5, 9, 2}
	truth, _ := state(population, 0)
	const s, n = 7.0, 4
	var sum, samples float64
	for drawn := range 1 << len(population) {
		var sample []float64
		for i, y := range population {
			if drawn>>i&1 == 1 {
				sample = append(sample, y)
			}
		}
		if len(sample) != n {
			continue
		}
		for signs := range 1 << n {
			noisy := make([]float64, n)
			for i, y := range sample {
				noisy[i] = y + s*float64(2*(signs>>i&1)-1)
			}
			m, tails := state(noisy, s*s)
			e, err := Variance([]Sample{{Population: 6, Panel: n, Responses: n, Domain: m, Tails: tails}}, Powers{}, 0.95)
			if err != nil || e.Low > e.Value || e.High < e.Value {
				t.Fatalf("%+v, %v", e, err)
			}
			if said := len(e.Warnings) == 2; said != (e.Value < 0) { // beside that of the few reports
				t.Errorf("%v with warnings %q", e.Value, e.Warnings)
			}
			sum += e.Value
			samples++
		}
	}
	if want := truth.M2 / 5; !near(sum/samples, want, 1e-12, want) {
		t.Errorf("mean %v, want %v", sum/samples, want)
	}
}

// The noise ±s makes Var((z − c)² | x) = 4 (x − c)² s². The mean of its estimates over all signs is that, exactly.
func TestPowersTellTheNoise(t *testing.T) {
	truth := []float64{14, 21, 22.5, 30}
	const s, centre, middle, scale = 9.0, 23.0, 25.0, 15.0
	v := s * s / (scale * scale)
	p := Powers{Centre: middle, Scale: scale, Variance: v, Third: [2]float64{1, 3 * v}, Fourth: [3]float64{1, 6 * v, v * v}}
	var mean, want float64
	for signs := range 16 {
		noisy := make([]float64, 4)
		for i, y := range truth {
			noisy[i] = y + s*float64(2*(signs>>i&1)-1)
		}
		m, tails := state(noisy, s*s)
		mean += p.noise(Sample{Domain: m, Tails: tails}, centre) / 16
	}
	for _, y := range truth {
		want += 4 * (y - centre) * (y - centre) * s * s
	}
	if !near(mean, want, 1e-12, want) {
		t.Errorf("mean %v, want %v", mean, want)
	}
}

// What breaks a law is refused.
func TestVarianceRefuses(t *testing.T) {
	m, tails := state([]float64{1, 2, 4, 4}, 0)
	good := Sample{Stratum: "a", Population: 9, Panel: 4, Responses: 4, Domain: m, Tails: tails}
	for name, c := range map[string]struct {
		change func(*Sample)
		want   Code
	}{
		"no tails":   {func(s *Sample) { s.Tails = Tails{} }, Invalid},
		"infinite":   {func(s *Sample) { s.Tails.M4 = math.Inf(1) }, Invalid},
		"negative":   {func(s *Sample) { s.Tails.M4 = -1 }, Invalid},
		"one report": {func(s *Sample) { s.Domain, s.Tails = state([]float64{1}, 0) }, NoFreedom},
		"three":      {func(s *Sample) { s.Domain, s.Tails = state([]float64{1, 2, 4}, 0) }, NoFreedom},
		"no report":  {func(s *Sample) { s.Domain, s.Tails = Moments{}, Tails{} }, NoDomain},
	} {
		s := good
		c.change(&s)
		if _, err := Variance([]Sample{s}, Powers{}, 0.95); CodeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if e, err := Variance([]Sample{good}, Powers{}, 0.95); err != nil || !near(e.Value, m.M2/3, 1e-15, 1) {
		t.Errorf("%+v, %v", e, err)
	}
}

// shape is a population of the coverage study, within bounds of 5 and 45.
type shape struct {
	name   string
	draw   func(stratum int, source *rand.Rand) float64
	misses map[string]float64 // per cent covered where too few values fix the fourth moment
}

var shapes = []shape{
	{
		name: "normal", draw: func(_ int, r *rand.Rand) float64 { return 25 + 3*r.NormFloat64() },
		misses: map[string]float64{"n=32/eps=0": 90.2, "n=32/eps=4": 92.6, "n=100/eps=0": 93.1},
	},
	{
		name: "uniform", draw: func(_ int, r *rand.Rand) float64 { return 15 + 20*r.Float64() },
		misses: map[string]float64{"n=32/eps=0": 93.2, "n=32/eps=4": 92.6},
	},
	{
		name: "regions", draw: func(h int, r *rand.Rand) float64 { return 20 + 1.5*float64(h) + 2*r.NormFloat64() },
		misses: map[string]float64{"n=32/eps=0": 92.4, "n=32/eps=4": 90.9},
	},
	{
		name: "skewed", draw: func(_ int, r *rand.Rand) float64 {
			return 16 + 1.5*(r.ExpFloat64()+r.ExpFloat64()+r.ExpFloat64()+r.ExpFloat64())
		},
		misses: map[string]float64{
			"n=32/eps=0": 85.2, "n=32/eps=4": 90.8, "n=100/eps=0": 91.2, "n=400/eps=0": 92.7,
		},
	},
}

// In every cell the 95 % interval covers 93.5–96.5 %, but for those that the shape lists; they stand in docs/statistics.md.
// At 3,000 repetitions a method that covers 95 % exactly leaves the band with probability 1.6e-4 in a cell; seeds are
// fixed, so a run that passed passes again. The listed cells must miss, or they are listed wrongly.
func TestVarianceCoverage(t *testing.T) {
	for _, s := range shapes {
		for _, n := range []int64{32, 100, 400} {
			for _, epsilon := range []float64{0, 1, 4} {
				cell := fmt.Sprintf("n=%d/eps=%g", n, epsilon)
				t.Run(s.name+"/"+cell, func(t *testing.T) {
					t.Parallel()
					share := s.covered(t, n, epsilon)
					t.Logf("%s %s covers %.1f %%", s.name, cell, 100*share)
					if told, listed := s.misses[cell]; listed && math.Abs(100*share-told) > 0.1 {
						t.Errorf("covers %.1f %%, listed with %.1f", 100*share, told)
					} else if within := share >= 0.935 && share <= 0.965; within == listed {
						t.Errorf("covers %.1f %%", 100*share)
					}
				})
			}
		}
	}
}

// covered draws from four strata with unequal fractions.
func (s shape) covered(t *testing.T, n int64, epsilon float64) float64 {
	t.Helper()
	const repetitions = 3000
	source := rand.New(rand.NewPCG(uint64(n), uint64(10*epsilon)+1))
	strata := [4][]float64{make([]float64, 4000), make([]float64, 2500), make([]float64, 1500), make([]float64, 1000)}
	var truth Moments
	for h := range strata {
		for i := range strata[h] {
			strata[h][i] = max(5, min(45, s.draw(h, source)))
			truth.Add(strata[h][i], 0)
		}
	}
	square := truth.M2 / float64(truth.Count-1)
	mechanism := newHybrid(epsilon, 5, 45)
	held := 0
	for range repetitions {
		samples := make([]Sample, len(strata))
		for h, values := range strata {
			m := n / 4
			samples[h] = Sample{Stratum: regionNames[h], Population: int64(len(values)), Panel: m, Responses: m}
			for k := range int(m) {
				j := k + source.IntN(len(values)-k)
				values[k], values[j] = values[j], values[k]
				z, noise := values[k], 0.0
				if epsilon > 0 {
					z, noise = mechanism.score(z, source), mechanism.variance
				}
				samples[h].Tails.Add(samples[h].Domain, z)
				samples[h].Domain.Add(z, noise)
			}
		}
		e, err := Variance(samples, Powers{}, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if e.Low <= square && square <= e.High {
			held++
		}
	}
	return float64(held) / repetitions
}
