package collector

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	"github.com/quadrat-dev/quadrat/edge/spool"
	"github.com/quadrat-dev/quadrat/edge/uplink"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// Parts is what a collector is made of. Files, clock, randomness and the network's patience are given to it.
type Parts struct {
	Config   Config
	Software string      // name and version, e.g. "quadrat-edge 0.1.0"
	Data     disk.Folder // ledger, spool and plans
	Witness  disk.Folder // second place for the ledger's anchor, or nil
	Root     fs.FS       // where sensors are: os.DirFS("/")
	Clock    clock.Clock
	Random   io.Reader // crypto/rand.Reader; for noise and the ledger's identity
	Log      *slog.Logger
	Uplink   uplink.Config // patience only; address, device, clock and log are filled in
	// Voice makes who answers; nil for the device itself.
	Voice func(Given) (Voice, error)
	// LedgerRecords is how many charges are appended before the ledger is compacted; 0 for its own default.
	LedgerRecords int
}

// Collector is a running device, or a gateway. It implements uplink.Device.
type Collector struct {
	parts  Parts
	ledger *ledger.File
	spool  *spool.Spool
	uplink *uplink.Uplink

	mu      sync.Mutex // guards voice, cursors and told
	voice   Voice
	cursors map[string]int64 // by reference: end of the last window that was looked at, in milliseconds
	told    map[silence]bool // what was logged since a kappa's last report

	news chan struct{} // the plans changed
}

// silence is why a device doesn't answer a kappa.
type silence struct {
	ref string
	why agent.Outcome
}

// ErrGateway says that a gateway has no voice: nobody in this build can speak for its units.
var ErrGateway = errors.New("role: gateway needs a board with 64 bits, since the library that adds its noise does; run quadrat-edge there")

// Open opens ledger and spool and joins the parts. It fails when the ledger can't be trusted: then nothing is reported.
func Open(p Parts) (*Collector, error) {
	c := &Collector{
		parts: p, cursors: make(map[string]int64), told: make(map[silence]bool), news: make(chan struct{}, 1),
	}
	if p.Config.Role == RoleGateway && p.Voice == nil {
		return nil, ErrGateway
	}
	var err error
	c.ledger, err = ledger.Open(p.ledger(), p.Clock.Now())
	if err != nil {
		return nil, err
	}
	c.spool, err = spool.Open(spool.Config{Folder: p.Data, BytesMax: p.Config.SpoolBytes, Policy: p.Config.SpoolDrop})
	var session uint32
	if err == nil {
		session, err = draw(p.Random)
	}
	if err == nil {
		begin := p.Voice
		if begin == nil {
			begin = newDevice
		}
		c.voice, err = begin(Given{
			Config: &c.parts.Config, Software: p.Software, Session: session, Ledger: c.ledger, Memory: c.ledger,
			Random: p.Random,
		})
	}
	if err != nil {
		_ = c.close()
		return nil, err
	}
	p.Uplink.Options = options(&p.Config, p.Uplink.Options)
	p.Uplink.URL, p.Uplink.Device, p.Uplink.Clock, p.Uplink.Log = p.Config.Server, p.Config.Device, p.Clock, p.Log
	if p.Uplink.HelloEvery == 0 {
		p.Uplink.HelloEvery = p.Config.HelloEvery
	}
	c.uplink = uplink.New(p.Uplink, c, c.spool)
	c.recallPlans()
	return c, nil
}

// draw returns the number of a session: two devices by one name differ in it. It is no secret.
func draw(r io.Reader) (uint32, error) {
	var b [4]byte
	_, err := io.ReadFull(r, b[:])
	return binary.LittleEndian.Uint32(b[:]), err
}

// ledger says where the device's ledger is and whose.
func (p *Parts) ledger() ledger.Config {
	return ledger.Config{
		Folder: p.Data, Witness: p.Witness, Device: p.Config.Device, Machine: Machine(p.Root), Limits: p.Config.Policy.Limits,
		Random: p.Random, CompactRecords: p.LedgerRecords,
	}
}

