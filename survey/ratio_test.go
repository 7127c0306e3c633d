package survey

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// pair is a stratum in which each unit has two readings.
type pair struct{ a, b []float64 }

// ratioStudy is one cell of the coverage study of [Ratio]. Every stratum gives the share of n that it has of the units to
// each sub-panel.
type ratioStudy struct {
	strata  []pair
	n       int
	epsilon float64
}

// pairs makes a population of two strata: b about 20, a = 1.5·b plus a deviation of its own.
func pairs(units int, own float64) []pair {
	source := rand.New(rand.NewPCG(11, uint64(units)))
	var out []pair
	for h, share := range []float64{0.7, 0.3} {
		var p pair
		for range int(share * float64(units)) {
			b := 19 + 3*float64(h) + 3*source.NormFloat64()
			p.a, p.b = append(p.a, 1.5*b+own*source.NormFloat64()), append(p.b, b)
		}
		out = append(out, p)
	}
	return out
}

func (r ratioStudy) truth() float64 {
	var a, b float64
	for _, p := range r.strata {
		for i := range p.a {
			a, b = a+p.a[i], b+p.b[i]
		}
	}
	return a / b
}

// draw gives two disjoint sub-panels.
func (r ratioStudy) draw(source *rand.Rand) (numerator, denominator []Sample) {
	total := 0
	for _, p := range r.strata {
		total += len(p.a)
	}
	noise := newHybrid(r.epsilon, 0, 60)
	for h, p := range r.strata {
		n := r.n * len(p.a) / total
		order := source.Perm(len(p.a))
		take := func(values []float64, units []int) Sample {
			s := Sample{
				Stratum: fmt.Sprint(h), Population: int64(len(values)), Panel: int64(n), Responses: int64(n),
			}
			for _, i := range units {
				if r.epsilon > 0 {
					s.Domain.Add(noise.score(values[i], source), noise.variance)
				} else {
					s.Domain.Add(values[i], 0)
				}
			}
			return s
		}
		numerator = append(numerator, take(p.a, order[:n]))
		denominator = append(denominator, take(p.b, order[n:2*n]))
	}
	return numerator, denominator
}

// TestRatioCoverage holds the interval to 93.5–96.5 %, as TestCoverage does and with the same false alarms. Where the
// sub-panels take two fifths of the population each, that holds because a is nearly 1.5·b; there an interval that corrects
// each sample for its own share of the population falls short, which the test shows. Where a varies by itself instead,
// the interval may only be too wide.
func TestRatioCoverage(t *testing.T) {
	large := pairs(20_000, 4)
	cases := []struct {
		name  string
		study ratioStudy
		most  float64
	}{
		{"n=100", ratioStudy{large, 100, 0}, 0.965},
		{"n=1000", ratioStudy{large, 1000, 0}, 0.965},
		{"n=100/eps=4", ratioStudy{large, 100, 4}, 0.965},
		{"n=1000/eps=1", ratioStudy{large, 1000, 1}, 0.965},
		{"n=400 of 1000", ratioStudy{pairs(1000, 0.2), 400, 0}, 0.965},
		{"n=400 of 1000/eps=4", ratioStudy{pairs(1000, 0.2), 400, 4}, 0.965},
		{"n=400 of 1000 apart", ratioStudy{pairs(1000, 12), 400, 0}, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			share, naive := c.study.covered(t)
			if share < 0.935 || share > c.most {
				t.Errorf("covers %.2f %%", 100*share)
			}
			if c.name == "n=400 of 1000" && naive > 0.92 {
				t.Errorf("with each sample's own correction it covers %.2f %%, so this case shows nothing", 100*naive)
			}
		})
	}
}

