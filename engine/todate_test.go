package engine

import (
	"testing"

	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestResultsTellWhatWasSpent: each result says what any device can have spent through its window, from the account of the
// revision that the window follows, and that delta is 0; a result without privacy names no delta.
func TestResultsTellWhatWasSpent(t *testing.T) {
	for _, c := range []struct {
		mechanism string
		revise    func(*quadratv1.KappaRecord)
		want      []float64 // from the first window on
	}{
		// A window is a minute, a period an hour, so a lap of 3 is no reason to spend the 4 twice.
		{"hybrid", func(*quadratv1.KappaRecord) {}, []float64{4, 4, 4}},
		{"hybrid", func(r *quadratv1.KappaRecord) {
			r.Revisions[0].Device.PeriodMs = windowMs * 2
		}, []float64{4, 4, 8}},
		{"hybrid", func(r *quadratv1.KappaRecord) {
			r.Revisions[0].Account = &quadratv1.Account{
				FirstWindow: firstWindow - 1, EpsilonBeforeMicro: 7e6, EpsilonMicro: 5e6, EpsilonPeriodMicro: 5e6, PeriodMs: windowMs,
			}
		}, []float64{17, 22, 27}},
		{"hybrid", func(r *quadratv1.KappaRecord) {
			r.Revisions[0].Device.PeriodMs = windowMs
			next := proto.CloneOf(r.GetRevisions()[0])
			next.Device.Revision, next.Device.FromWindow = 2, firstWindow+1
			next.Device.EpsilonMicro, next.Device.EpsilonPeriodMicro = 6e6, 6e6
			r.Revisions = append(r.Revisions, next)
		}, []float64{4, 10, 16}},
		{"none", func(r *quadratv1.KappaRecord) {
			r.Revisions[0].Device.EpsilonMicro, r.Revisions[0].Device.EpsilonPeriodMicro = 0, 0
		}, []float64{0, 0, 0}},
	} {
		w := newWorld(t, 5)
		w.populate(60)
		record := w.deploy("k1", 1, nil, meanPlan(c.mechanism))
		c.revise(record)
		k, err := newKappa(record)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			index := firstWindow + int64(i)
			win, _ := k.open(w.registry, k.at(index), index)
			for _, r := range k.estimate(win, 0) {
				p := r.GetPrivacy()
				if p.EpsilonToDate == nil || p.GetEpsilonToDate() != want {
					t.Errorf("%s, window %d: %v to date, want %g", c.mechanism, i, p.EpsilonToDate, want)
				}
				if (p.Delta != nil) != (c.mechanism != "none") || p.GetDelta() != 0 {
					t.Errorf("%s: delta %v", c.mechanism, p.Delta)
				}
			}
		}
	}
}
