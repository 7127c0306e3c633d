// Package todate reads and writes the account of a kappa's record: what any one device can have spent for it, see
// privacy/account. The service keeps it with every revision; the engine prints it in results, the service in plans. Both must
// say the same, so the reading stands here. It decides nothing and keeps nothing.
package todate

import (
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/account"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Of is the account of a record's revision. For records of before accounts were kept it begins with the window in which the
// kappa was deployed, or that of the oldest revision, and goes through all revisions that are left.
func Of(record *quadratv1.KappaRecord, revision uint32) account.Account {
	var a account.Account
	for i, r := range record.GetRevisions() {
		d := r.GetDevice()
		switch kept := r.GetAccount(); {
		case kept != nil:
			a = account.Account{
				Before: privacy.Epsilon(kept.GetEpsilonBeforeMicro()), First: kept.GetFirstWindow(),
				Terms: terms(d, kept),
			}
		case i == 0:
			a = account.New(first(record.GetKappa(), d), terms(d, asking{d}))
		default:
			a = a.Revise(d.GetFromWindow(), terms(d, asking{d}))
		}
		if d.GetRevision() == revision {
			break
		}
	}
	return a
}

// Next is the account under one more revision of a record, which may have none yet.
func Next(record *quadratv1.KappaRecord, d *quadratv1.DevicePlan) *quadratv1.Account {
	a := account.New(d.GetFromWindow(), terms(d, asking{d}))
	if revisions := record.GetRevisions(); len(revisions) > 0 {
		a = Of(record, revisions[len(revisions)-1].GetDevice().GetRevision()).Revise(d.GetFromWindow(), terms(d, asking{d}))
	}
	return &quadratv1.Account{
		FirstWindow: a.First, EpsilonBeforeMicro: a.Before.Micro(), EpsilonMicro: a.Terms.PerReport.Micro(),
		EpsilonPeriodMicro: a.Terms.PerPeriod.Micro(), PeriodMs: uint64(a.Terms.Period.Milliseconds()),
	}
}

// first is the first window that a device can have answered.
func first(k *quadratv1.Kappa, oldest *quadratv1.DevicePlan) int64 {
	if k.GetCreated() == nil || oldest.GetWindowMs() == 0 {
		return oldest.GetFromWindow()
	}
	return min(oldest.GetFromWindow(), k.GetCreated().AsTime().UnixMilli()/int64(oldest.GetWindowMs()))
}

// spending is what plans and accounts say of epsilon in the same words.
type spending interface {
	GetEpsilonMicro() uint64
	GetEpsilonPeriodMicro() uint64
	GetPeriodMs() uint64
}

// asking is a plan by what a ledger is asked to charge: with permanent answers the price of a category, whose charges the plan
// limits over the longest period that a ledger knows.
type asking struct{ *quadratv1.DevicePlan }

// GetEpsilonMicro is the most that one window can cost.
func (a asking) GetEpsilonMicro() uint64 {
	return max(a.DevicePlan.GetEpsilonMicro(), a.GetEpsilonValueMicro())
}

func terms(d *quadratv1.DevicePlan, s spending) account.Terms {
	return account.Terms{
		PerReport: privacy.Epsilon(s.GetEpsilonMicro()), PerPeriod: privacy.Epsilon(s.GetEpsilonPeriodMicro()),
		Period: time.Duration(s.GetPeriodMs()) * time.Millisecond, Window: time.Duration(d.GetWindowMs()) * time.Millisecond,
	}
}
