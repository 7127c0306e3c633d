package crash_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/engine/intake"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/storage"
)

// patience bounds every wait; no round depends on how long things take below it.
const patience = 10 * time.Minute

// answerPatience is how long a request waits before it is said again, as a device does.
const answerPatience = time.Second

// rig is the part of a server that reports pass, built as internal/server builds it, so that it can be killed alone.
type rig struct {
	t      *testing.T
	dir    string
	clock  *clock.Manual
	broker *broker.Broker
	sender *nats.Conn // of the devices
	marks  jetstream.JetStream

	keyer    fleet.Keyer
	registry *fleet.Registry
	frames   *fleet.Store

	counts *prometheus.Registry // of the store
	disk   *disk
	store  *storage.Store
	engine *engine.Engine
	intake *intake.Intake
	conn   *nats.Conn // of the intake
	stop   context.CancelCauseFunc
	group  sync.WaitGroup
	kills  int
	failed chan struct{} // closed when the engine ended with an error that no kill explains
}

// newRig makes a rig whose fleet has announced itself. Config says which broker to use.
func newRig(t *testing.T, dir string, config broker.Config, random *rand.Rand) *rig {
	t.Helper()
	w := &rig{t: t, dir: dir, clock: clock.NewManual(epoch.Add(-time.Hour)), keyer: fleet.NewKeyer([16]byte{7})}
	config.Log = slog.New(slog.DiscardHandler)
	var err error
	if w.broker, err = broker.Open(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	must(t, broker.Ensure(t.Context(), w.broker.JetStream(), broker.Limits{}))
	if w.sender, err = w.broker.Connect("devices"); err != nil {
		t.Fatal(err)
	}
	if w.marks, err = jetstream.New(w.sender, jetstream.WithDefaultTimeout(answerPatience)); err != nil {
		t.Fatal(err)
	}
	w.load()
	for _, h := range hellos(random) {
		must(t, w.registry.Hello(h, epoch.Add(-2*time.Hour)))
	}
	must(t, w.frames.Flush(t.Context()))
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *rig) encode(m proto.Message) []byte {
	w.t.Helper()
	b, err := proto.Marshal(m)
	must(w.t, err)
	return b
}

// load reads the frame, as a server does that starts.
func (w *rig) load() {
	w.t.Helper()
	kv, err := w.broker.JetStream().KeyValue(w.t.Context(), broker.BucketDevices)
	must(w.t, err)
	w.registry = fleet.New(w.keyer)
	w.frames, err = fleet.Load(w.t.Context(), w.registry, kv, fleet.StoreConfig{Clock: w.clock})
	must(w.t, err)
}

// up starts everything over a disk. It tells whether the disk lasted.
func (w *rig) up(c *course, d *disk) bool {
	w.t.Helper()
	w.load()
	w.disk = d
	var ctx context.Context
	ctx, w.stop = context.WithCancelCause(context.Background())
	for {
		var err error
		w.counts = prometheus.NewRegistry()
		w.store, err = storage.Open(filepath.Join(w.dir, "store"), storage.Config{
			FS: storeDisk{d}, RowsPending: 48, Clock: clock.NewManual(epoch.Add(36 * time.Hour)), Registerer: w.counts, // a date that is over is compacted eagerly
		})
		if err == nil {
			break
		}
		select {
		case <-d.fell:
			return false
		default:
			if d.illness == well {
				w.t.Fatal(err)
			}
		}
	}
	var err error
	w.engine, err = engine.New(engine.Config{
		JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.store, Folder: filepath.Join(w.dir, "engine"),
		Files: engineDisk{d}, Settle: w.frames.Flush, Clock: w.clock, ReviseAfter: time.Hour, Tolerance: tick / 2, CheckpointEvery: 4 * time.Millisecond,
		ReportsKeep: 1, RecordRows: 16, Log: slog.New(slog.DiscardHandler),
	})
	must(w.t, err)
	for _, r := range c.records {
		must(w.t, w.engine.Apply(r))
	}
	w.run(ctx)
	w.group.Go(func() { _ = w.store.Run(ctx) })
	w.listen()
	return true
}

// run runs the engine.
func (w *rig) run(ctx context.Context) {
	w.failed = make(chan struct{})
	failed := w.failed
	w.group.Go(func() {
		if err := w.engine.Run(ctx); err != nil && !errors.Is(context.Cause(ctx), engine.ErrKilled) {
			w.t.Errorf("engine: %v", err)
			close(failed)
		}
	})
}

// listen starts the intake on a connection of its own.
func (w *rig) listen() {
	w.t.Helper()
	var err error
	w.conn, err = w.broker.Connect("intake")
	must(w.t, err)
	js, err := jetstream.New(w.conn, jetstream.WithDefaultTimeout(answerPatience))
	must(w.t, err)
	w.intake, err = intake.New(intake.Config{
		Conn: w.conn, JetStream: js, Keyer: w.registry.Keyer(), Devices: w.registry, Clock: w.clock, StorePatience: answerPatience,
		Log: slog.New(slog.DiscardHandler),
	})
	must(w.t, err)
	must(w.t, w.intake.Start())
}

// kill ends engine, store and intake as the end of their process does.
func (w *rig) kill() {
	w.kills++
	killings.Add(1)
	w.disk.fall()
	w.stop(engine.ErrKilled)
	if w.conn != nil {
		w.conn.Close()
		_ = w.intake.Close()
		w.conn = nil
	}
	w.group.Wait()
	compacted.Add(w.compactions())
}

// end lets the engine read all that there is and stops it in order.
func (w *rig) end() {
	w.t.Helper()
	w.caughtUp()
	must(w.t, w.intake.Close())
	w.conn.Close()
	w.stop(nil)
	w.group.Wait()
	compacted.Add(w.compactions())
}

// close lets go of the broker.
func (w *rig) close() {
	w.sender.Close()
	_ = w.broker.Close()
}

// runAlone runs an engine without intake over what REPORTS holds up to a position.
func (w *rig) runAlone(last uint64) {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	w.run(ctx)
	w.await(last)
	stop()
	w.group.Wait()
}

// caughtUp waits until the engine has read all that there is.
func (w *rig) caughtUp() {
	w.t.Helper()
	stream, err := w.broker.JetStream().Stream(w.t.Context(), broker.StreamReports)
	must(w.t, err)
	w.await(stream.CachedInfo().State.LastSeq)
}

// await waits until the engine has read up to a position.
func (w *rig) await(last uint64) {
	w.t.Helper()
	for begun := time.Now(); w.engine.Status().Sequence < last; time.Sleep(time.Millisecond) {
		w.alive()
		if time.Since(begun) > patience {
			w.t.Fatalf("the engine stays at %d of %d", w.engine.Status().Sequence, last)
		}
	}
}

// alive ends the round when the engine can never go on: it has ended, or the store lacks what the checkpoint covers.
func (w *rig) alive() {
	w.t.Helper()
	select {
	case <-w.failed:
		w.t.FailNow()
	default:
	}
	var missing *storage.Error
	if err := w.engine.Status().Fault; errors.As(err, &missing) && missing.Code == storage.Position {
		w.t.Fatal(err)
	}
}

// compactions is how many segments have become part of a larger one.
func (w *rig) compactions() (n int64) {
	w.t.Helper()
	families, err := w.counts.Gather()
	must(w.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "quadrat_storage_segments_compacted_total" {
				n += int64(m.GetCounter().GetValue())
			}
		}
	}
	return n
}

