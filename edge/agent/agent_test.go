package agent_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/summary"
	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

const (
	lap    = 6
	minute = 60_000
)

// reading answers every question with one reading.
type reading struct {
	value  privacy.Micro
	silent bool
}

func (r *reading) Summary(summary.Series, int64) summary.Summary {
	var s summary.Summary
	if !r.silent {
		s.Add(r.value)
	}
	return s
}

// refuser is a ledger that always says the same.
type refuser struct {
	err   error
	calls int
}

func (r *refuser) Reserve(ledger.Charge) error {
	r.calls++
	return r.err
}

func limits() ledger.Limits {
	return ledger.Limits{PerPeriod: 4_000_000, Period: lap * time.Minute, Lifetime: privacy.MaxBudget}
}

func config(t *testing.T, device string) agent.Config {
	t.Helper()
	book, err := ledger.NewBook(limits())
	if err != nil {
		t.Fatal(err)
	}
	return agent.Config{
		Device: device, Attributes: map[string]string{"region": "asia"},
		Capabilities: []wire.Capability{{Name: "sense.temperature"}},
		Policy:       agent.Policy{Models: []string{agent.Local, agent.None}, Limits: limits()},
		Ledger:       book, Source: privacy.NewSeeded(1), Readings: &reading{value: 21_500_000},
	}
}

func start(t *testing.T, c agent.Config, plans ...*wire.DevicePlan) *agent.Agent {
	t.Helper()
	a, err := agent.New(c)
	if err != nil {
		t.Fatal(err)
	}
	reply := &wire.HelloReply{PlanSetVersion: 1, Plans: plans}
	for _, p := range plans {
		reply.Live = append(reply.Live, p.Ref)
	}
	if again, err := a.ApplyReply(reply); again || err != nil {
		t.Fatal(again, err)
	}
	return a
}

// everyone is a plan in which all numbers have a place: two statistics, laps of six windows.
func everyone() *wire.DevicePlan {
	rotation, err := panel.Draw(nil, 0, lap, 2, make([]int, lap*2))
	if err != nil {
		panic(err)
	}
	return &wire.DevicePlan{
		Ref: "k7f3q2", Name: "indoor", Revision: 1, PlanSetVersion: 1, WindowMs: minute, Salt: make([]byte, 16),
		Capability: "sense.temperature", LapWindows: lap, Model: agent.Local,
		EpsilonMicro: 4_000_000, EpsilonPeriodMicro: 4_000_000, PeriodMs: lap * minute,
		Strata: []wire.StratumPlan{{Name: "(all)", Origin: uint64(rotation.Origin), Last: rotation.Last}},
		Statistics: []wire.StatisticPlan{
			{Name: "m", Kind: "mean", Reading: "temperature", Summary: "avg", Mechanism: "hybrid", LoMicro: 10_000_000, HiMicro: 40_000_000},
			{Name: "p", Kind: "proportion", Reading: "temperature", Summary: "avg", Comparison: ">", ThresholdMicro: 20_000_000, Mechanism: "warner"},
		},
	}
}

// Over each lap every device reports exactly once, in the window and for the statistic that panel.Rotation says, and
// NextDue finds the windows that DueAt knows.
func TestEveryDeviceReportsOnceALap(t *testing.T) {
	p := everyone()
	rotation := panel.Rotation{LapWindows: lap, Slots: 2, Origin: panel.Number(p.Strata[0].Origin), Last: p.Strata[0].Last}
	library := &agent.Library{}
	for i := range 300 {
		c := config(t, fmt.Sprintf("device-%d", i))
		c.Library = library
		a := start(t, c, p)
		number := panel.NumberOf(panel.Salt(p.Salt), c.Device)
		next, _ := a.NextDue(p.Ref, -1)
		for w := range int64(5 * lap) {
			statistic, due := rotation.Due(number, w)
			if s, d := a.DueAt(p.Ref, w); s != statistic || d != due || d != (w == next) {
				t.Fatalf("window %d: due %v for %d, want %v for %d; next %d", w, d, s, due, statistic, next)
			}
			b, outcome, err := a.Report(nil, p.Ref, w)
			if (outcome == agent.Reported) != due || err != nil {
				t.Fatalf("window %d: %v, %v, due %v", w, outcome, err, due)
			}
			if due {
				r, err := wire.DecodeRequest(b)
				if err != nil || r.Device != c.Device || r.Kappa != p.Ref || r.Window != w || r.Statistic != statistic || r.Revision != 1 {
					t.Fatalf("%+v, %v", r, err)
				}
				next, _ = a.NextDue(p.Ref, w)
			}
		}
		if n := a.Count(agent.Reported); n != 5 {
			t.Fatalf("%d reports in 5 laps", n)
		}
	}
}

