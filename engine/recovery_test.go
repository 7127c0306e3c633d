package engine

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// script runs a fixed course of events: reports in random order, some twice, some after their window closed, devices
// that join and change between windows. Between any two steps it calls between.
func (w *world) script(record *quadratv1.KappaRecord, windows int64, between func()) []answer {
	var all, held []answer
	for window := int64(firstWindow); window < firstWindow+windows; window++ {
		w.clock.Set(time.UnixMilli(window * windowMs).Add(windowMs / 2 * time.Millisecond))
		w.join(fmt.Sprintf("late%d", window), map[string]string{"region": "asia", "cooling": "air"}, w.clock.Now())
		w.join(fmt.Sprintf("d%d", window-firstWindow), map[string]string{"region": "europe", "floor": "9"}, w.clock.Now())
		w.clock.Set(end(window).Add(-time.Millisecond))
		said := w.answers(record, window, 0.9)
		all = append(all, said...)
		cut := len(said) / 8
		now := append(slices.Clone(said[cut:]), said[cut:cut+len(said)/4]...)
		now = append(now, held...)
		held = said[:cut]
		w.rand.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
		for part := range slices.Chunk(now, max(1, len(now)/3)) {
			w.publish(part, 5)
			between()
		}
		w.clock.Set(end(window))
		between()
		w.closed(window, 1)
	}
	w.publish(held, 5)
	for window := int64(firstWindow) + windows; window < firstWindow+windows+2; window++ {
		between()
		w.clock.Set(end(window))
		w.closed(window, 1)
	}
	return all
}

// outcome is what must not depend on when the engine was running.
func (w *world) outcome() (results []string, rows map[string]int) {
	for _, r := range w.sink.newest() {
		r = proto.Clone(r).(*quadratv1.Result)
		r.Revision, r.Running = 0, nil // how late reports were gathered, and what came before them
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		if err != nil {
			w.t.Fatal(err)
		}
		results = append(results, string(text))
	}
	rows = map[string]int{}
	for _, r := range w.sink.rows {
		r.Sequence = 0 // marks stand between the reports
		rows[fmt.Sprint(r)]++
	}
	return results, rows
}

func TestRestartChangesNothing(t *testing.T) {
	const windows = 6
	statistics := []*quadratv1.StatisticPlan{meanPlan("three-output"), bitPlan("count", "warner")}
	calm := newWorld(t, 11)
	calm.populate(300)
	record := calm.deploy("k1", 3, []string{"cooling"}, statistics...)
	calm.start(true, nil, record)
	all := calm.script(record, windows, func() {})
	calm.stop()
	calm.check(record, all, firstWindow, firstWindow+2, firstWindow+5)
	wantResults, wantRows := calm.outcome()
	if len(wantRows) != len(all) {
		t.Fatalf("%d rows of %d answers", len(wantRows), len(all))
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t, 11)
			w.populate(300)
			record := w.deploy("k1", 3, []string{"cooling"}, statistics...)
			var trimmed func(*Config)
			if seed%2 == 1 {
				trimmed = func(c *Config) { c.ReportsKeep = 1 }
			}
			w.start(false, trimmed, record)
			stops := 0
			w.script(record, windows, func() {
				// Whether to stop comes from the script's own course, so that its random numbers stay those of the calm run.
				stops++
				if (uint64(stops)*2654435761+seed*40503)>>3%3 == 0 {
					w.stop()
					w.start((stops+int(seed))%2 == 0, trimmed, record)
				}
			})
			w.stop()
			w.start(true, trimmed, record)
			w.caughtUp()
			w.stop()
			results, rows := w.outcome()
			if !slices.Equal(results, wantResults) {
				t.Errorf("results differ from those of an undisturbed run: %d, %d", len(results), len(wantResults))
			}
			if !maps.Equal(rows, wantRows) {
				t.Errorf("rows differ from those of an undisturbed run: %d, %d", len(rows), len(wantRows))
			}
		})
	}
}

