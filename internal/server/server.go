package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/engine/deadletter"
	"github.com/quadrat-dev/quadrat/engine/intake"
	"github.com/quadrat-dev/quadrat/engine/member"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/memory"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
	"github.com/quadrat-dev/quadrat/storage"
)

const (
	// headerPatience is how long a caller may take for the header of a request.
	headerPatience = 10 * time.Second
	// closePatience is how long Close waits for callers before it hangs up.
	closePatience = 5 * time.Second
	// clusterPatience is how long a process of a cluster waits for an answer of JetStream: a server may have gone with the question.
	clusterPatience = 3 * time.Second
	// recordRoom is what a message needs beside the record that it carries.
	recordRoom = 64 << 10
	// cacheBytes is how much of what the archive alone has is kept here, of what was read last.
	cacheBytes = 1 << 30
	// rowsMergingLeast and rowsMergingMost bound the rows that compaction holds, the latter is the store's own bound.
	rowsMergingLeast = 1 << 14
	rowsMergingMost  = 1 << 18
	// recordMost bounds a stored kappa where the broker would take more.
	recordMost = 4 << 20
)

// Server is a running Quadrat. Its methods are safe for use by many goroutines.
type Server struct {
	config     Config
	log        *slog.Logger
	registry   *prometheus.Registry
	memory     *memory.Budget
	owned      disk.File // the locked file of the data folder
	broker     *broker.Broker
	devices    *fleet.Registry
	frames     *fleet.Store
	hellos     *fleet.Server
	store      *storage.Store
	engine     *engine.Engine
	intake     *intake.Intake
	intakeConn *nats.Conn
	service    *service.Service
	doubts     *prometheus.CounterVec // hellos that raise a doubt, by cause

	// Of a process of a cluster:
	shares int
	leases *member.Leases
	rowsAt *rowsAt
	member *member.Member
	reader *storage.Reader // what the engines have stored, for who answers callers; nil without a bucket
	settle *nats.Subscription
	keeper atomic.Pointer[fleet.Store] // nil unless the process is the keeper

	http      *http.Server
	grpc      *grpc.Server
	addresses Addresses

	background crew // engine, fleet store and service
	serving    crew // listeners
	closing    sync.Once
	closed     error
}

// crew is goroutines that one context ends. The first error that none of them should have had ends up in failed.
type crew struct {
	stop   context.CancelFunc
	ctx    context.Context //nolint:containedctx // the life of what the crew does, not of a call
	group  sync.WaitGroup
	once   sync.Once
	failed chan struct{}
	err    error // set before failed is closed
}

func (c *crew) begin() {
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.failed = make(chan struct{})
}

// run starts work; an error of it is everybody's.
func (c *crew) run(what string, work func(context.Context) error) {
	c.group.Go(func() {
		if err := work(c.ctx); err != nil {
			c.once.Do(func() {
				c.err = fmt.Errorf("%s: %w", what, err)
				close(c.failed)
			})
		}
	})
}

// end stops the crew, waits for it, and gives its first error.
func (c *crew) end() error {
	if c.stop == nil {
		return nil
	}
	c.stop()
	c.group.Wait()
	return c.err
}

// Start brings everything up and returns when it is ready: plans and frames restored, devices and callers answered.
// Ctx bounds the start only. Whoever starts a server closes it.
func Start(ctx context.Context, config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s := &Server{config: config.withDefaults(), registry: prometheus.NewRegistry()}
	s.memory = s.budget()
	s.log = s.config.Logger
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := s.memory.Register(s.registry); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	s.background.begin()
	s.serving.begin()
	for _, step := range s.steps() {
		if err := step(ctx); err != nil {
			closed := s.Close()         //nolint:contextcheck // closing has a patience of its own
			if errors.Is(closed, err) { // a part that runs already told it
				return nil, closed
			}
			return nil, errors.Join(err, closed)
		}
	}
	s.log.Info("ready", "http", s.addresses.HTTP, "grpc", s.addresses.GRPC, "nats", s.addresses.NATS)
	return s, nil
}

