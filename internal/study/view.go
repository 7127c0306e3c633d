package study

import (
	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/calibrate"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/inference"
	"github.com/quadrat-dev/quadrat/survey/interval"
)

// confidence of all intervals.
const confidence = 0.95

// answers are the reports to one question.
type answers struct {
	scores []float64
	noise  []float64 // what each report tells of the variance of its noise; nil for none
}

func (a *answers) noisy() bool { return len(a.noise) > 0 }

// noiseOf is what the i-th report tells of the variance of its noise.
func (a *answers) noiseOf(i int) float64 {
	if !a.noisy() {
		return 0
	}
	return a.noise[i]
}

// view is one sample with the reports to every question: what an estimator looks at.
type view struct {
	*population
	sample

	plain, post, greg, raked *inference.Analysis
	calibration              [3]error // why one of the last three is nil
	inside                   []bool
	floor                    []float64

	temperature, energy, cost, warm, alarm answers
}

// newView prepares all that the samples' noise doesn't change.
func newView(p *population, s sample) (*view, error) {
	v := &view{population: p, sample: s}
	s.spec.Rows = len(s.units)
	d, err := design.New(s.spec)
	if err != nil {
		return nil, err
	}
	for _, k := range s.units {
		v.inside = append(v.inside, p.inside[k])
		v.floor = append(v.floor, p.floor[k])
	}
	study := inference.Study{Design: d, DomainFreedom: true}
	if v.plain, err = inference.New(study); err != nil {
		return nil, err
	}
	classes, err := margin("class", p.classes, p.classCount, s.units)
	if err != nil {
		return nil, err
	}
	ages, err := margin("age", p.ages, p.ageCount, s.units)
	if err != nil {
		return nil, err
	}
	calibrated := func(f calibrate.Function, columns ...calibrate.Column) (*inference.Analysis, error) {
		study.Calibration = &calibrate.Spec{Function: f, Columns: columns}
		return inference.New(study)
	}
	v.post, v.calibration[0] = calibrated(calibrate.Linear, classes...)
	v.greg, v.calibration[1] = calibrated(calibrate.Linear,
		calibrate.Column{Name: "1", Values: constant(1, len(s.units)), Total: units},
		calibrate.Column{Name: "floor", Values: v.floor, Total: p.floorTotal})
	v.raked, v.calibration[2] = calibrated(calibrate.Raking, append(classes, ages...)...)
	return v, nil
}

func margin(name string, f *design.Factor, totals map[string]float64, sampled []int) ([]calibrate.Column, error) {
	own := pick(f, sampled)
	return calibrate.Margin(name, own.Codes, own.Levels, totals)
}

// ask takes the reports to every question.
func (v *view) ask(n noise) error {
	for _, q := range []struct {
		of   *variable
		into *answers
	}{
		{&v.population.temperature, &v.temperature},
		{&v.population.energy, &v.energy},
		{&v.population.cost, &v.cost},
		{&v.population.warm, &v.warm},
		{&v.population.alarm, &v.alarm},
	} {
		var err error
		q.into.scores, q.into.noise, err = n.report(q.of, v.units, q.into.scores[:0], q.into.noise[:0])
		if err != nil {
			return err
		}
	}
	return nil
}

// samples returns what the engine keeps of the reports: moments by stratum, of the rows that in holds (nil for all), and
// only of every step-th unit beginning with first, the rest of the panel being another question's.
func (v *view) samples(a *answers, in []bool, first, step int) []survey.Sample {
	out := make([]survey.Sample, len(v.strata))
	for h, s := range v.strata {
		out[h] = survey.Sample{Stratum: s.Stratum, Population: s.Population}
	}
	for i := first; i < len(v.units); i += step {
		h := 0
		if v.within != nil {
			h = int(v.within[v.units[i]])
		}
		out[h].Panel++
		out[h].Responses++
		if in == nil || in[i] {
			out[h].Domain.Add(a.scores[i], a.noiseOf(i))
		}
	}
	return out
}

// clusterSamples returns the same for clusters; their units stand in a row.
func (v *view) clusterSamples(a *answers, in []bool) []survey.ClusterSample {
	s := survey.ClusterSample{Stratum: "all", Population: units, Clusters: buildings}
	for i := range v.units {
		if i%perBuilding == 0 {
			s.Due = append(s.Due, survey.Cluster{Size: perBuilding, Responses: perBuilding})
		}
		if in == nil || in[i] {
			s.Due[len(s.Due)-1].Domain.Add(a.scores[i], a.noiseOf(i))
		}
	}
	return []survey.ClusterSample{s}
}

// byRows answers from rows, with an interval of the kind asked for.
func (v *view) byRows(a *inference.Analysis, m interval.Method, q inference.Statistic, in []bool) (span, error) {
	with := *a
	with.Interval = m
	e, err := with.Estimate(q, in)
	return span{e.Low, e.High}, err
}

// statistic is a question for rows.
func (a *answers) statistic(kind inference.Kind) inference.Statistic {
	q := inference.Statistic{Kind: kind, Y: a.scores}
	if a.noisy() {
		q.Noise = a.noise
	}
	return q
}
