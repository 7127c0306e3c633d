//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/differential-privacy/go/v3/noise"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

const (
	minute = 60_000
	lo, hi = 10_000_000, 40_000_000
)

// statistics are one of each kind that a gateway can answer.
var statistics = []wire.StatisticPlan{
	{Name: "mean", Kind: "mean", Mechanism: "hybrid", LoMicro: lo, HiMicro: hi},
	{Name: "total", Kind: "total", Mechanism: "hybrid", LoMicro: -hi, HiMicro: hi},
	{Name: "share", Kind: "proportion", Mechanism: "warner", Comparison: ">", ThresholdMicro: 20_000_000},
	{Name: "number", Kind: "count", Mechanism: "warner", Comparison: "<=", ThresholdMicro: 20_000_000},
	{Name: "bins", Kind: "histogram", Mechanism: "subset", LoMicro: lo, HiMicro: hi, Categories: 6},
	{Name: "median", Kind: "quantile", Mechanism: "subset", LoMicro: lo, HiMicro: hi, Categories: 8, ShareMicro: 500_000},
	{Name: "wholes", Kind: "frequency", Mechanism: "subset", LoMicro: lo, HiMicro: 14_000_000, Categories: 5},
}

// delta is the sensitivity of a statistic by the page's table.
func delta(s *wire.StatisticPlan) int64 {
	switch s.Kind {
	case "mean", "total":
		return s.HiMicro - s.LoMicro
	case "proportion", "count":
		return 1
	}
	return 2
}

// planOf asks one statistic of every unit in every window.
func planOf(s wire.StatisticPlan, lap uint32) *wire.DevicePlan {
	rotation, err := panel.Draw(nil, 0, lap, 1, make([]int, lap))
	if err != nil {
		panic(err)
	}
	s.Reading, s.Summary = "temperature", "avg"
	return &wire.DevicePlan{
		Ref: "k7f3q2", Name: "indoor", Revision: 2, PlanSetVersion: 1, WindowMs: minute, Salt: make([]byte, 16),
		Capability: "sense.temperature", LapWindows: lap, Model: agent.Gateway, ClusteredBy: agent.GatewayAttribute,
		EpsilonMicro: 1_000_000, EpsilonPeriodMicro: uint64(privacy.MaxBudget), PeriodMs: minute, GroupBy: []string{"floor"},
		Strata:     []wire.StratumPlan{{Name: "(all)", Origin: uint64(rotation.Origin), Last: rotation.Last}},
		Statistics: []wire.StatisticPlan{s},
	}
}

// book notes charges, and refuses with err.
type book struct {
	charges []ledger.Charge
	err     error
}

func (b *book) Reserve(c ledger.Charge) error {
	b.charges = append(b.charges, c)
	return b.err
}

// exact is no noise: it notes what it was asked for.
type exact struct {
	noise.Noise
	calls []call
	after *book // what must have been charged before
	early bool
}

type call struct {
	l1      int64
	epsilon float64
	delta   float64
}

func (e *exact) AddNoiseInt64(x, l0, lInf int64, epsilon, delta float64) (int64, error) {
	e.calls = append(e.calls, call{l0 * lInf, epsilon, delta})
	if e.after != nil && len(e.after.charges) == 0 {
		e.early = true
	}
	return x, nil
}

