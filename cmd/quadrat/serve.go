package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/privacy/shuffle"
)

// serveCmd is `quadrat serve`.
type serveCmd struct {
	storeFlags `embed:""`

	Data       string        `help:"Folder for everything durable." env:"QUADRAT_DATA" type:"path" placeholder:"DIR" required:""`
	HTTP       string        `name:"http" help:"Address of the REST API." default:"127.0.0.1:8080" env:"QUADRAT_HTTP" placeholder:"ADDR"`
	GRPC       string        `name:"grpc" help:"Address of the gRPC API." default:"127.0.0.1:9090" env:"QUADRAT_GRPC" placeholder:"ADDR"`
	NATSListen string        `name:"nats-listen" help:"Address of the embedded broker; 127.0.0.1:4222 without --nats." env:"QUADRAT_NATS_LISTEN" placeholder:"ADDR"`
	NATS       string        `name:"nats" help:"URL of an outside broker to use in place of the embedded one." env:"QUADRAT_NATS" placeholder:"URL"`
	Role       string        `help:"What the process does: all, or a part of a cluster: engine counts, api answers callers and devices." enum:"all,engine,api" default:"all" env:"QUADRAT_ROLE"`
	Node       string        `help:"Name of the process in its cluster, its own among all; made up by default." env:"QUADRAT_NODE" placeholder:"NAME"`
	Shares     int           `help:"Into how many shares a new cluster divides the counting, for its life: 1, 2, 4, 8, 16, 32 or 64; 8 by default." env:"QUADRAT_SHARES" placeholder:"N"`
	Replicas   int           `help:"How many copies streams and buckets of an outside broker have." default:"1" env:"QUADRAT_REPLICAS"`
	TokenFile  string        `help:"File with the bearer token that callers must show; needed beyond loopback." env:"QUADRAT_TOKEN_FILE" type:"path" placeholder:"FILE"`
	Floor      float64       `name:"response-floor" help:"Response rate below which results carry a warning, between 0 and 1; 0 for no warnings." default:"0.5" env:"QUADRAT_RESPONSE_FLOOR"`
	Keep       time.Duration `name:"reports-keep" help:"How long stored messages stay after a checkpoint covers them; 0 for not at all, below 0 until the stream is half full." default:"1h" env:"QUADRAT_REPORTS_KEEP" placeholder:"DURATION"`
	Checkpoint time.Duration `name:"checkpoint-every" help:"Time between two checkpoints while there is work." default:"5s" env:"QUADRAT_CHECKPOINT_EVERY" placeholder:"DURATION"`
	Memory     memorySize    `help:"Memory that the server may take, e.g. 512MiB; half of the machine's, or of its control group's, by default, and 0 for no bound." env:"QUADRAT_MEMORY" placeholder:"SIZE"`
	Shuffler   string        `help:"Declare that this independent party publishes shuffled batches of reports; plans and results then tell what those tell their readers." env:"QUADRAT_SHUFFLER" placeholder:"NAME"`
	Delta      float64       `name:"shuffler-delta" help:"Delta of what is told of shuffled batches, above 0 and at most 0.001." default:"1e-6" env:"QUADRAT_SHUFFLER_DELTA"`
	Gap        bool          `name:"accept-gap" help:"Go on although messages behind the checkpoint are gone; stored rows beyond the checkpoint are dropped."`
	Speed      float64       `help:"Run the server's clock so many times as fast, for test fleets only." default:"1" env:"QUADRAT_SPEED"`
	LogLevel   string        `help:"What to log: debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"QUADRAT_LOG_LEVEL"`
	Format     string        `help:"How to print the addresses: json or table." enum:"json,table" default:"json"`
}

