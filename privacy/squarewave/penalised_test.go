package squarewave

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

// everyShape is what the methods are compared on: smooth and not, with atoms, rising at an end.
func everyShape() []population {
	decay := -math.Expm1(-8)
	return append(populations(),
		population{"Beta(1/2, 1/2)", func(rng *rand.Rand) float64 {
			root := math.Sin(math.Pi / 2 * rng.Float64())
			return root * root
		}, func(x float64) float64 { return 2 / math.Pi * math.Asin(math.Sqrt(x)) }},
		population{"atom and hill", func(rng *rand.Rand) float64 {
			if rng.Float64() < 0.4 {
				return 0.3
			}
			return 0.2 + 0.4*(rng.Float64()+rng.Float64())
		}, func(x float64) float64 {
			atom := 0.0
			if x >= 0.3 {
				atom = 0.4
			}
			return atom + 0.6*triangle(x, 0.6, 0.4)
		}},
		population{"exponential", func(rng *rand.Rand) float64 { return -math.Log1p(-decay*rng.Float64()) / 8 }, func(x float64) float64 {
			return -math.Expm1(-8*x) / decay
		}},
		population{"half at 0", func(rng *rand.Rand) float64 {
			if rng.Float64() < 0.5 {
				return 0
			}
			return secondOfSix(rng)
		}, func(x float64) float64 { return 0.5 + 0.5*below(x) }},
	)
}

// TestPenalisedIsNearerThanSmoothed compares the methods on the same samples of every shape, a few of each in every run and, when a
// number is given, that many in all rows of the reference. In no row is Penalised further by more than an eighth and three standard
// errors of the difference; over the shapes of a row it is nearer on the (geometric) average.
func TestPenalisedIsNearerThanSmoothed(t *testing.T) {
	quick := []int{8, 4, 1}
	for i, c := range rows() {
		n := *samples
		if n == 0 && i < len(quick) {
			n = quick[i]
		}
		if n == 0 {
			break
		}
		m, err := New(c.epsilon)
		if err != nil {
			t.Fatal(err)
		}
		relative := 0.0
		for _, p := range everyShape() {
			var smoothed, penalised float64
			differences := make([]float64, n)
			for seed := range differences {
				tally := p.sample(t, m, c.reports, uint64(seed))
				a, b := p.apart(t, tally, Smoothed), p.apart(t, tally, Penalised)
				smoothed, penalised = smoothed+a/float64(n), penalised+b/float64(n)
				differences[seed] = b - a
			}
			t.Logf("%s, %d reports at ε=%v: smoothed %.4f, penalised %.4f", p.name, c.reports, c.epsilon, smoothed, penalised)
			relative += math.Log(penalised / smoothed)
			_, spread := moments(differences)
			if n > 1 && penalised > smoothed*9/8+3*spread/math.Sqrt(float64(n)) {
				t.Errorf("%s, %d reports at ε=%v: smoothed %.4f, penalised %.4f", p.name, c.reports, c.epsilon, smoothed, penalised)
			}
		}
		if relative >= 0 {
			t.Errorf("%d reports at ε=%v: penalised shapes are further than smoothed ones on average", c.reports, c.epsilon)
		}
	}
}

// sample is a tally of so many reports of draws.
func (p population) sample(t *testing.T, m *Mechanism, reports int, seed uint64) *Tally {
	t.Helper()
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
	return tally
}

// apart is the Wasserstein error of a method.
func (p population) apart(t *testing.T, tally *Tally, how Method) float64 {
	t.Helper()
	shape, err := tally.Shape(how)
	if err != nil || !shape.Converged {
		t.Fatalf("%s: %v after %d rounds", p.name, err, shape.Rounds)
	}
	return p.distance(shape.Share)
}

// TestSlopesAreThoseOfTheLikelihood compares gradient and second derivatives with differences of the log-likelihood by the whole matrix,
// and the information with its definition.
func TestSlopesAreThoseOfTheLikelihood(t *testing.T) {
	for _, e := range []privacy.Epsilon{500_000, 4_000_000} {
		f := newFit(sample(t, e, 3_000, 1))
		var at vector
		for c := range at {
			at[c] = math.Sin(float64(c))
		}
		value := func(at vector) float64 {
			share, sum := f.stand(at, 0).share, 0.0
			for i, n := range f.e.counts {
				chance := 0.0
				for j, s := range share {
					chance += f.e.matrix[i*len(share)+j] * s
				}
				sum += n * math.Log(chance)
			}
			return sum
		}
		gradient, bend, _ := f.look(f.stand(at, 0).share)
		const h = 1e-3
		for c := range at {
			up, down := at, at
			up[c] += h
			down[c] -= h
			if want := (value(up) - value(down)) / (2 * h); math.Abs(gradient[c]-want) > 1e-2 {
				t.Errorf("ε=%v, coefficient %d: slope %g, want %g", e, c, gradient[c], want)
			}
			above, _, _ := f.look(f.stand(up, 0).share)
			under, _, _ := f.look(f.stand(down, 0).share)
			for d := range at {
				if want := (under[d] - above[d]) / (2 * h); math.Abs(bend[c][d]-want) > 1e-2 {
					t.Errorf("ε=%v, coefficients %d and %d: bend %g, want %g", e, c, d, bend[c][d], want)
				}
			}
		}
		// Were the counts those expected, the information would be the second derivatives.
		share := f.stand(at, 0).share
		f.e.outputs(share, f.e.chances)
		for i, chance := range f.e.chances {
			f.e.counts[i] = f.reports * chance
		}
		_, bend, information := f.look(share)
		for c := range at {
			for d := range at {
				if math.Abs(bend[c][d]-information[c][d]) > 1e-8*f.reports {
					t.Errorf("ε=%v, coefficients %d and %d: information %g, want %g", e, c, d, information[c][d], bend[c][d])
				}
			}
		}
	}
}