// due returns the first window in which a device is due for a statistic.
func due(t *testing.T, a *agent.Agent, ref string, statistic uint32) int64 {
	t.Helper()
	w, ok := a.NextDue(ref, 100)
	for ; ok; w, ok = a.NextDue(ref, w) {
		if s, _ := a.DueAt(ref, w); s == statistic {
			return w
		}
	}
	t.Fatal("never due")
	return 0
}

func TestOutcomes(t *testing.T) {
	dead := privacy.NewSecure(nil)
	for name, c := range map[string]struct {
		change  func(*agent.Config, *wire.DevicePlan)
		outcome agent.Outcome
		cause   error
	}{
		"reported":         {func(*agent.Config, *wire.DevicePlan) {}, agent.Reported, nil},
		"paused":           {func(_ *agent.Config, p *wire.DevicePlan) { p.Paused = true }, agent.Paused, nil},
		"no readings":      {func(c *agent.Config, _ *wire.DevicePlan) { c.Readings = &reading{silent: true} }, agent.NoReadings, nil},
		"model":            {func(c *agent.Config, _ *wire.DevicePlan) { c.Policy.Models = []string{agent.None} }, agent.RefusedModel, nil},
		"epsilon":          {func(c *agent.Config, _ *wire.DevicePlan) { c.Policy.Limits.PerPeriod = 3_999_999 }, agent.RefusedEpsilon, nil},
		"lifetime":         {func(c *agent.Config, _ *wire.DevicePlan) { c.Policy.Limits.Lifetime = 3_999_999 }, agent.RefusedEpsilon, nil},
		"entropy":          {func(c *agent.Config, _ *wire.DevicePlan) { c.Source = dead }, agent.EntropyFailed, privacy.ErrEntropy},
		"ledger":           {refuse(errors.New("disk")), agent.LedgerFailed, nil},
		"period spent":     {refuse(ledger.Refusal{Reason: ledger.PeriodSpent}), agent.RefusedPeriod, ledger.PeriodSpent},
		"plan spent":       {refuse(ledger.Refusal{Reason: ledger.PlanSpent}), agent.RefusedPlan, ledger.PlanSpent},
		"life spent":       {refuse(ledger.Refusal{Reason: ledger.LifetimeSpent}), agent.RefusedLifetime, ledger.LifetimeSpent},
		"charged":          {refuse(ledger.Refusal{Reason: ledger.AlreadyCharged}), agent.RefusedCharged, ledger.AlreadyCharged},
		"clock":            {refuse(ledger.Refusal{Reason: ledger.ClockBack}), agent.RefusedClock, ledger.ClockBack},
		"other capability": {func(_ *agent.Config, p *wire.DevicePlan) { p.Capability = "sense.sound" }, agent.NotDue, nil},
		"other reading":    {func(_ *agent.Config, p *wire.DevicePlan) { p.Statistics[1].Reading = "humidity" }, agent.NotDue, nil},
		"where": {func(_ *agent.Config, p *wire.DevicePlan) {
			p.Where = &attr.Predicate{Op: "=", Attribute: "region", Values: []attr.Literal{{Text: "europe"}}}
		}, agent.NotDue, nil},
		"stratum": {func(_ *agent.Config, p *wire.DevicePlan) {
			p.StratifiedBy, p.Strata[0].Members = []string{"region"}, [][]string{{"europe"}, {""}}
		}, agent.NotDue, nil},
		"own stratum": {func(_ *agent.Config, p *wire.DevicePlan) {
			p.StratifiedBy, p.Strata[0].Members = []string{"region", "city"}, [][]string{{"europe", ""}, {"asia", ""}}
		}, agent.Reported, nil},
		"closed capability": {unprotected, agent.RefusedModel, nil},
		"not yet":           {func(_ *agent.Config, p *wire.DevicePlan) { p.FromWindow = 1 << 30 }, agent.NotDue, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := due(t, start(t, config(t, "pi"), everyone()), "k7f3q2", 0)
			cfg, p := config(t, "pi"), everyone()
			c.change(&cfg, p)
			a := start(t, cfg, p)
			b, outcome, err := a.Report(nil, p.Ref, w)
			if outcome != c.outcome || (len(b) > 0) != (outcome == agent.Reported) {
				t.Fatalf("%v with %d bytes, want %v", outcome, len(b), c.outcome)
			}
			if c.cause != nil && !errors.Is(err, c.cause) {
				t.Fatalf("%v, want %v", err, c.cause)
			}
			if a.Count(outcome) != 1 || a.Counters()[outcome.String()] != 1 {
				t.Fatal("not counted")
			}
		})
	}
}

