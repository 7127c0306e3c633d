package engine

import (
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// permanentNoise is what readers must know who would put windows together. Each window's interval is right for itself.
const permanentNoise = "the noise of the permanent answers repeats from window to window: a mean of windows keeps it, and intervals " +
	"of several windows are not independent"

// priceOf is what a plan's answers cost.
func priceOf(d *quadratv1.DevicePlan) mechanisms.Price {
	return mechanisms.Price{Report: privacy.Epsilon(d.GetEpsilonMicro()), Value: privacy.Epsilon(d.GetEpsilonValueMicro())}
}

// warnPermanent says it once in a window's results of a statistic, in the one over all cells, of its first category.
func (w *window) warnPermanent(statistic int, first *quadratv1.Result) {
	if w.plan.statistics[statistic].mechanism == memo.Name {
		first.Warnings = append(first.Warnings, permanentNoise)
	}
}
