package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/storage"
)

const (
	streamDevices    = 1_000_000
	streamWindows    = 8
	streamPerMessage = 64 // what the intake packs: a few thousand reports a batch over 64 partitions
	streamGoal       = 0.8
	storedGoal       = 24   // bytes
	checkpointGoal   = 0.05 // seconds
	parquetGoal      = 1e6
	publishAtOnce    = 64
	parquetWindows   = 2
)

// discard is a sink that keeps nothing.
type discard struct{}

// The calls of a sink; each has no effect.
func (discard) Restore(uint64) error                          { return nil }
func (discard) Batch(*column.Batch) error                     { return nil }
func (discard) Results([]*quadratv1.Result) error             { return nil }
func (discard) Strata(string, string, []column.Stratum) error { return nil }
func (discard) Commit(uint64) error                           { return nil }
func (discard) Permanent(uint64)                              {}

// streamRows measures a whole engine behind a real stream: reports that are on disk already are read, counted and
// estimated, with a sink that keeps nothing. The reference is a consumer that only reads the same messages. The figure of
// the whole holds the start and the frame of the first window, which compiles once; the steady one is of the windows behind.
func streamRows(ctx context.Context, config Config) ([]Row, error) {
	b, err := openBroker(ctx, config, "stream")
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	devices := newRows(streamDevices)
	if err := fill(ctx, b, devices, feedWindow, 1); err != nil {
		return nil, err
	}
	first, err := streamState(ctx, b)
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, b, devices, feedWindow+1, streamWindows-1); err != nil {
		return nil, err
	}
	const reports, later = streamDevices * streamWindows, streamDevices * (streamWindows - 1)
	run, state := 0, 0
	var ours, bare, checkpoints, synced []float64 // the first two of the windows behind the first
	figure, beside, err := turns(func() (float64, error) {
		run++
		folder := filepath.Join(config.Dir, fmt.Sprintf("engine-%d", run))
		defer func() { _ = os.RemoveAll(folder) }()
		took, err := drive(ctx, b, task{
			config: config, devices: devices, folder: folder, now: streamWindows - 1, behind: first.LastSeq,
			open: func(string) (engine.Sink, error) { return discard{}, nil },
		})
		if err != nil {
			return 0, err
		}
		ours, checkpoints = append(ours, later/took.behind.Seconds()), append(checkpoints, took.checkpoint.Seconds())
		size, alone, err := copyCheckpoint(config.Dir, folder)
		state, synced = size, append(synced, alone.Seconds())
		return reports / took.whole.Seconds(), err
	}, func() (float64, error) {
		took, err := readAll(ctx, b, first.LastSeq)
		bare = append(bare, later/took.behind.Seconds())
		return reports / took.whole.Seconds(), err
	})
	if err != nil {
		return nil, err
	}
	bytes, err := streamBytes(ctx, b)
	if err != nil {
		return nil, err
	}
	stream := Row{
		Name: "stream", Goal: "≥ 0.8 × a bare consumer", Figure: figure, Unit: "reports/s",
		Reference: "a consumer that only reads the same messages", ReferenceFigure: beside,
		Note: fmt.Sprintf("%d reports of %d windows, counted, estimated, checkpointed; rows made and thrown away; with the start and the frame of the first",
			reports, streamWindows),
	}.atLeast(streamGoal * beside)
	steady := stream
	steady.Name, steady.Figure, steady.ReferenceFigure = "stream, steady", median(ours), median(bare)
	steady.Note = "the same runs behind the first window"
	steady = steady.atLeast(streamGoal * steady.ReferenceFigure)
	stored := Row{
		Name: "stream bytes", Goal: "≤ 24 bytes per stored report", Figure: float64(bytes) / reports, Unit: "bytes", Note: "in REPORTS, with all overhead",
	}.atMost(storedGoal)
	checkpoint := Row{
		Name: "checkpoint", Goal: "≤ 1 % of the 5 s between two", Figure: median(checkpoints), Unit: "s",
		Reference: "a synced file of the same bytes", ReferenceFigure: median(synced),
		Note: fmt.Sprintf("%d windows of %d devices: %d bytes", streamWindows, streamDevices, state),
	}.atMost(checkpointGoal)
	return []Row{stream, steady, stored, checkpoint}, nil
}

