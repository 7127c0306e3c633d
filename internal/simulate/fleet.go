package simulate

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/summary"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// Subjects that a device uses.
const (
	subjectHello  = "quadrat.hello."
	subjectIntake = "quadrat.in."
	subjectPlan   = "quadrat.plan"
)

// software is what the devices say that they run.
const software = "quadrat simulate"

// Summary tells what the fleet did.
type Summary struct {
	// Devices in the fleet, silent ones and units behind gateways too.
	Devices int `json:"devices"`
	// Due counts (device, window) pairs in which a device was due; a gateway is one, whatever it has units.
	Due int64 `json:"due"`
	// Answered counts reports that the intake answered: they are on disk.
	Answered int64 `json:"answered"`
	// Heard counts the devices and units that stand behind what was answered: a gateway's release speaks for several.
	Heard int64 `json:"heard"`
	// Refused counts reports that a device's own policy or ledger forbade.
	Refused int64 `json:"refused"`
	// Silent counts pairs in which the due device was offline.
	Silent int64 `json:"silent"`
	// Rejected counts reports that the intake will never accept.
	Rejected int64 `json:"rejected"`
}

// Fleet is a simulated fleet that has joined. Step and Run are for one goroutine; Summary may be called by any.
type Fleet struct {
	config  Config
	conn    *nats.Conn
	devices []*agent.Agent
	homes   []home // gateways, whose units are the places behind those of the devices
	offline []bool // by place
	start   time.Time
	plans   *nats.Subscription
	news    chan struct{} // plans changed; room for one

	mu      sync.Mutex // guards the agents, progress and summary
	kappas  map[string]*progress
	summary Summary
	missed  bool // a broadcast was missed: all must say hello
	hellos  int  // devices that have said hello again in this round
	round   time.Time
}

// progress is how far a kappa has come.
type progress struct {
	windowMs int64
	next     int64 // the next window that is to be reported
	done     int
}

// Join connects, and lets every device say hello once. The caller must Close the fleet.
func Join(ctx context.Context, c Config) (*Fleet, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	conn, err := nats.Connect(c.NATS, nats.Name(software), nats.Timeout(c.AnswerTimeout), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(false))
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	f := &Fleet{config: c, conn: conn, kappas: map[string]*progress{}, news: make(chan struct{}, 1)}
	if err := f.join(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return f, nil
}

// join does all of Join but the connection.
func (f *Fleet) join(ctx context.Context) error {
	follow := f.config.Clock == nil
	var at meeting
	var err error
	if follow {
		if at, err = f.meet(ctx); err != nil {
			return err
		}
		f.config.Clock = clock.NewScaled(at.server, f.config.Speed)
	}
	f.start = f.config.Clock.Now()
	f.round = f.start
	if err := f.build(); err != nil {
		return err
	}
	if f.plans, err = f.conn.Subscribe(subjectPlan, f.heard); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := f.hello(ctx, 0, len(f.config.Places), f.config.Progress); err != nil {
		return err
	}
	if follow {
		return f.agree(ctx, at)
	}
	return nil
}

// build makes the agents. They share one source of noise, which is sound because Step asks them one after another.
func (f *Fleet) build() error {
	source := privacy.NewSeeded(f.config.Seed)
	rng := rand.New(rand.NewPCG(f.config.Seed, 0x6f66666c696e65))
	secrets := rand.New(rand.NewPCG(f.config.Seed, 0x73656372657473))
	library := &agent.Library{}
	announced := capabilities()
	f.config.Places = settle(f.config.Places, f.config.Gateways, f.config.Units)
	f.devices = make([]*agent.Agent, len(f.config.Places)-f.config.Gateways*f.config.Units)
	f.offline = make([]bool, len(f.config.Places))
	for i := range f.config.Places {
		place := &f.config.Places[i]
		book, err := ledger.NewBook(f.config.Policy)
		if err != nil {
			return fmt.Errorf("policy: %w", err)
		}
		kept := &agent.Kept{Book: book}
		for word := range len(kept.Key) / 8 {
			binary.LittleEndian.PutUint64(kept.Key[8*word:], secrets.Uint64())
		}
		f.offline[i] = rng.Float64() < f.config.Offline
		if i >= len(f.devices) {
			continue // a unit, which its gateway's ledger answers for
		}
		f.devices[i], err = agent.New(agent.Config{
			Device: place.ID, Software: software, Attributes: place.Attributes, Capabilities: announced,
			Policy: agent.Policy{Models: []string{agent.Local}, Limits: f.config.Policy},
			Ledger: book, Memory: kept, Source: source, Readings: replay{fleet: f, place: place}, Library: library,
		})
		if err != nil {
			return fmt.Errorf("device %s: %w", place.ID, err)
		}
	}
	f.summary.Devices = len(f.config.Places)
	return f.open()
}

// replay yields one reading for each window, from the one in which the fleet joined.
type replay struct {
	fleet *Fleet
	place *indoor.Place
}

// Summary is the summary of the one reading of the window.
func (r replay) Summary(s summary.Series, window int64) summary.Summary {
	var out summary.Summary
	if s.Capability == indoor.Capability && s.Reading == indoor.Reading {
		out.Add(r.place.Reading(r.fleet.Position(s.WindowMs, window)))
	}
	return out
}

// Position says which reading of every place belongs to a window: the number of windows since the fleet joined.
func (f *Fleet) Position(windowMs, window int64) int64 { return window - f.start.UnixMilli()/windowMs }

// Summary tells what the fleet has done so far.
func (f *Fleet) Summary() Summary {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.summary
}

// Close ends the connection. What waits for an answer is given up.
func (f *Fleet) Close() {
	f.conn.Close()
}

// heard takes in a change of the plan set, for every device.
func (f *Fleet) heard(m *nats.Msg) {
	change, err := wire.DecodePlanBroadcast(m.Data)
	if err != nil {
		f.config.Logger.Warn("plan: malformed broadcast")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.devices {
		f.missed = d.ApplyBroadcast(&change) || f.missed
	}
	for i := range f.homes {
		f.missed = f.homes[i].voice.ApplyBroadcast(&change) || f.missed
	}
	if change.Deleted != "" {
		delete(f.kappas, change.Deleted)
	}
	if change.Plan != nil {
		f.follow(change.Plan)
	}
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// follow notes a plan's windows; the caller holds the lock. The first window that counts is the first that began while the
// fleet was there and the plan was in force.
func (f *Fleet) follow(p *wire.DevicePlan) {
	length := int64(p.WindowMs)
	if _, ok := f.kappas[p.Ref]; ok || length <= 0 || length > math.MaxInt32*1000 {
		return
	}
	began := (f.config.Clock.Now().UnixMilli() + length - 1) / length
	f.kappas[p.Ref] = &progress{windowMs: length, next: max(p.FromWindow, began)}
}
