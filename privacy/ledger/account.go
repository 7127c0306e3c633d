package ledger

import (
	"sort"
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

// Period returns what is spent in the policy's period around a window that
// starts at the given time: of all spans of that length that contain it, the
// most that any of them holds, for epsilon, rho and reports each.
func (b *Book) Period(start time.Time) Spent {
	at, period := start.UnixNano(), int64(b.limits.Period)
	first, last := b.within(at-period, at), b.within(at-period, at+period-1)
	var most, sum Spent
	upTo := 0
	for i := range first {
		for upTo < len(last) && last[upTo].start < first[i].start+period {
			sum.add(last[upTo].epsilon())
			upTo++
		}
		most = most.max(sum)
		sum.subtract(first[i].epsilon())
	}
	for ; upTo < len(last); upTo++ {
		sum.add(last[upTo].epsilon())
	}
	return most.max(sum)
}

// within returns the entries with after < start ≤ upTo.
func (b *Book) within(after, upTo int64) []entry {
	from := sort.Search(len(b.entries), func(i int) bool { return b.entries[i].start > after })
	to := sort.Search(len(b.entries), func(i int) bool { return b.entries[i].start > upTo })
	return b.entries[from:max(from, to)]
}

func (s Spent) max(o Spent) Spent {
	return Spent{Epsilon: max(s.Epsilon, o.Epsilon), Rho: max(s.Rho, o.Rho), Reports: max(s.Reports, o.Reports)}
}

func (s *Spent) subtract(e privacy.Epsilon) {
	s.Epsilon -= e
	s.Rho -= rho(e)
	s.Reports--
}

// Values returns the number of memoised values that were charged.
func (b *Book) Values() int { return len(b.tags) }

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
