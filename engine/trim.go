package engine

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
)

// trimPause is the longest pause between two looks at what can go from REPORTS.
const trimPause = time.Minute

// errTrimmed says that REPORTS no longer holds what the state must be made of.
var errTrimmed = errors.New("what stood in between was trimmed behind a later checkpoint: put the folders of engine, store and " +
	"broker back from one backup, or accept the gap (--accept-gap), which drops stored rows beyond this checkpoint")

// errForeign says that a checkpoint and the broker do not belong together.
var errForeign = errors.New("the broker's streams are not those that the checkpoint was made of, or are older: " +
	"put the folders of engine, store and broker back from one backup")

// reach says whether REPORTS goes on where a position ends. A gap means that the checkpoint is older than the one that
// messages were trimmed behind: the sink would drop rows that nothing can give again, so that is an error unless it is accepted.
func (e *Engine) reach(ctx context.Context, from uint64) error {
	stream, err := e.config.JetStream.Stream(ctx, broker.StreamReports)
	if err != nil {
		return fmt.Errorf("%s: %w", broker.StreamReports, err)
	}
	state := stream.CachedInfo().State
	switch {
	case state.LastSeq < from:
		return fmt.Errorf("%s ends at %d, before the checkpoint's position %d: %w", broker.StreamReports, state.LastSeq, from, errForeign)
	case state.FirstSeq > from+1 && !e.config.AcceptGap:
		return fmt.Errorf("%s begins at %d, the checkpoint's position is %d: %w", broker.StreamReports, state.FirstSeq, from, errTrimmed)
	case state.FirstSeq > from+1:
		e.metrics.lost.Add(float64(state.FirstSeq - from - 1))
		e.config.Log.Error("engine: messages went before they were read", "position", from, "first", state.FirstSeq)
	}
	return nil
}

// lastMark is the newest mark that REPORTS holds. A marker that began with an older one would put a mark again where a
// replay has none.
func (e *Engine) lastMark(ctx context.Context) (ms int64, err error) {
	stream, err := e.config.JetStream.Stream(ctx, broker.StreamReports)
	if err != nil {
		return 0, err
	}
	m, err := stream.GetLastMsgForSubject(ctx, broker.SubjectMark)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return markOf(m.Header), nil
}

// Covered tells a merger up to where the checkpoints of all parts reach: it trims REPORTS behind that.
func (e *Engine) Covered(sequence uint64) { e.covered(sequence) }

// covered tells the trimmer of a checkpoint that is on disk.
func (e *Engine) covered(sequence uint64) {
	for {
		select {
		case e.durable <- sequence:
			return
		default:
		}
		select {
		case <-e.durable:
		default:
		}
	}
}

// trim takes messages from REPORTS that a checkpoint on disk covers, once they are older than Config.ReportsKeep. It ends
// with ctx. A fault of the broker leaves them until the next checkpoint.
func (e *Engine) trim(ctx context.Context) {
	pause := min(max(e.config.ReportsKeep, 0)/8, trimPause)
	for {
		select {
		case <-ctx.Done():
			return
		case position := <-e.durable:
			if err := e.trimTo(ctx, position); err != nil && ctx.Err() == nil {
				e.metrics.retries.WithLabelValues("trim").Inc()
				e.config.Log.Warn("engine: trim", "error", err)
			}
		}
		if e.config.Pace.WaitUntil(ctx, e.config.Pace.Now().Add(pause)) != nil {
			return
		}
	}
}

// trimTo trims behind a position. The message at the position itself stays, so that the stream never forgets where it is.
func (e *Engine) trimTo(ctx context.Context, position uint64) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	stream, err := e.config.JetStream.Stream(ctx, broker.StreamReports)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	first := info.State.FirstSeq
	pressed := info.Config.MaxBytes > 0 && info.State.Bytes > uint64(info.Config.MaxBytes/2)
	if position <= first || e.config.ReportsKeep < 0 && !pressed {
		return nil
	}
	to := position
	if !pressed {
		if to, err = e.firstAfter(ctx, stream, first, position); err != nil {
			return err
		}
	}
	if to <= first {
		return nil
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(to)); err != nil {
		return err
	}
	e.metrics.trimmed.Set(float64(to - 1))
	return nil
}

// firstAfter is the first position in [first, last] whose message is younger than Config.ReportsKeep, or last.
func (e *Engine) firstAfter(ctx context.Context, stream jetstream.Stream, first, last uint64) (uint64, error) {
	before := e.config.Pace.Now().Add(-e.config.ReportsKeep)
	var fault error
	n := sort.Search(int(last-first), func(i int) bool {
		m, err := stream.GetMsg(ctx, first+uint64(i), jetstream.WithGetMsgSubject(broker.PrefixReport+"*"))
		if err != nil {
			fault = err
			return true
		}
		return m.Time.After(before)
	})
	return first + uint64(n), fault
}
