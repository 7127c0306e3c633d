package mechanisms

import (
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

// Price is what a plan says that answers cost.
type Price struct {
	// Report is what one report tells on its own.
	Report privacy.Epsilon
	// Value is what all reports about one category tell together, where there are permanent answers; 0 where every report is
	// charged. It is at least Report.
	Value privacy.Epsilon
}

// Charge is what a device's ledger is asked for: the price of a category where there are permanent answers, of a report elsewhere.
func (p Price) Charge() privacy.Epsilon { return max(p.Report, p.Value) }

// CategoricalAt returns the mechanism of a plan with that name, price and number of categories: memo where, and only where, there are
// permanent answers, so that no plan gets them charged report by report or the other way round. It fails as CategoricalByName does.
func CategoricalAt(name string, p Price, categories uint32) (privacy.Categorical, error) {
	if (name == memo.Name) != (p.Value > 0) {
		return nil, privacy.ErrMechanism
	}
	if name == memo.Name {
		return categoricalOrNil(memo.New(p.Value, p.Report, categories))
	}
	return CategoricalByName(name, p.Report, categories)
}
