package server

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/privacy/shuffle"
	"github.com/quadrat-dev/quadrat/storage"
)

// The addresses that a server binds unless it is told otherwise.
const (
	DefaultHTTP = "127.0.0.1:8080"
	DefaultGRPC = "127.0.0.1:9090"
	DefaultNATS = "127.0.0.1:4222"
)

// Config says what Start starts. The zero value of every field but Data has a meaning.
type Config struct {
	// Data is the folder that everything durable lives in; made when it is missing. Required.
	Data string
	// HTTP is the address of the REST API and the console; empty for DefaultHTTP, port 0 for a free one.
	HTTP string
	// GRPC is the address of the gRPC API; empty for DefaultGRPC, port 0 for a free one.
	GRPC string
	// NATSListen is the address of the embedded broker; empty for DefaultNATS, port 0 for a free one.
	NATSListen string
	// NATS is the URL of an outside broker; when it is set, none is embedded and NATSListen must be empty.
	NATS string
	// Role is what the process does; empty for RoleAll. The others need an outside broker.
	Role Role
	// Node is the process's name in its cluster, its own among all; empty for one of host name and chance.
	Node string
	// Shares is into how many parts a cluster divides the counting, for its life; 0 for what it has, or DefaultShares. It divides 64.
	Shares int
	// Replicas is how many copies streams and buckets have; 0 for 1. An outside broker of so many servers is needed.
	Replicas int
	// Bucket is where the engines of a cluster keep rows and results; required for RoleEngine. A process of RoleAPI reads there; without it
	// it knows the results of RESULTS and no reports.
	Bucket storage.Bucket
	// Token is the bearer token that HTTP and gRPC callers must show; empty for none, which only loopback addresses may have.
	Token string
	// Clock is the server's time; nil for the machine's.
	Clock clock.Clock
	// Entropy yields references and salts of kappas, which are public; nil for the machine's secure source. A seeded
	// one makes panels repeatable. It is never used for privacy noise.
	Entropy io.Reader
	// Retention is how long results can be revised and deleted kappas are remembered; 0 for seven days.
	Retention time.Duration
	// ReportsKeep is how long messages of REPORTS stay after a checkpoint covers them; 0 for an hour, below 0 until the
	// stream is half full.
	ReportsKeep time.Duration
	// CheckpointEvery is the time between two checkpoints while there is work; 0 for five seconds.
	CheckpointEvery time.Duration
	// Retain is how long stored rows stay; its zero value for ever. It is not about Retention, in which results are revised.
	Retain storage.Retention
	// AcceptGap lets the engine go on when REPORTS begins behind the checkpoint; stored rows beyond the checkpoint go.
	AcceptGap bool
	// Archive is where stored rows are copied to when their date is over; nil for nowhere.
	Archive storage.Objects
	// ResponseFloor is the response rate below which results carry a warning; 0 for 0.5, below 0 for no warnings.
	ResponseFloor float64
	// Shuffler is an independent party that the operator declares to publish shuffled batches, at whose delta plans and results tell
	// what those tell; nobody by default.
	Shuffler shuffle.Party
	// Memory is about how many bytes the process may take, at least memory.Least; what grows with load is held to shares of it, and
	// docs/operations.md says what happens when one is used up. 0 for no bound.
	Memory int64
	// Logger takes what the server has to say; nil for silence.
	Logger *slog.Logger

	slow func(engine.Sink) engine.Sink // puts itself between engine and store, in tests; nil for nothing

	heartbeat time.Duration // of the service, in tests; 0 for its default
}

// Addresses tells where a started server is reached.
type Addresses struct {
	// HTTP is host:port of the REST API.
	HTTP string `json:"http"`
	// GRPC is host:port of the gRPC API.
	GRPC string `json:"grpc"`
	// NATS is the URL that devices connect to.
	NATS string `json:"nats"`
}

