package engine

import (
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// shuffled tells in the results of a statistic in a domain what the smallest batch of a declared shuffler tells of one report.
// Reports that rest on permanent answers have no figure: what one of them tells stays in all that follow.
func (k *kappa) shuffled(w *window, statistic, domain int, results []*quadratv1.Result) {
	k.figure(w, results, w.smallestBatch(statistic, domain))
}

// figure is shuffled for results whose smallest batch has so many reports.
func (k *kappa) figure(w *window, results []*quadratv1.Result, least int) {
	said := w.plan.privacy
	if k.figures == nil || said.GetModel() != "local" || said.GetEpsilonPerValue() > 0 {
		return
	}
	for _, r := range results {
		figure, ok := k.figures.Of(r.GetPrivacy().GetMechanism(), w.plan.epsilonMicro, least)
		if !ok {
			continue
		}
		r.Privacy.Shuffle = &quadratv1.Shuffle{
			Assumes: k.figures.Party().Assumes(), Reports: uint32(figure.Reports),
			Epsilon: figure.Epsilon, Delta: figure.Delta, Bound: figure.Bound,
		}
	}
}

// smallestBatch is how many reports the smallest combination of stratum and cell gave that gave any; 0 when none did.
func (w *window) smallestBatch(statistic, domain int) int {
	least := 0
	first, last := w.slots(statistic)
	for slot := first; slot <= last; slot++ {
		for i, g := range w.each(slot) {
			if domain != allCells && domain != g.cell {
				continue
			}
			if n := int(w.moments[i].Count); n > 0 && (least == 0 || n < least) {
				least = n
			}
		}
	}
	return least
}
