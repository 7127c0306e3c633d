package ledger

import (
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Kappa is what one kappa has cost, in a form to show to the owner.
type Kappa struct {
	Name  string
	Spent Spent
	// Newest is the start of its newest window charged.
	Newest time.Time
}

// Left is what may still be spent.
type Left struct {
	// Period is what a window that starts at the time asked for could still
	// cost under the device's policy, before the lifetime is looked at.
	Period privacy.Epsilon
	// Lifetime is what is left for ever.
	Lifetime privacy.Epsilon
}

// Limits returns the policy.
func (b *Book) Limits() Limits { return b.limits }

// Spent returns the totals of the device's life.
func (b *Book) Spent() Spent { return b.spent }

// Left returns what a window that starts at the given time could still cost.
func (b *Book) Left(start time.Time) Left {
	spent := b.fullest(start.UnixNano(), int64(b.limits.Period), anyKappa)
	return Left{
		Period:   b.limits.PerPeriod - min(spent, b.limits.PerPeriod),
		Lifetime: b.limits.Lifetime - min(b.spent.Epsilon, b.limits.Lifetime),
	}
}

// Kappas returns every kappa that was ever charged, in the order of its first
// charge.
func (b *Book) Kappas() []Kappa {
	kappas := make([]Kappa, len(b.kappas))
	for i, own := range b.kappas {
		kappas[i] = Kappa{Name: own.name, Spent: own.spent, Newest: time.Unix(0, own.newest).UTC()}
	}
	return kappas
}

// Newest returns the end of the latest window charged, and false if there is
// none. A clock that is earlier by more than Tolerance can't be trusted.
func (b *Book) Newest() (time.Time, bool) {
	if b.newestEnd == never {
		return time.Time{}, false
	}
	return time.Unix(0, b.newestEnd).UTC(), true
}
