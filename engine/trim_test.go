package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
)

// reports is the stream REPORTS as it is now.
func (w *world) reports() jetstream.Stream {
	w.t.Helper()
	stream, err := w.broker.JetStream().Stream(w.t.Context(), broker.StreamReports)
	if err != nil {
		w.t.Fatal(err)
	}
	return stream
}

// position is that of the checkpoint on disk.
func (w *world) position() uint64 {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.folder, checkpointName))
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := decodeCheckpoint(content)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.sequence
}

// TestTrimsBehindTheCheckpoint runs windows with a short keep: REPORTS shrinks to what no checkpoint covers, and never
// loses the message at the checkpoint's own position.
func TestTrimsBehindTheCheckpoint(t *testing.T) {
	w := newWorld(t, 5)
	w.populate(60)
	record := w.deploy("k1", 2, nil, meanPlan("hybrid"))
	w.start(true, func(c *Config) { c.ReportsKeep = 1 }, record)
	w.script(record, 4, func() {})
	w.caughtUp()
	if err := w.engine.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	for patience := time.Now().Add(time.Minute); w.reports().CachedInfo().State.FirstSeq < w.position(); {
		if time.Now().After(patience) {
			t.Fatalf("REPORTS begins at %d, the checkpoint is at %d", w.reports().CachedInfo().State.FirstSeq, w.position())
		}
		time.Sleep(time.Millisecond)
	}
	w.stop()
	if state := w.reports().CachedInfo().State; state.FirstSeq != w.position() || state.LastSeq != w.position() {
		t.Errorf("REPORTS holds %d to %d, the checkpoint is at %d", state.FirstSeq, state.LastSeq, w.position())
	}
}

// TestTrimsOnlyWhatIsOnDisk lets the checkpoint's file fail: the trimmer must not hear of its position.
func TestTrimsOnlyWhatIsOnDisk(t *testing.T) {
	w := newWorld(t, 13)
	w.populate(60)
	record := w.deploy("k1", 2, nil, meanPlan("hybrid"))
	w.start(true, func(c *Config) { c.ReportsKeep = time.Hour }, record)
	w.clock.Set(end(firstWindow))
	w.closed(firstWindow, 1)
	blocked := filepath.Join(w.folder, checkpointTempName)
	for os.Mkdir(blocked, 0o700) != nil { // until no file of this name is being written
		time.Sleep(time.Millisecond)
	}
	w.publish(w.answers(record, firstWindow+1, 1), 9)
	for w.engine.Status().Fault == nil {
		time.Sleep(time.Millisecond)
	}
	select {
	case told := <-w.engine.durable: // the trimmer rests after the first; what it has not heard waits here
		if told > w.position() {
			t.Errorf("the trimmer was told of %d, the checkpoint on disk is at %d", told, w.position())
		}
	default:
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	w.stop()
}

// TestTrimKeepsByAge holds the cut against the messages' own times, and against the stream's bound.
func TestTrimKeepsByAge(t *testing.T) {
	w := newWorld(t, 3)
	w.populate(10)
	record := w.deploy("k1", 2, nil, meanPlan("none"))
	const messages = 9
	for range messages {
		w.publishRaw(broker.ReportSubject(1), make([]byte, 200))
		time.Sleep(time.Millisecond) // so that no two have one time
	}
	sixth, err := w.reports().GetMsg(t.Context(), 6)
	if err != nil {
		t.Fatal(err)
	}
	pace := clock.NewManual(sixth.Time.Add(time.Hour))
	e, err := New(Config{
		JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: w.folder, Pace: pace, ReportsKeep: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Apply(record); err != nil {
		t.Fatal(err)
	}
	trim := func(position, want uint64) {
		t.Helper()
		if err := e.trimTo(t.Context(), position); err != nil {
			t.Fatal(err)
		}
		if got := w.reports().CachedInfo().State.FirstSeq; got != want {
			t.Errorf("trimmed to %d: REPORTS begins at %d, want %d", position, got, want)
		}
	}
	trim(0, 1)
	trim(4, 4)
	trim(messages, 7)
	e.config.ReportsKeep = -1
	trim(messages, 7)
	config := w.reports().CachedInfo().Config
	config.MaxBytes = 800
	if _, err := w.broker.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	trim(8, 8)
}

// TestTrimmedStreamNeedsItsCheckpoint starts without the checkpoint that covered what is gone, and with an older one: the
// sink must not be made to drop rows that nothing can give again, unless the operator says so.
func TestTrimmedStreamNeedsItsCheckpoint(t *testing.T) {
	for name, older := range map[string]bool{"no checkpoint": false, "an older one": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.populate(10)
			record := w.deploy("k1", 2, nil, meanPlan("none"))
			if older {
				w.start(true, nil, record)
				w.clock.Set(end(firstWindow))
				w.closed(firstWindow, 1)
				w.stop()
			}
			for range 3 {
				w.publishRaw(broker.ReportSubject(1), nil)
			}
			last := w.reports().CachedInfo().State.LastSeq
			if err := w.reports().Purge(t.Context(), jetstream.WithPurgeSequence(last)); err != nil {
				t.Fatal(err)
			}
			w.sink.restored = false
			e, err := New(Config{JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: w.folder, Clock: w.clock})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Run(t.Context()); !errors.Is(err, errTrimmed) || w.sink.restored {
				t.Errorf("error %v, want %v; sink restored: %v", err, errTrimmed, w.sink.restored)
			}
			w.start(true, func(c *Config) { c.AcceptGap = true }, record)
			w.caughtUp()
			w.stop()
		})
	}
}
