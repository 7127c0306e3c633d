package service

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/privacy/shuffle"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/reanalysis"
)

// Draft is what a revision of a plan is drawn from.
type Draft struct {
	Script   string                  // as it was put
	Params   map[string]float64      // values of its parameters
	Ref      string                  // reference of the kappa; empty for a plan that is only explained
	Name     string                  // name of the kappa
	Salt     []byte                  // 16 bytes
	Revision uint32                  // from 1; 0 for a plan that is only explained
	Now      time.Time               // the revision is in force from the next window on
	Previous *quadratv1.PlanRevision // the revision before it; nil for the first
	Known    []Known                 // what is known about spreads; the last that fits counts
	// Still says that the fleet is as it was when the previous revision was found to fit
	Still bool
	// Knows tells what results of other kappas say about the spreads that a plan depends on; nil for nobody to ask
	Knows func(*quadratv1.DevicePlan) []Known
}

// Planner turns scripts into plans over the fleet as it is. It is safe for use by many goroutines.
type Planner interface {
	// Name reads a script and gives the name that it bears, empty for none. It fails with a *script.Error or a
	// *plan.Infeasible.
	Name(source string, params map[string]float64) (string, error)
	// Plan draws a revision. When it returns, the frame that it used is on disk. It fails like Name.
	Plan(ctx context.Context, d Draft) (*quadratv1.PlanRevision, error)
	// Redraw says why a revision no longer fits the fleet at a moment; empty when it does.
	Redraw(d Draft) (string, error)
	// Where reads a condition on attributes in the script's syntax. It fails with a *script.Error.
	Where(text string) (*attr.Predicate, error)
}

// Engine computes. Apply takes a new or changed kappa, and Remove forgets one; Check tells what Apply would fail with. All are
// safe for use by many goroutines and may be repeated.
type Engine interface {
	Check(record *quadratv1.KappaRecord) error
	Apply(record *quadratv1.KappaRecord) error
	Remove(ref string)
	// Weigh writes into a revision's plan what its windows take in memory.
	Weigh(r *quadratv1.PlanRevision)
	// Checkpoint returns once everything that was counted is on disk.
	Checkpoint(ctx context.Context) error
}

// Fleet tells who is there. The caller owns the messages.
type Fleet interface {
	// Device is one device that has not left.
	Device(id string) (*quadratv1.Device, bool)
	// List is the devices that match where, by identity, at most limit of them, those behind after; how many match in
	// all, and what to pass as after for the next page.
	List(where *attr.Predicate, after string, limit int) (devices []*quadratv1.Device, total int, next string)
}

// Span is what is asked of the archive: stored rows of one kappa whose window starts in [Since, Until); a zero time
// leaves that side open.
type Span struct {
	Ref          string
	Since, Until time.Time
	Limit        int // most results, newest windows first kept; 0 for all
}

// Archive reads what storage keeps.
type Archive interface {
	// Results gives stored results, each in its newest revision, oldest window first.
	Results(ctx context.Context, span Span) ([]*quadratv1.Result, error)
	// Export writes the reports, results or strata as one Arrow IPC stream, after making durable what the engine holds.
	Export(ctx context.Context, w io.Writer, what string, span Span) error
}

// Publisher sends a message on a core NATS subject.
type Publisher interface {
	Publish(subject string, data []byte) error
}

// Config says what a service stands on and how far it goes.
type Config struct {
	Planner   Planner             // required
	Engine    Engine              // required
	Fleet     Fleet               // required
	Plans     jetstream.KeyValue  // the bucket PLANS; a Put is on disk when it returns. Required
	Broadcast Publisher           // required
	Results   jetstream.JetStream // has the stream RESULTS; required
	Archive   Archive             // nil when nothing older than the index can be read
	Stored    reanalysis.Archive  // nil when stored reports can't be read
	Dead      DeadLetters         // nil when dead letters can't be reached
	Fault     func() error        // why no results are made now, nil while all is well; callers see an *Error as it is, of others that there is one; nil for never

	Clock    clock.Clock          // nil for the machine's
	Entropy  io.Reader            // references and salts; nil for the machine's secure source
	Logger   *slog.Logger         // nil for silence
	Registry *prometheus.Registry // metrics; nil for one of its own
	Token    string               // bearer token; empty for none

	Shared  bool          // other processes write the bucket PLANS, too: changes are compared and set, and those of others are followed
	Changes func() uint64 // a number that grows whenever a device comes, goes or changes; nil when nobody counts

	Keeps func() bool // whether this process redraws plans and forgets old kappas now; nil for always

	Shuffler shuffle.Party // who the operator declares to publish shuffled batches; nobody by default

	Memory *memory.Budget // has the accounts of results and of readers who follow; nil for no bound

	Retention      time.Duration // how long plans of past windows and deleted kappas are kept; 0 for 7 days
	KappasMax      int           // live kappas; 0 for 10,000
	ResultsMax     int           // results in memory for each kappa; 0 for 20,000
	WatchMax       int           // results that may wait for one reader before it is dropped; 0 for 4,096
	BodyBytesMax   int64         // of one HTTP request; 0 for 1 MiB
	RecordBytesMax int           // of one encoded kappa; older revisions give way; 0 for 960 KiB
	Heartbeat      time.Duration // between signs of life to who follows over HTTP; 0 for 15 s
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	if c.Entropy == nil {
		c.Entropy = rand.Reader
	}
	if c.Keeps == nil {
		c.Keeps = func() bool { return true }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Memory == nil {
		c.Memory = memory.Divide(0)
	}
	c.Retention = orElse(c.Retention, 7*24*time.Hour)
	c.KappasMax = orElse(c.KappasMax, 10_000)
	c.ResultsMax = orElse(c.ResultsMax, 20_000)
	c.WatchMax = orElse(c.WatchMax, 4096)
	c.BodyBytesMax = orElse(c.BodyBytesMax, 1<<20)
	c.RecordBytesMax = orElse(c.RecordBytesMax, 960<<10)
	c.Heartbeat = orElse(c.Heartbeat, 15*time.Second)
	return c
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	var faults []error
	need := func(ok bool, what string) {
		if !ok {
			faults = append(faults, errors.New("service config: "+what))
		}
	}
	need(c.Planner != nil, "a planner is needed")
	need(c.Engine != nil, "an engine is needed")
	need(c.Fleet != nil, "a fleet is needed")
	need(c.Plans != nil, "the bucket of plans is needed")
	need(c.Broadcast != nil, "a publisher is needed")
	need(c.Results != nil, "the stream of results is needed")
	need(c.Retention >= 0 && c.Heartbeat >= 0, "durations must not be negative")
	need(c.KappasMax >= 0 && c.ResultsMax >= 0 && c.WatchMax >= 0 && c.BodyBytesMax >= 0 && c.RecordBytesMax >= 0,
		"bounds must not be negative")
	need(c.Shuffler.Validate() == nil, "a shuffler needs a name and a small delta")
	return errors.Join(faults...)
}
