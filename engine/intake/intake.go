package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
)

// packs is how many batches there are: one gathers, one is stored, one is answered.
const packs = 3

// Devices tells who speaks for a device.
type Devices interface {
	// Lookup is the row of a device of the fleet; rows never change.
	Lookup(device string) (*fleet.Row, bool)
}

// Config is what an intake needs. Conn, JetStream and Devices are required.
type Config struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	// Keyer makes the devices' keys.
	Keyer fleet.Keyer
	// Devices tells which gateway speaks for a device.
	Devices Devices
	// QueueRequests is how many requests may wait. More are dropped and said again by the devices. Default: 65,536.
	QueueRequests int
	// BatchReports is how many reports fill a batch. One gateway's request may go beyond it. Default: 16,384.
	BatchReports int
	// QueueDead is how many dead letters may wait to be stored. More are dropped and counted. Default: 256.
	QueueDead int
	// Clock is the server's. Default: the machine's.
	Clock clock.Clock
	// StorePatience is how long the stream's acknowledgement is waited for. Default: 5 s.
	StorePatience time.Duration
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
	// Log. Default: slog.Default.
	Log *slog.Logger
}

// withDefaults fills the zero fields.
func (c Config) withDefaults() Config {
	for field, otherwise := range map[*int]int{&c.QueueRequests: 1 << 16, &c.BatchReports: 1 << 14, &c.QueueDead: 256} {
		if *field == 0 {
			*field = otherwise
		}
	}
	if c.StorePatience == 0 {
		c.StorePatience = 5 * time.Second
	}
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// Validate reports all faults of a configuration.
func (c Config) Validate() error {
	var faults []error
	for fault, broken := range map[string]bool{
		"no connection":    c.Conn == nil,
		"no JetStream":     c.JetStream == nil,
		"no devices":       c.Devices == nil,
		"a negative bound": min(c.QueueRequests, c.BatchReports, c.QueueDead) < 0 || c.StorePatience < 0,
	} {
		if broken {
			faults = append(faults, errors.New("intake config: "+fault))
		}
	}
	return errors.Join(faults...)
}

// Intake takes reports in. Start and Close are for one goroutine; Close may be called again.
type Intake struct {
	config   Config
	metrics  *metrics
	requests chan *nats.Msg
	dead     chan *nats.Msg
	full     chan *pack // gathered, to be stored
	stored   chan *pack // stored or refused, to be answered
	free     chan *pack
	stopping chan struct{}
	sub      *nats.Subscription
	group    sync.WaitGroup
	close    sync.Once
	decoder  decoder // of the gathering goroutine
}

// New makes an intake that doesn't listen yet.
func New(config Config) (*Intake, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	m, err := newMetrics(config.Registerer)
	if err != nil {
		return nil, fmt.Errorf("intake: metrics: %w", err)
	}
	i := &Intake{
		config: config, metrics: m, requests: make(chan *nats.Msg, config.QueueRequests),
		dead: make(chan *nats.Msg, config.QueueDead), full: make(chan *pack), stored: make(chan *pack, packs),
		free: make(chan *pack, packs), stopping: make(chan struct{}),
	}
	for range packs {
		i.free <- newPack(config.Keyer)
	}
	return i, nil
}

// Start begins to listen.
func (i *Intake) Start() error {
	sub, err := i.config.Conn.ChanQueueSubscribe(broker.PrefixIn+"*", broker.GroupIntake, i.requests)
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	i.sub = sub
	i.group.Go(i.gather)
	i.group.Go(i.store)
	i.group.Go(i.answer)
	i.group.Go(i.bury)
	return i.config.Conn.Flush()
}

// Close stops listening, stores and answers what was taken in, and returns when that is done.
func (i *Intake) Close() error {
	var err error
	i.close.Do(func() {
		if i.sub == nil {
			return
		}
		err = i.sub.Drain()
		if flushErr := i.config.Conn.Flush(); err == nil {
			err = flushErr
		}
		close(i.stopping)
		i.group.Wait()
		if flushErr := i.config.Conn.Flush(); err == nil {
			err = flushErr
		}
	})
	if errors.Is(err, nats.ErrConnectionClosed) {
		return nil
	}
	return err
}

// gather takes requests into a batch and passes the batch on as soon as the one before is stored.
func (i *Intake) gather() {
	defer close(i.full)
	defer close(i.dead)
	p := <-i.free
	for {
		var next chan *pack
		requests := i.requests
		if len(p.replies) > 0 {
			next = i.full
		}
		if p.load >= i.config.BatchReports {
			requests = nil
		}
		select {
		case m := <-requests:
			i.take(p, m)
			for n := len(i.requests); n > 0 && p.load < i.config.BatchReports; n-- {
				i.take(p, <-i.requests)
			}
		case next <- p:
			p = <-i.free
		case <-i.stopping:
			i.last(p)
			return
		}
	}
}

// last takes what still waits.
func (i *Intake) last(p *pack) {
	for {
		for len(i.requests) > 0 && p.load < i.config.BatchReports {
			i.take(p, <-i.requests)
		}
		if len(p.replies) == 0 {
			return
		}
		i.full <- p
		p = <-i.free
	}
}

// take adds a request to the batch, or refuses it.
func (i *Intake) take(p *pack, m *nats.Msg) {
	device := m.Subject[len(broker.PrefixIn):]
	fault := i.decoder.decode(m.Data, device, i.config.Devices)
	if fault == "" {
		p.add(&i.decoder, device, m.Reply)
		return
	}
	i.metrics.refused.WithLabelValues(string(fault)).Inc()
	i.reply(m.Reply, fault.reply())
	select {
	case i.dead <- deadLetter(fault, m):
	default:
		i.metrics.unburied.Inc()
	}
}

// reply answers one request; a connection that is gone is the device's to notice.
func (i *Intake) reply(to string, body []byte) {
	if to == "" {
		return
	}
	if err := i.config.Conn.Publish(to, body); err != nil {
		i.metrics.unanswered.Inc()
	}
}

// store stores the batches, one after the other.
func (i *Intake) store() {
	defer close(i.stored)
	for p := range i.full {
		ctx, cancel := context.WithTimeout(context.Background(), i.config.StorePatience)
		timer := prometheus.NewTimer(i.metrics.seconds)
		p.err = publish(ctx, i.config.JetStream, p.messages(i.config.Clock.Now()))
		cancel()
		timer.ObserveDuration()
		i.stored <- p
	}
}

// answer answers the requests of a batch: all are stored or none is known to be.
func (i *Intake) answer() {
	for p := range i.stored {
		body := storedReply
		if p.err != nil {
			body = retryReply
			i.metrics.retried.Add(float64(p.reports + p.released))
			i.config.Log.Warn("intake: not stored", "reports", p.reports, "releases", p.released, "error", p.err)
		} else {
			i.metrics.stored.Add(float64(p.reports))
			i.metrics.released.Add(float64(p.released))
			i.metrics.batches.Inc()
		}
		for _, to := range p.replies {
			i.reply(to, body)
		}
		p.reset()
		i.free <- p
	}
}

// bury stores the dead letters.
func (i *Intake) bury() {
	for m := range i.dead {
		ctx, cancel := context.WithTimeout(context.Background(), i.config.StorePatience)
		if _, err := i.config.JetStream.PublishMsg(ctx, m); err != nil {
			i.metrics.unburied.Inc()
		}
		cancel()
	}
}
