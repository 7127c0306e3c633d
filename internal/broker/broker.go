// Package broker connects Quadrat to NATS: it starts the embedded server, or joins an outside one, and owns the names
// of all streams, buckets and subjects. An acknowledgement of its JetStream means "on disk": the embedded server syncs
// every write before it answers. It never reads a message; what they say belongs to intake, engine and service.
//
//	b, err := broker.Open(ctx, broker.Config{StoreDir: dir, Listen: "127.0.0.1:0"})
//	defer b.Close()
//	err = broker.Ensure(ctx, b.JetStream(), broker.Limits{})
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	payloadBytesMost = 8 << 20
	storeBytesMost   = 256 << 30
	readyPatience    = time.Minute     // for the embedded server, which reads its streams first
	connectPatience  = 5 * time.Second // for a server that is there; a busy machine may let a connection wait for seconds
	drainPatience    = 10 * time.Second
	reconnectWait    = 250 * time.Millisecond // a server that comes back is found soon
	askPatience      = 20 * time.Second
)

// Config says which NATS to use. Either URL or StoreDir is needed.
type Config struct {
	// URL of an outside server, e.g. "nats://10.0.0.7:4222"; empty starts the embedded one.
	URL string
	// StoreDir is the folder of the embedded server's streams; it is created.
	StoreDir string
	// Listen is host:port of the embedded server; port 0 takes a free one. Empty stands for "127.0.0.1:0".
	Listen string
	// Token that clients of the embedded server must show, and that is shown to the server; empty for none.
	Token string
	// MemoryBytes is about what the embedded server may hold beside its streams on disk: what waits for its clients and for its
	// streams, and the clients themselves. 0 for the server's own bounds, which are gigabytes.
	MemoryBytes int64
	// AskPatience is for an answer of JetStream; 0 for 20 s, since a busy disk may stall it for seconds. Servers of a cluster may go with what
	// they were asked: who must be back soon asks again soon.
	AskPatience time.Duration
	// Cluster makes the embedded server one of several; nil for one alone.
	Cluster *Cluster
	// Log takes the server's own log; nil for slog.Default.
	Log *slog.Logger
}

// Cluster is how embedded servers find each other. They ask nobody who they are: keep them on loopback or on a network of their own.
type Cluster struct {
	// Name of this server, its own among all.
	Name string
	// Listen is host:port for the other servers.
	Listen string
	// Routes is where the others listen, as host:port.
	Routes []string
}

// Broker is a connection to NATS with JetStream, and the embedded server behind it when there is one. Its methods are
// safe for use by many goroutines.
type Broker struct {
	config Config
	server *server.Server // nil when the server is an outside one
	conn   *nats.Conn
	js     jetstream.JetStream
	close  sync.Once

	health  health
	streams *server.JetStreamConfig // of the embedded server, once it had to be started anew; of mend alone
	mending sync.WaitGroup
	rest    context.CancelFunc // ends mend
}

// Open starts the embedded server or joins the outside one. It fails when the server is older than 2.12, lacks
// JetStream, or can't be reached.
func Open(ctx context.Context, config Config) (*Broker, error) {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.AskPatience == 0 {
		config.AskPatience = askPatience
	}
	b := &Broker{config: config}
	if config.URL == "" {
		if err := b.start(); err != nil {
			return nil, err
		}
	}
	conn, err := b.Connect("quadrat")
	if err != nil {
		b.stop()
		return nil, err
	}
	b.conn = conn
	b.js, err = jetstream.New(conn, jetstream.WithDefaultTimeout(config.AskPatience))
	if err == nil && config.Cluster == nil { // who is the first of a cluster can't answer yet
		err = check(ctx, conn, b.js)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Conn is the broker's own connection. Close closes it.
func (b *Broker) Conn() *nats.Conn { return b.conn }

// JetStream is JetStream over the broker's own connection.
func (b *Broker) JetStream() jetstream.JetStream { return b.js }

// URL is where clients connect to, without the user, password or token that it may have been given with: it is shown.
func (b *Broker) URL() string {
	if b.server != nil {
		return b.server.ClientURL()
	}
	return redacted(b.config.URL)
}

// Connect makes a further connection, which the caller closes. Name shows in the server's connection list.
func (b *Broker) Connect(name string, options ...nats.Option) (*nats.Conn, error) {
	log := b.config.Log
	all := []nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.RetryOnFailedConnect(false),
		nats.Timeout(connectPatience),
		nats.DrainTimeout(drainPatience),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("nats", "error", err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("nats: disconnected", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("nats: connected again") }),
	}
	if b.config.Token != "" {
		all = append(all, nats.Token(b.config.Token))
	}
	at := b.config.URL
	if b.server != nil {
		at, all = b.server.ClientURL(), append(all, nats.InProcessServer(b.server), nats.Timeout(readyPatience))
	}
	conn, err := nats.Connect(at, append(all, options...)...)
	if err != nil {
		return nil, fmt.Errorf("nats %s: %w", redacted(b.URL()), err)
	}
	return conn, nil
}

// Close drains the broker's connection and stops the embedded server; it waits until both are done. Further calls do
// nothing.
func (b *Broker) Close() error {
	var err error
	b.close.Do(func() {
		if b.conn != nil {
			err = drain(b.conn)
		}
		b.stop()
	})
	return err
}

// drain lets pending messages out and waits until the connection is closed.
func drain(conn *nats.Conn) error {
	closed := conn.StatusChanged(nats.CLOSED)
	if conn.IsClosed() {
		return nil
	}
	if err := conn.Drain(); err != nil {
		conn.Close()
		if errors.Is(err, nats.ErrConnectionReconnecting) || errors.Is(err, nats.ErrConnectionClosed) {
			return nil
		}
		return fmt.Errorf("nats: drain: %w", err)
	}
	timer := time.NewTimer(drainPatience)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
		conn.Close()
	}
	return nil
}