// crewOf makes a crew of n units on three floors, which holds a plan: by number, the last one stands on floor 0, the one before on 1.
func crewOf(t *testing.T, n int, l agent.Ledger, p *wire.DevicePlan) *Crew {
	t.Helper()
	config := &collector.Config{
		Role: collector.RoleGateway, Device: "block", Policy: agent.Policy{
			Models: []string{agent.Gateway},
			Limits: ledger.Limits{PerPeriod: privacy.MaxBudget, Period: time.Minute, Lifetime: privacy.MaxBudget},
		},
	}
	for i := range n {
		config.Units = append(config.Units, collector.Unit{
			Name: fmt.Sprintf("flat-%03d", n-i), Attributes: map[string]string{"floor": fmt.Sprint(i % 3), "flat": fmt.Sprint(i)},
			Capabilities: []wire.Capability{{Name: "sense.temperature"}},
		})
	}
	v, err := NewCrew(collector.Given{Config: config, Ledger: l, Session: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := v.(*Crew)
	for speaker := range c.Speakers() {
		reply := &wire.HelloReply{PlanSetVersion: 1, Plans: []*wire.DevicePlan{p}, Live: []string{p.Ref}}
		if again, err := c.ApplyReply(speaker, reply, time.UnixMilli(0)); again || err != nil {
			t.Fatal(again, err)
		}
	}
	c.Listen(0)
	return c
}

// hear gives one reading of a window to a unit.
func (c *Crew) hear(unit int, window int64, value privacy.Micro) {
	c.Add(collector.Reading{
		Unit: fmt.Sprintf("flat-%03d", unit+1), Capability: "sense.temperature", Reading: "temperature",
		AtMs: window*minute + 1, Value: value,
	})
}

// released reports a window and decodes the release.
func (c *Crew) released(t *testing.T, ref string, window int64) wire.Release {
	t.Helper()
	b, outcome, err := c.Report(nil, ref, window)
	if outcome != agent.Reported || err != nil {
		t.Fatalf("window %d: %v, %v", window, outcome, err)
	}
	r, err := wire.DecodeReleaseRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A release has one part for each cell with readings, named by the least identity of all its units, with the number of those
// heard; all sensors of a unit make one number.
func TestReleaseIsThePages(t *testing.T) {
	l := &book{}
	p := planOf(statistics[0], 1)
	c := crewOf(t, 7, l, p)
	c.noise = &exact{Noise: noise.Laplace()}
	// Units by number: 7 6 5 4 3 2 1 stand on the floors 0 1 2 0 1 2 0.
	c.hear(6, 3, 21_000_000)
	c.hear(6, 3, 22_000_000) // the same unit: 21.5
	c.hear(3, 3, 50_000_000) // clipped to 40
	c.hear(1, 3, 5_000_000)  // clipped to 10
	r := c.released(t, p.Ref, 3)
	if len(r.Parts) != 2 || r.Gateway != "block" || r.Kappa != p.Ref || r.Revision != 2 || r.Window != 3 || r.Statistic != 0 {
		t.Fatalf("%+v", r)
	}
	first, second := r.Parts[0], r.Parts[1]
	if first.Device != "block-flat-001" || first.Units != 2 || first.Values[0] != 11_500_000+30_000_000 {
		t.Errorf("%+v", first)
	}
	if second.Device != "block-flat-002" || second.Units != 1 || second.Values[0] != 0 {
		t.Errorf("%+v", second)
	}
	if len(l.charges) != 1 || l.charges[0].Kappa != p.Ref || l.charges[0].Epsilon != 1_000_000 {
		t.Errorf("%+v", l.charges)
	}
	if _, outcome, _ := c.Report(nil, p.Ref, 3); outcome != agent.Repeated || len(l.charges) != 1 {
		t.Errorf("the window again: %v, %d charges", outcome, len(l.charges))
	}
	if n := c.Counters()["reported"]; n != 7 {
		t.Errorf("%d units of 7 count the release", n)
	}
}

// Whoever isn't to speak is silent, and nothing is charged for silence.
func TestSilence(t *testing.T) {
	const window = 5
	for name, c := range map[string]struct {
		plan    func(*wire.DevicePlan)
		crew    func(*Crew)
		ledger  error
		mute    bool
		want    agent.Outcome
		charges int
	}{
		"as it should":    {want: agent.Reported, charges: 1},
		"no readings":     {mute: true, want: agent.NoReadings},
		"spent":           {ledger: ledger.Refusal{Reason: ledger.PeriodSpent}, want: agent.RefusedPeriod, charges: 1},
		"clock went back": {ledger: ledger.Refusal{Reason: ledger.ClockBack}, want: agent.RefusedClock, charges: 1},
		"ledger fails":    {ledger: errors.New("disk"), want: agent.LedgerFailed, charges: 1},
		"others":          {plan: func(p *wire.DevicePlan) { p.Capability = "sense.noise" }, want: agent.NotDue},
		"local":           {plan: func(p *wire.DevicePlan) { p.Model = agent.Local }, want: agent.RefusedModel},
		"paused":          {plan: func(p *wire.DevicePlan) { p.Paused = true }, want: agent.Paused},
		"broken":          {plan: func(p *wire.DevicePlan) { p.EpsilonMicro = 0 }, want: agent.NotDue},
		"not in a frame":  {crew: func(c *Crew) { c.after(window*minute + 1) }, want: agent.NotDue},
		"in the frame":    {crew: func(c *Crew) { c.after(window * minute) }, want: agent.Reported, charges: 1},
		"refused":         {crew: func(c *Crew) { c.shun() }, want: agent.NotDue},
	} {
		l, p := &book{err: c.ledger}, planOf(statistics[0], 1)
		if c.plan != nil {
			c.plan(p)
		}
		crew := crewOf(t, 3, l, p)
		if c.crew != nil {
			c.crew(crew)
		}
		if !c.mute {
			crew.hear(1, window, 20_000_000)
		}
		b, outcome, _ := crew.Report(nil, p.Ref, window)
		if outcome != c.want || (len(b) > 0) != (c.want == agent.Reported) || len(l.charges) != c.charges {
			t.Errorf("%s: %v, %d bytes, %d charges", name, outcome, len(b), len(l.charges))
		}
	}
}

// after makes the server take all units in at a moment.
func (c *Crew) after(ms int64) {
	for _, u := range c.units {
		u.sinceMs = ms
	}
}

// shun makes the server refuse all units.
func (c *Crew) shun() {
	for speaker := range c.Speakers() {
		_, _ = c.ApplyReply(speaker, &wire.HelloReply{Error: "no"}, time.UnixMilli(0))
	}
}

// Units of two strata that are due at once: the ledger has one charge, and a release is of one stratum.
func TestOneStratumAWindow(t *testing.T) {
	p := planOf(statistics[0], 1)
	p.StratifiedBy = []string{"floor"}
	s := p.Strata[0]
	p.Strata = nil
	for floor := range 3 {
		s.Name, s.Members = fmt.Sprint(floor), [][]string{{fmt.Sprint(floor)}}
		p.Strata = append(p.Strata, s)
	}
	l := &book{}
	c := crewOf(t, 6, l, p)
	for u := range 6 {
		c.hear(u, 2, 20_000_000)
	}
	r := c.released(t, p.Ref, 2)
	if len(r.Parts) != 1 || r.Parts[0].Units != 2 || r.Parts[0].Device != "block-flat-001" || len(l.charges) != 1 {
		t.Errorf("%+v, %d charges", r, len(l.charges))
	}
	if n := c.Counters(); n["reported"] != 2 || n["refused_charged"] != 4 {
		t.Errorf("%v", n)
	}
}

// A release that could be longer than a request may be is refused before it is charged.
func TestReleaseThatIsTooLong(t *testing.T) {
	s := statistics[4]
	s.Categories = 64
	p := planOf(s, 1)
	p.GroupBy = []string{"flat"}
	l := &book{}
	c := crewOf(t, 60, l, p)
	for i := range c.units {
		c.hear(i, 1, 20_000_000)
	}
	if _, outcome, _ := c.Report(nil, p.Ref, 1); outcome != agent.RefusedSize || len(l.charges) != 0 {
		t.Errorf("%v, %d charges", outcome, len(l.charges))
	}
}
