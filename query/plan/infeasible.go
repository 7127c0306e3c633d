package plan

import "strings"

// Infeasible says that the fleet, the budget or the format can't give what a script asks for.
type Infeasible struct { //nolint:errname // the word of the API
	Reason     string   // what can't be done, with numbers
	BestMargin float64  // least half-width that can be had, in the statistic's unit; 0 when it is not about a margin
	BestPanel  int      // largest panel of one window
	Options    []string // changes that would reach it, in words
}

// Error gives the reason and the options.
func (e *Infeasible) Error() string {
	text := "infeasible: " + e.Reason
	if len(e.Options) > 0 {
		text += " (what would help: " + strings.Join(e.Options, "; ") + ")"
	}
	return text
}
