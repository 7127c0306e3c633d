package engine

import (
	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// kindDistribution is the statistic whose results are a shape.
const kindDistribution = "distribution"

// shapeNote stands in every result of a shape: its shares are no estimates.
const shapeNote = "for display only: the share is that of a reconstructed shape (penalised likelihood), biased, without value and interval; histogram and " +
	"quantile give intervals"

// estimateShape makes the results of a distribution in a domain, one for each bin. Each stratum's counts weigh what a report of
// it stands for, and the shape with a smooth log density that explains the weighted counts best gives the shares
// (squarewave.Penalised).
func (w *window) estimateShape(statistic, domain int, floor float64) []*quadratv1.Result {
	b := w.plan.statistics[statistic].bins
	merged, into, notes, err := w.collapsed(statistic, domain)
	var shares []float64
	if err == nil {
		shares, err = b.Shares(merged, w.supported(statistic, domain, into, len(merged)))
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
	out := make([]*quadratv1.Result, b.Categories)
	for v := range out {
		out[v] = proto.Clone(base).(*quadratv1.Result)
		out[v].Bin = &quadratv1.Bin{Index: uint32(v), Low: b.Edges[v], High: b.Edges[v+1]}
		if err == nil {
			out[v].Bin.Consistent = new(shares[v])
		}
	}
	return out
}