func refuse(err error) func(*agent.Config, *wire.DevicePlan) {
	return func(c *agent.Config, _ *wire.DevicePlan) { c.Ledger = &refuser{err: err} }
}

// unprotected makes the plan one of the model none.
func unprotected(_ *agent.Config, p *wire.DevicePlan) {
	p.Model, p.EpsilonMicro = agent.None, 0
	for i := range p.Statistics {
		p.Statistics[i].Mechanism = agent.None
	}
}

// watched is randomness that asks whether the charge came first.
type watched struct {
	*refuser
	t *testing.T
}

func (w watched) Read([]byte) (int, error) {
	if w.calls != 1 {
		w.t.Error("randomness was drawn before the charge")
	}
	return 0, errors.New("enough")
}

func TestChargeComesFirst(t *testing.T) {
	c := config(t, "pi")
	r := &refuser{}
	c.Ledger, c.Source = r, privacy.NewSecure(watched{r, t})
	a := start(t, c, everyone())
	if _, outcome, _ := a.Report(nil, "k7f3q2", due(t, a, "k7f3q2", 0)); outcome != agent.EntropyFailed || r.calls != 1 {
		t.Errorf("%v, %d charges", outcome, r.calls)
	}

	c.Readings = &reading{silent: true}
	r.calls = 0
	a = start(t, c, everyone())
	if _, outcome, _ := a.Report(nil, "k7f3q2", due(t, a, "k7f3q2", 0)); outcome != agent.NoReadings || r.calls != 0 {
		t.Errorf("%v, %d charges", outcome, r.calls)
	}
}

func TestOpenValues(t *testing.T) {
	for name, c := range map[string]struct {
		statistic uint32
		reading   privacy.Micro
		want      int64
	}{
		"inside": {0, 21_500_000, 21_500_000}, "clipped": {0, 90_000_000, 40_000_000},
		"inside a part of a ratio": {0, 21_500_000, 21_500_000}, "clipped for a ratio": {0, 90_000_000, 40_000_000},
		"clipped for a variance": {0, 90_000_000, 40_000_000},
		"true":                   {1, 20_000_001, 1_000_000}, "false": {1, 20_000_000, 0},
	} {
		cfg, p := config(t, "pi"), everyone()
		if strings.HasSuffix(name, "ratio") {
			p.Statistics[0].Kind = "ratio"
		}
		if strings.HasSuffix(name, "variance") {
			p.Statistics[0].Kind = "variance"
		}
		unprotected(&cfg, p)
		cfg.Capabilities = []wire.Capability{{Name: "sense.temperature", Open: true}}
		cfg.Readings = &reading{value: c.reading}
		a := start(t, cfg, p)
		b, outcome, err := a.Report(nil, p.Ref, due(t, a, p.Ref, c.statistic))
		r, decodeErr := wire.DecodeRequest(b)
		if outcome != agent.Reported || err != nil || decodeErr != nil || r.Value != c.want {
			t.Errorf("%s: %v, %d, want %d", name, outcome, r.Value, c.want)
		}
	}
}