// Adopt binds the device's ledger to this machine, after the one that it was made on was replaced.
func Adopt(p Parts) error { return ledger.Adopt(p.ledger(), p.Clock.Now()) }

// options adds credentials and certificate authority.
func options(c *Config, to []nats.Option) []nats.Option {
	if c.Credentials != "" {
		to = append(to, nats.UserCredentials(c.Credentials))
	}
	if c.CA != "" {
		to = append(to, nats.RootCAs(c.CA))
	}
	return to
}

// Run collects until ctx ends, then closes everything. What was not sent waits in the spool for the next Run.
func (c *Collector) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	for i := range c.parts.Config.Sensors {
		s := &c.parts.Config.Sensors[i]
		if s.Network != nil {
			continue
		}
		source, err := s.Spec.Open(c.parts.Root)
		if err != nil {
			return err
		}
		running.Go(func() { c.sense(ctx, s, source) })
	}
	var lineErr error
	running.Go(func() {
		lineErr = c.uplink.Run(ctx)
		if lineErr != nil {
			cancel()
		}
	})
	c.report(ctx)
	cancel()
	running.Wait()
	if err := c.close(); lineErr == nil {
		lineErr = err
	}
	return lineErr
}

func (c *Collector) close() error {
	var first error
	if c.spool != nil {
		first = c.spool.Close()
	}
	if err := c.ledger.Close(); first == nil {
		first = err
	}
	return first
}

// Add takes in a reading that came over the network.
func (c *Collector) Add(r Reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.voice.Add(r)
}

// Speakers is how many identities are announced.
func (c *Collector) Speakers() int { return c.voice.Speakers() }

// Hello announces one of them with all its counters, and those of the process.
func (c *Collector) Hello(speaker int) wire.Hello {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.voice.Hello(speaker, c.parts.Clock.Now())
	t := c.spool.Totals()
	waiting, _ := c.spool.Pending()
	for name, n := range map[string]uint64{
		"ledger_charges": c.ledger.Book().Spent().Reports, "spool_dropped": t.Dropped, "spool_rejected": t.Rejected, "spool_damaged": t.Damaged, "spool_waiting": uint64(waiting),
	} {
		if n > 0 {
			h.Counters[name] = n
		}
	}
	return h
}

// ApplyReply takes in plans.
func (c *Collector) ApplyReply(speaker int, r *wire.HelloReply) (again bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.voice.Version()
	again, err = c.voice.ApplyReply(speaker, r, c.parts.Clock.Now())
	if c.voice.Version() != before || len(r.Plans) > 0 {
		c.keepPlans()
	}
	c.replan()
	return again, err
}

// ApplyBroadcast takes in a plan.
func (c *Collector) ApplyBroadcast(b *wire.PlanBroadcast) (gap bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gap = c.voice.ApplyBroadcast(b)
	c.keepPlans()
	c.replan()
	return gap
}

// replan makes the voice listen to what the plans ask for; the caller holds the lock. A new plan begins with the window
// in which it came.
func (c *Collector) replan() {
	now := c.parts.Clock.Now().UnixMilli()
	c.voice.Listen(now)
	live := make(map[string]int64)
	for h := range c.voice.Plans() {
		at, known := c.cursors[h.Plan.Ref]
		if !known {
			length := int64(h.Plan.WindowMs)
			at = max(now, 0) / length * length
		}
		live[h.Plan.Ref] = at
		if h.Standing == agent.Takes {
			c.ledger.Expect(h.Plan.Ref, milliseconds(h.Plan.WindowMs), milliseconds(h.Plan.PeriodMs))
		}
	}
	c.cursors = live
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// milliseconds turns what a plan says into a duration; the ledger bounds it.
func milliseconds(n uint64) time.Duration {
	return time.Duration(min(n, uint64(law.PeriodMax.Milliseconds()))) * time.Millisecond
}

// Status tells how the line is and how many reports wait.
func (c *Collector) Status() (uplink.Status, int) {
	waiting, _ := c.spool.Pending()
	return c.uplink.Status(), waiting
}

// Counters returns the voice's counters.
func (c *Collector) Counters() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.voice.Counters()
}
