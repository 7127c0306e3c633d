//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/google/differential-privacy/go/v3/noise"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/edge/summary"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// Crew speaks for the units behind a gateway. It is a collector.Voice: not safe for concurrent use, it starts nothing.
type Crew struct {
	gateway string
	units   []*unit // ascending by identity
	named   map[string]*unit
	ledger  agent.Ledger
	noise   noise.Noise
	plans   []agent.Held
}

// unit is one unit. Its agent follows the plans; it never reports and has no ledger.
type unit struct {
	*agent.Agent
	buffer  *summary.Buffer
	sinceMs int64 // windows that begin earlier know nothing of the unit
	refused bool  // by the server: then it isn't in the fleet
}

// never is the beginning of a unit that the server has not taken in yet.
const never = math.MaxInt64

// nothing grants nothing: a unit can't report beside its gateway.
type nothing struct{}

func (nothing) Reserve(law.Charge) error { return law.PeriodSpent }

// NewCrew makes the voice of a gateway. It fails when the identity or the attributes of a unit break their law.
func NewCrew(g collector.Given) (collector.Voice, error) {
	c := &Crew{gateway: g.Config.Device, named: make(map[string]*unit), ledger: g.Ledger, noise: noise.Laplace()}
	library := &agent.Library{}
	for i, config := range g.Config.Identities() {
		u := &unit{buffer: summary.NewBuffer(), sinceMs: never}
		config.Software, config.Session, config.Library = g.Software, g.Session, library
		config.Ledger, config.Source, config.Readings = nothing{}, privacy.NewSecure(g.Random), u.buffer
		var err error
		if u.Agent, err = agent.New(config); err != nil {
			return nil, err
		}
		c.units = append(c.units, u)
		c.named[g.Config.Units[i].Name] = u
	}
	slices.SortFunc(c.units, func(a, b *unit) int { return cmp.Compare(a.Device(), b.Device()) })
	return c, nil
}

// Listen makes each unit's buffer listen to what the plans ask of it.
func (c *Crew) Listen(nowMs int64) {
	for _, u := range c.units {
		u.buffer.Want(nowMs, u.Wanted())
	}
}

// Add takes a reading into the series of its unit: all sensors of a unit for one reading of a capability make one series.
func (c *Crew) Add(r collector.Reading) {
	if u := c.named[r.Unit]; u != nil {
		u.buffer.Add(r.Capability, r.Reading, r.AtMs, r.Value)
	}
}

// Speakers is the number of units.
func (c *Crew) Speakers() int { return len(c.units) }

// Hello announces a unit.
func (c *Crew) Hello(speaker int, now time.Time) wire.Hello { return c.units[speaker].Hello(now) }

// ApplyReply takes in the answer to a unit's hello. The plans that it brings are for all units: the next one to speak knows them.
// From its first answer on a unit stands in the server's frames, so windows that begin later may count it.
func (c *Crew) ApplyReply(speaker int, r *wire.HelloReply, now time.Time) (again bool, err error) {
	if speaker == collector.Recalled {
		for _, u := range c.units {
			u.sinceMs = 0
		}
		return c.apply(c.units, r)
	}
	u := c.units[speaker]
	if u.refused = r.Error != ""; u.refused {
		return false, agent.ErrRefused
	}
	if u.sinceMs == never {
		u.sinceMs = cmp.Or(r.ServerTimeMs, now.UnixMilli())
	}
	if r.PlanSetVersion == u.Version() && len(r.Plans) == 0 {
		return c.apply([]*unit{u}, r)
	}
	return c.apply(c.units, r)
}

func (c *Crew) apply(to []*unit, r *wire.HelloReply) (again bool, err error) {
	for _, u := range to {
		more, failed := u.ApplyReply(r)
		if failed != nil {
			err = failed
		}
		again = again || more
	}
	c.overlook()
	return again, err
}

// ApplyBroadcast takes in a change.
func (c *Crew) ApplyBroadcast(b *wire.PlanBroadcast) (gap bool) {
	for _, u := range c.units {
		gap = u.ApplyBroadcast(b) || gap
	}
	c.overlook()
	return gap
}

// Version is that of the plan set that is held.
func (c *Crew) Version() uint64 { return c.units[0].Version() }

// Plans goes over all revisions that are held, with the best standing that a unit has.
func (c *Crew) Plans() iter.Seq[agent.Held] { return slices.Values(c.plans) }

// overlook sums up how the units stand. All of them hold the same plans in the same order.
func (c *Crew) overlook() {
	c.plans = slices.Collect(c.units[0].Plans())
	for _, u := range c.units[1:] {
		i := 0
		for h := range u.Plans() {
			if i < len(c.plans) && rank(h.Standing) < rank(c.plans[i].Standing) {
				c.plans[i].Standing = h.Standing
			}
			i++
		}
	}
}

// rank orders standings by how much they tell of a gateway: that a unit takes part, then why it doesn't.
func rank(s agent.Standing) int {
	return slices.Index([]agent.Standing{
		agent.Takes, agent.ForbidsModel, agent.ForbidsEpsilon, agent.Rests, agent.Broken, agent.OutOfFrame,
	}, s)
}

// NextDue is the first window after the given one in which a unit is due.
func (c *Crew) NextDue(ref string, after int64) (window int64, ok bool) {
	window = math.MaxInt64
	for _, u := range c.units {
		if w, due := u.NextDue(ref, after); due && w <= window {
			window, ok = w, true
		}
	}
	return window, ok
}

// Counters adds up those of the units.
func (c *Crew) Counters() map[string]uint64 {
	sum := make(map[string]uint64)
	for _, u := range c.units {
		for name, n := range u.Counters() {
			sum[name] += n
		}
	}
	return sum
}