// budget divides the memory of a process by what its role does.
func (s *Server) budget() *memory.Budget {
	if s.config.Role == RoleEngine {
		return memory.Counting(s.config.Memory)
	}
	return memory.Divide(s.config.Memory)
}

// Addresses tells where the server is reached.
func (s *Server) Addresses() Addresses { return s.addresses }

// Failed is closed when a part of the server can't go on. Close then gives the reason.
func (s *Server) Failed() <-chan struct{} { return s.background.failed }

// connect opens the broker.
func (s *Server) connect(ctx context.Context) error {
	config := broker.Config{URL: s.config.NATS, Log: s.log, MemoryBytes: s.memory.Broker.Limit()}
	if s.config.NATS == "" {
		config.StoreDir, config.Listen = filepath.Join(s.config.Data, "nats"), s.config.NATSListen
	}
	if s.config.Role != RoleAll {
		config.AskPatience = clusterPatience
	}
	var err error
	if s.broker, err = broker.Open(ctx, config); err != nil {
		return err
	}
	s.addresses.NATS = s.broker.URL()
	if s.config.NATS != "" {
		s.log.Warn("an answered report is on disk only if the outside broker runs with sync_interval: always; this can't be seen from here")
	}
	return broker.Ensure(ctx, s.broker.JetStream(), s.limits())
}

// restore reads the frame and opens storage and engine.
func (s *Server) restore(ctx context.Context) error {
	plans, err := s.broker.JetStream().KeyValue(ctx, broker.BucketPlans)
	if err != nil {
		return fmt.Errorf("plans: %w", err)
	}
	secret, err := clusterSecret(ctx, plans)
	if err != nil {
		return err
	}
	s.devices = fleet.New(fleet.NewKeyer(secret))
	rows, err := s.broker.JetStream().KeyValue(ctx, broker.BucketDevices)
	if err != nil {
		return fmt.Errorf("devices: %w", err)
	}
	s.frames, err = fleet.Load(ctx, s.devices, rows, fleet.StoreConfig{
		Clock: s.config.Clock, Retention: s.config.Retention + 24*time.Hour, Log: s.log,
	})
	if err != nil {
		return err
	}
	var cache *storage.Cache
	if s.config.Archive != nil {
		if cache, err = storage.NewCache(filepath.Join(s.config.Data, "cache"), cacheBytes); err != nil {
			return err
		}
	}
	s.store, err = storage.Open(filepath.Join(s.config.Data, "store"), storage.Config{
		Cache:  cache,
		Memory: s.memory.Rows, RowsMerging: rowsMerging(s.memory.Rows.Limit()),
		Late: s.config.Retention + 24*time.Hour, Retain: s.config.Retain, Archive: s.config.Archive, Clock: s.config.Clock, Registerer: s.registry, Log: s.log,
	})
	if err != nil {
		return err
	}
	var sink engine.Sink = s.store
	if s.config.slow != nil {
		sink = s.config.slow(sink)
	}
	s.engine, err = engine.New(engine.Config{
		JetStream: s.broker.JetStream(), Frames: s.devices, Sink: sink, Folder: filepath.Join(s.config.Data, "engine"),
		Settle: s.frames.Flush, Clock: s.config.Clock, Retention: s.config.Retention, ResponseFloor: s.config.ResponseFloor,
		ReportsKeep: s.config.ReportsKeep, CheckpointEvery: s.config.CheckpointEvery, AcceptGap: s.config.AcceptGap,
		Shuffler: s.config.Shuffler, Memory: s.memory,
		Registerer: s.registry, Log: s.log,
	})
	return err
}

// rows is what callers read stored rows from.
func (s *Server) rows() *storage.Rows {
	if s.reader != nil {
		return &s.reader.Rows
	}
	return &s.store.Rows
}

// desks are the places of those who read stored rows.
func (s *Server) desks() desks { return desks{account: s.memory.Readers} }

// settles makes durable what has been counted.
func (s *Server) settles() func(context.Context) error {
	if s.reader != nil {
		return s.distant().Checkpoint
	}
	return s.engine.Checkpoint
}

