package agent

import (
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

// million is one unit in millionths: what the model none reports for a bit that is set.
const million = 1_000_000

// statistic is one question of a plan, ready to be answered.
type statistic struct {
	reading   string
	summary   string
	mechanism privacy.Mechanism // nil for the model none
	compare   string            // empty for a number, else the comparison that makes the bit
	threshold privacy.Micro
	bounds    privacy.Bounds // empty for the model none without bounds
	// Of a histogram, frequency or quantile: how many categories, whether they are whole numbers or else equal bins, and
	// the mechanism, nil for the model none.
	categories uint32
	wholes     bool
	set        privacy.Categorical
	// With permanent answers: the same mechanism, and what names the question to them.
	memo     *memo.Mechanism
	question string
}

// newStatistic checks one question. A price of 0 stands for the model none: then, and only then, there is no
// mechanism, so that no plan can switch the noise off.
func newStatistic(p *wire.DevicePlan, index int, price mechanisms.Price) (statistic, error) {
	w := &p.Statistics[index]
	s := statistic{reading: w.Reading, summary: w.Summary, threshold: privacy.Micro(w.ThresholdMicro)}
	switch w.Summary {
	case "avg", "last", "min", "max", "sum", "count":
	default:
		return s, wire.ErrPlan
	}
	if binned(w.Kind) {
		s, err := s.withCategories(w, price)
		s.question = questionOf(p.Capability, w)
		return s, err
	}
	if price.Value > 0 {
		return s, wire.ErrPlan
	}
	number := false
	switch w.Kind {
	case "mean", "total", "ratio", "variance": // all are answered as a mean is
		number = true
	}
	if number {
		s.bounds = privacy.Bounds{Lo: privacy.Micro(w.LoMicro), Hi: privacy.Micro(w.HiMicro)}
	} else {
		s.compare = w.Comparison
		if (w.Kind != "proportion" && w.Kind != "count") || !comparison(w.Comparison) {
			return s, wire.ErrPlan
		}
	}
	if price.Charge() == 0 {
		if w.Mechanism != None || (s.bounds != privacy.Bounds{} && s.bounds.Validate() != nil) {
			return s, wire.ErrPlan
		}
		return s, nil
	}
	m, err := mechanisms.ByName(w.Mechanism, price.Report)
	if err != nil || number == (m.Levels() == 1) || (number && s.bounds.Validate() != nil) {
		return s, wire.ErrPlan
	}
	s.mechanism = m
	return s, nil
}

func comparison(op string) bool {
	switch op {
	case "=", "<>", "<", "<=", ">", ">=":
		return true
	}
	return false
}

// bit says whether the comparison holds.
func (s *statistic) bit(x privacy.Micro) bool {
	switch s.compare {
	case "=":
		return x == s.threshold
	case "<>":
		return x != s.threshold
	case "<":
		return x < s.threshold
	case "<=":
		return x <= s.threshold
	case ">":
		return x > s.threshold
	default:
		return x >= s.threshold
	}
}

// input is what the mechanism randomises: a level of its grid, or a bit.
func (s *statistic) input(x privacy.Micro) uint32 {
	if s.compare == "" {
		return s.bounds.Level(x, s.mechanism.Levels())
	}
	if s.bit(x) {
		return 1
	}
	return 0
}

// open is what the model none reports: the summary clipped to the bounds if there are any, or the bit, in millionths; or
// the category.
func (s *statistic) open(x privacy.Micro) int64 {
	if s.categories > 0 {
		return int64(s.category(x))
	}
	if s.compare != "" {
		if s.bit(x) {
			return million
		}
		return 0
	}
	if s.bounds != (privacy.Bounds{}) {
		x = max(s.bounds.Lo, min(s.bounds.Hi, x))
	}
	return int64(x)
}
