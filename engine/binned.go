package engine

import (
	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// binned tells whether a plan has a statistic of categories.
func (p *plan) binned() bool {
	for i := range p.statistics {
		if p.statistics[i].bins != nil {
			return true
		}
	}
	return false
}

// supported gives what each of the merged strata of a statistic brings to a domain.
func (w *window) supported(statistic, domain int, into map[string]int, strata int) []survey.Support {
	out := make([]survey.Support, strata)
	for i, g := range w.each(statistic) {
		if h, ok := into[w.layout.strata[g.stratum]]; ok && (domain == allCells || domain == g.cell) {
			out[h].Merge(w.supports[i])
		}
	}
	return out
}

// estimateBins makes the results of a statistic of categories in a domain: one for a quantile, one for each category of a
// histogram or a frequency.
func (w *window) estimateBins(statistic, domain int, floor float64) []*quadratv1.Result {
	b := w.plan.statistics[statistic].bins
	if b.Shape {
		return w.estimateShape(statistic, domain, floor)
	}
	return w.tellBins(w.frameOf(statistic, domain), statistic, w.binSolver(statistic, domain), floor)
}

// tellBins writes what solve estimates into results like base.
func (w *window) tellBins(
	base *quadratv1.Result, statistic int, solve func(category int) (survey.Estimate, []string, error), floor float64,
) []*quadratv1.Result {
	b := w.plan.statistics[statistic].bins
	if b.Cumulative() {
		estimate, notes, err := solve(0)
		w.fill(base, statistic, estimate, notes, err, floor)
		return []*quadratv1.Result{base}
	}
	out := make([]*quadratv1.Result, b.Categories)
	shares := make([]float64, b.Categories)
	whole := true
	for v := range out {
		r := proto.Clone(base).(*quadratv1.Result)
		estimate, notes, err := solve(v)
		r.Bin = &quadratv1.Bin{Index: uint32(v)}
		r.Bin.Low, r.Bin.High = b.Bin(v)
		w.fill(r, statistic, estimate, append([]string(nil), notes...), err, floor)
		shares[v], whole, out[v] = estimate.Value, whole && err == nil, r
	}
	if whole {
		for v, share := range survey.Simplex(shares) {
			out[v].Bin.Consistent = new(share)
		}
	}
	return out
}

// binSolver gives what estimates a category of a statistic in a domain, or its quantile.
func (w *window) binSolver(statistic, domain int) func(category int) (survey.Estimate, []string, error) {
	b := w.plan.statistics[statistic].bins
	if w.plan.clusteredBy != "" {
		return func(category int) (survey.Estimate, []string, error) {
			if b.Cumulative() {
				return w.solveClusterQuantile(statistic, domain)
			}
			return w.solveClusterShare(statistic, domain, category)
		}
	}
	merged, into, notes, err := w.collapsed(statistic, domain)
	states := w.supported(statistic, domain, into, len(merged))
	strata := func(of func(*survey.Support) survey.Moments) []survey.Sample {
		out := append([]survey.Sample(nil), merged...)
		for h := range out {
			out[h].Domain = of(&states[h])
		}
		return out
	}
	return func(category int) (survey.Estimate, []string, error) {
		if err != nil {
			return survey.Estimate{}, notes, err
		}
		if !b.Cumulative() {
			e, err := survey.Share(strata(func(x *survey.Support) survey.Moments { return x.Bin(b.Pure, category) }), b.Pure, w.plan.confidence)
			return e, notes, err
		}
		below := make([][]survey.Sample, b.Categories-1)
		for j := range below {
			below[j] = strata(func(x *survey.Support) survey.Moments { return x.Below(b.How, j) })
		}
		e, err := survey.Quantile(b.Edges, b.How, below, b.Share, w.plan.confidence)
		return e, notes, err
	}
}