// copyCheckpoint writes a file as large as the checkpoint in an engine's folder, and gives the size and how long that took.
func copyCheckpoint(dir, folder string) (size int, took time.Duration, err error) {
	body, err := os.ReadFile(filepath.Join(folder, "engine", "engine.checkpoint"))
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	err = writeSynced(filepath.Join(dir, "checkpoint"), func(f *os.File) error { _, err := f.Write(body); return err })
	return len(body), time.Since(began), err
}

// parquetRows measures the same way into Parquet files. The reference writes the same messages to a file and syncs it.
func parquetRows(ctx context.Context, config Config) ([]Row, error) {
	b, err := openBroker(ctx, config, "parquet")
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	devices := newRows(streamDevices)
	if err := fill(ctx, b, devices, feedWindow, parquetWindows); err != nil {
		return nil, err
	}
	const reports = parquetWindows * streamDevices
	run, bytes := 0, int64(0)
	figure, copied, err := turns(func() (float64, error) {
		run++
		folder := filepath.Join(config.Dir, fmt.Sprintf("parquet-%d", run))
		defer func() { _ = os.RemoveAll(folder) }()
		var store *storage.Store
		took, err := drive(ctx, b, task{config: config, devices: devices, folder: folder, now: parquetWindows + 1, open: func(folder string) (engine.Sink, error) {
			var err error
			store, err = storage.Open(filepath.Join(folder, "store"), storage.Config{})
			return store, err
		}})
		if err != nil {
			return 0, err
		}
		bytes = storedBytes(store)
		return reports / took.whole.Seconds(), nil
	}, func() (float64, error) {
		took, err := copyAll(ctx, b, filepath.Join(config.Dir, "copy"))
		return reports / took.Seconds(), err
	})
	if err != nil {
		return nil, err
	}
	rows := Row{
		Name: "parquet", Goal: "≥ 1 M reports/s from REPORTS into committed Parquet", Figure: figure, Unit: "reports/s",
		Reference: "the same messages copied into one synced file", ReferenceFigure: copied,
	}.atLeast(parquetGoal)
	size := Row{
		Name: "parquet bytes", Goal: "≤ 24 bytes per stored report", Figure: float64(bytes) / reports, Unit: "bytes", Note: "in Parquet files, before compaction",
	}.atMost(storedGoal)
	return []Row{rows, size}, nil
}

// storedBytes is how long the segments with reports are together.
func storedBytes(s *storage.Store) int64 {
	bytes := int64(0)
	for _, seg := range s.Segments() {
		if seg.Kind == storage.KindReports {
			bytes += seg.Bytes
		}
	}
	return bytes
}

// fill publishes one report of each device for each window.
func fill(ctx context.Context, b *broker.Broker, devices rows, first int64, windows int) error {
	for w := range windows {
		bodies, partitions, err := devices.messages(first+int64(w), streamPerMessage)
		if err != nil {
			return err
		}
		var waiting []jetstream.PubAckFuture
		for i, body := range bodies {
			f, err := b.JetStream().PublishMsgAsync(&nats.Msg{Subject: broker.ReportSubject(partitions[i]), Data: body})
			if err != nil {
				return err
			}
			if waiting = append(waiting, f); len(waiting) == publishAtOnce || i == len(bodies)-1 {
				if err := acknowledged(ctx, waiting); err != nil {
					return err
				}
				waiting = waiting[:0]
			}
		}
	}
	return nil
}