// Help shows an example.
func (*serveCmd) Help() string {
	return `Example:

    quadrat serve --data ./data
    quadrat serve --data ./data --http 0.0.0.0:8080 --token-file token
    quadrat serve --role api --nats nats://a:4222,nats://b:4222,nats://c:4222 --replicas 3 --data ./api
    quadrat serve --role engine --nats nats://a:4222,nats://b:4222,nats://c:4222 --replicas 3 --data ./engine --bucket s3://quadrat/rows

When it is ready it prints one line of JSON with its addresses on standard output; it logs on standard error. Port 0
takes a free one. Flags go before QUADRAT_* in the environment, and those before quadrat.yaml.
What grows with load keeps within shares of --memory; docs/operations.md says which, and what happens when one is used up. Go's
collector is told of it unless GOMEMLIMIT is set.
--shuffler is a declaration and checks nothing: it is for an operator who has a contract with such a party.
A broker of --nats must sync every write (sync_interval: always), or what was answered to devices can be lost with it.
What --retain-reports, --retain-results and --retain-bytes don't keep goes by whole UTC dates, the oldest first, and with
--retain-bytes reports before results; today's rows always stay. An export says what is gone. With --archive they are copied to
a bucket when their date is over; --retain-bytes then removes files that the bucket has, and exports read them from there.
In a cluster each share, and the merger, keeps to SIZE / (shares + 1) of --retain-bytes: give all engines the same.
Processes of --role engine and --role api are one Quadrat over an outside broker, which must be an empty one when the first of them starts;
docs/operations.md says how to set up a cluster. What engines store lies in --bucket, which all of them reach.
--speed is for fleets of simulated devices whose clocks run as fast. Such a clock begins at the machine's time whenever
the server starts, so give each run a folder of its own.`
}

// Run serves until it is interrupted.
func (c *serveCmd) Run(ctx context.Context, t *terminal) error {
	config, err := c.config(t)
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		memory.Collector(config.Memory)
	}
	if err := c.check(ctx, &config); err != nil {
		return err
	}
	s, err := server.Start(ctx, config)
	if err != nil {
		return err
	}
	if err := c.ready(t, s.Addresses()); err != nil {
		return errors.Join(err, s.Close()) //nolint:contextcheck // closing goes on after the interruption
	}
	select {
	case <-ctx.Done():
	case <-s.Failed():
	}
	return s.Close() //nolint:contextcheck // closing goes on after the interruption
}

func (c *serveCmd) config(t *terminal) (server.Config, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return server.Config{}, &usageError{"--log-level: " + err.Error()}
	}
	config := server.Config{
		Role: server.Role(c.Role), Node: c.Node, Shares: c.Shares, Replicas: c.Replicas,
		Data: c.Data, HTTP: c.HTTP, GRPC: c.GRPC, NATSListen: c.NATSListen, NATS: c.NATS,
		Retain: c.retention(), Memory: c.Memory.bytes(),
		Logger: slog.New(slog.NewTextHandler(t.errs, &slog.HandlerOptions{Level: level})),
	}
	var err error
	if config.Archive, err = c.archive(); err != nil {
		return server.Config{}, err
	}
	if config.Bucket, err = c.shared(); err != nil {
		return server.Config{}, err
	}
	if !(c.Speed > 0) || c.Speed > 1e6 {
		return server.Config{}, &usageError{"--speed: above 0, and at most 1000000"}
	}
	if c.Speed != 1 {
		config.Clock = clock.NewScaled(time.Now(), c.Speed)
	}
	if !(c.Floor >= 0 && c.Floor <= 1) {
		return server.Config{}, &usageError{"--response-floor: at least 0, and at most 1"}
	}
	if config.ResponseFloor = c.Floor; c.Floor == 0 {
		config.ResponseFloor = -1 // its 0 stands for the default
	}
	if config.ReportsKeep = c.Keep; c.Keep == 0 {
		config.ReportsKeep = time.Nanosecond // its 0 stands for the default
	}
	if c.Checkpoint < time.Millisecond {
		return server.Config{}, &usageError{"--checkpoint-every: 1ms or more"}
	}
	config.CheckpointEvery, config.AcceptGap = c.Checkpoint, c.Gap
	if c.Shuffler != "" {
		config.Shuffler = shuffle.Party{Name: c.Shuffler, Delta: c.Delta}
	}
	if c.TokenFile != "" {
		if config.Token, err = server.ReadToken(c.TokenFile); err != nil {
			return server.Config{}, err
		}
	}
	if err := config.Validate(); err != nil {
		return server.Config{}, &usageError{err.Error()}
	}
	return config, nil
}

// ready tells the addresses.
func (c *serveCmd) ready(t *terminal, a server.Addresses) error {
	if c.Format == "table" {
		_, err := fmt.Fprintf(t.out, "http  %s\ngrpc  %s\nnats  %s\n", a.HTTP, a.GRPC, a.NATS)
		return err
	}
	return json.NewEncoder(t.out).Encode(a)
}
