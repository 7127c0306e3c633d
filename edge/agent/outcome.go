package agent

import (
	"errors"

	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// Outcome is what became of one window of one kappa.
type Outcome uint8

// The outcomes. Each one is counted; their names are the names of the counters.
const (
	// Reported: there are bytes to send.
	Reported Outcome = iota
	// NotDue: the plan doesn't ask this device in this window, or doesn't mean it at all.
	NotDue
	// Unknown: no plan of this reference is held.
	Unknown
	// Paused: nobody is to report.
	Paused
	// NoReadings: due, but there is nothing to say. Nothing was charged.
	NoReadings
	// Repeated: this window, or a later one, was reported already.
	Repeated
	// RefusedModel: the policy takes no part in this trust model, or the capability isn't open.
	RefusedModel
	// RefusedEpsilon: one report costs more than the policy ever gives in a period.
	RefusedEpsilon
	// RefusedPeriod: the ledger has no more to give in the policy's period, or holds as many charges as it can.
	RefusedPeriod
	// RefusedPlan: the ledger has no more to give to this kappa in the plan's period.
	RefusedPlan
	// RefusedLifetime: the ledger has no more to give, ever.
	RefusedLifetime
	// RefusedCharged: this window was charged before, perhaps by a process that then died.
	RefusedCharged
	// RefusedClock: the clock went back, or the window reaches where the ledger has forgotten.
	RefusedClock
	// RefusedSecret: there is no secret under which categories have permanent answers: the device keeps none, or it was lost.
	RefusedSecret
	// RefusedSize: the release could be longer than a request may be.
	RefusedSize
	// LedgerFailed: the charge couldn't be made durable.
	LedgerFailed
	// EntropyFailed: there is no randomness to trust. The charge is lost.
	EntropyFailed

	outcomes
)

var names = [outcomes]string{
	"reported", "not_due", "unknown", "paused", "no_readings", "repeated", "refused_model", "refused_epsilon",
	"refused_period", "refused_plan", "refused_lifetime", "refused_charged", "refused_clock", "refused_secret",
	"refused_size",
	"ledger_failed", "entropy_failed",
}

// String is the name of the counter, e.g. "refused_period".
func (o Outcome) String() string {
	if o >= outcomes {
		return "invalid"
	}
	return names[o]
}

// Refused says that the device was due and had something to say, but its policy or its ledger forbade it.
func (o Outcome) Refused() bool { return o >= RefusedModel && o <= EntropyFailed }

// Refusal turns what a ledger said into an outcome.
func Refusal(err error) Outcome {
	switch {
	case errors.Is(err, ledger.PeriodSpent), errors.Is(err, ledger.Crowded):
		return RefusedPeriod
	case errors.Is(err, ledger.PlanSpent):
		return RefusedPlan
	case errors.Is(err, ledger.LifetimeSpent):
		return RefusedLifetime
	case errors.Is(err, ledger.AlreadyCharged):
		return RefusedCharged
	case errors.Is(err, ledger.ClockBack), errors.Is(err, ledger.Forgotten):
		return RefusedClock
	}
	return LedgerFailed
}