func acknowledged(ctx context.Context, waiting []jetstream.PubAckFuture) error {
	for _, f := range waiting {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// lastSequence is the position of the newest message of REPORTS, and how many bytes the stream takes.
func streamState(ctx context.Context, b *broker.Broker) (jetstream.StreamState, error) {
	stream, err := b.JetStream().Stream(ctx, broker.StreamReports)
	if err != nil {
		return jetstream.StreamState{}, err
	}
	return stream.CachedInfo().State, nil
}

func streamBytes(ctx context.Context, b *broker.Broker) (uint64, error) {
	state, err := streamState(ctx, b)
	return state.Bytes, err
}

// task is a stream for a new engine to read.
type task struct {
	config  Config
	devices rows
	folder  string
	now     int64  // where the clock stands: how many windows are over since feedWindow
	behind  uint64 // position from which the time is told apart; 0 for none
	open    func(folder string) (engine.Sink, error)
}

// spent is how long something took, how long of it behind a position, and how long of it the checkpoint at the end.
type spent struct{ whole, behind, checkpoint time.Duration }

// drive lets a new engine read the whole stream until what it counted is durable, and gives how long that took.
func drive(ctx context.Context, b *broker.Broker, t task) (took spent, err error) {
	state, err := streamState(ctx, b)
	if err != nil {
		return took, err
	}
	sink, err := t.open(t.folder)
	if err != nil {
		return took, err
	}
	e, err := engine.New(engine.Config{
		JetStream: b.JetStream(), Frames: t.devices, Sink: sink, Folder: filepath.Join(t.folder, "engine"), Log: t.config.Log,
		Clock: clock.NewManual(time.UnixMilli((feedWindow + t.now) * feedWindowMs)),
	})
	if err != nil {
		return took, err
	}
	if err := e.Apply(feedRecord()); err != nil {
		return took, err
	}
	inner, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	began := time.Now()
	passed := began
	go func() { ended <- e.Run(inner) }()
	for at := uint64(0); at < state.LastSeq; {
		select {
		case err := <-ended:
			stop()
			return took, errors.Join(err, ctx.Err())
		case <-time.After(time.Millisecond):
		}
		before := at
		if at = e.Status().Sequence; before < t.behind && at >= t.behind {
			passed = time.Now()
		}
	}
	counted := time.Now()
	err = e.Checkpoint(ctx)
	took = spent{whole: time.Since(began), behind: time.Since(passed), checkpoint: time.Since(counted)}
	stop()
	return took, errors.Join(err, <-ended)
}

// readAll reads the whole stream and does nothing with it.
func readAll(ctx context.Context, b *broker.Broker, behind uint64) (spent, error) {
	bytes, at := 0, uint64(0)
	began := time.Now()
	passed := began
	err := eachMessage(ctx, b, func(m []byte) error {
		bytes += len(m)
		if at++; at == behind {
			passed = time.Now()
		}
		return nil
	})
	if err == nil && bytes == 0 {
		err = errors.New("an empty stream")
	}
	return spent{whole: time.Since(began), behind: time.Since(passed)}, err
}

// copyAll reads the whole stream into one file.
func copyAll(ctx context.Context, b *broker.Broker, path string) (time.Duration, error) {
	began := time.Now()
	err := writeSynced(path, func(f *os.File) error {
		return eachMessage(ctx, b, func(m []byte) error { _, err := f.Write(m); return err })
	})
	return time.Since(began), err
}

// eachMessage reads REPORTS from its beginning to what is its end now.
func eachMessage(ctx context.Context, b *broker.Broker, do func([]byte) error) error {
	stream, err := b.JetStream().Stream(ctx, broker.StreamReports)
	if err != nil {
		return err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(512)) //nolint:mnd // as many as the engine asks for
	if err != nil {
		return err
	}
	defer messages.Stop()
	for last := stream.CachedInfo().State.LastSeq; ; {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		if err := do(m.Data()); err != nil {
			return err
		}
		if meta, err := m.Metadata(); err != nil || meta.Sequence.Stream >= last {
			return err
		}
	}
}
