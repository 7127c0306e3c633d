package engine

import (
	"fmt"
	"strings"

	"github.com/quadrat-dev/quadrat/survey"
)

// A ratio takes two statistics of a plan, one for each part, the denominator right behind the numerator. Devices and
// stored rows know the parts, results the ratio.
const (
	kindRatio   = "ratio"
	numerator   = "numerator"
	denominator = "denominator"
)

// pairRatios gives the parts of each ratio the name of their result.
func (p *plan) pairRatios() error {
	for i := 0; i < len(p.statistics); i++ {
		s := &p.statistics[i]
		if s.kind != kindRatio && s.part == "" {
			continue
		}
		name, named := strings.CutSuffix(s.name, " "+numerator)
		if s.kind != kindRatio || s.part != numerator || !named || i+1 == len(p.statistics) {
			return fmt.Errorf("plan: statistic %q is no part of a ratio", s.name)
		}
		i++
		below := &p.statistics[i]
		if below.kind != kindRatio || below.part != denominator || below.name != name+" "+denominator {
			return fmt.Errorf("plan: statistic %q is not the denominator of %q", below.name, name)
		}
		s.result, below.result = name, name
	}
	return nil
}

// slots is the first and the last statistic of the plan that a result rests on, given the first.
func (w *window) slots(statistic int) (first, last int) {
	if w.plan.statistics[statistic].kind == kindRatio {
		return statistic, statistic + 1
	}
	return statistic, statistic
}

// solveRatio estimates the ratio whose numerator is the statistic. Each part's strata are collapsed for themselves, as
// their exported weights are.
func (w *window) solveRatio(statistic, domain int) (survey.Estimate, []string, error) {
	above, notes, err := w.strataFor(statistic, domain)
	if err != nil {
		return survey.Estimate{}, nil, err
	}
	below, more, err := w.strataFor(statistic+1, domain)
	if err != nil {
		return survey.Estimate{}, nil, err
	}
	estimate, err := survey.Ratio(above, below, w.plan.confidence)
	return estimate, union(notes, more), err
}
