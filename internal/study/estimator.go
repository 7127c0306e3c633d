package study

import (
	"errors"
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/inference"
	"github.com/quadrat-dev/quadrat/survey/interval"
)

// span is an interval.
type span struct{ low, high float64 }

// estimator is a way to an interval from a view.
type estimator struct {
	name  string
	truth func(*population) float64
	// interval answers, or refuses with an error that counts as a miss.
	interval func(*view) (span, error)
	// exact marks estimators that the study has without noise only: they take bare values.
	exact bool
	// in says for which design there is such an estimator; nil for all.
	in func(*view) bool
}

// estimators returns the estimators, in the order of the table.
func estimators() []estimator {
	temperature := func(p *population) float64 { return mean(p.temperature.values) }
	all := []estimator{
		{name: "mean", truth: temperature, interval: func(v *view) (span, error) {
			return v.fromSums(&v.temperature, nil, survey.Mean, survey.ClusterMean, inference.Mean, interval.T)
		}},
		{name: "total", truth: func(p *population) float64 { return sum(p.energy.values) }, interval: func(v *view) (span, error) {
			return v.fromSums(&v.energy, nil, survey.Total, survey.ClusterTotal, inference.Total, interval.T)
		}},
		{
			name:  "ratio to floor",
			truth: func(p *population) float64 { return sum(p.energy.values) / sum(p.floor) },
			interval: func(v *view) (span, error) {
				q := v.energy.statistic(inference.Ratio)
				q.X = v.floor
				return v.byRows(v.plain, interval.T, q, nil)
			},
		},
		{
			name:     "ratio of sub-panels",
			truth:    func(p *population) float64 { return mean(p.energy.values) / mean(p.temperature.values) },
			in:       func(v *view) bool { return v.strata != nil },
			interval: (*view).quotient,
		},
		{name: "proportion", truth: func(p *population) float64 { return mean(p.warm.values) }, interval: func(v *view) (span, error) {
			return v.fromSums(&v.warm, nil, survey.Proportion, survey.ClusterProportion, inference.Mean, interval.Wilson)
		}},
		{name: "domain mean", truth: insideMean, interval: func(v *view) (span, error) {
			return v.fromSums(&v.temperature, v.inside, survey.Mean, survey.ClusterMean, inference.Mean, interval.T)
		}},
		{name: "median", truth: median, exact: true, interval: func(v *view) (span, error) {
			return v.byRows(v.plain, interval.T, inference.Statistic{Kind: inference.Quantile, P: 0.5, Y: v.temperature.scores}, nil)
		}},
	}
	for i, name := range []string{"post-stratified mean", "regression mean", "raked mean"} {
		all = append(all, estimator{name: name, truth: temperature, interval: func(v *view) (span, error) {
			a := [...]*inference.Analysis{v.post, v.greg, v.raked}[i]
			if a == nil {
				return span{}, v.calibration[i]
			}
			return v.byRows(a, interval.T, v.temperature.statistic(inference.Mean), nil)
		}})
	}
	return append(all, rare()...)
}

// rare returns those for what isn't near normal: a skewed variable, and a condition that holds for one unit in fifty.
func rare() []estimator {
	alarms := func(*population) float64 { return alarmShare }
	all := []estimator{
		{name: "skewed mean", truth: func(p *population) float64 { return mean(p.cost.values) }, interval: func(v *view) (span, error) {
			return v.fromSums(&v.cost, nil, survey.Mean, survey.ClusterMean, inference.Mean, interval.T)
		}},
		{name: "rare share, t", truth: alarms, interval: func(v *view) (span, error) {
			return v.fromSums(&v.alarm, nil, survey.Mean, survey.ClusterMean, inference.Mean, interval.T)
		}},
		{name: "rare share, score", truth: alarms, interval: func(v *view) (span, error) {
			return v.fromSums(&v.alarm, nil, survey.Proportion, survey.ClusterProportion, inference.Mean, interval.Wilson)
		}},
	}
	for _, m := range []interval.Method{interval.Wilson, interval.Logit, interval.Asin, interval.Beta} {
		all = append(all, estimator{name: "rare share, " + m.String(), truth: alarms, exact: true, interval: func(v *view) (span, error) {
			return v.byRows(v.plain, m, v.alarm.statistic(inference.Mean), nil)
		}})
	}
	return all
}

// fromSums runs the engine's estimator where it has one for the design, else that for rows.
func (v *view) fromSums(
	a *answers, in []bool, simple func([]survey.Sample, float64) (survey.Estimate, error),
	clustered func([]survey.ClusterSample, float64) (survey.Estimate, error), kind inference.Kind, m interval.Method,
) (span, error) {
	var e survey.Estimate
	var err error
	switch {
	case v.strata != nil:
		e, err = simple(v.samples(a, in, 0, 1), confidence)
	case len(v.spec.Stages) > 0 && len(v.spec.Stages[0].Unit.Levels) == buildings:
		e, err = clustered(v.clusterSamples(a, in), confidence)
	default:
		return v.byRows(v.plain, m, a.statistic(kind), in)
	}
	return span{e.Low, e.High}, err
}

// quotient asks every other device for its energy, and the others for the temperature.
func (v *view) quotient() (span, error) {
	e, err := survey.Ratio(v.samples(&v.energy, nil, 0, 2), v.samples(&v.temperature, nil, 1, 2), confidence)
	return span{e.Low, e.High}, err
}

func insideMean(p *population) float64 {
	total, members := 0.0, 0.0
	for k, in := range p.inside {
		if in {
			total += p.temperature.values[k]
			members++
		}
	}
	return total / members
}

// median returns the least value with at least half of the population at or below it.
func median(p *population) float64 {
	values := slices.Clone(p.temperature.values)
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// covers says whether an interval holds the truth; one that isn't one is an error.
func (s span) covers(truth float64) (bool, error) {
	if !(s.low <= s.high) || math.IsInf(s.high-s.low, 0) {
		return false, errors.New("study: an estimator gave an interval that is none")
	}
	return s.low <= truth && truth <= s.high, nil
}