// marked tells whether REPORTS holds a mark of a moment or of a later one.
func (w *rig) marked(at time.Time) bool { return !w.lastMark().Before(at) }

// lastMark is the newest mark of REPORTS, the zero time when it can't be told.
func (w *rig) lastMark() time.Time {
	stream, err := w.marks.Stream(w.t.Context(), broker.StreamReports)
	if err != nil {
		return time.Time{}
	}
	m, err := stream.GetLastMsgForSubject(w.t.Context(), broker.SubjectMark)
	if err != nil {
		return time.Time{}
	}
	ms, err := strconv.ParseInt(m.Header.Get("Quadrat-Mark"), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// ask makes a request; answered is false when it must be said again.
func (w *rig) ask(s *step) (answered bool) {
	w.t.Helper()
	m, err := w.sender.Request(s.subject, s.body, answerPatience)
	if err != nil {
		return false
	}
	reply, err := wire.DecodeIntakeReply(m.Data)
	if err != nil || reply.Status != wire.Stored && reply.Status != wire.Retry && reply.Status != wire.Rejected {
		w.t.Errorf("an answer that is none: %v, %v", reply, err)
	}
	if reply.Status != wire.Retry && (reply.Status == wire.Rejected) != s.refused {
		w.t.Errorf("%s: rejected %v, want %v: %s", s.subject, reply.Status == wire.Rejected, s.refused, reply.Reason)
	}
	return reply.Status != wire.Retry
}
