package engine

import (
	"fmt"
	"slices"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/survey"
)

// kindVariance is the variance of the devices' summaries, each answered as for a mean.
const kindVariance = "variance"

// hasVariance tells whether windows of the plan keep tails beside the moments.
func (p *plan) hasVariance() bool {
	return slices.ContainsFunc(p.statistics, func(s statistic) bool { return s.kind == kindVariance })
}

// powersOf says how the mechanism moves the powers of a score within bounds, or that it tells nothing of squares.
func powersOf(m privacy.Mechanism, bounds privacy.Bounds) (survey.Powers, error) {
	if powered, ok := m.(privacy.Powered); ok {
		if p, ok := powered.Powers(); ok {
			lo, hi := bounds.Score(0), bounds.Score(1)
			return survey.Powers{
				Centre: (lo + hi) / 2, Scale: (hi - lo) / 2, Variance: p.Variance, Third: p.Third, Fourth: p.Fourth,
			}, nil
		}
	}
	return survey.Powers{}, fmt.Errorf("mechanism %q at ε = %g tells nothing of a variance", m.Name(), float64(m.Epsilon().Micro())/1e6)
}