// rowsMerging is how many rows compaction may hold, of which one takes half a kilobyte while it is read: as much again as the half of
// the account of rows that the store has.
func rowsMerging(limit int64) int {
	if limit == 0 {
		return 0 // the store's default
	}
	return int(min(max(limit/2/512, rowsMergingLeast), rowsMergingMost))
}

// archive is what the service reads stored rows from.
func (s *Server) archive() archive {
	return archive{rows: s.rows(), desks: s.desks(), settle: s.settles(), name: func(ref string) string {
		return s.service.NameOf(ref)
	}}
}

// answering is the configuration of a service that answers callers, without what stands behind it: planner, engine and rows.
func (s *Server) answering(ctx context.Context) (c service.Config, err error) {
	plans, err := s.broker.JetStream().KeyValue(ctx, broker.BucketPlans)
	if err != nil {
		return c, fmt.Errorf("plans: %w", err)
	}
	letters, err := deadletter.New(deadletter.Config{
		Conn: s.broker.Conn(), JetStream: s.broker.JetStream(), Devices: s.devices, Clock: s.config.Clock, Registerer: s.registry,
	})
	if err != nil {
		return c, err
	}
	return service.Config{
		Fleet: s.devices, Changes: s.devices.Version, Plans: plans, Dead: dead{letters}, Broadcast: s.broker.Conn(), Results: s.broker.JetStream(), Clock: s.config.Clock,
		Entropy: s.config.Entropy, Logger: s.log, Registry: s.registry, Token: s.config.Token, Retention: s.config.Retention,
		RecordBytesMax: int(min(s.broker.Conn().MaxPayload()-recordRoom, recordMost)), Shuffler: s.config.Shuffler, Memory: s.memory,
		Heartbeat: s.config.heartbeat,
	}, nil
}

// plan restores the kappas and starts everything that runs in the background.
func (s *Server) plan(ctx context.Context) error {
	config, err := s.answering(ctx)
	if err != nil {
		return err
	}
	config.Planner, config.Engine = service.NewFleetPlanner(s.devices, s.frames.Flush), roomy{s.engine}
	config.Archive, config.Stored = s.archive(), stored{rows: s.rows(), desks: s.desks()}
	config.Fault = s.fault
	if s.service, err = service.New(ctx, config); err != nil {
		return err
	}
	s.background.run("engine", s.engine.Run)
	s.background.run("store", s.store.Run)
	s.background.run("fleet", s.frames.Run)
	s.background.run("service", s.service.Run)
	if err := s.hear(ctx); err != nil {
		return err
	}
	return s.caughtUp(ctx)
}

// fault is why no results are made now.
func (s *Server) fault() error {
	if err := s.broker.Fault(); err != nil {
		return &service.Error{Code: service.Unavailable, Message: err.Error()}
	}
	return s.engine.Status().Fault
}

// hear lets devices in: first their hellos, which make the frame, then their reports.
func (s *Server) hear(context.Context) error {
	s.countDoubts()
	s.hellos = fleet.NewServer(s.devices, s.service, fleet.ServerConfig{
		Subject: broker.PrefixHello + "*", Group: broker.GroupHello, Clock: s.config.Clock, Log: s.log,
		Doubtful: s.doubtful,
	})
	if err := s.hellos.Start(s.broker.Conn()); err != nil {
		return err
	}
	return s.hearReports()
}

func (s *Server) countDoubts() {
	s.doubts = promauto.With(s.registry).NewCounterVec(prometheus.CounterOpts{
		Name: "quadrat_fleet_doubts_total", Help: "Hellos that raise a doubt of their device, by cause.",
	}, []string{"cause"})
	for _, d := range []fleet.Doubt{fleet.DuplicateIdentity, fleet.LedgerBack, fleet.ForeignClaim} {
		s.doubts.WithLabelValues(string(d)) // one that never came up shows as 0
	}
}

