package ledger

import (
	"errors"
	"testing"
	"time"
)

// Very many very cheap charges end in refusals, not in a full disk, and the refusals end when the charges are old.
func TestCrowdedBookRefusesUntilChargesAreOld(t *testing.T) {
	b, err := NewBook(Limits{PerPeriod: 1 << 39, Period: time.Hour, Lifetime: 1 << 39})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Unix(1_770_000_000, 0)
	charge := func(at time.Time) Charge {
		return Charge{Kappa: "k", WindowStart: at, Window: 100 * time.Millisecond, Epsilon: 1, PlanPerPeriod: 1 << 39, PlanPeriod: time.Second}
	}
	at := begin
	for range entriesMost - 1 {
		b.enter(charge(at))
		at = at.Add(100 * time.Millisecond)
	}
	if err := b.Reserve(charge(at)); err != nil {
		t.Fatal(err)
	}
	if err := b.Reserve(charge(at.Add(time.Minute))); !errors.Is(err, Crowded) {
		t.Fatalf("one too many: %v", err)
	}
	// The first is forgotten a period, the widest window and the tolerance later.
	reach := time.Hour + time.Duration(b.widest) + Tolerance
	if err := b.Check(charge(begin.Add(reach - 200*time.Millisecond))); !errors.Is(err, Crowded) {
		t.Errorf("too early: %v", err)
	}
	if err := b.Reserve(charge(begin.Add(reach))); err != nil {
		t.Errorf("the first is old: %v", err)
	}
	if len(b.entries) > entriesMost {
		t.Errorf("%d entries", len(b.entries))
	}
}
