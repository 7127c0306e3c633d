// Package account bounds what one device can have spent for one kappa, from windows and plans alone.
//
// The ledger of a device knows what it spent; nobody else does, and nobody else may. What a server can say is the most that
// any device can have spent under the plans that it gave out. This package is that bound. It does no input or output and
// knows no device; the service keeps an Account with every revision of a plan, and the engine prints it in results.
//
//	a := account.New(100, account.Terms{PerReport: 1e6, PerPeriod: 1e6, Period: 24 * time.Hour, Window: time.Hour})
//	a.Through(99)  // 0: no window has begun
//	a.Through(100) // 1: in the first day
//	a.Through(124) // 2: in the second
//
// The rule rests on two laws of the ledger (package privacy/ledger): a device is charged at most once for a window, and a charge
// under a plan is refused when any half-open span as long as the plan's period would then hold more than the plan's limit.
package account

import (
	"math"
	"math/bits"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Terms is what a plan lets one device spend. The zero value is a plan without privacy loss accounting, the model NONE.
type Terms struct {
	// PerReport is the epsilon of one report.
	PerReport privacy.Epsilon
	// PerPeriod is the most in any half-open span of event time as long as Period.
	PerPeriod privacy.Epsilon
	// Period is the length of those spans.
	Period time.Duration
	// Window is the length of a window.
	Window time.Duration
}

// Over is the most that one device can spend in so many consecutive windows. Windows whose starts lie in one half-open span of
// a period cost PerPeriod together, and each costs PerReport, whichever is less. It is 0 for no windows, grows with their number,
// and stops at the largest number there is.
func (t Terms) Over(windows int64) privacy.Epsilon {
	if windows <= 0 || t.PerReport == 0 {
		return 0
	}
	group := t.group()
	full, rest := uint64(windows)/group, uint64(windows)%group
	return add(times(t.ofGroup(group), full), t.ofGroup(rest))
}

// group is how many consecutive windows start within one half-open span of a period.
func (t Terms) group() uint64 {
	if t.Period <= 0 || t.Window <= 0 || t.Period <= t.Window {
		return 1
	}
	return (uint64(t.Period) + uint64(t.Window) - 1) / uint64(t.Window)
}

func (t Terms) ofGroup(windows uint64) privacy.Epsilon {
	each := times(t.PerReport, windows)
	if t.Period <= 0 {
		return each
	}
	return min(t.PerPeriod, each)
}

// Widest is terms that allow whatever either of two allows, and any mixture: a device that has not heard of new terms follows
// the old ones. The windows of both are of one length.
//
// Any span of the shorter period holds at most the larger limit: the charge in it that was made last was accepted under one of the
// terms, when the span, which is no longer than that one's period, held all the others.
func (t Terms) Widest(o Terms) Terms {
	switch {
	case t.PerReport == 0:
		return o
	case o.PerReport == 0:
		return t
	}
	return Terms{
		PerReport: max(t.PerReport, o.PerReport), PerPeriod: max(t.PerPeriod, o.PerPeriod),
		Period: min(t.Period, o.Period), Window: t.Window,
	}
}

// Account is the bound for one kappa under one revision of its plan. It is a value: copying it is safe.
type Account struct {
	// Before is the bound for all windows before First.
	Before privacy.Epsilon
	// First is the first window that Terms holds for.
	First int64
	// Terms is the widest of all terms that a device may still follow.
	Terms Terms
}

// New opens the account of a kappa whose first window is the given one.
func New(first int64, t Terms) Account { return Account{First: first, Terms: t} }

// Through is the most that any one device can have spent for windows up to and including the given one. It never falls
// from one window to a later one, nor from one revision to the next.
func (a Account) Through(window int64) privacy.Epsilon {
	if window < a.First {
		return a.Before
	}
	return add(a.Before, a.Terms.Over(window-a.First+1))
}

// Revise is the account under a revision with the given terms, in force from a window on. Terms that allow no more than those before
// change nothing, also a pause: devices that have not heard of it go on. Terms that allow more count from their first
// window, since no device can have followed them earlier.
func (a Account) Revise(from int64, t Terms) Account {
	widest := a.Terms.Widest(t)
	if widest == a.Terms {
		return a
	}
	from = max(from, a.First)
	return Account{Before: a.Through(from - 1), First: from, Terms: widest}
}

func times(e privacy.Epsilon, n uint64) privacy.Epsilon {
	high, low := bits.Mul64(uint64(e), n)
	if high > 0 {
		return math.MaxUint64
	}
	return privacy.Epsilon(low)
}

func add(a, b privacy.Epsilon) privacy.Epsilon {
	sum, carry := bits.Add64(uint64(a), uint64(b), 0)
	if carry > 0 {
		return math.MaxUint64
	}
	return privacy.Epsilon(sum)
}
