package engine

import (
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// kindDistribution is the statistic whose results are a shape.
const kindDistribution = "distribution"

// shapeNote stands in every result of a shape: its shares are no estimates.
const shapeNote = "for display only: the share is that of a reconstructed shape, biased, without value and interval; histogram and " +
	"quantile give intervals"

// estimateShape makes the results of a distribution in a domain, one for each bin. Each stratum's counts weigh what a report of
// it stands for, and the shape that explains the weighted counts best, smoothed, gives the shares (Li et al. 2020).
func (w *window) estimateShape(statistic, domain int, floor float64) []*quadratv1.Result {
	b := w.plan.statistics[statistic].bins
	merged, into, notes, err := w.collapsed(statistic, domain)
	var shares []float64
	if err == nil {
		shares, err = b.shares(merged, w.supported(statistic, domain, into, len(merged)))
	}
	return w.tellShape(w.frameOf(statistic, domain), statistic, shares, notes, err, floor)
}

// tellShape writes a shape, or why there is none, into results like base.
func (w *window) tellShape(base *quadratv1.Result, statistic int, shares []float64, notes []string, err error, floor float64) []*quadratv1.Result {
	b := w.plan.statistics[statistic].bins
	base.Warnings = append(append([]string(nil), notes...), shapeNote)
	if err != nil {
		base.Warnings = append(base.Warnings, "no estimate: "+err.Error())
	}
	w.remark(base, statistic, floor)
	out := make([]*quadratv1.Result, b.categories)
	for v := range out {
		out[v] = proto.Clone(base).(*quadratv1.Result)
		out[v].Bin = &quadratv1.Bin{Index: uint32(v), Low: b.edges[v], High: b.edges[v+1]}
		if err == nil {
			out[v].Bin.Consistent = new(shares[v])
		}
	}
	return out
}

// shares reconstructs the shape. The weighted counts are scaled to the number of reports, by whose likelihood the rounds end.
// Without noise the weighted shares are the shape.
func (b *binning) shares(strata []survey.Sample, states []survey.Support) ([]float64, error) {
	counts, reports, sum := make([]float64, b.categories), int64(0), 0.0
	for h := range states {
		weight := float64(strata[h].Population) / float64(max(1, strata[h].Responses))
		reports += states[h].Count
		for v, n := range states[h].Hits {
			counts[v] += weight * float64(n)
			sum += weight * float64(n)
		}
	}
	if reports < leastResponses {
		return nil, &survey.Error{Code: survey.NoDomain, Detail: "a shape needs two reports"}
	}
	scale := float64(reports) / sum
	if b.wave == nil {
		scale = 1 / sum
	}
	for v := range counts {
		counts[v] *= scale
	}
	if b.wave == nil {
		return counts, nil
	}
	tally, err := b.wave.TallyOf(counts)
	if err != nil {
		return nil, err
	}
	shape, err := tally.Shape(squarewave.Smoothed)
	return shape.Share, err
}
