package agent_test

import (
	"bytes"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/grr"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

// The prices of permanent: of a category, and of one report.
const (
	forever = 2_000_000
	once    = 1_000_000
)

// permanent is a plan that asks in every window in which of three rooms a device is, for ε = 2 a room.
func permanent() *wire.DevicePlan {
	p := everyone()
	p.LapWindows, p.EpsilonMicro, p.EpsilonValueMicro, p.EpsilonPeriodMicro = 1, once, forever, 3*forever
	p.PeriodMs = uint64(ledger.PeriodMax.Milliseconds())
	p.Strata[0].Origin, p.Strata[0].Last = 0, []uint64{^uint64(0)}
	p.Statistics = []wire.StatisticPlan{{
		Name: "frequency(temperature)", Kind: "frequency", Reading: "temperature", Summary: "last", Mechanism: memo.Name,
		LoMicro: 0, HiMicro: 2_000_000, Categories: 3,
	}}
	return p
}

// resident is a device with a memory, and the book that judges it.
func resident(t *testing.T, key byte, l ledger.Limits) (agent.Config, *ledger.Book, *reading) {
	t.Helper()
	c := config(t, "pi")
	book, err := ledger.NewBook(l)
	if err != nil {
		t.Fatal(err)
	}
	room := &reading{}
	c.Policy.Limits, c.Ledger, c.Readings = l, book, room
	c.Memory = &agent.Kept{Book: book, Key: [privacy.SecretBytes]byte{key, 1}}
	return c, book, room
}

func tell(t *testing.T, a *agent.Agent, window int64) (request []byte, category int64) {
	t.Helper()
	b, outcome, err := a.Report(nil, "k7f3q2", window)
	if outcome != agent.Reported || err != nil {
		t.Fatalf("window %d: %v, %v", window, outcome, err)
	}
	r, err := wire.DecodeRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	return b, r.Value
}

// A room that stays is charged once in 200 windows, and all 200 reports together tell of it no more than ε: their probabilities
// given each of the three rooms are computed exactly, as fractions, from what the device really sent.
func TestTwoHundredReportsCostOnce(t *testing.T) {
	const windows, rooms = 200, 3
	first, err := grr.New(forever, rooms)
	if err != nil {
		t.Fatal(err)
	}
	m, err := memo.New(forever, once, rooms)
	if err != nil {
		t.Fatal(err)
	}
	p1, q1 := first.ExactRates()
	p2, q2 := secondRound(m, p1)
	bound, single := privacy.ExpLowerBound(forever), privacy.ExpLowerBound(once)
	beyond, worst := 0, new(big.Rat)
	for key := range byte(20) {
		c, book, room := resident(t, key, ledger.Limits{PerPeriod: forever, Period: time.Hour, Lifetime: forever})
		room.value = privacy.Micro(key%rooms) * 1_000_000
		a := start(t, c, permanent())
		var named [rooms]int64
		for w := range int64(windows) {
			_, category := tell(t, a, 1000+w)
			named[category]++
		}
		if spent := book.Spent(); spent.Epsilon != forever || spent.Reports != 1 {
			t.Fatalf("ε %v in %d charges", spent.Epsilon, spent.Reports)
		}
		ratio := worstRatio(named[:], p1, q1, p2, q2)
		if ratio.Cmp(bound) > 0 {
			t.Errorf("device %d: %v times as likely in one room as in another, bound %v", key, ratio.FloatString(3), bound.FloatString(3))
		}
		if ratio.Cmp(single) > 0 {
			beyond++
		}
		if ratio.Cmp(worst) > 0 {
			worst = ratio
		}
	}
	t.Logf("at most %v times as likely, bound %v; one report may be %v times", worst.FloatString(5), bound.FloatString(5), single.FloatString(5))
	if beyond < 15 {
		t.Errorf("of %d of 20 devices all reports tell no more than one may: the test sees nothing", 20-beyond)
	}
}

// secondRound solves p* = p₁p₂ + (1-p₁)(1-p₂)/(k-1) for p₂.
func secondRound(m *memo.Mechanism, p1 *big.Rat) (p2, q2 *big.Rat) {
	truth, _ := m.ExactRates()
	unit, others := big.NewRat(1, 1), big.NewRat(int64(m.Categories())-1, 1)
	rest := new(big.Rat).Quo(new(big.Rat).Sub(unit, p1), others)
	p2 = new(big.Rat).Quo(new(big.Rat).Sub(truth, rest), new(big.Rat).Sub(p1, rest))
	return p2, new(big.Rat).Quo(new(big.Rat).Sub(unit, p2), others)
}

// worstRatio is how many times as likely a sequence of reports is in one room as in another, when room i was named so often.
func worstRatio(named []int64, p1, q1, p2, q2 *big.Rat) *big.Rat {
	// Given the permanent answer u, the sequence has the probability p₂^named(u)·q₂^(all others).
	given := make([]*big.Rat, len(named))
	for u := range named {
		given[u] = big.NewRat(1, 1)
		for i, n := range named {
			p := q2
			if i == u {
				p = p2
			}
			given[u].Mul(given[u], power(p, n))
		}
	}
	var low, high *big.Rat
	for room := range named {
		sum := new(big.Rat)
		for u := range given {
			p := q1
			if u == room {
				p = p1
			}
			sum.Add(sum, new(big.Rat).Mul(p, given[u]))
		}
		if low == nil || sum.Cmp(low) < 0 {
			low = sum
		}
		if high == nil || sum.Cmp(high) > 0 {
			high = sum
		}
	}
	return high.Quo(high, low)
}

func power(x *big.Rat, n int64) *big.Rat {
	exponent := big.NewInt(n)
	return new(big.Rat).SetFrac(new(big.Int).Exp(x.Num(), exponent, nil), new(big.Int).Exp(x.Denom(), exponent, nil))
}

// A device that starts anew, with its ledger and its secret, gives the same bytes for the same window; another secret gives others.
func TestPermanentAnswersOutliveTheProcess(t *testing.T) {
	differ := 0
	for key := range byte(40) {
		c, book, _ := resident(t, key, ledger.Limits{PerPeriod: forever, Period: time.Hour, Lifetime: forever})
		other, _, _ := resident(t, key+100, ledger.Limits{PerPeriod: forever, Period: time.Hour, Lifetime: forever})
		for w := range int64(20) {
			b, _ := tell(t, start(t, c, permanent()), w)
			again, _ := tell(t, start(t, c, permanent()), w)
			if !bytes.Equal(b, again) {
				t.Fatalf("window %d has two reports", w)
			}
			if theirs, _ := tell(t, start(t, other, permanent()), w); !bytes.Equal(b, theirs) {
				differ++
			}
		}
		if book.Spent().Reports != 1 {
			t.Fatalf("%d charges", book.Spent().Reports)
		}
	}
	if differ < 200 {
		t.Errorf("two secrets differ in %d of 800 reports only", differ)
	}
}

// A second kappa that asks the same costs nothing; one that asks something else costs again.
func TestTheSameQuestionSharesItsAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*wire.DevicePlan)
		charges uint64
	}{
		"the same":         {func(*wire.DevicePlan) {}, 1},
		"a lighter report": {func(p *wire.DevicePlan) { p.EpsilonMicro = once / 2 }, 1},
		"longer windows":   {func(p *wire.DevicePlan) { p.WindowMs = 2 * minute }, 1},
		"another salt":     {func(p *wire.DevicePlan) { p.Salt = bytes.Repeat([]byte{1}, 16) }, 1},
		"another summary":  {func(p *wire.DevicePlan) { p.Statistics[0].Summary = "max" }, 2},
		"more rooms":       {func(p *wire.DevicePlan) { p.Statistics[0].HiMicro, p.Statistics[0].Categories = 3_000_000, 4 }, 2},
		"other rooms":      {func(p *wire.DevicePlan) { p.Statistics[0].LoMicro, p.Statistics[0].HiMicro = -1_000_000, 1_000_000 }, 2},
		"bins":             {func(p *wire.DevicePlan) { p.Statistics[0].Kind = "histogram" }, 2},
		"another price":    {func(p *wire.DevicePlan) { p.EpsilonValueMicro = forever - 1 }, 2},
	} {
		cfg, book, _ := resident(t, 7, ledger.Limits{PerPeriod: 10 * forever, Period: time.Hour, Lifetime: 10 * forever})
		second := permanent()
		second.Ref = "second"
		c.change(second)
		a := start(t, cfg, permanent(), second)
		tell(t, a, 1000)
		if _, outcome, err := a.Report(nil, "second", 1001); outcome != agent.Reported || err != nil {
			t.Fatalf("%s: %v, %v", name, outcome, err)
		}
		if got := book.Spent().Reports; got != c.charges {
			t.Errorf("%s: %d charges, want %d", name, got, c.charges)
		}
	}
}