// TestEvidenceIsTheIntegral compares the evidence of strengths, against that of one of them, with the integral of the probability of the counts
// over all splines, by importance sampling from Laplace's normal law (4,000 draws: a standard error near 0.05).
func TestEvidenceIsTheIntegral(t *testing.T) {
	const draws = 4_000
	f := newFit(sample(t, 1_000_000, 10_000, 1))
	rng := rand.New(rand.NewPCG(1, 2))
	var first, firstExact float64
	for i, strength := range []penalty{1e3, 1e4, 1e5, 1e7} {
		h := f.climb(vector{}, strength)
		if !h.converged {
			t.Fatalf("strength %g: not converged", float64(strength))
		}
		_, _, law := f.look(h.share)
		precision := strength.matrix()
		law.add(precision)
		curvature, _ := law.factor()
		before, _ := precision.factor()
		logs := make([]float64, draws)
		top := math.Inf(-1)
		for d := range logs {
			var z vector
			square := 0.0
			for c := range z {
				z[c] = rng.NormFloat64()
				square += z[c] * z[c]
			}
			for r := coefficients - 1; r >= 0; r-- { // L'x = z
				for k := r + 1; k < coefficients; k++ {
					z[r] -= law[k][r] * z[k]
				}
				z[r] /= law[r][r]
			}
			for c := range z {
				z[c] += h.at[c]
			}
			logs[d] = f.stand(z, strength).height + before/2 - curvature/2 + square/2
			top = max(top, logs[d])
		}
		sum := 0.0
		for _, l := range logs {
			sum += math.Exp(l-top) / draws
		}
		exact := top + math.Log(sum)
		if i == 0 {
			first, firstExact = h.evidence, exact
		}
		t.Logf("strength %g: evidence %.3f more than that of the first, integral %.3f more", float64(strength), h.evidence-first, exact-firstExact)
		if math.Abs(h.evidence-first-exact+firstExact) > 0.5 {
			t.Errorf("strength %g: evidence %.3f more than that of the first, integral %.3f more", float64(strength), h.evidence-first, exact-firstExact)
		}
	}
}

// TestPenalisedOfLittle makes shapes of tallies with next to nothing in them, or more than there are devices, all in one bin.
func TestPenalisedOfLittle(t *testing.T) {
	for _, e := range []privacy.Epsilon{10_000, 20_000_000} {
		for _, bins := range []int{2, 50} {
			m, err := New(e)
			if err != nil {
				t.Fatal(err)
			}
			for name, count := range map[string]float64{"a fraction": 0.25, "two reports": 2, "more than there are": 1e15} {
				for _, at := range []int{0, bins / 2} {
					counts := make([]float64, bins)
					counts[at] = count
					tally, err := m.TallyOf(counts)
					if err != nil {
						t.Fatal(err)
					}
					s, err := tally.Shape(Penalised)
					sum := 0.0
					for _, share := range s.Share {
						if !(share >= 0) {
							t.Fatalf("%s in bin %d of %d at ε=%v: a share of %g", name, at, bins, e, share)
						}
						sum += share
					}
					if err != nil || math.Abs(sum-1) > 1e-12 || s.Rounds > (strongest-weakest+1)*stepsMax {
						t.Errorf("%s in bin %d of %d at ε=%v: %v, sum %g after %d steps", name, at, bins, e, err, sum, s.Rounds)
					}
				}
			}
		}
	}
}

// TestMoreBinsDoNoHarm makes shapes of Beta(5, 2) from the same reports in more and more bins, which splines don't overfit: twice as many
// are no worse by more than a tenth.
func TestMoreBinsDoNoHarm(t *testing.T) {
	for _, c := range []row{
		{reports: 200, epsilon: 1_000_000, quick: 8},
		{reports: 1_000, epsilon: 1_000_000, quick: 8},
		{reports: 10_000, epsilon: 1_000_000, quick: 4},
		{reports: 100_000, epsilon: 1_000_000, quick: 1},
		{reports: 100_000, epsilon: 500_000, quick: 1},
	} {
		errors := map[int]float64{}
		for seed := range uint64(c.count()) {
			tally := sample(t, c.epsilon, c.reports, seed)
			for {
				bins := len(tally.counts)
				shape, err := tally.Shape(Penalised)
				if err != nil {
					t.Fatal(err)
				}
				distance, _ := distances(shape.Share)
				errors[bins] += distance / float64(c.count())
				if bins == 16 {
					break
				}
				half := make([]float64, bins/2)
				for j, n := range tally.counts {
					half[j/2] += n
				}
				if tally, err = tally.m.TallyOf(half); err != nil {
					t.Fatal(err)
				}
			}
		}
		for bins := 16; bins <= 256; bins *= 2 {
			t.Logf("%d reports at ε=%v, %d bins: %.4f", c.reports, c.epsilon, bins, errors[bins])
			if bins > 16 && errors[bins] > 1.1*errors[bins/2] {
				t.Errorf("%d reports at ε=%v: error %.4f in %d bins, %.4f in half as many", c.reports, c.epsilon, errors[bins], bins, errors[bins/2])
			}
		}
	}
}
