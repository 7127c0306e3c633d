package plan

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey"
)

// everText is the period of what is never given back.
const everText = "ever"

// keep reads PER VALUE: one report costs less than all reports about a category, and only those are charged, once. No period
// comes back, so a window is as long as a period, and every device may answer in every one.
func (q *question) keep(p *script.Privacy, value privacy.Epsilon) error {
	report, err := privacy.NewEpsilon(p.Report.Value)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	q.value, q.epsilon, q.periodMs = value.Micro(), report.Micro(), q.windowMs
	return nil
}

// kept tells whether devices keep permanent answers.
func (q *question) kept() bool { return q.value > 0 }

// reportOf is the mechanism of a statistic of so many categories, its name, and the bytes of a report. Two rounds of k-ary randomised
// response are one with other probabilities: a report names the true category with p*, each other one with (1-p*)/(k-1).
func (q *question) reportOf(epsilonMicro uint64, categories int) (how survey.Pure, name string, bytes int, err error) {
	if !q.kept() {
		return reportOf(epsilonMicro, categories)
	}
	price := mechanisms.Price{Report: privacy.Epsilon(epsilonMicro), Value: privacy.Epsilon(q.value)}
	m, err := mechanisms.InReport(memo.Name, price, uint32(categories))
	if err != nil {
		return survey.Pure{}, "", 0, fmt.Errorf("plan: %w", err)
	}
	return survey.Pure{Truth: m.Rates().Truth, Other: m.Rates().Other}, memo.Name, m.Bytes(), nil
}

// ever is the most that one device ever spends: for every category of every statistic.
func (d *design) ever() uint64 {
	categories := uint64(0)
	for _, a := range d.answers {
		categories += uint64(a.bins)
	}
	return categories * d.q.value
}

// perDay is what a device spends in a day that reports so often; 0 where it depends on how often it is found in a new category.
func (d *design) perDay(reports float64) float64 {
	if d.q.kept() {
		return 0
	}
	return reports * float64(d.epsilon) / 1e6
}

// warnKept says what permanent answers mean for a life and for means over windows.
func (d *design) warnKept() []string {
	if !d.q.kept() {
		return nil
	}
	value := float64(d.q.value) / 1e6
	return []string{
		fmt.Sprintf("a device that is ever found in m categories spends m times epsilon %g, and at most %g; one whose policy has less left "+
			"is silent while it is in a new category, which is seen, and which the estimate misses", value, float64(d.ever())/1e6),
		"the noise of the permanent answers repeats in every window: a mean over windows keeps it, however many they are",
	}
}

// moreEpsilonPerValue tries tenths of epsilon of a category, with the same part of it in a report.
func (q *question) moreEpsilonPerValue(f *frame) string {
	const tenth = 100_000
	changed := *q
	set := func(tenths int) {
		changed.value = uint64(tenths) * tenth
		changed.epsilon = max(1, changed.value*q.epsilon/q.value)
	}
	base := int(q.value / tenth)
	step := least(script.EpsilonMost*10-base, func(k int) bool {
		set(base + k)
		return changed.reaches(f)
	})
	if step == 0 {
		return ""
	}
	set(base + step)
	return fmt.Sprintf("EPSILON %g PER VALUE REPORT %g", float64(changed.value)/1e6, float64(changed.epsilon)/1e6)
}
