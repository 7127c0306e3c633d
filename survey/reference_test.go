package survey

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// unit is one unit that reported: the plain, row-by-row world that the closed forms sum up.
type unit struct {
	stratum  int
	score    float64
	noise    float64
	inDomain bool
}

// fleet is a sample of units with the sizes of their strata.
type fleet struct {
	population, panel []int64
	units             []unit
}

// samples is the fleet's mergeable form.
func (f fleet) samples() []Sample {
	out := make([]Sample, len(f.population))
	for h := range out {
		out[h] = Sample{Stratum: fmt.Sprintf("s%02d", h), Population: f.population[h], Panel: f.panel[h]}
	}
	for _, u := range f.units {
		out[u.stratum].Responses++
		if u.inDomain {
			out[u.stratum].Domain.Add(u.score, u.noise)
		}
	}
	return out
}

// byUnits estimates the mean or the total with a sum over units for each term: a weight and an influence for every unit,
// v̂ = Σ_h (1−f_h) m_h/(m_h−1) Σ (u−ū)² + Σ π a² σ², and the design effect from its definition.
func (f fleet) byUnits(total bool) (value, variance, privacy, effect float64) {
	responses := make([]float64, len(f.population))
	for _, u := range f.units {
		responses[u.stratum]++
	}
	weight := func(u unit) float64 { return float64(f.population[u.stratum]) / responses[u.stratum] }
	var sum, size float64
	for _, u := range f.units {
		if u.inDomain {
			sum += weight(u) * u.score
			size += weight(u)
		}
	}
	value = sum
	if !total {
		value = sum / size
	}
	// z is the influence of a unit, slope how it moves with the unit's score.
	z := func(u unit) (z, slope float64) {
		switch {
		case !u.inDomain:
			return 0, 0
		case total:
			return u.score, 1
		}
		return (u.score - value) / size, 1 / size
	}
	for h, m := range responses {
		var mean, squares float64
		for _, u := range f.units {
			if u.stratum == h {
				zu, _ := z(u)
				mean += weight(u) * zu / m
			}
		}
		for _, u := range f.units {
			if u.stratum == h {
				zu, slope := z(u)
				squares += (weight(u)*zu - mean) * (weight(u)*zu - mean)
				a := weight(u) * slope
				variance += a * a * u.noise / weight(u)
				privacy += a * a * u.noise
			}
		}
		if m > 1 {
			variance += (1 - m/float64(f.population[h])) * m / (m - 1) * squares
		}
	}
	return value, variance, privacy, variance / f.simpleByUnits(total)
}

// simpleByUnits is the variance of a simple random sample of as many units: for a mean those of the domain, for a total
// all, with score 0 outside.
func (f fleet) simpleByUnits(total bool) float64 {
	responses := make([]float64, len(f.population))
	for _, u := range f.units {
		responses[u.stratum]++
	}
	var n, size, mean, noise, squares float64
	for pass := range 2 {
		for _, u := range f.units {
			w := float64(f.population[u.stratum]) / responses[u.stratum]
			y, sigma := u.score, u.noise
			if !u.inDomain {
				if !total {
					continue
				}
				y, sigma = 0, 0
			}
			if pass == 0 {
				n, size, mean, noise = n+1, size+w, mean+w*y, noise+w*sigma
			} else {
				squares += w * (y - mean/size) * (y - mean/size)
			}
		}
	}
	rate := n / size
	v := (1-rate)*squares/size*n/(n-1)/n + rate*noise/size/n
	if total {
		v *= size * size
	}
	return v
}

