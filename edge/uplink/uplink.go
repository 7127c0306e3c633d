package uplink

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/edge/spool"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// Device is who speaks. Its methods are called from several goroutines.
type Device interface {
	// Speakers is how many identities there are to announce: one, or those of the units behind a gateway. It never changes.
	Speakers() int
	// Hello is what to announce of one of them now.
	Hello(speaker int) wire.Hello
	// ApplyReply takes in the answer to a speaker's hello; again asks for another round soon.
	ApplyReply(speaker int, r *wire.HelloReply) (again bool, err error)
	// ApplyBroadcast takes in a new plan; gap asks for a hello.
	ApplyBroadcast(b *wire.PlanBroadcast) (gap bool)
}

// Config says where the server is and how patient to be. Zero values stand for the defaults.
type Config struct {
	URL     string
	Options []nats.Option // credentials, TLS
	Device  string
	Clock   clock.Clock
	Log     *slog.Logger // nil for none

	HelloEvery       time.Duration // 5 minutes, ± a quarter
	RequestTimeout   time.Duration // 10 seconds
	PauseLeast       time.Duration // 1 second; first pause after a failure
	PauseMost        time.Duration // 1 minute; pauses double up to it
	BacklogPerSecond int           // 50
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&c.HelloEvery, 5*time.Minute)
	set(&c.RequestTimeout, 10*time.Second)
	set(&c.PauseLeast, time.Second)
	set(&c.PauseMost, time.Minute)
	if c.BacklogPerSecond <= 0 {
		c.BacklogPerSecond = 50
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Status is how the line is.
type Status struct {
	Connected bool
	Hellos    uint64        // answered
	Offset    time.Duration // device's clock minus server's at the last hello, half the round trip taken off
}

// Uplink is the line. Its methods are safe for concurrent use.
type Uplink struct {
	config Config
	device Device
	spool  *spool.Spool

	up       atomic.Bool
	boundary atomic.Uint64 // reports up to this id are backlog
	hellos   atomic.Uint64
	offset   atomic.Int64
	wake     chan struct{} // something to send, or the line came up
	hello    chan struct{} // a hello is wanted
}

// New makes a line; Run opens it.
func New(c Config, d Device, s *spool.Spool) *Uplink {
	u := &Uplink{
		config: c.withDefaults(), device: d, spool: s,
		wake: make(chan struct{}, 1), hello: make(chan struct{}, 1),
	}
	_, newest := s.Pending()
	u.boundary.Store(newest)
	return u
}

// Status tells how the line is.
func (u *Uplink) Status() Status {
	return Status{Connected: u.up.Load(), Hellos: u.hellos.Load(), Offset: time.Duration(u.offset.Load())}
}

// Wake says that the spool has a new report.
func (u *Uplink) Wake() { signal(u.wake) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run keeps the line open until ctx ends, and returns once everything that it started has stopped. It fails only when
// the URL or an option can't be used.
func (u *Uplink) Run(ctx context.Context) error {
	conn, err := nats.Connect(u.config.URL, u.options()...)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Subscribe(wire.PlanSubject, u.listen); err != nil {
		return err
	}
	if conn.IsConnected() {
		u.connected()
	}
	var running sync.WaitGroup
	running.Go(func() { u.announce(ctx, conn) })
	running.Go(func() { u.send(ctx, conn) })
	running.Wait()
	return nil
}

func (u *Uplink) options() []nats.Option {
	options := []nats.Option{
		nats.Name("quadrat-edge " + u.config.Device),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials may be repaired on the server
		nats.ReconnectBufSize(-1),   // nothing is kept but in the spool
		nats.CustomReconnectDelay(func(attempts int) time.Duration { return u.config.pause(attempts - 1) }),
		nats.ConnectHandler(func(*nats.Conn) { u.connected() }),
		nats.ReconnectHandler(func(*nats.Conn) { u.connected() }),
		nats.DisconnectErrHandler(func(*nats.Conn, error) {
			u.up.Store(false)
			u.config.Log.Warn("server lost")
		}),
	}
	return append(options, u.config.Options...)
}

// connected begins a new stretch: what waits now is backlog, and the server may have news.
func (u *Uplink) connected() {
	if u.up.Swap(true) {
		return
	}
	waiting, newest := u.spool.Pending()
	u.boundary.Store(newest)
	u.config.Log.Info("server found", "waiting", waiting)
	signal(u.hello)
	signal(u.wake)
}

// listen takes in a broadcast. One that can't be read may have been important: the hello asks for all that is new.
func (u *Uplink) listen(m *nats.Msg) {
	b, err := wire.DecodePlanBroadcast(m.Data)
	if err != nil || u.device.ApplyBroadcast(&b) {
		signal(u.hello)
	}
}
