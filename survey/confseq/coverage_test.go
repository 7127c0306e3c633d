package confseq

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// falseAlarm is the probability with which a test of this file fails although all is well.
const falseAlarm = 1e-6

// mostMisses returns the least k with P(Binomial(n, p) > k) ≤ falseAlarm.
func mostMisses(n int, p float64) int {
	b := distuv.Binomial{N: float64(n), P: p}
	for k := range n {
		if b.Survival(float64(k)) <= falseAlarm {
			return k
		}
	}
	return n
}

// Ten thousand looks at a stream of normal values: the fixed interval misses the truth at some look in about half the
// streams, the sequence in at most 5 %.
func TestTenThousandLooks(t *testing.T) {
	const streams, values, from = 1000, 10_000, 30
	rng := rand.New(rand.NewPCG(1, 2))
	fixed, always := 0, 0
	quantile := distuv.UnitNormal.Quantile(0.975)
	for range streams {
		a, err := NewAsymptotic(500)
		if err != nil {
			t.Fatal(err)
		}
		fixedMissed, alwaysMissed := false, false
		for look := 1; look <= values; look++ {
			if err := a.Add(3 + rng.NormFloat64()); err != nil {
				t.Fatal(err)
			}
			if look < from {
				continue
			}
			n := float64(look)
			if math.Abs(a.Mean-3) > quantile*math.Sqrt(a.M2/(n-1)/n) {
				fixedMissed = true
			}
			if low, high := a.Interval(0.95); low > 3 || high < 3 {
				alwaysMissed = true
			}
		}
		fixed += count(fixedMissed)
		always += count(alwaysMissed)
	}
	t.Logf("of %d streams the fixed interval missed in %d, the sequence in %d", streams, fixed, always)
	// The fixed interval's share is about 0.55; its standard error over 1000 streams is 0.016, so [0.45, 0.65] is ±6.
	if fixed < streams*45/100 || fixed > streams*65/100 {
		t.Errorf("the fixed interval missed in %d of %d streams", fixed, streams)
	}
	if always > streams/20 { // seeded; the true share is about 4 %
		t.Errorf("the sequence missed in %d of %d streams", always, streams)
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// bounded is what the sequences of bounded values share.
type bounded interface {
	Add(x float64) error
	Interval() (low, high float64)
}

// missed says whether the truth was outside the interval at any look.
func missed(t *testing.T, s bounded, truth float64, values []float64) bool {
	t.Helper()
	for _, x := range values {
		if err := s.Add(x); err != nil {
			t.Fatal(err)
		}
		if low, high := s.Interval(); low > truth+1e-9 || high < truth-1e-9 {
			return true
		}
	}
	return false
}

func sequences(t *testing.T, plan Plan, time int) map[string]bounded {
	t.Helper()
	e, err1 := NewEmpiricalBernstein(plan.Range, plan.Confidence, 0.1*float64(time))
	p, err2 := NewPredictableMixture(plan)
	b, err3 := NewBetting(plan, 200)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	return map[string]bounded{"empirical Bernstein": e, "predictable mixture": p, "betting": b}
}

// The promise of the bounded sequences holds at every sample size, so the misses of 250 streams stay below the binomial
// limit of the level, for a skewed, a two-valued and an even distribution, on ranges other than [0, 1].
func TestBoundedSequencesHold(t *testing.T) {
	const streams, values, alpha = 250, 300, 0.1
	rng := rand.New(rand.NewPCG(3, 4))
	support := Range{Low: -10, High: 30}
	draws := map[string]struct {
		draw func() float64
		mean float64
	}{
		"skewed": {func() float64 { u := rng.Float64(); return -10 + 40*u*u*u }, 0},
		"bits": {func() float64 {
			if rng.Float64() < 0.1 {
				return 30
			}
			return -10
		}, -6},
		"even": {func() float64 { return -10 + 40*rng.Float64() }, 10},
	}
	limit := mostMisses(streams, alpha)
	for name, d := range draws {
		misses := map[string]int{}
		for range streams {
			sample := make([]float64, values)
			for i := range sample {
				sample[i] = d.draw()
			}
			for kind, s := range sequences(t, Plan{Range: support, Confidence: 1 - alpha}, values) {
				misses[kind] += count(missed(t, s, d.mean, sample))
			}
		}
		t.Logf("%s: %v of %d, limit %d", name, misses, streams, limit)
		for kind, k := range misses {
			if k > limit {
				t.Errorf("%s, %s: missed in %d of %d streams, at most %d", name, kind, k, streams, limit)
			}
		}
	}
}

// Without replacement the sequences hold too, close on the population's mean and are the shorter for it.
func TestWithoutReplacementHoldsAndCloses(t *testing.T) {
	const streams, units, alpha = 600, 200, 0.1
	rng := rand.New(rand.NewPCG(5, 6))
	population, mean := make([]float64, units), 0.0
	for i := range population {
		population[i] = math.Pow(rng.Float64(), 4)
		mean += population[i] / units
	}
	limit := mostMisses(streams, alpha)
	misses := map[string]int{}
	for range streams {
		rng.Shuffle(units, func(i, j int) { population[i], population[j] = population[j], population[i] })
		finite := sequences(t, Plan{Range: Range{0, 1}, Confidence: 1 - alpha, Population: units}, units)
		delete(finite, "empirical Bernstein")
		endless := sequences(t, Plan{Range: Range{0, 1}, Confidence: 1 - alpha}, units)
		for kind, s := range finite {
			if missed(t, s, mean, population) {
				misses[kind]++
				continue
			}
			missed(t, endless[kind], mean, population)
			low, high := s.Interval()
			if high-low > 1e-9 || math.Abs(low-mean) > 1e-9 {
				t.Errorf("%s: after the census [%g, %g], mean %g", kind, low, high, mean)
			}
			if err := s.Add(0.5); err == nil {
				t.Errorf("%s: takes more than the population", kind)
			}
		}
	}
	t.Logf("%v of %d, limit %d", misses, streams, limit)
	for kind, k := range misses {
		if k > limit {
			t.Errorf("%s: missed in %d of %d streams, at most %d", kind, k, streams, limit)
		}
	}
}

// A halfway census: the finite population's sequence is shorter than the endless one.
func TestFinitePopulationShortens(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	finite := sequences(t, Plan{Range: Range{0, 1}, Confidence: 0.95, Population: 1000}, 500)
	endless := sequences(t, Plan{Range: Range{0, 1}, Confidence: 0.95}, 500)
	for range 800 {
		x := rng.Float64()
		for kind := range finite {
			if finite[kind].Add(x) != nil || endless[kind].Add(x) != nil {
				t.Fatal("refused")
			}
		}
	}
	for _, kind := range []string{"predictable mixture", "betting"} {
		low, high := finite[kind].Interval()
		low2, high2 := endless[kind].Interval()
		if high-low > 0.9*(high2-low2) {
			t.Errorf("%s: %g with, %g without the population", kind, high-low, high2-low2)
		}
	}
}

// Bits: the promise is exact, for rare and even ones, at every trial from the first.
func TestBitsHold(t *testing.T) {
	const streams, trials, alpha = 400, 200, 0.1
	rng := rand.New(rand.NewPCG(9, 10))
	type state struct{ x, n int64 }
	cache := map[state][2]float64{}
	for _, p := range []float64{0.01, 0.3, 0.5} {
		misses := 0
		for range streams {
			var s state
			bad := false
			for range trials {
				s.n++
				if rng.Float64() < p {
					s.x++
				}
				if _, ok := cache[s]; !ok {
					low, high, err := Bits(s.x, s.n, 1-alpha, 100)
					if err != nil {
						t.Fatal(err)
					}
					cache[s] = [2]float64{low, high}
				}
				bad = bad || cache[s][0] > p || cache[s][1] < p
			}
			misses += count(bad)
		}
		if limit := mostMisses(streams, alpha); misses > limit {
			t.Errorf("p = %g: missed in %d of %d streams, at most %d", p, misses, streams, limit)
		}
	}
}

// The oracle of the grid: the capitals computed afresh for means between the candidates, with and without replacement.
func TestBettingIsTheHedgedCapital(t *testing.T) {
	for _, population := range []int64{0, 250} {
		rng := rand.New(rand.NewPCG(11, 12))
		b, err := NewBetting(Plan{Range: Range{0, 1}, Confidence: 0.95, Population: population}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var sample []float64
		for range 120 {
			x := rng.Float64() * rng.Float64()
			sample = append(sample, x)
			if err := b.Add(x); err != nil {
				t.Fatal(err)
			}
		}
		low, high := b.Interval()
		exactLow, exactHigh := 1.0, 0.0
		for m := 0.0001; m < 1; m += 0.0002 {
			if !rejected(sample, m, float64(population)) {
				exactLow, exactHigh = math.Min(exactLow, m), math.Max(exactHigh, m)
			}
		}
		t.Logf("population %d: [%g, %g], exact [%g, %g]", population, low, high, exactLow, exactHigh)
		if low > exactLow || low < exactLow-0.0013 || high < exactHigh || high > exactHigh+0.0013 {
			t.Errorf("population %d: [%g, %g], exact [%g, %g]", population, low, high, exactLow, exactHigh)
		}
	}
}

// rejected says whether the mean m has been bet out at any time.
func rejected(sample []float64, m, population float64) bool {
	s, squares, up, down := 0.0, 0.0, 1.0, 1.0
	for i, x := range sample {
		n := float64(i + 1)
		lambda := math.Sqrt(2 * math.Log(40) / ((0.25 + squares) / n * n * math.Log(1+n)))
		next := m
		if population > 0 {
			next = (population*m - s) / (population - n + 1)
		}
		if next < 0 || next > 1 {
			return true
		}
		up *= 1 + math.Min(lambda, 0.5/next)*(x-next)
		down *= 1 + math.Min(lambda, 0.5/(1-next))*(next-x)
		if up >= 40 || down >= 40 {
			return true
		}
		s += x
		d := x - (0.5+s)/(n+1)
		squares += d * d
	}
	return false
}

// The predictable mixture is its formula, with and without replacement.
func TestPredictableMixtureIsItsFormula(t *testing.T) {
	for _, population := range []float64{0, 400} {
		rng := rand.New(rand.NewPCG(13, 14))
		p, err := NewPredictableMixture(Plan{Range: Range{0, 1}, Confidence: 0.95, Population: int64(population)})
		if err != nil {
			t.Fatal(err)
		}
		sum, squares, centre, slope, spread := 0.0, 0.0, 0.0, 0.0, math.Log(40)
		low, high := 0.0, 1.0
		for i := range 300 {
			x := math.Sqrt(rng.Float64())
			if err := p.Add(x); err != nil {
				t.Fatal(err)
			}
			n := float64(i + 1)
			before := (0.5 + sum) / n
			lambda := math.Min(0.5, math.Sqrt(2*math.Log(40)/((0.25+squares)/n*n*math.Log(n+1))))
			gone, weight := 0.0, 1.0
			if population > 0 {
				gone, weight = sum/(population-n+1), 1+(n-1)/(population-n+1)
			}
			centre += lambda * (x + gone)
			slope += lambda * weight
			spread += (x - before) * (x - before) * (-math.Log(1-lambda) - lambda)
			sum += x
			after := (0.5 + sum) / (n + 1)
			squares += (x - after) * (x - after)
			low, high = math.Max(low, (centre-spread)/slope), math.Min(high, (centre+spread)/slope)
			if population > 0 {
				low, high = math.Max(low, sum/population), math.Min(high, (sum+population-n)/population)
			}
		}
		if l, h := p.Interval(); math.Abs(l-low) > 1e-12 || math.Abs(h-high) > 1e-12 {
			t.Errorf("population %g: [%g, %g], want [%g, %g]", population, l, h, low, high)
		}
	}
}