// drawFleet draws strata of 2 to 12 responses with their own level, noise and domain.
func drawFleet(t *rapid.T) fleet {
	var f fleet
	for h := range rapid.IntRange(1, 6).Draw(t, "strata") {
		m := rapid.Int64Range(2, 12).Draw(t, "responses")
		silent := rapid.Int64Range(0, 5).Draw(t, "silent")
		f.panel = append(f.panel, m+silent)
		f.population = append(f.population, m+silent+rapid.Int64Range(0, 1000).Draw(t, "not due"))
		level := rapid.Float64Range(-50, 50).Draw(t, "level")
		noise := rapid.SampledFrom([]float64{0, 0.5, 40}).Draw(t, "noise")
		for range m {
			f.units = append(f.units, unit{
				stratum: h, score: level + rapid.Float64Range(-10, 10).Draw(t, "score"), noise: noise,
				inDomain: rapid.IntRange(0, 3).Draw(t, "domain") > 0,
			})
		}
	}
	return f
}

// near says whether two numbers agree to the relative tolerance, on the scale given.
func near(a, b, tolerance, scale float64) bool {
	return math.Abs(a-b) <= tolerance*max(math.Abs(a), math.Abs(b), scale)
}

func TestClosedFormsEqualSumsOverUnits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFleet(t)
		strata := f.samples()
		for _, total := range []bool{false, true} {
			estimator := Mean
			if total {
				estimator = Total
			}
			e, err := estimator(strata, 0.95)
			if err != nil {
				if code := CodeOf(err); code != NoDomain && code != NoFreedom {
					t.Fatal(err)
				}
				return
			}
			value, variance, privacy, effect := f.byUnits(total)
			scale := 1e-6 // values near 0 are compared on this scale of the fleet's, which has numbers of size 1 to 50
			if !near(e.Value, value, 1e-10, 1) || !near(e.StdError*e.StdError, variance, 1e-10, scale) {
				t.Fatalf("total %v: %v ± %v, want %v ± %v", total, e.Value, e.StdError, value, math.Sqrt(variance))
			}
			wantPrivacy := min(variance, privacy)
			if !near(e.VariancePrivacy, wantPrivacy, 1e-10, scale) ||
				!near(e.VarianceSampling, variance-wantPrivacy, 1e-10, max(scale, variance)) {
				t.Fatalf("parts %v + %v, want %v of %v", e.VarianceSampling, e.VariancePrivacy, wantPrivacy, variance)
			}
			if variance > scale && !near(e.DesignEffect, effect, 1e-9, scale) {
				t.Fatalf("design effect %v, want %v", e.DesignEffect, effect)
			}
		}
	})
}

// Moments merged in any grouping equal moments of all scores, and both equal the two-pass sums.
func TestMomentsMergeInAnyGrouping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom([]float64{0, 1e6, -1e9}).Draw(t, "base")
		scores := rapid.SliceOfN(rapid.Float64Range(-100, 100), 1, 200).Draw(t, "scores")
		var whole Moments
		parts := make([]Moments, rapid.IntRange(1, 7).Draw(t, "parts"))
		mean, squares := 0.0, 0.0
		for _, s := range scores {
			whole.Add(base+s, 0.25)
			parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")].Add(base+s, 0.25)
			mean += (base + s - base) / float64(len(scores))
		}
		for _, s := range scores {
			squares += (base + s - base - mean) * (base + s - base - mean)
		}
		for len(parts) > 1 {
			i := rapid.IntRange(1, len(parts)-1).Draw(t, "merged")
			parts[0].Merge(parts[i])
			parts = slices.Delete(parts, i, i+1)
		}
		// A shift of 1e9 costs nine of the sixteen digits of the spread, whatever the algorithm.
		tolerance := 1e-12 * max(1, math.Abs(base))
		for _, m := range []Moments{whole, parts[0]} {
			if m.Count != int64(len(scores)) || !near(m.Mean, base+mean, 1e-12, 1) ||
				!near(m.M2, squares, tolerance, 1e4) || !near(m.Noise, 0.25*float64(len(scores)), 1e-12, 0) {
				t.Fatalf("%+v, want mean %v, M2 %v", m, base+mean, squares)
			}
		}
	})
}