// A room that can't be paid for is met with silence that is counted; rooms that were paid for are answered all the same, and when the
// period has passed the new one is, too.
func TestNewRoomsAreJudgedByThePolicy(t *testing.T) {
	c, book, room := resident(t, 3, ledger.Limits{PerPeriod: forever, Period: 10 * time.Minute, Lifetime: 2 * forever})
	a := start(t, c, permanent())
	tell(t, a, 1000)
	room.value = 1_000_000
	if b, outcome, err := a.Report(nil, "k7f3q2", 1001); outcome != agent.RefusedPeriod || !errors.Is(err, ledger.PeriodSpent) || len(b) > 0 {
		t.Errorf("a second room within the period: %v, %v", outcome, err)
	}
	room.value = 0
	tell(t, a, 1002)
	room.value = 1_000_000
	tell(t, a, 1010)
	room.value = 2_000_000
	if _, outcome, err := a.Report(nil, "k7f3q2", 2000); outcome != agent.RefusedLifetime || !errors.Is(err, ledger.LifetimeSpent) {
		t.Errorf("a third room: %v, %v", outcome, err)
	}
	if n := a.Counters(); n["refused_period"] != 1 || n["refused_lifetime"] != 1 || n["reported"] != 3 || book.Spent().Epsilon != 2*forever {
		t.Errorf("%v, spent %v", n, book.Spent().Epsilon)
	}
	poor, _, _ := resident(t, 3, ledger.Limits{PerPeriod: forever - 1, Period: time.Minute, Lifetime: 9 * forever})
	if _, outcome, _ := start(t, poor, permanent()).Report(nil, "k7f3q2", 1000); outcome != agent.RefusedEpsilon {
		t.Errorf("one room costs more than a period has: %v", outcome)
	}
}