// hearReports starts the intake on a connection of its own.
func (s *Server) hearReports() error {
	var err error
	if s.intakeConn, err = s.broker.Connect("intake"); err != nil {
		return err
	}
	js, err := jetstream.New(s.intakeConn)
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	config := intake.Config{
		Conn: s.intakeConn, JetStream: js, Keyer: s.devices.Keyer(), Devices: s.devices, Memory: s.memory.Intake, Clock: s.config.Clock, Registerer: s.registry, Log: s.log,
	}
	if s.config.Role != RoleAll {
		config.StorePatience = clusterPatience
	}
	s.intake, err = intake.New(config)
	if err != nil {
		return err
	}
	return s.intake.Start()
}

// doubtful makes a dead letter of a hello that raises a doubt. One that gets lost is no harm: the presence record has
// counted it.
func (s *Server) doubtful(why fleet.Doubt, subject string, hello []byte) {
	s.doubts.WithLabelValues(string(why)).Inc()
	body, err := proto.Marshal(&quadratv1.DeadLetter{
		Cause: string(why), Subject: subject, Message: hello, MessageBytes: uint64(len(hello)),
	})
	if err == nil {
		err = s.broker.Conn().Publish(broker.DeadSubject(string(why)), body)
	}
	if err != nil {
		s.log.Warn("dead letter lost", "cause", err)
	}
}

// caughtUp waits until the stored results have been read, so that the first answers are not those of an empty server.
func (s *Server) caughtUp(ctx context.Context) error {
	for s.service.Ready() != nil || s.engine != nil && !s.engine.Status().Restored {
		select {
		case <-s.background.failed:
			return s.background.err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// listen opens the two APIs.
func (s *Server) listen(ctx context.Context) error {
	handler, err := s.service.Handler() //nolint:contextcheck // the handler outlives the start
	if err != nil {
		return err
	}
	var net net.ListenConfig
	web, err := net.Listen(ctx, "tcp", s.config.HTTP)
	if err != nil {
		return fmt.Errorf("--http: %w", err)
	}
	s.http = &http.Server{Handler: handler, ReadHeaderTimeout: headerPatience, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	s.serving.run("http", func(context.Context) error {
		if err := s.http.Serve(web); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	calls, err := net.Listen(ctx, "tcp", s.config.GRPC)
	if err != nil {
		return fmt.Errorf("--grpc: %w", err)
	}
	s.grpc = s.service.GRPC()
	if s.reader != nil || s.store != nil {
		if err := s.serveTables(); err != nil {
			return errors.Join(err, calls.Close())
		}
	}
	s.serving.run("grpc", func(context.Context) error { return s.grpc.Serve(calls) })
	s.addresses.HTTP, s.addresses.GRPC = web.Addr().String(), calls.Addr().String()
	return nil
}

// Close takes the server down in order: devices are no longer heard and what they sent is stored, callers are let go,
// the engine makes a last checkpoint, the broker stops. It is idempotent and returns what went wrong, also before.
func (s *Server) Close() error {
	s.closing.Do(func() {
		var errs []error
		if s.hellos != nil {
			errs = append(errs, s.hellos.Close())
		}
		if s.intake != nil {
			errs = append(errs, s.intake.Close())
		}
		errs = append(errs, s.hangUp(), s.background.end())
		if s.intakeConn != nil {
			s.intakeConn.Close()
		}
		if s.reader != nil {
			errs = append(errs, s.reader.Close())
		}
		if s.broker != nil {
			errs = append(errs, s.broker.Close())
		}
		if s.owned != nil {
			errs = append(errs, s.owned.Close())
		}
		s.closed = errors.Join(errs...)
	})
	return s.closed
}

// hangUp lets callers finish for a moment and then ends them.
func (s *Server) hangUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	var err error
	if s.service != nil {
		s.service.LetGo()
	}
	if s.http != nil {
		if s.http.Shutdown(ctx) != nil {
			err = s.http.Close()
		}
	}
	if s.grpc != nil {
		stop := context.AfterFunc(ctx, s.grpc.Stop)
		s.grpc.GracefulStop()
		stop()
	}
	return errors.Join(err, s.serving.end())
}