// A server that switches the noise off, or asks for a mechanism that doesn't fit, gets silence.
func TestBrokenPlans(t *testing.T) {
	for name, change := range map[string]func(*wire.DevicePlan){
		"no noise":         func(p *wire.DevicePlan) { p.Statistics[0].Mechanism = agent.None },
		"no epsilon":       func(p *wire.DevicePlan) { p.EpsilonMicro = 0 },
		"huge epsilon":     func(p *wire.DevicePlan) { p.EpsilonMicro, p.EpsilonPeriodMicro = 20_000_001, 20_000_001 },
		"period below one": func(p *wire.DevicePlan) { p.EpsilonPeriodMicro = 1 },
		"no period":        func(p *wire.DevicePlan) { p.PeriodMs = 0 },
		"model":            func(p *wire.DevicePlan) { p.Model = "trust-me" },
		"none with noise":  func(p *wire.DevicePlan) { p.Model = agent.None },
		"bit for a number": func(p *wire.DevicePlan) { p.Statistics[0].Mechanism = "warner" },
		"number for a bit": func(p *wire.DevicePlan) { p.Statistics[1].Mechanism = "hybrid" },
		"no bounds":        func(p *wire.DevicePlan) { p.Statistics[0].HiMicro = p.Statistics[0].LoMicro },
		"kind":             func(p *wire.DevicePlan) { p.Statistics[0].Kind = "raw" },
		"summary":          func(p *wire.DevicePlan) { p.Statistics[0].Summary = "" },
		"comparison":       func(p *wire.DevicePlan) { p.Statistics[1].Comparison = "like" },
		"variance of bits": func(p *wire.DevicePlan) { p.Statistics[1].Kind = "variance" },
		"ratio of bits":    func(p *wire.DevicePlan) { p.Statistics[1].Kind = "ratio" },
		"arcs":             func(p *wire.DevicePlan) { p.LapWindows = 7 },
		"a mean for ever":  func(p *wire.DevicePlan) { p.EpsilonValueMicro = 4_000_000 },
	} {
		p := everyone()
		change(p)
		if _, err := agent.NewPlan(p); !errors.Is(err, wire.ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
		a := start(t, config(t, "pi"), p)
		if _, ok := a.NextDue(p.Ref, 0); ok || a.Counters()["invalid_plans"] != 1 {
			t.Errorf("%s: followed", name)
		}
	}
}

func TestTwoKappasShareTheLedger(t *testing.T) {
	one, two := everyone(), everyone()
	two.Ref = "other"
	a := start(t, config(t, "pi"), one, two)
	w := due(t, a, one.Ref, 0)
	if _, outcome, _ := a.Report(nil, one.Ref, w); outcome != agent.Reported {
		t.Fatal(outcome)
	}
	if _, outcome, _ := a.Report(nil, two.Ref, w); outcome != agent.RefusedPeriod {
		t.Fatal(outcome)
	}
	if _, outcome, _ := a.Report(nil, one.Ref, w); outcome != agent.Repeated {
		t.Fatal(outcome)
	}
}

func TestVersions(t *testing.T) {
	p := everyone()
	a := start(t, config(t, "pi"), p)
	later := everyone()
	later.Revision, later.PlanSetVersion, later.FromWindow = 2, 2, 500
	if a.ApplyBroadcast(&wire.PlanBroadcast{PlanSetVersion: 2, PreviousVersion: 1, Plan: later}) || a.Version() != 2 {
		t.Fatal("a broadcast in order is a gap")
	}
	w, _ := a.NextDue(p.Ref, 400)
	b, _, _ := a.Report(nil, p.Ref, w)
	if r, _ := wire.DecodeRequest(b); w >= 500 || r.Revision != 1 {
		t.Fatalf("window %d follows revision %d", w, r.Revision)
	}
	w, _ = a.NextDue(p.Ref, 499)
	b, _, _ = a.Report(nil, p.Ref, w)
	if r, _ := wire.DecodeRequest(b); r.Revision != 2 {
		t.Fatalf("window %d follows revision %d", w, r.Revision)
	}
	if a.ApplyBroadcast(&wire.PlanBroadcast{PlanSetVersion: 2, PreviousVersion: 1}) {
		t.Error("an old broadcast is a gap")
	}
	if !a.ApplyBroadcast(&wire.PlanBroadcast{PlanSetVersion: 9, PreviousVersion: 8}) || a.Version() != 2 {
		t.Error("a missed broadcast isn't noticed")
	}
	if again, err := a.ApplyReply(&wire.HelloReply{PlanSetVersion: 3, Live: []string{p.Ref, "new"}}); !again || err != nil || a.Version() != 0 {
		t.Error("a server that forgot us isn't noticed")
	}
	if again, _ := a.ApplyReply(&wire.HelloReply{PlanSetVersion: 3, Live: []string{"new"}}); again {
		t.Error("asks for ever")
	}
	if n := len(slices.Collect(a.Plans())); n != 0 {
		t.Errorf("%d plans of kappas that are gone", n)
	}
	if _, err := a.ApplyReply(&wire.HelloReply{Error: "no"}); !errors.Is(err, agent.ErrRefused) {
		t.Error(err)
	}
	a.ApplyBroadcast(&wire.PlanBroadcast{PlanSetVersion: 4, PreviousVersion: 3, Plan: p})
	a.ApplyBroadcast(&wire.PlanBroadcast{PlanSetVersion: 5, PreviousVersion: 4, Deleted: p.Ref})
	if _, outcome, _ := a.Report(nil, p.Ref, 1); outcome != agent.Unknown {
		t.Error(outcome)
	}
}

func TestHelloTellsTheLimits(t *testing.T) {
	a := start(t, config(t, "pi"))
	h := a.Hello(time.UnixMilli(5))
	if h.Limits.EpsilonMicro != 4_000_000 || h.Limits.PeriodMs != lap*minute || h.Limits.LifetimeMicro != 0 || h.ClockMs != 5 {
		t.Errorf("%+v", h)
	}
	if err := h.Validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*agent.Config){
		func(c *agent.Config) { c.Device = "a b" }, func(c *agent.Config) { c.Ledger = nil },
		func(c *agent.Config) { c.Policy.Models = nil }, func(c *agent.Config) { c.Policy.Limits.PerPeriod = 0 },
	} {
		c := config(t, "pi")
		change(&c)
		if _, err := agent.New(c); err == nil {
			t.Error("accepted")
		}
	}
}
