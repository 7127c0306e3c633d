package todate_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/internal/todate"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// grown is a record of random revisions, with the account that each was published with.
func grown(r *rand.Rand) *quadratv1.KappaRecord {
	record := &quadratv1.KappaRecord{Kappa: &quadratv1.Kappa{Created: timestamppb.New(time.UnixMilli(100*60_000 - 1))}}
	from := int64(100)
	for revision := range uint32(1 + r.IntN(8)) {
		e := uint64(1 + r.IntN(5_000_000))
		device := &quadratv1.DevicePlan{
			Revision: revision + 1, FromWindow: from, WindowMs: 60_000, EpsilonMicro: e,
			EpsilonPeriodMicro: e * uint64(1+r.IntN(3)), PeriodMs: 60_000 * uint64(1+r.IntN(90)), Paused: r.IntN(4) == 0,
		}
		record.Revisions = append(record.Revisions, &quadratv1.PlanRevision{Device: device, Account: todate.Next(record, device)})
		from += int64(r.IntN(200))
	}
	return record
}

// TestRetentionForgetsNothing drops the oldest revisions, one after another: those that are left say the same of every window.
func TestRetentionForgetsNothing(t *testing.T) {
	for seed := range uint64(200) {
		full := grown(rand.New(rand.NewPCG(seed, 9)))
		for drop := range full.GetRevisions() {
			left := &quadratv1.KappaRecord{Kappa: full.GetKappa(), Revisions: full.GetRevisions()[drop:]}
			for _, r := range left.GetRevisions() {
				number := r.GetDevice().GetRevision()
				if got, want := todate.Of(left, number), todate.Of(full, number); got != want {
					t.Fatalf("seed %d, without %d revisions: revision %d has %+v, want %+v", seed, drop, number, got, want)
				}
			}
		}
	}
}

// TestNeverFalls follows the revision in force from window to window.
func TestNeverFalls(t *testing.T) {
	for seed := range uint64(200) {
		record := grown(rand.New(rand.NewPCG(seed, 9)))
		last, at := 0.0, 0
		for window := int64(95); window < 1500; window++ {
			for at+1 < len(record.GetRevisions()) && record.GetRevisions()[at+1].GetDevice().GetFromWindow() <= window {
				at++
			}
			now := todate.Of(record, record.GetRevisions()[at].GetDevice().GetRevision()).Through(window).Float64()
			if now < last || (now == 0) != (window < 100) {
				t.Fatalf("seed %d, window %d: %g after %g", seed, window, now, last)
			}
			last = now
		}
	}
}

// TestRecordsWithoutAccounts are those of before accounts were kept: theirs begins when the kappa was deployed,
// and never tells less than one that was kept all along.
func TestRecordsWithoutAccounts(t *testing.T) {
	for seed := range uint64(200) {
		kept := grown(rand.New(rand.NewPCG(seed, 9)))
		bare := &quadratv1.KappaRecord{Kappa: kept.GetKappa()}
		for _, r := range kept.GetRevisions() {
			bare.Revisions = append(bare.Revisions, &quadratv1.PlanRevision{Device: r.GetDevice()})
		}
		newest := kept.GetRevisions()[len(kept.GetRevisions())-1].GetDevice()
		for window := newest.GetFromWindow(); window < newest.GetFromWindow()+300; window++ {
			got, least := todate.Of(bare, newest.GetRevision()).Through(window), todate.Of(kept, newest.GetRevision()).Through(window)
			if got < least {
				t.Fatalf("seed %d, window %d: %s, want at least %s", seed, window, got, least)
			}
		}
	}
}
