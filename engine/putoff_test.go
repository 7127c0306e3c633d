package engine

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/clock"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestResultsDontWaitForCheckpoints: while no part can make a checkpoint all windows get their results, also when shares and merger are killed
// meanwhile; whoever asked for a checkpoint waits. Once it can be made the results are those of an undisturbed run, and each report is a row.
func TestResultsDontWaitForCheckpoints(t *testing.T) {
	const windows, shares = 3, 2
	run := func(t *testing.T, fault error, between func(*crowd)) *crowd {
		w := newWorld(t, 29)
		w.populate(150)
		c := newCrowd(w, shares)
		for _, k := range c.checkpoints {
			k.fault = fault
		}
		c.records = []*quadratv1.KappaRecord{w.deploy("k1", 3, []string{"cooling"}, meanPlan("hybrid"))}
		for number := range c.engines {
			c.up(number, false)
		}
		w.script(w.record, windows, func() { between(c) }) // it waits for the results of each window
		for number, k := range c.checkpoints {
			k.mu.Lock()
			if k.fault != nil && (k.content != nil || k.refused == 0) {
				t.Errorf("part %d: it tried %d times to make a checkpoint that can't be made", number, k.refused)
			}
			k.fault = nil
			k.mu.Unlock()
		}
		c.settle()
		return c
	}
	calm := run(t, nil, func(*crowd) {})
	want, _ := calm.outcome()
	step := 0
	asked := make(chan error, 1)
	c := run(t, errors.New("no leader"), func(c *crowd) {
		if step++; step == 2 {
			go func() { asked <- c.engines[1].Checkpoint(t.Context()) }()
		}
		if number := step / 4; step%4 == 3 && number <= shares && number != 1 {
			c.stops[number]()
			c.up(number, false)
		}
		select {
		case err := <-asked:
			t.Errorf("whoever asked for a checkpoint had an answer while none could be made: %v", err)
		default:
		}
	})
	if err := <-asked; err != nil {
		t.Error(err)
	}
	if got, _ := c.outcome(); !slices.Equal(got, want) {
		t.Errorf("results differ from those of an undisturbed run: %d, %d", len(got), len(want))
	}
	if rows := c.rows(); !maps.Equal(rows, calm.rows()) {
		t.Errorf("%d rows, want %d", len(rows), len(calm.rows()))
	}
}

// TestTroubleIsToldOnce: a fault is told of as a warning, only when it lasts again, as an error, and when it is over; a message that the stream is
// storing already is none.
func TestTroubleIsToldOnce(t *testing.T) {
	w := newWorld(t, 1)
	var said strings.Builder
	e, err := New(Config{
		JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: t.TempDir(), Pace: w.clock,
		Log: slog.New(slog.NewTextHandler(&said, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		e.suffers("mark", errors.New("no leader"))
		w.clock.Advance(time.Second)
	}
	if said := said.String(); strings.Count(said, "level=WARN") != 1 || strings.Contains(said, "level=ERROR") || e.Status().Fault == nil {
		t.Errorf("after 10 s: %s, status %v", said, e.Status().Fault)
	}
	w.clock.Advance(tellAgain)
	for range 3 {
		e.suffers("mark", errors.New("no leader"))
	}
	e.recovers("mark")
	e.recovers("mark")
	if said := said.String(); strings.Count(said, "level=ERROR") != 1 || strings.Count(said, "level=INFO") != 1 || e.Status().Fault != nil {
		t.Errorf("in the end: %s, status %v", said, e.Status().Fault)
	}
	said.Reset()
	e.config.Pace = clock.Real{}
	tries := 0
	err = e.persist(t.Context(), "mark", func() error {
		if tries++; tries == 1 {
			return &jetstream.APIError{Code: 409, ErrorCode: 10158}
		}
		return nil
	})
	if err != nil || tries != 2 || said.Len() > 0 {
		t.Errorf("%d tries, %v: %s", tries, err, said.String())
	}
}
