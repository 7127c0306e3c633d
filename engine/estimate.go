package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// leastResponses is how many responses a stratum must have to be estimated on its own.
const leastResponses = 2

// allCells is the domain of the estimate over all cells.
const allCells = -1

// estimate makes the results of a window, for every statistic first the one over all cells, then the cells in order,
// and brings the running means up to date.
func (k *kappa) estimate(w *window, responseFloor float64) []*quadratv1.Result {
	domains := len(w.layout.cells) + 1
	out := make([]*quadratv1.Result, 0, len(w.plan.statistics)*domains)
	moved := k.moved(w)
	for s := range w.plan.statistics {
		if w.plan.statistics[s].part == denominator {
			continue // stands in the result of its numerator
		}
		compared, lost := k.compare(w, s)
		for d := range domains {
			domain := d - 1
			if w.plan.statistics[s].bins != nil {
				bins := w.estimateBins(s, domain, responseFloor)
				k.shuffled(w, s, domain, bins)
				if domain == allCells {
					w.warnPermanent(s, bins[0])
				}
				out = append(out, bins...)
				continue
			}
			r := w.frameOf(s, domain)
			k.shuffled(w, s, domain, []*quadratv1.Result{r})
			estimate, notes, err := w.solve(s, domain)
			w.fill(r, s, estimate, notes, err, responseFloor)
			name := series{statistic: r.GetStatistic(), cell: "{}"}
			if domain != allCells {
				name.cell = w.layout.cells[domain].text
			}
			if w.runs(s) {
				r.Running = k.run(name, &w.told[s*domains+d], estimate, err == nil, w.plan.confidence)
			}
			if compared != nil && err == nil {
				r.Change = compared.change(w, domain)
			}
			r.Warnings = append(r.Warnings, moved...)
			if lost && err == nil {
				r.Warnings = append(r.Warnings, w.lostChange())
			}
			out = append(out, r)
		}
	}
	return out
}

// runs tells whether a statistic has a running mean. Where devices answer again and again, sampling errors don't average out;
// neither does the bias of a ratio, nor that of a variance, and categories have none.
func (w *window) runs(statistic int) bool {
	s := &w.plan.statistics[statistic]
	return !w.plan.repeats && s.bins == nil && s.kind != kindRatio && s.kind != kindVariance
}

// frameOf fills what a result says whether or not there is an estimate.
func (w *window) frameOf(statistic, domain int) *quadratv1.Result {
	start, end := w.plan.span(w.index)
	s := &w.plan.statistics[statistic]
	r := &quadratv1.Result{
		Kappa: w.plan.name, Ref: w.plan.ref, WindowStart: timestamppb.New(time.UnixMilli(start)),
		WindowEnd: timestamppb.New(time.UnixMilli(end)), Revision: w.revision, Final: true, Statistic: s.result,
		Confidence: w.plan.confidence, PlanRevision: w.plan.revision, Frame: w.layout.fingerprint,
		Privacy: proto.Clone(w.plan.privacy).(*quadratv1.Privacy), Population: uint32(w.layout.size),
	}
	r.Privacy.Mechanism = w.plan.mechanismOf(s)
	r.Privacy.EpsilonToDate = new(w.plan.spent.Through(w.index).Float64())
	if domain != allCells {
		r.Cell = maps.Clone(w.layout.cells[domain].values)
		r.Population = uint32(w.layout.cellSize[domain])
	}
	r.Panel, r.Reports = w.answered(statistic, domain)
	if r.GetPanel() > 0 {
		r.ResponseRate = float64(r.GetReports()) / float64(r.GetPanel())
	}
	return r
}

// answered counts the devices of a domain that were due for a statistic, and those that were heard.
func (w *window) answered(statistic, domain int) (panel, reports uint32) {
	first, last := w.slots(statistic)
	for slot := first; slot <= last; slot++ {
		for i, g := range w.each(slot) {
			if domain == allCells || domain == g.cell {
				panel += uint32(w.due[i])
				reports += uint32(w.moments[i].Count)
			}
		}
	}
	return panel, reports
}

// samples gives what each stratum brings to a statistic in a domain.
func (w *window) samples(statistic, domain int) []survey.Sample {
	out := make([]survey.Sample, len(w.layout.strata))
	for h, name := range w.layout.strata {
		out[h] = survey.Sample{Stratum: name, Population: w.layout.stratumSize[h]}
	}
	for i, g := range w.each(statistic) {
		m, h := w.moments[i], &out[g.stratum]
		h.Panel += w.due[i]
		h.Responses += m.Count
		if domain == allCells || domain == g.cell {
			if w.tails != nil {
				h.Tails.Merge(h.Domain, w.tails[i], m)
			}
			h.Domain.Merge(m)
		}
	}
	return out
}

// solve estimates a statistic in a domain; notes name the strata that were collapsed for it.
func (w *window) solve(statistic, domain int) (survey.Estimate, []string, error) {
	if w.plan.clusteredBy != "" {
		return w.solveClusters(statistic, domain)
	}
	if w.plan.statistics[statistic].kind == kindRatio {
		return w.solveRatio(statistic, domain)
	}
	merged, notes, err := w.strataFor(statistic, domain)
	if err != nil {
		return survey.Estimate{}, nil, err
	}
	if s := &w.plan.statistics[statistic]; s.kind == kindVariance {
		estimate, err := survey.Variance(merged, s.powers, w.plan.confidence)
		return estimate, notes, err
	}
	estimate, err := estimators()[w.plan.statistics[statistic].kind](merged, nil, w.plan.confidence)
	return estimate, notes, err
}

