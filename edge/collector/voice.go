package collector

import (
	"io"
	"iter"
	"time"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/summary"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
)

// Reading is one reading of one sensor. It is a secret of the process.
type Reading struct {
	Unit       string // behind a gateway, else empty
	Capability string
	Reading    string
	AtMs       int64 // since 1970
	Value      privacy.Micro
}

// Listener keeps window summaries of readings.
type Listener interface {
	// Listen begins to keep what the plans that are held now ask for, and forgets the rest.
	Listen(nowMs int64)
	// Add takes a reading in. One that no plan asks for, or of a window that is no longer kept, is left out.
	Add(r Reading)
}

// Recalled is the speaker of a reply that nobody gave: it holds the plans that the process kept before it restarted.
const Recalled = -1

// Speaker announces identities: the device, or the units behind a gateway.
type Speaker interface {
	// Speakers is how many there are. It never changes.
	Speakers() int
	// Hello is what one of them announces.
	Hello(speaker int, now time.Time) wire.Hello
	// ApplyReply takes in the answer to it, as agent.Agent does. Speaker Recalled stands for plans that come from the disk.
	ApplyReply(speaker int, r *wire.HelloReply, now time.Time) (again bool, err error)
}

// Answerer follows plans and answers them.
type Answerer interface {
	// Version is that of the plan set that is held, 0 for none.
	Version() uint64
	// Plans goes over all revisions that are held; each stands as the best of the identities stands to it.
	Plans() iter.Seq[agent.Held]
	// ApplyBroadcast takes in a change, as agent.Agent does.
	ApplyBroadcast(b *wire.PlanBroadcast) (gap bool)
	// NextDue is the first window after the given one in which anybody is due.
	NextDue(ref string, after int64) (window int64, ok bool)
	// Report makes the request of a window that has ended, under the law of agent.Agent's Report: a window once, the charge
	// durable before anything is randomised.
	Report(b []byte, ref string, window int64) (request []byte, o agent.Outcome, err error)
	// Counters says what became of the windows.
	Counters() map[string]uint64
}

// Voice is who answers through a collector. The collector calls it under its lock; it starts nothing and waits for nothing.
type Voice interface {
	Listener
	Speaker
	Answerer
}

// Given is what a collector gives to its voice.
type Given struct {
	Config   *Config
	Software string
	Session  uint32
	Ledger   agent.Ledger // the only one of the process
	Memory   agent.Memory // for permanent answers
	Random   io.Reader
}

// device is the voice of a collector that speaks for itself.
type device struct {
	*agent.Agent
	buffer *summary.Buffer
}

func newDevice(g Given) (Voice, error) {
	c := g.Config.Identities()[0]
	buffer := summary.NewBuffer()
	c.Software, c.Session, c.Ledger, c.Memory = g.Software, g.Session, g.Ledger, g.Memory
	c.Source, c.Readings = privacy.NewSecure(g.Random), buffer
	a, err := agent.New(c)
	if err != nil {
		return nil, err
	}
	return &device{Agent: a, buffer: buffer}, nil
}

// Listen makes the buffer listen to what the plans ask for.
func (d *device) Listen(nowMs int64) { d.buffer.Want(nowMs, d.Wanted()) }

// Add takes a reading in.
func (d *device) Add(r Reading) { d.buffer.Add(r.Capability, r.Reading, r.AtMs, r.Value) }

// Speakers is one.
func (d *device) Speakers() int { return 1 }

// Hello announces the device.
func (d *device) Hello(_ int, now time.Time) wire.Hello { return d.Agent.Hello(now) }

// ApplyReply takes in the answer.
func (d *device) ApplyReply(_ int, r *wire.HelloReply, _ time.Time) (again bool, err error) {
	return d.Agent.ApplyReply(r)
}
