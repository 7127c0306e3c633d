package service

import (
	"fmt"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/query/script"
)

// infeasibleDetail is the detail that callers get with 422.
func infeasibleDetail(e *plan.Infeasible) *quadratv1.Infeasible {
	return &quadratv1.Infeasible{
		Reason: e.Reason, BestMargin: e.BestMargin, BestPanel: uint32(max(e.BestPanel, 0)), Options: e.Options,
	}
}

// tooLarge refuses a plan that a message to the devices can't carry.
func tooLarge(bytes, most int) *plan.Infeasible {
	return &plan.Infeasible{
		Reason:  fmt.Sprintf("the plan takes %d bytes, more than the %d that one message may hold", bytes, most),
		Options: []string{"a longer WINDOW or a shorter PER, so that a lap has fewer windows", "fewer strata or statistics"},
	}
}

// unsupportedDetail is the detail of a part of the language that the engine can't run yet.
func unsupportedDetail(e *script.UnsupportedError) *quadratv1.Infeasible {
	detail := &quadratv1.Infeasible{Reason: e.Feature + " can't be run yet"}
	if e.Hint != "" {
		detail.Options = []string{e.Hint}
	}
	return detail
}
