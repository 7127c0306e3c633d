package inference_test

import (
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/inference"
	"github.com/quadrat-dev/quadrat/survey/interval"
)

// From rows and from mergeable sums a variance comes out the same, with and without noise, for all rows and in a domain. The
// rows' way is held against R's svyvar.
func TestVarianceFromRowsAndFromSums(t *testing.T) {
	tab, spec := apistrat(t)
	spec.Weight = nil // the table's are rounded; N/n are not
	d := mustDesign(t, spec)
	strata, sizes, clean := tab.columns["stype"], tab.number(t, "fpc"), tab.number(t, "api00")
	source := rand.New(rand.NewPCG(2, 4))
	domains := map[string][]bool{"all": nil, "domain": tab.where(t, "sch.wide=='Yes'")}
	for _, sd := range []float64{0, 40, 900} {
		y, noise := make([]float64, len(clean)), make([]float64, len(clean))
		for k := range y {
			y[k], noise[k] = clean[k]+sd*source.NormFloat64(), sd*sd
		}
		for name, in := range domains {
			index := map[string]int{}
			var samples []survey.Sample
			for k, label := range strata {
				h, known := index[label]
				if !known {
					h = len(samples)
					index[label] = h
					samples = append(samples, survey.Sample{Stratum: label, Population: int64(sizes[k])})
				}
				s := &samples[h]
				s.Panel++
				s.Responses++
				if in == nil || in[k] {
					s.Tails.Add(s.Domain, y[k])
					s.Domain.Add(y[k], noise[k])
				}
			}
			sums, err := survey.Variance(samples, survey.Powers{}, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			rows := estimate(t, inference.Study{Design: d, DomainFreedom: true, Interval: interval.Log},
				inference.Statistic{Kind: inference.Variance, Y: y, Noise: noise}, in)
			for what, pair := range map[string][2]float64{
				"value": {sums.Value, rows.Value}, "standard error": {sums.StdError, rows.StdError}, "low": {sums.Low, rows.Low},
				"high": {sums.High, rows.High}, "sampling": {sums.VarianceSampling, rows.VarianceSampling},
				"privacy": {sums.VariancePrivacy, rows.VariancePrivacy}, "df": {sums.DegreesOfFreedom, rows.DegreesOfFreedom},
				"deff": {sums.DesignEffect, rows.DesignEffect},
			} {
				if !close(pair[0], pair[1], 1e-10) {
					t.Errorf("noise %v, %s: %s %.12g from sums, %.12g from rows", sd, name, what, pair[0], pair[1])
				}
			}
		}
	}
}

// The interval for variances is for nothing else.
func TestLogarithmicIntervalIsForVariances(t *testing.T) {
	tab, spec := apistrat(t)
	a := mustStudy(t, inference.Study{Design: mustDesign(t, spec), Interval: interval.Log})
	for _, kind := range []inference.Kind{inference.Mean, inference.Total, inference.Proportion, inference.Quantile} {
		if e, err := a.Estimate(inference.Statistic{Kind: kind, Y: tab.number(t, "api00"), P: 0.5}, nil); err == nil {
			t.Errorf("kind %v: %+v", kind, e)
		}
	}
}