// start starts the embedded server.
func (b *Broker) start() error {
	options, err := embedded(b.config)
	if err != nil {
		return err
	}
	if err := free(options); err != nil {
		return err
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("embedded nats: %w", err)
	}
	srv.SetLoggerV2(logger{b.config.Log, &b.health}, false, false, false)
	srv.Start()
	b.server = srv
	if !srv.ReadyForConnections(readyPatience) || !srv.JetStreamEnabled() {
		b.stop()
		return fmt.Errorf("embedded nats: not ready on %q with store %q", b.config.Listen, b.config.StoreDir)
	}
	var ctx context.Context
	ctx, b.rest = context.WithCancel(context.Background())
	b.mending.Go(func() { b.mend(ctx) })
	return nil
}

func (b *Broker) stop() {
	if b.rest != nil {
		b.rest()
		b.mending.Wait()
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}

// free is an error when the server's port is taken. The server itself only logs that, and is waited for until patience ends.
func free(options *server.Options) error {
	address := net.JoinHostPort(options.Host, strconv.Itoa(max(options.Port, 0))) // a random one is below 0
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return fmt.Errorf("--nats-listen: %w", err)
	}
	return l.Close()
}

// embedded gives the options of the embedded server. SyncAlways is what the configuration file calls
// "sync_interval: always".
func embedded(config Config) (*server.Options, error) {
	if config.StoreDir == "" {
		return nil, errors.New("embedded nats: no store folder")
	}
	if config.Listen == "" {
		config.Listen = "127.0.0.1:0"
	}
	host, portText, err := net.SplitHostPort(config.Listen)
	if err != nil {
		return nil, fmt.Errorf("embedded nats: address %q: %w", config.Listen, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("embedded nats: port %q is not one of 0 to 65535", portText)
	}
	options := &server.Options{
		ServerName:        "quadrat",
		Host:              host,
		Port:              int(port),
		NoSigs:            true,
		MaxPayload:        payloadBytesMost,
		Authorization:     config.Token,
		JetStream:         true,
		StoreDir:          config.StoreDir,
		JetStreamMaxStore: storeBytesMost,
		SyncAlways:        true,
		JetStreamLimits:   server.JSLimitOpts{DefaultMaxConsumers: -1},
	}
	if port == 0 {
		options.Port = server.RANDOM_PORT
	}
	if config.MemoryBytes > 0 {
		bound(options, config.MemoryBytes)
	}
	if config.Cluster != nil {
		return clustered(options, config.Cluster)
	}
	return options, nil
}

// clustered adds to the options what makes the server one of several.
func clustered(options *server.Options, c *Cluster) (*server.Options, error) {
	host, portText, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("embedded nats: cluster address %q: %w", c.Listen, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("embedded nats: cluster port %q is not one of 1 to 65535", portText)
	}
	options.ServerName = c.Name
	options.Cluster = server.ClusterOpts{Name: "quadrat", Host: host, Port: int(port)}
	for _, route := range c.Routes {
		options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: route})
	}
	return options, nil
}

const (
	// clientBytes is what a connection takes at rest: two goroutines, their stacks and buffers.
	clientBytes = 32 << 10
	// clientsLeast is how many connections there may be whatever the bound is.
	clientsLeast = 512
	// messagesBytesLeast is room for a message of the largest size and its headers.
	messagesBytesLeast = payloadBytesMost + 1<<20
)

// bound divides memory among connections, a half, what waits for one of them, and what waits for a stream, a quarter each. A client
// for which more waits is cut off and connects again; a message for a stream for which more waits is refused. Beside it stand
// the blocks of the streams that are being read and written, of 8 MiB each.
func bound(options *server.Options, bytes int64) {
	options.MaxConn = int(max(bytes/2/clientBytes, clientsLeast))
	options.MaxPending = min(max(bytes/4, messagesBytesLeast), server.MAX_PENDING_SIZE)
	options.StreamMaxBufferedSize = max(bytes/4, messagesBytesLeast)
	options.JetStreamMaxMemory = max(bytes/4, messagesBytesLeast)
}

// check says what is wrong with a server that Quadrat can't use.
func check(ctx context.Context, conn *nats.Conn, js jetstream.JetStream) error {
	version := conn.ConnectedServerVersion()
	if !recent(version) {
		return fmt.Errorf("nats %s: server version %s is too old: atomic batches need 2.12 or newer",
			redacted(conn.ConnectedUrl()), version)
	}
	if _, err := js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("nats %s: JetStream is not available to this account: %w", redacted(conn.ConnectedUrl()), err)
	}
	return nil
}

// recent says whether a server of this version knows atomic batches.
func recent(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, errMajor := strconv.Atoi(parts[0])
	minor, errMinor := strconv.Atoi(parts[1])
	return errMajor == nil && errMinor == nil && (major > 2 || major == 2 && minor >= 12)
}

// redacted takes user, password and token out of a URL.
func redacted(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = "nats", address
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	return scheme + "://" + rest
}
