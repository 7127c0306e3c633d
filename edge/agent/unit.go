package agent

import (
	"math/bits"

	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// Question is what a unit behind a gateway is asked in one window. The gateway that speaks for the unit charges its own ledger and
// makes one release of all units that are asked the same.
type Question struct {
	Plan      *Plan
	Revision  uint32 // of the plan
	Statistic uint32 // position in the plan
	Stratum   int32  // position in the plan
}

// The sums of a release stay far from what 64 bits hold: UnitsMost units of at most spanMost each, and noise whose scale is at most
// scaleMost, so that it leaves them with a probability below e^−100.
const (
	// UnitsMost is how many units one gateway may speak for.
	UnitsMost = 1024
	spanMost  = 1 << 52
	scaleMost = 1 << 55
)

// summable says whether a gateway can answer a statistic with sums: what is one number, or one category, of each unit.
func (p *Plan) summable(w *wire.StatisticPlan, s *statistic) bool {
	if w.Kind == "ratio" || w.Kind == "variance" || p.wire.ClusteredBy != GatewayAttribute || p.price.Value > 0 {
		return false
	}
	if s.compare != "" || s.categories > 0 {
		return true
	}
	span := uint64(s.bounds.Hi - s.bounds.Lo)
	high, low := bits.Mul64(span, million)
	return span <= spanMost && high < uint64(p.price.Report) && quotient(high, low, uint64(p.price.Report)) <= scaleMost
}

func quotient(high, low, by uint64) uint64 {
	q, _ := bits.Div64(high, low, by)
	return q
}

// Charge is what one report, or one release, of a window costs.
func (p *Plan) Charge(window int64) ledger.Charge { return p.charge(window) }

// Epsilon is the price of one report, or one release; 0 for the model none.
func (p *Plan) Epsilon() privacy.Epsilon { return p.price.Report }

// Sum is the shape of what a unit adds to a release.
type Sum struct {
	// Categories is how many numbers there are, of which a unit adds one to one; 0 for a single number.
	Categories uint32
	// Span is the most that a unit adds to a single number: in millionths for a mean or a total, one for a condition.
	Span int64
	// Number says that the single number is a sum of millionths, not of units.
	Number bool
}

// Sum returns the shape of the answer.
func (q *Question) Sum() Sum {
	s := &q.Plan.statistics[q.Statistic]
	switch {
	case s.categories > 0:
		return Sum{Categories: s.categories}
	case s.compare != "":
		return Sum{Span: 1}
	}
	return Sum{Span: int64(s.bounds.Hi - s.bounds.Lo), Number: true}
}

// Question says what a unit is asked in a window; with another outcome than Reported it isn't asked, or may not answer.
func (a *Agent) Question(ref string, window int64) (Question, Outcome) {
	_, r, index, outcome := a.asked(ref, window)
	if outcome == Reported && r.plan.wire.Model != Gateway {
		outcome = RefusedModel
	}
	if outcome != Reported {
		return Question{}, outcome
	}
	return Question{Plan: r.plan, Revision: r.number, Statistic: index, Stratum: r.stratum}, Reported
}

// Contribution is what the unit adds to a release: a number from 0 to the sum's Span, or a category; false when it has no reading.
// It is a secret until noise was added.
func (a *Agent) Contribution(q *Question, window int64) (int64, bool) {
	s := &q.Plan.statistics[q.Statistic]
	readings := a.config.Readings.Summary(q.Plan.series(int(q.Statistic)), window)
	x, ok := readings.Value(s.summary)
	switch {
	case !ok:
		return 0, false
	case s.categories > 0:
		return int64(s.category(x)), true
	case s.compare != "":
		if s.bit(x) {
			return 1, true
		}
		return 0, true
	}
	return int64(max(s.bounds.Lo, min(s.bounds.Hi, x)) - s.bounds.Lo), true
}

// Cell names the cell of GROUP BY in which the device stands: equal for equal values, and for no others.
func (a *Agent) Cell(q *Question) string {
	values := make([]string, len(q.Plan.wire.GroupBy))
	for i, name := range q.Plan.wire.GroupBy {
		values[i] = a.attributes[name]
	}
	return key(values)
}

// Settle notes what became of a window: a unit whose cluster was released is not asked for that window again.
func (a *Agent) Settle(ref string, window int64, o Outcome) {
	if h := a.find(ref); h != nil && o == Reported {
		h.reported = (window + 1) * int64(h.inForce(window).plan.wire.WindowMs)
	}
	a.counts[o]++
}
