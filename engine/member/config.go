package member

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/memory"
)

// Store is where a part's rows and results go.
type Store interface {
	engine.Sink
	// Close ends what the store has under way. Nothing is committed by it.
	Close() error
}

// Rows waits for the fleet's rows.
type Rows interface {
	// Rows is that of engine.Follower.
	Rows(ctx context.Context, at time.Time) error
}

// Config is what a member needs. All fields but Memory, Registerer and Log are required.
type Config struct {
	// Node is the process's name, its own among all of the cluster.
	Node string
	// JetStream has the streams and buckets of broker.Ensure and broker.EnsureCluster.
	JetStream jetstream.JetStream
	// Shares is how many shares the cluster has; the same in all processes, for ever.
	Shares int
	// Engine is what the engines of all parts have in common: frames, clocks, retention and the like. Part, Checkpoints, Sink, Folder,
	// JetStream, Memory, Registerer and Log are the member's to set.
	Engine engine.Config
	// Rows waits for the rows of Engine.Frames.
	Rows Rows
	// Open opens the store of a part for its owner: from then on no former owner can commit to it. Name is the share's number in two digits, or
	// "merged"; of two owners the later has the greater epoch. Rows is the part's account of rows that wait. A commit that is refused as late
	// fails with engine.ErrFenced.
	Open func(ctx context.Context, name string, epoch uint64, rows *memory.Account) (Store, error)
	// Memory is what all parts together may hold; each has the room of one of Shares + 1, as many as a process may have to take over. Default:
	// none has a bound.
	Memory *memory.Budget
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
	// Log. Default: slog.Default.
	Log *slog.Logger
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	var faults []error
	for fault, broken := range map[string]bool{
		"no name of the process": c.Node == "",
		"no JetStream":           c.JetStream == nil,
		"no frames":              c.Engine.Frames == nil,
		"no rows":                c.Rows == nil,
		"no stores":              c.Open == nil,
	} {
		if broken {
			faults = append(faults, errors.New("member config: "+fault))
		}
	}
	if c.Shares < 1 || broker.Partitions%c.Shares != 0 {
		faults = append(faults, fmt.Errorf("member config: %d shares: they must divide %d", c.Shares, broker.Partitions))
	}
	return errors.Join(faults...)
}

// shareName is how a share's store and checkpoints are called.
func shareName(share int) string { return fmt.Sprintf("%02d", share) }

// mergedName is how the merger's are called.
const mergedName = "merged"
