package verify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// fake makes the stored reports of the first question's coins, with as many right ones as share says.
func fake(coins int, share float64) (Config, []report, map[string]bool) {
	c := Config{Devices: coins, Windows: 1, Seed: 3}
	keyer := fleet.NewKeyer([16]byte{1})
	rng := rand.New(rand.NewPCG(1, 2))
	asked := questions()[:1]
	places := toss(c, asked)
	var out []report
	for i, place := range places {
		is := place.Readings[0] == heads
		if rng.Float64() >= share {
			is = !is
		}
		r := report{device: fmt.Sprintf("%016x", uint64(keyer.Key(place.ID))), window: "w", mechanism: "warner", score: -0.6, epsilon: 1}
		switch i % 3 {
		case 1:
			r.mechanism, r.score = "hybrid", -3
		case 2:
			r.mechanism, r.set, r.categories = "subset", 1|1<<1, 4
		}
		if is {
			r.score, r.set = 70, 1<<3
		}
		out = append(out, r)
	}
	return c, out, truthOf(places, keyer)
}

// TestGuess: as many right guesses as ε allows pass; more, too few where reports can be that right, or reports of nobody don't.
func TestGuess(t *testing.T) {
	q := questions()[0]
	for share, want := range map[float64]Verdict{0.731: Pass, 0.78: Fail, 1: Fail, 0.5: Fail} {
		_, stored, truth := fake(15_000, share)
		checks, err := q.guess(stored, truth)
		if err != nil || len(checks) != 3 {
			t.Fatal(err, checks)
		}
		for _, check := range checks {
			if check.Verdict != want {
				t.Errorf("%v right: %+v", share, check)
			}
		}
	}
	_, stored, _ := fake(15_000, 0.731)
	checks, err := q.guess(stored, map[string]bool{})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range checks {
		if check.Verdict != Fail {
			t.Errorf("reports of nobody: %+v", check)
		}
	}
}

// TestPermanentAnswersHangTogether: devices whose reports all say the same are judged by the ε of a category, not report by report.
func TestPermanentAnswersHangTogether(t *testing.T) {
	q := questions()[2]
	const devices, windows = 4000, 5
	for share, want := range map[float64][2]Verdict{0.731: {Pass, Pass}, 0.87: {Fail, Pass}, 0.93: {Fail, Fail}} {
		rng := rand.New(rand.NewPCG(7, 2))
		truth := map[string]bool{}
		var stored []report
		for i := range devices {
			id := fmt.Sprint(i)
			truth[id] = i%2 == 0
			says := uint64(1)
			if (rng.Float64() < share) == truth[id] {
				says = 2
			}
			for range windows {
				stored = append(stored, report{device: id, mechanism: "memo", set: says, categories: 2, epsilon: 1})
			}
		}
		checks, err := q.guess(stored, truth)
		if err != nil || len(checks) != 2 {
			t.Fatal(err, checks)
		}
		for i, check := range checks {
			if check.Verdict != want[i] {
				t.Errorf("%v right: %+v", share, check)
			}
		}
	}
}

// TestSides: a set with both bins, or neither, is no guess, nor is a score in the middle; codes and hashes are read.
func TestSides(t *testing.T) {
	r, err := newReader(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	wave := uint64(r.wave.Codes())
	for i, c := range []struct {
		of            report
		isHeads, said bool
	}{
		{report{mechanism: "subset", set: 0b1001, categories: 4}, true, false},
		{report{mechanism: "subset", set: 0b0110, categories: 4}, false, false},
		{report{mechanism: "subset", set: 0b1010, categories: 4}, true, true},
		{report{mechanism: "memo", set: 0b01, categories: 2}, false, true},
		{report{mechanism: "hybrid", score: 25}, false, false},
		{report{mechanism: "hybrid", score: 25.1}, true, true},
		{report{mechanism: "laplace", score: -4}, false, true},
		{report{mechanism: "warner", score: 1.6}, true, true},
		{report{mechanism: "square-wave", code: wave - 1}, true, true},
		{report{mechanism: "square-wave", code: wave / 3}, false, true},
	} {
		if isHeads, said, err := r.side(c.of); err != nil || said != c.said || said && isHeads != c.isHeads {
			t.Errorf("case %d: %v, %v, %v", i, isHeads, said, err)
		}
	}
	m, err := mechanisms.InReport("olh", mechanisms.Price{Report: 20_000_000}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = newReader(20_000_000); err != nil {
		t.Fatal(err)
	}
	for category, isHeads := range map[uint32]bool{0: false, 999: true} {
		sent, err := m.Randomise(category, privacy.NewSeeded(4), nil)
		if err != nil {
			t.Fatal(err)
		}
		code := uint64(0)
		for i, b := range sent {
			code |= uint64(b) << (8 * i)
		}
		if got, said, err := r.side(report{mechanism: "olh", code: code, categories: 1000}); err != nil || !said || got != isHeads {
			t.Errorf("a hash of category %d: %v, %v, %v", category, got, said, err)
		}
	}
}

// TestSpending: a window answered twice, a device that is missing and one that was refused are seen.
func TestSpending(t *testing.T) {
	c := Config{Devices: 400, Windows: 1}
	whole := simulate.Summary{Due: 400, Answered: 400}
	all := func() [][]report {
		var out [][]report
		for _, q := range questions() {
			var of []report
			for i := range q.devices(c) {
				of = append(of, report{device: fmt.Sprint(i), window: "w", epsilon: q.claimed.Float64()})
			}
			out = append(out, of)
		}
		return out
	}
	for name, s := range map[string]struct {
		edit    func(stored [][]report)
		summary simulate.Summary
		want    Verdict
	}{
		"all there":     {func([][]report) {}, whole, Pass},
		"one twice":     {func(s [][]report) { s[1][3] = s[1][4] }, whole, Fail},
		"one missing":   {func(s [][]report) { s[2] = s[2][1:] }, whole, Fail},
		"one too many":  {func(s [][]report) { s[3] = append(s[3], s[3][0]) }, whole, Fail},
		"one was quiet": {func([][]report) {}, simulate.Summary{Due: 400, Answered: 399}, Fail},
	} {
		stored := all()
		s.edit(stored)
		if got := spending(stored, s.summary, c); got.Verdict != s.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestEndToEnd sends a small fleet through the whole system, by every mechanism that the planner chooses.
func TestEndToEnd(t *testing.T) {
	checks, err := endToEnd(t.Context(), Config{Dir: t.TempDir(), Devices: 1500, Windows: 3, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, check := range checks {
		names = append(names, check.Mechanism)
		if check.Verdict != Pass || check.Layer != EndToEnd {
			t.Errorf("%+v", check)
		}
	}
	number, err := mechanisms.ForMean(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{number.Name(), "warner", "subset", "olh", "square-wave", "duchi", "memo", "memo, all windows", "laplace, gateways", "ledger"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s was not chosen: %v", want, names)
		}
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