// TestCrashBetweenCommitAndCheckpoint stops the engine when the sink has committed and the file has not appeared: the sink
// goes back to the older position, and the replay gives everything once.
func TestCrashBetweenCommitAndCheckpoint(t *testing.T) {
	w := newWorld(t, 13)
	w.populate(200)
	record := w.deploy("k1", 2, nil, meanPlan("hybrid"))
	w.start(false, nil, record)
	var all []answer
	say := func(window int64) {
		w.clock.Set(end(window).Add(-time.Millisecond))
		said := w.answers(record, window, 1)
		all = append(all, said...)
		w.publish(said, 9)
		w.clock.Set(end(window))
	}
	say(firstWindow)
	w.closed(firstWindow, 1)
	blocked := filepath.Join(w.folder, checkpointTempName)
	for os.Mkdir(blocked, 0o700) != nil { // until no file of this name is being written
		time.Sleep(time.Millisecond)
	}
	say(firstWindow + 1)
	for w.engine.Status().Fault == nil {
		time.Sleep(time.Millisecond)
	}
	w.stop()
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	before := w.sink.commits[len(w.sink.commits)-1].sequence
	w.start(true, nil, record)
	say(firstWindow + 2)
	w.closed(firstWindow+2, 1)
	w.stop()
	w.check(record, all, firstWindow, firstWindow+1, firstWindow+2)
	rows := map[string]int{}
	for _, r := range w.sink.rows {
		rows[r.WindowStart+r.Device]++
	}
	if len(rows) != len(all) || len(w.sink.rows) != len(all) {
		t.Errorf("%d rows, %d of them different, of %d answers", len(w.sink.rows), len(rows), len(all))
	}
	if w.sink.restoredTo >= before {
		t.Errorf("restored to %d, not before the sink's %d: the crash came too late to show anything", w.sink.restoredTo, before)
	}
}

// TestRunningMeanIsTheMean holds the running mean, after revisions, against the mean of the newest values.
func TestRunningMeanIsTheMean(t *testing.T) {
	w := newWorld(t, 5)
	w.populate(200)
	record := w.deploy("k1", 2, nil, meanPlan("none"))
	w.start(true, nil, record)
	w.script(record, 5, func() {})
	w.stop()
	sum, n := 0.0, 0.0
	for _, r := range w.sink.newest() {
		if r.Value != nil {
			sum, n = sum+r.GetValue(), n+1
		}
	}
	w.sink.mu.Lock()
	last := w.sink.results[len(w.sink.results)-1].GetRunning()
	w.sink.mu.Unlock()
	if diff := last.GetValue() - sum/n; diff > 1e-9 || diff < -1e-9 || float64(last.GetWindows()) != n {
		t.Errorf("running mean %v of %d windows, want %v of %v", last.GetValue(), last.GetWindows(), sum/n, n)
	}
}

func TestSinkFaultPausesAndHeals(t *testing.T) {
	w := newWorld(t, 3)
	w.populate(100)
	record := w.deploy("k1", 2, nil, meanPlan("none"))
	w.start(true, nil, record)
	full := errors.New("disk full")
	w.clock.Set(end(firstWindow).Add(-time.Millisecond))
	said := w.answers(record, firstWindow, 1)
	w.sink.wait(t, "the start", func() bool { return w.sink.restored })
	w.sink.fail(full)
	w.publish(said, 4)
	w.clock.Set(end(firstWindow))
	for !errors.Is(w.engine.Status().Fault, full) {
		time.Sleep(time.Millisecond)
	}
	w.sink.fail(nil)
	w.closed(firstWindow, 1)
	w.stop()
	w.check(record, said, firstWindow)
	if len(w.sink.rows) != len(said) {
		t.Errorf("%d rows of %d reports", len(w.sink.rows), len(said))
	}
}

func TestDamagedCheckpointStopsTheEngine(t *testing.T) {
	w := newWorld(t, 3)
	w.populate(50)
	record := w.deploy("k1", 2, nil, meanPlan("none"))
	w.start(true, nil, record)
	w.clock.Set(end(firstWindow))
	w.closed(firstWindow, 1)
	w.stop()
	path := filepath.Join(w.folder, checkpointName)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: w.folder, Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context()); !errors.Is(err, errCheckpoint) {
		t.Errorf("error %v, want %v", err, errCheckpoint)
	}
}
