package survey

import (
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// estimators are all estimators with the same form.
var estimators = map[string]func([]Sample, float64) (Estimate, error){
	"mean": Mean, "total": Total, "proportion": Proportion, "count": Count,
}

// wild draws any number of a kind that a caller can produce.
func wild(t *rapid.T, label string) float64 {
	return rapid.OneOf(
		rapid.SampledFrom([]float64{0, 1, -1, 1e-300, 1e150, 1e300, math.MaxFloat64, math.Inf(1), math.NaN(), -1e-17}),
		rapid.Float64Range(-10, 10),
	).Draw(t, label)
}

// Whatever comes in: an error of ours, or finite numbers in order whose parts add up.
func TestNeverNaN(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		strata := make([]Sample, rapid.IntRange(0, 4).Draw(t, "strata"))
		for h := range strata {
			count := rapid.OneOf(rapid.Int64Range(-1, 3), rapid.Int64Range(0, math.MaxInt64))
			s := Sample{Population: count.Draw(t, "population")}
			s.Panel = min(s.Population, count.Draw(t, "panel"))
			s.Responses = min(s.Panel, count.Draw(t, "responses"))
			s.Domain.Count = min(s.Responses, count.Draw(t, "members"))
			if s.Domain.Count != 0 {
				s.Domain.Mean, s.Domain.M2 = wild(t, "mean"), wild(t, "m2")
				s.Domain.Noise = wild(t, "noise")
			}
			strata[h] = s
		}
		confidence := rapid.SampledFrom([]float64{0.95, 0.5, 0.999999, 1e-9, 0, 1, math.NaN()}).Draw(t, "confidence")
		for name, estimator := range estimators {
			e, err := estimator(strata, confidence)
			if err != nil {
				if CodeOf(err) == 0 || !strings.HasPrefix(err.Error(), "survey: ") {
					t.Fatalf("%s: %v", name, err)
				}
				continue
			}
			e.check(t, name)
		}
	})
}

func (e Estimate) check(t *rapid.T, name string) {
	if !finite(e.Value, e.StdError, e.Low, e.High, e.VarianceSampling, e.VariancePrivacy, e.DegreesOfFreedom,
		e.DesignEffect, e.ResponseRate) {
		t.Fatalf("%s: %+v", name, e)
	}
	if !(e.Low <= e.Value && e.Value <= e.High) || e.DegreesOfFreedom < 1 || e.DesignEffect < 0 {
		t.Fatalf("%s: %+v", name, e)
	}
	if e.VarianceSampling < 0 || e.VariancePrivacy < 0 || e.ResponseRate <= 0 || e.ResponseRate > 1 {
		t.Fatalf("%s: %+v", name, e)
	}
	if v := e.StdError * e.StdError; !near(v, e.VarianceSampling+e.VariancePrivacy, 1e-12, 1e-300) {
		t.Fatalf("%s: %v ≠ %v + %v", name, v, e.VarianceSampling, e.VariancePrivacy)
	}
}

// stratum returns a whole stratum with these scores.
func stratum(name string, population int64, scores ...float64) Sample {
	s := Sample{Stratum: name, Population: population, Panel: int64(len(scores)), Responses: int64(len(scores))}
	for _, y := range scores {
		s.Domain.Add(y, 0)
	}
	return s
}

func TestErrorsNameTheCause(t *testing.T) {
	good := stratum("good", 10, 1, 2, 3)
	outside := good
	outside.Domain = Moments{}
	overfull := good
	overfull.Population = 2
	nan := good
	nan.Domain.Mean = math.NaN()
	cases := []struct {
		name       string
		strata     []Sample
		confidence float64
		code       Code
		stratum    string
	}{
		{"no strata", nil, 0.95, NoDomain, ""},
		{"a stratum without reports", []Sample{good, {Stratum: "mute", Population: 4, Panel: 2}}, 0.95, NoReports, "mute"},
		{"a stratum with one", []Sample{good, stratum("alone", 4, 1)}, 0.95, Lonely, "alone"},
		{"nobody in the domain", []Sample{outside}, 0.95, NoDomain, ""},
		{"one of one unit", []Sample{stratum("only", 1, 5)}, 0.95, NoFreedom, ""},
		{"panel above the population", []Sample{overfull}, 0.95, Invalid, "good"},
		{"NaN", []Sample{nan}, 0.95, Invalid, "good"},
		{"confidence 1", []Sample{good}, 1, Invalid, ""},
		{"confidence NaN", []Sample{good}, math.NaN(), Invalid, ""},
	}
	for _, c := range cases {
		for name, estimator := range estimators {
			_, err := estimator(c.strata, c.confidence)
			var e *Error
			if !errors.As(err, &e) || e.Code != c.code || e.Stratum != c.stratum {
				t.Errorf("%s of %s: %v", name, c.name, err)
			}
		}
	}
}

