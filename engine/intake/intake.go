package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/memory"
)

const (
	// packs is how many batches there are: one gathers, one is stored, one is answered.
	packs = 3
	// requestBytes is what a waiting request takes beside its content: the message, its subject and where the answer goes.
	requestBytes = 320
	// memoryDefault bounds what waits when the configuration names no account, in bytes.
	memoryDefault = 64 << 20
	// waitingBytesLeast is room for a request of the largest size, in bytes.
	waitingBytesLeast = 9 << 20
	// drainPatience is how long Close waits for requests that the connection has taken.
	drainPatience = 5 * time.Second
	// roomLook is how often a request that finds a full batch looks whether too many wait behind it.
	roomLook = 2 * time.Millisecond
)

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
	// QueueRequests is how many requests may wait. When half as many wait for a batch, the others are told to come again; beyond it
	// they are not answered at all. Default: 65,536.
	QueueRequests int
	// Memory is the account of requests and dead letters that wait; its limit bounds requests as QueueRequests does, and more
	// letters are dropped. Default: an account of 64 MiB.
	Memory *memory.Account
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
	if c.Memory == nil {
		c.Memory = memory.NewAccount(memoryDefault)
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
	config  Config
	metrics *metrics
	dead    chan *nats.Msg
	waiting *memory.Account // of dead letters
	some    chan struct{}   // there is something to be stored
	room    chan struct{}   // a batch has room again
	stored  chan *pack      // stored or refused, to be answered
	free    chan *pack
	drained chan struct{} // closed when the subscription hands on nothing more
	sub     *nats.Subscription
	group   sync.WaitGroup
	close   sync.Once

	bytesMost, requestsMost int // that may wait in the subscription

	mu        sync.Mutex // guards what follows
	gathering *pack
	ended     bool    // nothing more is taken
	decoder   decoder // of the request that is being taken
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
	limit := config.Memory.Limit()
	i := &Intake{
		config: config, metrics: m, dead: make(chan *nats.Msg, config.QueueDead), waiting: memory.NewAccount(limit / 4),
		some: make(chan struct{}, 1), room: make(chan struct{}, 1), stored: make(chan *pack, packs), free: make(chan *pack, packs),
		drained: make(chan struct{}), requestsMost: config.QueueRequests, bytesMost: math.MaxInt,
	}
	if limit > 0 {
		// A request counts by its content here and by itself there: half of the room is for each.
		i.bytesMost = max(int(limit)*3/8, waitingBytesLeast)
		i.requestsMost = min(i.requestsMost, max(int(limit)*3/8/requestBytes, 1))
	}
	for range packs {
		i.free <- newPack(config.Keyer)
	}
	i.gathering = <-i.free
	return i, nil
}

// Start begins to listen.
func (i *Intake) Start() error {
	sub, err := i.config.Conn.QueueSubscribe(broker.PrefixIn+"*", broker.GroupIntake, i.hear)
	if err == nil {
		sub.SetClosedHandler(func(string) { close(i.drained) })
		err = sub.SetPendingLimits(i.requestsMost, i.bytesMost)
	}
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	i.sub = sub
	i.config.Memory.Measure(func() int64 {
		requests, bytes, err := sub.Pending()
		if err != nil {
			return 0 // closed: nothing waits
		}
		return int64(bytes) + int64(requests)*requestBytes + i.waiting.Used()
	})
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
		if err = i.sub.Drain(); err == nil {
			i.waitDrained()
		}
		if flushErr := i.config.Conn.Flush(); err == nil {
			err = flushErr
		}
		i.mu.Lock()
		i.ended = true
		close(i.dead)
		i.mu.Unlock()
		signal(i.some)
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

// waitDrained waits until no request can come any more; one that comes later is not answered, and its device sends it again.
func (i *Intake) waitDrained() {
	timer := time.NewTimer(drainPatience)
	defer timer.Stop()
	select {
	case <-i.drained:
	case <-timer.C:
	}
}

// signal makes sure that a signal of one place waits there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// hear takes a request into the batch that gathers. While that is full it waits, and those behind it wait in the subscription;
// when too many do, it is told to come again.
func (i *Intake) hear(m *nats.Msg) {
	for !i.tryTake(m) {
		if i.crowded(m.Sub) {
			i.config.Memory.Refuse()
			i.metrics.crowded.Inc()
			i.reply(m.Reply, retryReply)
			return
		}
		timer := time.NewTimer(roomLook)
		select {
		case <-i.room:
		case <-timer.C:
		}
		timer.Stop()
	}
	signal(i.some)
}

// crowded tells whether half of those wait who may. Beyond all of them the subscription drops requests, whose devices hear nothing
// and ask again later.
func (i *Intake) crowded(waiting *nats.Subscription) bool {
	requests, bytes, err := waiting.Pending()
	return err == nil && (requests >= (i.requestsMost+1)/2 || bytes >= i.bytesMost/2)
}

// tryTake adds a request to the batch, or refuses it for good; false says that the batch is full. After the end nothing is taken
// nor answered.
func (i *Intake) tryTake(m *nats.Msg) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		return true
	}
	if i.gathering.load >= i.config.BatchReports {
		return false
	}
	i.take(i.gathering, m)
	return true
}

// take adds a request to the batch, or refuses it. The caller holds mu.
func (i *Intake) take(p *pack, m *nats.Msg) {
	device := m.Subject[len(broker.PrefixIn):]
	fault := i.decoder.decode(m.Data, device, i.config.Devices)
	if fault == "" {
		p.add(&i.decoder, device, m.Reply)
		return
	}
	i.metrics.refused.WithLabelValues(string(fault)).Inc()
	i.reply(m.Reply, fault.reply())
	i.bringOut(deadLetter(fault, m))
}

// bringOut lets a dead letter wait to be stored, or drops it when there is no room. The caller holds mu.
func (i *Intake) bringOut(letter *nats.Msg) {
	if n := bytesOf(letter); i.waiting.Take(n) {
		select {
		case i.dead <- letter:
			return
		default:
			i.waiting.Give(n)
		}
	}
	i.metrics.unburied.Inc()
}

// bytesOf is what a waiting message takes.
func bytesOf(m *nats.Msg) int64 { return int64(len(m.Data)) + requestBytes }

// reply answers one request; a connection that is gone is the device's to notice.
func (i *Intake) reply(to string, body []byte) {
	if to == "" {
		return
	}
	if err := i.config.Conn.Publish(to, body); err != nil {
		i.metrics.unanswered.Inc()
	}
}

// store stores the batches, one after the other: whatever has gathered as soon as the one before is stored.
func (i *Intake) store() {
	defer close(i.stored)
	next := <-i.free
	for range i.some {
		i.mu.Lock()
		p, ended := i.gathering, i.ended
		if len(p.replies) == 0 {
			i.mu.Unlock()
			if ended {
				return
			}
			continue
		}
		i.gathering = next
		i.mu.Unlock()
		signal(i.room)
		if ended {
			signal(i.some) // to look once more
		}
		ctx, cancel := context.WithTimeout(context.Background(), i.config.StorePatience)
		timer := prometheus.NewTimer(i.metrics.seconds)
		p.err = publish(ctx, i.config.JetStream, p.messages(i.config.Clock.Now()))
		cancel()
		timer.ObserveDuration()
		i.stored <- p
		next = <-i.free
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
		i.waiting.Give(bytesOf(m))
		ctx, cancel := context.WithTimeout(context.Background(), i.config.StorePatience)
		if _, err := i.config.JetStream.PublishMsg(ctx, m); err != nil {
			i.metrics.unburied.Inc()
		}
		cancel()
	}
}
