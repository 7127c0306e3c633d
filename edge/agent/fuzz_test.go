package agent_test

import (
	"testing"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// A hostile plan can't make a device panic, report twice in a window, or spend more than its policy gives.
func FuzzPlan(f *testing.F) {
	f.Add(everyone().Append(nil))
	open := everyone()
	unprotected(nil, open)
	f.Add(open.Append(nil))
	f.Add(permanent().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := wire.DecodeDevicePlan(b)
		if err != nil {
			return
		}
		book, err := ledger.NewBook(limits())
		if err != nil {
			t.Fatal(err)
		}
		a, err := agent.New(agent.Config{
			Device: "pi", Capabilities: []wire.Capability{{Name: "sense.temperature"}},
			Policy: agent.Policy{Models: []string{agent.Local, agent.None}, Limits: limits()},
			Ledger: book, Source: privacy.NewSeeded(1), Readings: &reading{value: 21_500_000},
			Memory: &agent.Kept{Book: book, Key: [privacy.SecretBytes]byte{1}},
		})
		if err != nil {
			t.Fatal(err)
		}
		a.ApplyBroadcast(&wire.PlanBroadcast{PlanSetVersion: 1, Plan: p})
		_ = a.Wanted()
		w := int64(-1)
		for range 20 {
			next, ok := a.NextDue(p.Ref, w)
			if !ok {
				break
			}
			if next <= w {
				t.Fatalf("window %d comes after %d", next, w)
			}
			w = next
			_, outcome, _ := a.Report(nil, p.Ref, w)
			if _, again, _ := a.Report(nil, p.Ref, w); again == agent.Reported {
				t.Fatalf("window %d reported twice, first %v", w, outcome)
			}
		}
		// The reading stays, so permanent answers are charged once for each statistic.
		if n := uint64(a.Count(agent.Reported)); n != book.Spent().Reports &&
			(p.EpsilonValueMicro == 0 || n > 0 && book.Spent().Reports == 0 || book.Spent().Reports > n) {
			t.Fatalf("%d reports, %d charges: something left without noise", a.Count(agent.Reported), book.Spent().Reports)
		}
	})
}
