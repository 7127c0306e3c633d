package verify

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	"github.com/quadrat-dev/quadrat/privacy"
)

// fake makes the stored reports of coins, with as many right ones as share says.
func fake(coins int, share float64) (Config, []report, fleet.Keyer) {
	c := Config{Devices: coins, Windows: 1, Seed: 3}
	keyer := fleet.NewKeyer([16]byte{1})
	rng := rand.New(rand.NewPCG(1, 2))
	var out []report
	for i, place := range toss(c) {
		is := place.Readings[0] == heads
		if rng.Float64() >= share {
			is = !is
		}
		r := report{device: fmt.Sprintf("%016x", uint64(keyer.Key(place.ID))), window: "w", mechanism: "warner", score: -0.6, epsilon: 1}
		switch i % 3 {
		case 1:
			r.mechanism, r.score = "hybrid", -3
		case 2:
			r.mechanism, r.set = "subset", 1<<tailsBin|1<<1
		}
		if is {
			r.score, r.set = 70, 1<<headsBin
		}
		out = append(out, r)
	}
	return c, out, keyer
}

// TestGuess: as many right guesses as ε allows pass; more, too few for one bit, or reports of nobody don't.
func TestGuess(t *testing.T) {
	for share, want := range map[float64]Verdict{0.731: Pass, 0.78: Fail, 1: Fail, 0.5: Fail} {
		c, stored, keyer := fake(10_000, share)
		for _, check := range guess(stored, toss(c), keyer) {
			if check.Verdict != want {
				t.Errorf("%v right: %+v", share, check)
			}
		}
	}
	c, stored, _ := fake(10_000, 0.731)
	for _, check := range guess(stored, toss(c), fleet.NewKeyer([16]byte{2})) {
		if check.Verdict != Fail {
			t.Errorf("reports of nobody: %+v", check)
		}
	}
}

// TestSetsThatSayNothing: a set with both bins, or neither, is no guess.
func TestSetsThatSayNothing(t *testing.T) {
	for set, want := range map[uint64][2]bool{0b1001: {true, false}, 0b0110: {false, false}, 0b1010: {true, true}, 0b0001: {false, true}} {
		if isHeads, ok := (report{mechanism: "subset", set: set}).side(); ok != want[1] || ok && isHeads != want[0] {
			t.Errorf("set %b: %v, %v", set, isHeads, ok)
		}
	}
}

// TestSpending: a window answered twice, a device that is missing and one that was refused are seen.
func TestSpending(t *testing.T) {
	c, stored, _ := fake(300, 0.731)
	whole := simulate.Summary{Due: 300, Answered: 300}
	for name, s := range map[string]struct {
		stored  []report
		summary simulate.Summary
		want    Verdict
	}{
		"all there":     {stored, whole, Pass},
		"one twice":     {append(stored[:299:299], stored[0]), whole, Fail},
		"one missing":   {stored[1:], whole, Fail},
		"one too many":  {append(stored[:300:300], stored[0]), whole, Fail},
		"one was quiet": {stored, simulate.Summary{Due: 300, Answered: 299}, Fail},
	} {
		if got := spending(s.stored, s.summary, c); got.Verdict != s.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestEndToEnd sends a small fleet through the whole system.
func TestEndToEnd(t *testing.T) {
	checks, err := endToEnd(t.Context(), Config{Dir: t.TempDir(), Devices: 600, Windows: 3, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range checks {
		if check.Verdict != Pass || check.Layer != EndToEnd {
			t.Errorf("%+v", check)
		}
	}
	if len(checks) != 4 {
		t.Errorf("%d checks", len(checks))
	}
}

// TestTally: one certificate that doesn't hold is enough.
func TestTally(t *testing.T) {
	m, err := number("warner", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	good, err := m.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	loose := good
	loose.Bound = privacy.ExpLowerBound(900_000)
	one, err := epsilons(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		last privacy.Certificate
		err  error
		want Verdict
	}{"holds": {good, nil, Pass}, "ratio": {loose, nil, Fail}, "broken": {privacy.Certificate{}, privacy.ErrCertificate, Fail}} {
		t.Run(name, func(t *testing.T) {
			tally := newTally()
			tally.add(good, nil)
			tally.add(c.last, c.err)
			if got := tally.check("warner", one); got.Verdict != c.want {
				t.Errorf("%+v", got)
			}
		})
	}
}