// lost is a memory without a secret.
type lost struct{ *agent.Kept }

var errLost = errors.New("lost")

func (lost) Secret() (*[privacy.SecretBytes]byte, error) { return nil, errLost }

// Without a secret nothing is charged and nothing is said, and a device that has no memory at all takes no part.
func TestNoSecretNoAnswer(t *testing.T) {
	c, book, _ := resident(t, 3, limits())
	c.Memory = lost{&agent.Kept{Book: book}}
	a := start(t, c, permanent())
	if b, outcome, err := a.Report(nil, "k7f3q2", 1000); outcome != agent.RefusedSecret || !errors.Is(err, errLost) || len(b) > 0 {
		t.Errorf("%v, %v", outcome, err)
	}
	c.Memory = nil
	a = start(t, c, permanent())
	if b, outcome, _ := a.Report(nil, "k7f3q2", 1000); outcome != agent.RefusedSecret || len(b) > 0 {
		t.Errorf("%v", outcome)
	}
	for h := range a.Plans() {
		if h.Standing != agent.KeepsNothing {
			t.Errorf("it %v", h.Standing)
		}
	}
	if !agent.RefusedSecret.Refused() || agent.RefusedSecret.String() != "refused_secret" || book.Spent().Reports != 0 || len(a.Wanted()) != 0 {
		t.Errorf("%v, %d charges", agent.RefusedSecret, book.Spent().Reports)
	}
}

// A plan whose price and mechanism don't belong together is followed by silence.
func TestBrokenPermanentPlans(t *testing.T) {
	for name, change := range map[string]func(*wire.DevicePlan){
		"no price of a category": func(p *wire.DevicePlan) { p.EpsilonValueMicro = 0 },
		"another mechanism":      func(p *wire.DevicePlan) { p.Statistics[0].Mechanism = "subset" },
		"no mechanism":           func(p *wire.DevicePlan) { p.Statistics[0].Mechanism = agent.None },
		"a report is dearer":     func(p *wire.DevicePlan) { p.EpsilonMicro = forever + 1 },
		"huge price":             func(p *wire.DevicePlan) { p.EpsilonValueMicro, p.EpsilonPeriodMicro = 20_000_001, 30_000_000 },
		"less for all than one":  func(p *wire.DevicePlan) { p.EpsilonPeriodMicro = forever - 1 },
		"without noise": func(p *wire.DevicePlan) {
			p.Model, p.EpsilonMicro, p.Statistics[0].Mechanism = agent.None, 0, agent.None
		},
	} {
		p := permanent()
		change(p)
		if _, err := agent.NewPlan(p); !errors.Is(err, wire.ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := agent.NewPlan(permanent()); err != nil {
		t.Errorf("the plan that they are made of: %v", err)
	}
}
