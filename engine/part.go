package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Merger is the number of the part that adds up what all shares have handed on.
const Merger = -1

// ErrFenced says that another engine has taken over: whoever gets it stops as a killed process does.
var ErrFenced = errors.New("engine: the part belongs to another engine by now")

// Part is what one engine of several does: it counts one share of the partitions of REPORTS, or it merges what the shares hand on
// (docs/design/cluster.md).
type Part struct {
	// Share is the share's number, from 0, or Merger.
	Share int
	// Shares is how many there are; it divides the number of partitions and is fixed for a cluster's life.
	Shares int
	// Follower knows what others write.
	Follower Follower
}

// Follower brings to an engine what other processes have written. Its methods wait, and fail only when ctx ends or the broker can't be
// reached.
type Follower interface {
	// Records returns once every record that was saved before the call has been applied to the engine.
	Records(ctx context.Context) error
	// Rows returns once the engine's frames hold every row that is valid at a moment or before, and no such row will come.
	Rows(ctx context.Context, at time.Time) error
}

// Checkpoints keeps an engine's newest checkpoint.
type Checkpoints interface {
	// Load gives the newest checkpoint; nil when there is none.
	Load(ctx context.Context) ([]byte, error)
	// Save returns once the checkpoint of a position is durable in place of the one before. It fails with ErrFenced when another
	// engine has taken the checkpoints over; then nothing was changed.
	Save(ctx context.Context, sequence uint64, checkpoint []byte) error
}

// validate says what is wrong with a part.
func (p *Part) validate() error {
	switch {
	case p == nil:
		return nil
	case p.Shares < 1 || broker.Partitions%p.Shares != 0:
		return fmt.Errorf("%d shares: they must divide %d", p.Shares, broker.Partitions)
	case p.Share < Merger || p.Share >= p.Shares:
		return fmt.Errorf("share %d of %d", p.Share, p.Shares)
	case p.Follower == nil:
		return errors.New("a part without a follower")
	}
	return nil
}

// shares tells whether the engine counts a share, and merges whether it adds shares up. An engine without a part does neither.
func (e *Engine) shares() bool { return e.config.Part != nil && e.config.Part.Share != Merger }
func (e *Engine) merges() bool { return e.config.Part != nil && e.config.Part.Share == Merger }

// subjects is what an engine reads of REPORTS; nil for all.
func (e *Engine) subjects() []string {
	if !e.shares() {
		return nil
	}
	p := e.config.Part
	each := broker.Partitions / p.Shares
	out := []string{broker.SubjectMark}
	for i := range each {
		out = append(out, broker.ReportSubject(uint32(p.Share*each+i)))
	}
	return out
}

// ask waits for what others have written: all records, and with a moment above 0 (milliseconds from the UTC epoch) the rows of that
// moment. The caller holds mu, which is let go meanwhile. When ctx ends before, the state is stale and never saved.
func (e *Engine) ask(records bool, rowsMs int64) {
	if e.config.Part == nil || e.stale {
		return
	}
	e.mu.Unlock()
	err := e.inform(records, rowsMs)
	e.mu.Lock()
	e.stale = e.stale || err != nil
}

// informer makes what ask calls.
func (e *Engine) informer(ctx context.Context) func(records bool, rowsMs int64) error {
	return func(records bool, rowsMs int64) error {
		if records {
			if err := e.persist(ctx, "records", func() error { return e.config.Part.Follower.Records(ctx) }); err != nil {
				return err
			}
		}
		if rowsMs <= 0 {
			return nil
		}
		return e.persist(ctx, "rows", func() error { return e.config.Part.Follower.Rows(ctx, time.UnixMilli(rowsMs).UTC()) })
	}
}

// learn makes sure that records are known which were saved before the message that is being counted was stored; it tells whether that
// could bring anything new. One question serves all messages that had been received by then. The caller holds mu.
func (e *Engine) learn() bool {
	if e.config.Part == nil || e.sequence <= e.learnt {
		return false
	}
	through := max(e.received.Load(), e.sequence)
	e.ask(true, 0)
	e.learnt = through
	return !e.stale
}

// beforeMark waits for what closing windows at a mark needs: all records, and the rows of the newest window that closes.
func (e *Engine) beforeMark(markMs int64) {
	e.ask(true, 0)
	newest := int64(0)
	for _, k := range e.kappas {
		p := k.plans[len(k.plans)-1]
		start, _ := p.span(floorDiv(markMs-p.graceMs, p.windowMs) - 1)
		newest = max(newest, start)
	}
	e.ask(false, newest)
}

// Check tells what Apply of any engine would fail with.
func Check(record *quadratv1.KappaRecord) error {
	if record.GetDeleted() != nil {
		return nil
	}
	if _, err := newKappa(record); err != nil {
		return fmt.Errorf("kappa %s: %w", record.GetKappa().GetRef(), err)
	}
	return nil
}
