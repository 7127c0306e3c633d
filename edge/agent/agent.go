package agent

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/edge/summary"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// Ledger judges charges. When Reserve returns nil the charge is durable: no crash can undo it. *ledger.Book of package
// privacy/ledger is one for simulated devices, *File of package edge/ledger the one for real ones.
type Ledger interface {
	// Reserve makes a charge, or returns a ledger.Refusal or another error; then nothing may be randomised.
	Reserve(c ledger.Charge) error
}

// Readings knows the device's readings, summarised.
type Readings interface {
	// Summary returns the summary of a window of a series; one without readings when there are none.
	Summary(s summary.Series, window int64) summary.Summary
}

// Policy is the most that the device gives, fixed by its owner.
type Policy struct {
	Models []string      // Local, None or both; Gateway for a unit behind a gateway
	Limits ledger.Limits // over all kappas
}

// Config is what an agent is made of. Attributes, Capabilities, Policy.Models and Library may be shared by many agents
// and must not be changed afterwards; the Source and the Readings of an agent are used by it alone while it is called.
type Config struct {
	Device       string
	Gateway      string // identity of the gateway that speaks for it, or empty; plans see it as the attribute gateway
	Software     string
	Session      uint32 // random number of this run; 0 for none
	Attributes   map[string]string
	Capabilities []wire.Capability
	Policy       Policy
	Ledger       Ledger
	Memory       Memory // nil for a device that takes no part in plans with permanent answers
	Source       privacy.Source
	Readings     Readings
	Library      *Library // nil for one of its own
}

// ErrConfig says that an agent lacks a ledger, a source, readings, a model or sound limits, or names an attribute gateway.
var ErrConfig = errors.New("agent: ledger, source, readings, models or limits missing or out of range, or an attribute gateway")

// Agent is one device. It is not safe for concurrent use.
type Agent struct {
	config     Config
	attributes map[string]string // those of the configuration, and gateway for a device behind one
	version    uint64            // of the plan set held; 0 for none
	kappas     []held
	places     map[string]int // of many kappas; nil when nobody has looked since one went
	counts     [outcomes]uint32
	invalid    uint32       // plans that broke their law
	key        *privacy.Key // of the secret, once it was asked for
}

// New makes an agent that holds no plan yet.
func New(c Config) (*Agent, error) {
	hello := wire.Hello{Device: c.Device, Gateway: c.Gateway, Attributes: c.Attributes, Capabilities: c.Capabilities}
	if err := hello.Validate(); err != nil {
		return nil, err
	}
	if c.Ledger == nil || c.Source == nil || c.Readings == nil || len(c.Policy.Models) == 0 ||
		c.Policy.Limits.Validate() != nil {
		return nil, ErrConfig
	}
	if c.Library == nil {
		c.Library = &Library{}
	}
	if _, taken := c.Attributes[GatewayAttribute]; taken {
		return nil, ErrConfig
	}
	return &Agent{config: c, attributes: seen(&c)}, nil
}

// seen is what plans see of a device. The registry adds the same attribute to its row.
func seen(c *Config) map[string]string {
	if c.Gateway == "" {
		return c.Attributes
	}
	m := make(map[string]string, len(c.Attributes)+1)
	maps.Copy(m, c.Attributes)
	m[GatewayAttribute] = c.Gateway
	return m
}

// Device returns the identity.
func (a *Agent) Device() string { return a.config.Device }

// Version returns the version of the plan set that is held, 0 for none.
func (a *Agent) Version() uint64 { return a.version }

// Hello is what the device announces at this moment of its own clock. The caller may add counters and Leaving; the maps
// and slices but Counters belong to the agent.
func (a *Agent) Hello(now time.Time) wire.Hello {
	l := a.config.Policy.Limits
	lifetime := l.Lifetime.Micro()
	if l.Lifetime == privacy.MaxBudget {
		lifetime = 0
	}
	return wire.Hello{
		Device: a.config.Device, Gateway: a.config.Gateway, Attributes: a.config.Attributes,
		Capabilities: a.config.Capabilities, PlanSetVersion: a.version, ClockMs: now.UnixMilli(),
		Software: a.config.Software, Counters: a.Counters(), Session: a.config.Session,
		Limits: wire.Limits{
			EpsilonMicro: l.PerPeriod.Micro(), PeriodMs: uint64(l.Period.Milliseconds()),
			LifetimeMicro: lifetime, Models: a.config.Policy.Models,
		},
		Mechanisms: mechanisms.Announced(),
	}
}

// Counters returns what isn't zero of the outcomes by name, and "invalid_plans".
func (a *Agent) Counters() map[string]uint64 {
	m := make(map[string]uint64)
	for o, n := range a.counts {
		if n > 0 {
			m[Outcome(o).String()] = uint64(n)
		}
	}
	if a.invalid > 0 {
		m["invalid_plans"] = uint64(a.invalid)
	}
	return m
}

// Count returns how often an outcome occurred, modulo 2³².
func (a *Agent) Count(o Outcome) uint32 {
	if o >= outcomes {
		return 0
	}
	return a.counts[o]
}

// capability returns the announced capability of that name.
func (a *Agent) capability(name string) (*wire.Capability, bool) {
	for i := range a.config.Capabilities {
		if a.config.Capabilities[i].Name == name {
			return &a.config.Capabilities[i], true
		}
	}
	return nil, false
}

// yields says whether a capability has a reading. One that lists none has the last part of its name.
func yields(c *wire.Capability, reading string) bool {
	if len(c.Readings) == 0 {
		return c.Name[strings.LastIndexByte(c.Name, '.')+1:] == reading
	}
	return slices.Contains(c.Readings, reading)
}