// estimators are those of means and totals, by kind.
func estimators() map[string]func([]survey.Sample, *survey.Repeats, float64) (survey.Estimate, error) {
	return map[string]func([]survey.Sample, *survey.Repeats, float64) (survey.Estimate, error){
		"mean": survey.MeanOf, "total": survey.TotalOf, "proportion": survey.ProportionOf, "count": survey.CountOf,
	}
}

// strataFor gives the strata that an estimate rests on. Those that had too few devices due, or too few responses, are
// collapsed; notes name them. A stratum in which enough were due and nobody answered stands for nobody else: a domain
// that has members there gets no estimate, and for the others it is left out.
func (w *window) strataFor(statistic, domain int) (merged []survey.Sample, notes []string, err error) {
	merged, _, notes, err = w.collapsed(statistic, domain)
	return merged, notes, err
}

// collapsed is strataFor; into tells in which of the merged strata each stratum stands.
func (w *window) collapsed(statistic, domain int) (merged []survey.Sample, into map[string]int, notes []string, err error) {
	samples := w.samples(statistic, domain)
	for _, s := range samples {
		if s.Responses == 0 && s.Panel >= leastResponses && w.holds(s.Stratum, domain) {
			return nil, nil, nil, &survey.Error{
				Code: survey.NoReports, Stratum: s.Stratum, Detail: fmt.Sprintf("%d devices, %d due", s.Population, s.Panel),
			}
		}
	}
	samples = slices.DeleteFunc(samples, func(s survey.Sample) bool { return s.Responses == 0 && s.Panel >= leastResponses })
	merged, mapping, notes := survey.Collapse(samples, leastResponses)
	into = make(map[string]int, len(samples))
	for i, s := range samples {
		into[s.Stratum] = mapping[i]
	}
	return merged, into, notes, nil
}

// holds tells whether a stratum has devices of a domain.
func (w *window) holds(stratum string, domain int) bool {
	for _, g := range w.layout.groups {
		if w.layout.strata[g.stratum] == stratum && (domain == allCells || domain == g.cell) {
			return true
		}
	}
	return false
}

// fill writes an estimate, or why there is none, into a result.
func (w *window) fill(r *quadratv1.Result, statistic int, e survey.Estimate, notes []string, err error, responseFloor float64) {
	r.Warnings = notes
	if err != nil {
		r.Warnings = append(r.Warnings, "no estimate: "+err.Error())
	} else {
		r.Value, r.StdError = new(e.Value), new(e.StdError)
		r.CiLow, r.CiHigh = new(e.Low), new(e.High)
		r.VarianceSampling, r.VariancePrivacy = new(e.VarianceSampling), new(e.VariancePrivacy)
		r.DegreesOfFreedom = new(e.DegreesOfFreedom)
		if e.DesignEffect > 0 || !w.plan.gateways { // not known where gateways tell sums
			r.DesignEffect = new(e.DesignEffect)
		}
		r.Warnings = append(r.Warnings, e.Warnings...)
	}
	w.remark(r, statistic, responseFloor)
}

// remark writes what a reader must know whether or not there is an estimate.
func (w *window) remark(r *quadratv1.Result, statistic int, responseFloor float64) {
	if r.GetPanel() > 0 && r.GetResponseRate() < responseFloor {
		r.Warnings = append(r.Warnings, fmt.Sprintf(
			"low response: %.3g %% of the devices that were due answered, below the floor of %.3g %%", 100*r.GetResponseRate(), 100*responseFloor))
	}
	if wide := w.tooWide(statistic); wide > tooWideLeast {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the noise variance of %s is an upper bound: the interval may be up to %.2g %% too wide",
			w.plan.statistics[statistic].mechanism, 100*wide))
	}
	if w.damaged {
		r.Warnings = append(r.Warnings, "the frame was lost at a restart; reports after it are not counted")
	}
}

// tooWideLeast is by which part an interval may be too wide without a word.
const tooWideLeast = 0.02

// tooWide is by which part the interval may be too wide at most, because of the noise only a bound is known. In the variance of
// an estimate, of which no more than 1 is the true noise, the bound stands times the sampling fraction.
func (w *window) tooWide(statistic int) float64 {
	s, strata := &w.plan.statistics[statistic], len(w.layout.strata)
	if s.loose == 0 || strata == 0 {
		return 0
	}
	return math.Sqrt(1+s.loose*slices.Max(w.pi[statistic*strata:(statistic+1)*strata])) - 1
}

// run brings a running mean up to date: a window's estimate takes the place of the one that it told before.
func (k *kappa) run(name series, before *told, e survey.Estimate, ok bool, confidence float64) *quadratv1.Running {
	r := k.running[name]
	if r == nil {
		r = &survey.Running{}
		k.running[name] = r
	}
	now := told{value: e.Value, variance: e.StdError * e.StdError, counted: ok}
	switch {
	case now.counted && before.counted:
		r.Mean += (now.value - before.value) / float64(r.Windows)
		r.Variance = max(0, r.Variance+now.variance-before.variance)
	case now.counted:
		r.Add(now.value, now.variance)
	case before.counted:
		now = *before // late reports add to a window; they never take its estimate away
	}
	*before = now
	if r.Windows == 0 {
		return nil
	}
	value, low, high := r.Interval(confidence)
	return &quadratv1.Running{Windows: uint32(r.Windows), Value: value, Low: low, High: high}
}
