package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/privacy/shuffle"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Frames tells which devices a query can reach at a moment. The same call gives the same rows for ever.
type Frames interface {
	// Frame is the rows valid at a moment that satisfy the query, ordered by key. Rows never change.
	Frame(q fleet.Query, at time.Time) []*fleet.Row
}

// Sink keeps reports and results for good. The engine calls it from one goroutine. After an error the engine waits and
// makes the same call again, so a call that failed must have had no effect or one that the next call replaces. A part of a cluster
// whose Commit failed may give more before it calls Commit again, then of a later position.
type Sink interface {
	// Restore drops everything beyond a stream position; it is called once, before anything else.
	Restore(sequence uint64) error
	// Batch takes reports of one kappa, which nobody changes afterwards: a sink may keep them.
	Batch(reports *column.Batch) error
	// Results takes results.
	Results(results []*quadratv1.Result) error
	// Strata takes what the strata of closed windows of a kappa held, answered or not.
	Strata(kappa, ref string, strata []column.Stratum) error
	// Commit makes all that was given so far durable under a stream position.
	Commit(sequence uint64) error
	// Permanent tells that the checkpoint at a position is on disk: no later Restore goes before it. It doesn't wait.
	Permanent(sequence uint64)
}

// Config is what an engine needs. JetStream, Frames, Sink and Folder are required.
type Config struct {
	JetStream jetstream.JetStream
	Frames    Frames
	Sink      Sink
	// Folder holds the checkpoint; it is created.
	Folder string
	// Part is what the engine does of a cluster's work; nil for all of it, in one process.
	Part *Part
	// Checkpoints keeps the checkpoint elsewhere than in Folder, which is not needed then.
	Checkpoints Checkpoints
	// Files is the file system of the checkpoint. Default: the machine's.
	Files Files
	// Settle, when set, is called after frames were taken and before anything that rests on them leaves the engine; it
	// returns once the rows of those frames are on disk.
	Settle func(context.Context) error
	// Clock is the clock of windows. Default: the machine's.
	Clock clock.Clock
	// Pace is the clock of input and output: retries and checkpoints. Default: the machine's.
	Pace clock.Clock
	// Retention is how long after its end a window may be revised. Default: 7 days.
	Retention time.Duration
	// Tolerance is how far in the future a window may start. Default: 5 s; nothing for a part of a cluster.
	Tolerance time.Duration
	// ReviseAfter is how long late reports are gathered before a result is revised. Default: 1 s.
	ReviseAfter time.Duration
	// ResponseFloor is the response rate below which a result carries a warning; below 0 for no warnings. Default: 0.5.
	ResponseFloor float64
	// Shuffler is the party that the operator declares to publish shuffled batches; nobody by default.
	Shuffler shuffle.Party
	// ChangeAnswers is how many single answers of closed windows of a FIXED kappa are kept, so that late reports revise the
	// change to the window after theirs; those that the next windows are compared with always are. Default: 262,144.
	ChangeAnswers int
	// CheckpointEvery is the time between two checkpoints while there is work, by Pace. Default: 5 s.
	CheckpointEvery time.Duration
	// ReportsKeep is how long messages of REPORTS stay after a checkpoint on disk covers them, by their age. They go sooner
	// when the stream is half full; below 0 only then. Default: 1 h.
	ReportsKeep time.Duration
	// AcceptGap lets the engine go on when REPORTS begins behind the checkpoint's position. What the sink holds beyond the
	// checkpoint is dropped, and what lay in between is lost and counted.
	AcceptGap bool
	// CheckpointReports is the most reports between two checkpoints. Default: 4,194,304.
	CheckpointReports int
	// QueueMessages is how many messages of REPORTS may wait in memory. Default: 256.
	QueueMessages int
	// RecordRows is how many reports of one kappa make a batch for the sink. Default: 65,536.
	RecordRows int
	// Memory has the accounts of messages read ahead, rows, windows and frames. Default: none has a bound.
	Memory *memory.Budget
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
	// Log. Default: slog.Default.
	Log *slog.Logger
}

// withDefaults fills the zero fields.
func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	if c.Pace == nil {
		c.Pace = clock.Real{}
	}
	if c.Files == nil {
		c.Files = disk{}
	}
	if c.Memory == nil {
		c.Memory = memory.Divide(0)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.ResponseFloor == 0 {
		c.ResponseFloor = 0.5
	}
	for field, otherwise := range map[*time.Duration]time.Duration{
		&c.Retention: 7 * 24 * time.Hour, &c.Tolerance: 5 * time.Second,
		&c.ReviseAfter: time.Second, &c.CheckpointEvery: 5 * time.Second, &c.ReportsKeep: time.Hour,
	} {
		if *field == 0 {
			*field = otherwise
		}
	}
	for field, otherwise := range map[*int]int{
		&c.CheckpointReports: 1 << 22, &c.QueueMessages: 256, &c.RecordRows: 1 << 16,
		&c.ChangeAnswers: 1 << 18,
	} {
		if *field == 0 {
			*field = otherwise
		}
	}
	if c.Part != nil {
		c.Tolerance = 0 // the rows of the future aren't known
	}
	return c
}

// Validate reports all faults of a configuration.
func (c Config) Validate() error {
	var faults []error
	for fault, broken := range map[string]bool{
		"no JetStream":             c.JetStream == nil,
		"no frames":                c.Frames == nil,
		"no sink":                  c.Sink == nil,
		"no folder":                c.Folder == "" && c.Checkpoints == nil,
		"a negative duration":      min(c.Retention, c.Tolerance, c.ReviseAfter, c.CheckpointEvery) < 0,
		"a negative bound":         min(c.CheckpointReports, c.QueueMessages, c.RecordRows, c.ChangeAnswers) < 0,
		"a response floor above 1": !(c.ResponseFloor <= 1),
		"a shuffler without a name or a small delta": c.Shuffler.Validate() != nil,
	} {
		if broken {
			faults = append(faults, errors.New("engine config: "+fault))
		}
	}
	if err := c.Part.validate(); err != nil {
		faults = append(faults, fmt.Errorf("engine config: %w", err))
	}
	return errors.Join(faults...)
}