// An empty stratum takes no part, and a stratum of one unit that reported is known, not lonely.
func TestEmptyAndCertainStrata(t *testing.T) {
	strata := []Sample{stratum("a", 10, 1, 2, 3), {Stratum: "empty"}, stratum("one", 1, 6)}
	e, err := Mean(strata, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	if want := (10*2 + 6) / 11.0; !near(e.Value, want, 1e-14, 0) {
		t.Errorf("value %v, want %v", e.Value, want)
	}
	if want := 10 / 11.0 * (10 / 11.0) * 0.7 * 1 / 3; !near(e.StdError*e.StdError, want, 1e-14, 0) {
		t.Errorf("variance %v, want %v", e.StdError*e.StdError, want)
	}
}

// A census without noise is exact; with noise its variance is the noise alone, and all of it is privacy.
func TestCensus(t *testing.T) {
	s := stratum("all", 4, 1, 2, 3, 6)
	e, err := Mean([]Sample{s}, 0.95)
	if err != nil || e.Value != 3 || e.Low != 3 || e.High != 3 || e.DesignEffect != 1 {
		t.Errorf("%+v, %v", e, err)
	}
	s.Domain.Noise = 4 * 25
	e, err = Mean([]Sample{s}, 0.95)
	if err != nil || !near(e.VariancePrivacy, 25.0/4, 1e-14, 0) || e.VarianceSampling != 0 || e.DesignEffect != 1 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestProportionKeepsItsValueAndClipsItsInterval(t *testing.T) {
	s := Sample{Stratum: "s", Population: 1000, Panel: 20, Responses: 20}
	for i := range 20 { // noisy bits: unbiased scores outside [0, 1]
		s.Domain.Add(1.6-1.4*float64(i%2), 0.3)
	}
	e, err := Proportion([]Sample{s}, 0.95)
	if err != nil || e.Value <= 0.8 || e.High != 1 || e.Low >= e.Value {
		t.Errorf("%+v, %v", e, err)
	}
	s.Domain.Mean += 0.5
	e, err = Proportion([]Sample{s}, 0.95)
	if err != nil || e.Value <= 1 || e.High < e.Value || e.Low >= e.Value {
		t.Errorf("a value above 1 stays in its interval: %+v, %v", e, err)
	}
	c, err := Count([]Sample{s}, 0.95)
	if err != nil || !near(c.Value, 1000*e.Value, 1e-12, 0) || !near(c.StdError, 1000*e.StdError, 1e-12, 0) {
		t.Errorf("%+v, %v", c, err)
	}
}

// With all bits equal the score interval is t²A/(1+t²A) long, A = (1−f)/n: Wilson's with the finite population
// correction. t(19) = 2.093024 (R: qt(.975, 19)).
func TestProportionOfEqualBitsHasAnInterval(t *testing.T) {
	const ta = 2.093024054 * 2.093024054 * (1 - 20.0/1000) / 20
	none := stratum("s", 1000, make([]float64, 20)...)
	e, err := Proportion([]Sample{none}, 0.95)
	if err != nil || e.Value != 0 || e.Low != 0 || !near(e.High, ta/(1+ta), 1e-8, 0) {
		t.Errorf("%+v, %v", e, err)
	}
	c, err := Count([]Sample{none}, 0.95)
	if err != nil || c.Low != 0 || !near(c.High, 1000*ta/(1+ta), 1e-8, 0) {
		t.Errorf("%+v, %v", c, err)
	}
	all := none
	all.Domain.Mean = 1
	e, err = Proportion([]Sample{all}, 0.95)
	if err != nil || e.Value != 1 || e.High != 1 || !near(1-e.Low, ta/(1+ta), 1e-8, 0) {
		t.Errorf("%+v, %v", e, err)
	}
	known := stratum("s", 20, make([]float64, 20)...)
	if e, err = Proportion([]Sample{known}, 0.95); err != nil || e.High != 0 {
		t.Errorf("a census is exact: %+v, %v", e, err)
	}
}