// withDefaults fills what was left empty.
func (c Config) withDefaults() Config {
	if c.HTTP == "" {
		c.HTTP = DefaultHTTP
	}
	if c.GRPC == "" {
		c.GRPC = DefaultGRPC
	}
	if c.Role == "" {
		c.Role = RoleAll
	}
	if c.Node == "" {
		c.Node = newNode()
	}
	if c.NATSListen == "" && c.NATS == "" {
		c.NATSListen = DefaultNATS
	}
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	if c.Retention == 0 {
		c.Retention = 7 * 24 * time.Hour
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports all faults at once. An address beyond loopback needs a token; the message names the flag of
// `quadrat serve` that gives one.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	if c.Data == "" {
		faults = append(faults, errors.New("--data: a folder is needed"))
	}
	if c.NATS != "" && c.NATSListen != "" {
		faults = append(faults, errors.New("--nats and --nats-listen: only one of them can be given"))
	}
	faults = append(faults, c.validateRole()...)
	if c.Retention < 0 {
		faults = append(faults, errors.New("retention: must be above zero"))
	}
	if c.CheckpointEvery < 0 {
		faults = append(faults, errors.New("--checkpoint-every: must be above zero"))
	}
	if err := memory.Validate(c.Memory); err != nil {
		faults = append(faults, fmt.Errorf("--memory: %w", err))
	}
	if err := c.Retain.Validate(); err != nil {
		faults = append(faults, err)
	}
	if !(c.ResponseFloor <= 1) {
		faults = append(faults, errors.New("--response-floor: at least 0, and at most 1"))
	}
	if c.Shuffler.Validate() != nil {
		faults = append(faults, errors.New("--shuffler and --shuffler-delta: a name of at most 200 bytes on one line, and above 0, at most 0.001"))
	}
	if c.Token == "" {
		faults = append(faults, openBind("--http", c.HTTP), openBind("--grpc", c.GRPC))
	}
	if c.NATS == "" {
		faults = append(faults, openBroker(c.NATSListen))
	}
	return errors.Join(faults...)
}

// validateRole is the faults of what concerns clusters.
func (c Config) validateRole() (faults []error) {
	fault := func(broken bool, text string) {
		if broken {
			faults = append(faults, errors.New(text))
		}
	}
	fault(c.Role != RoleAll && c.Role != RoleEngine && c.Role != RoleAPI, fmt.Sprintf("--role %s: one of %s, %s, %s", c.Role, RoleAll, RoleEngine, RoleAPI))
	fault(c.Role != RoleAll && c.NATS == "", fmt.Sprintf("--role %s: an outside broker is needed (--nats)", c.Role))
	fault(c.Role == RoleEngine && c.Bucket == nil, "--role engine: a bucket that all engines reach is needed (--bucket)")
	fault(c.Role == RoleAll && c.Bucket != nil, "--bucket: it is of a cluster's processes (--role engine and api); a single server copies its rows with --archive")
	fault(c.Role != RoleAll && c.Archive != nil, fmt.Sprintf("--archive: it is of a single server; rows of --role %s lie in --bucket", c.Role))
	fault(c.Shares < 0 || c.Shares > 0 && broker.Partitions%c.Shares != 0, fmt.Sprintf("--shares %d: it must divide %d", c.Shares, broker.Partitions))
	fault(c.Replicas < 0 || c.Replicas > 5, "--replicas: 1 to 5")
	fault(c.Replicas > 1 && c.NATS == "", "--replicas: the embedded broker is one server; copies need an outside one of several (--nats)")
	fault(strings.ContainsAny(c.Node, ".*> \t\r\n") || len(c.Node) > 64, "--node: at most 64 characters without spaces, dots and wildcards")
	return faults
}

// late is how long after its end a window may still get rows.
func (c Config) late() time.Duration { return c.Retention + 24*time.Hour }

// openBind is an error when an address is beyond loopback.
func openBind(flag, address string) error {
	if loopback(address) {
		return nil
	}
	return fmt.Errorf("%s %s: an address beyond loopback needs --token-file", flag, address)
}

// openBroker is an error when the embedded broker would be reached from beyond loopback, because it asks nobody who
// they are.
func openBroker(address string) error {
	if loopback(address) {
		return nil
	}
	return fmt.Errorf("--nats-listen %s: the embedded broker has no authentication and binds loopback only; "+
		"use --nats with a broker that has", address)
}

// loopback tells whether an address can only be reached from this machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// ReadToken reads a bearer token from a file: one line of 16 characters or more.
func ReadToken(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if len(token) < 16 || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("--token-file %s: a token is one line of 16 characters or more", path)
	}
	return token, nil
}