// covered gives the share of intervals that hold the truth: those of Ratio, and those of two means taken as independent.
func (r ratioStudy) covered(t *testing.T) (share, naive float64) {
	t.Helper()
	const repetitions = 5000
	source := rand.New(rand.NewPCG(uint64(r.n), uint64(r.epsilon)+3))
	truth := r.truth()
	for range repetitions {
		numerator, denominator := r.draw(source)
		e, err := Ratio(numerator, denominator, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if e.Low <= truth && truth <= e.High {
			share += 1. / repetitions
		}
		a, _ := Mean(numerator, 0.95)
		b, _ := Mean(denominator, 0.95)
		if math.Abs(e.Value-truth) <= 1.96*math.Hypot(a.StdError, e.Value*b.StdError)/b.Value {
			naive += 1. / repetitions
		}
	}
	return share, naive
}

// Unit by unit, from the definitions: z = w(y−ȳ)/N̂ with 0 outside the domain, n/(n−1)·Σ(z−z̄)² by stratum.
func TestRatioUnitByUnit(t *testing.T) {
	const units = 9
	source := rand.New(rand.NewPCG(5, 5))
	part := func(centre float64) (samples []Sample, mean, variance, noise float64) {
		var size float64
		scores, inside := make([][]float64, 3), make([][]bool, 3)
		for h := range 3 {
			s := Sample{Stratum: fmt.Sprint(h), Population: int64(100 * (h + 1)), Panel: units + 1, Responses: units}
			for range units {
				y, in := centre+source.NormFloat64(), source.Float64() < 0.7
				scores[h], inside[h] = append(scores[h], y), append(inside[h], in)
				if in {
					s.Domain.Add(y, 0.25)
					size += float64(s.Population) / units
					mean += float64(s.Population) / units * y
				}
			}
			samples = append(samples, s)
		}
		mean /= size
		for h, s := range samples {
			z, average := make([]float64, units), 0.0
			for i, y := range scores[h] {
				if inside[h][i] {
					a := float64(s.Population) / units / size
					z[i] = a * (y - mean)
					noise += a * a * 0.25
				}
				average += z[i] / units
			}
			for _, x := range z {
				variance += units / (units - 1.) * (x - average) * (x - average)
			}
		}
		return samples, mean, variance, noise
	}
	as, a, va, na := part(7)
	bs, b, vb, nb := part(12)
	e, err := Ratio(as, bs, 0.9)
	if err != nil {
		t.Fatal(err)
	}
	r := a / b
	va, vb, na, nb = va/(b*b), r*r*vb/(b*b), na/(b*b), r*r*nb/(b*b)
	fa, fb := float64(as[0].Domain.Count+as[1].Domain.Count+as[2].Domain.Count-3), float64(bs[0].Domain.Count+bs[1].Domain.Count+bs[2].Domain.Count-3)
	degrees := (va + vb) * (va + vb) / (va*va/fa + vb*vb/fb)
	half := quantileT(0.9, degrees) * math.Sqrt(va+vb)
	for name, pair := range map[string][2]float64{
		"value": {e.Value, r}, "error": {e.StdError, math.Sqrt(va + vb)}, "privacy": {e.VariancePrivacy, na + nb},
		"sampling": {e.VarianceSampling, va + vb - na - nb}, "degrees": {e.DegreesOfFreedom, degrees},
		"low": {e.Low, r - half}, "high": {e.High, r + half}, "rate": {e.ResponseRate, 0.9}, "panel": {float64(e.Panel), 60},
		"reports": {float64(e.Reports), fa + fb + 6},
	} {
		if !near(pair[0], pair[1], 1e-11, 0) {
			t.Errorf("%s %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestRatioRefuses(t *testing.T) {
	good := []Sample{stratum("s", 100, 19, 20, 21, 20, 19, 21, 20, 20, 19, 21)}
	around := []Sample{stratum("s", 100, -2, 3, 1, -1, 2, -3, 2, -1, 0, 1)}
	zero := []Sample{stratum("s", 100, 0, 0, 0)}
	for _, c := range []struct {
		name string
		a, b []Sample
		code Code
	}{
		{"around 0", good, around, Denominator},
		{"all 0", good, zero, Denominator},
		{"census of one", good, []Sample{good[0], stratum("one", 1, 3)}, Lonely},
		{"no reports", good, nil, NoDomain},
		{"nothing above", nil, good, NoDomain},
		{"one report each", good, []Sample{{Stratum: "s", Population: 9, Panel: 4, Responses: 4, Domain: Moments{Count: 1, Mean: 3}}}, NoFreedom},
	} {
		if _, err := Ratio(c.a, c.b, 0.95); CodeOf(err) != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	e, err := Ratio(around, good, 0.95)
	if err != nil || len(e.Warnings) != 0 || !(e.Low < 0 && e.High > 0) {
		t.Errorf("a numerator around 0: %+v, %v", e, err)
	}
	e, err = Ratio(good, []Sample{stratum("s", 100, 1, 9, 5, 2, 8, 5, 1, 9, 4, 6)}, 0.95)
	if err != nil || len(e.Warnings) != 1 || !strings.Contains(e.Warnings[0], "denominator") {
		t.Errorf("a shaky denominator: %+v, %v", e, err)
	}
}

// Whatever comes in: an error of ours, or finite numbers; other units of the numerator scale value and error.
func TestRatioLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) []Sample {
			var out []Sample
			for h := range rapid.IntRange(0, 3).Draw(t, label) {
				s := Sample{Stratum: fmt.Sprint(h), Population: rapid.Int64Range(0, 50).Draw(t, "population")}
				s.Panel = min(s.Population, rapid.Int64Range(0, 20).Draw(t, "panel"))
				s.Responses = min(s.Panel, rapid.Int64Range(0, 20).Draw(t, "responses"))
				if s.Domain.Count = min(s.Responses, rapid.Int64Range(0, 20).Draw(t, "members")); s.Domain.Count > 0 {
					s.Domain.Mean, s.Domain.M2, s.Domain.Noise = wild(t, "mean"), wild(t, "m2"), wild(t, "noise")
				}
				out = append(out, s)
			}
			return out
		}
		a, b := draw("numerator"), draw("denominator")
		e, err := Ratio(a, b, 0.95)
		if err != nil {
			if CodeOf(err) == 0 {
				t.Fatal(err)
			}
			return
		}
		e.check(t, "ratio")
		for h := range a {
			a[h].Domain.Mean *= 4
			a[h].Domain.M2 *= 16
			a[h].Domain.Noise *= 16
		}
		f, err := Ratio(a, b, 0.95)
		if err == nil && (!near(f.Value, 4*e.Value, 1e-12, 1e-300) || f.StdError < e.StdError) {
			t.Fatalf("%+v, four times as large %+v", e, f)
		}
	})
}
