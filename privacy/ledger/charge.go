package ledger

import (
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Limits is the device's own policy. A plan can ask for less, never for more.
type Limits struct {
	// PerPeriod is the most that is spent, over all kappas, in any half-open
	// span of event time as long as Period.
	PerPeriod privacy.Epsilon
	// Period is positive and at most PeriodMax.
	Period time.Duration
	// Lifetime is the most that is ever spent.
	Lifetime privacy.Epsilon
}

// Charge asks to spend Epsilon on one report.
type Charge struct {
	// Kappa is the kappa's reference, 1 to KappaBytesMax bytes.
	Kappa string
	// WindowStart is the start of the window that the report is about. Its place
	// in time is what the sliding periods count.
	WindowStart time.Time
	// Window is the window's length, positive and at most WindowMax. A report is
	// charged when its window has ended.
	Window time.Duration
	// Epsilon is what the report costs, in (0, 20].
	Epsilon privacy.Epsilon
	// PlanPerPeriod is the most that the plan lets its kappa spend in any
	// half-open span as long as PlanPeriod.
	PlanPerPeriod privacy.Epsilon
	PlanPeriod    time.Duration
}

const (
	// Tolerance is how far a window may end before the newest one charged. More
	// means that the clock was set back, or that the ledger of another machine
	// is being used.
	Tolerance = 5 * time.Minute
	// WindowMax is the longest window that can be charged.
	WindowMax = 366 * 24 * time.Hour
	// PeriodMax is the longest period of a policy or a plan.
	PeriodMax = 10 * 366 * 24 * time.Hour
	// KappaBytesMax is the longest reference of a kappa, and the longest name of
	// an owner.
	KappaBytesMax = 96

	// Windows start in 1970…2200, so that no sum of times overflows.
	startMax = 230 * 366 * 24 * int64(time.Hour)
)

// Reason is why a charge was refused. It is an error; compare with errors.Is.
type Reason string

// Error returns the reason.
func (r Reason) Error() string { return string(r) }

// The reasons.
const (
	// Invalid: an empty or overlong kappa, ε outside (0, 20], a window or a
	// period that isn't positive or is too long, a time outside 1970…2200.
	Invalid Reason = "ledger: invalid charge"
	// InvalidLimits: a policy with a limit of zero or a period out of range.
	InvalidLimits Reason = "ledger: invalid limits"
	// PeriodSpent: the device's policy, over all kappas.
	PeriodSpent Reason = "ledger: spent in the period"
	// PlanSpent: the plan's own limit for its kappa.
	PlanSpent Reason = "ledger: spent in the plan's period"
	// LifetimeSpent: the device's lifetime.
	LifetimeSpent Reason = "ledger: lifetime spent"
	// AlreadyCharged: this kappa and this window have their charge. The report
	// of that charge may be sent again, byte for byte; no other may be made.
	AlreadyCharged Reason = "ledger: window already charged"
	// ClockBack: the window ends before the newest one charged by more than
	// Tolerance.
	ClockBack Reason = "ledger: clock is earlier than the newest charge"
	// Crowded: as many charges as a book keeps lie within the reach of a period. A
	// server that asks for very many very cheap reports must not fill a device's
	// disk.
	Crowded Reason = "ledger: too many charges within a period"
	// Forgotten: the charge reaches back to entries that are no longer kept, so
	// that what was spent near it can't be known. It happens once when a plan
	// with longer windows or a longer period than any before arrives.
	Forgotten Reason = "ledger: charge reaches into the forgotten past"
)

// Refusal is the error of a charge that may not be made.
type Refusal struct {
	Reason Reason
	// Left is what could still be spent under the limit that refused; 0 for
	// reasons that are no limit.
	Left privacy.Epsilon
}

// Error returns the reason, with what is left where the reason is a limit.
func (r Refusal) Error() string {
	switch r.Reason {
	case PeriodSpent, PlanSpent, LifetimeSpent:
		return string(r.Reason) + ": epsilon " + r.Left.String() + " left"
	default:
		return string(r.Reason)
	}
}

// Unwrap returns the Reason.
func (r Refusal) Unwrap() error { return r.Reason }

// Validate returns InvalidLimits unless every limit is positive and in range.
func (l Limits) Validate() error {
	if l.PerPeriod == 0 || l.PerPeriod > privacy.MaxBudget ||
		l.Lifetime == 0 || l.Lifetime > privacy.MaxBudget ||
		!within(l.Period, PeriodMax) {
		return InvalidLimits
	}
	return nil
}

// Validate returns a Refusal for the reason Invalid unless the charge is in
// range in itself, whatever the policy.
func (c Charge) Validate() error {
	seconds := c.WindowStart.Unix()
	if c.Kappa == "" || len(c.Kappa) > KappaBytesMax ||
		c.Epsilon.Validate() != nil ||
		c.PlanPerPeriod == 0 || c.PlanPerPeriod > privacy.MaxBudget ||
		!within(c.Window, WindowMax) || !within(c.PlanPeriod, PeriodMax) ||
		seconds < 0 || seconds >= startMax/int64(time.Second) {
		return Refusal{Reason: Invalid}
	}
	return nil
}

func within(d, longest time.Duration) bool { return d > 0 && d <= longest }
