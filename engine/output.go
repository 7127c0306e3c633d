package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// errNoAnswer says that a stream was silent.
var errNoAnswer = errors.New("no answer from the stream")

const (
	// publishMost is how many messages are under way to their stream at once.
	publishMost = 512
	// letterRoom is what a dead letter takes beside the message that it holds, in bytes.
	letterRoom = 1 << 10
)

// output is what counting has made and no one has taken yet.
type output struct {
	batches []*column.Batch
	results []*quadratv1.Result
	strata  []closedStrata
	dead    []*nats.Msg
	handed  []handed
	sunk    int  // results that the sink has taken
	opened  bool // a frame was taken whose rows may not be on disk
	reports int  // counted since the newest checkpoint
}

// closedStrata is the strata of one closed window.
type closedStrata struct {
	kappa, ref string
	strata     []column.Stratum
}

// strataOf tells what the strata of a window held.
func (w *window) strataOf() closedStrata {
	out := closedStrata{kappa: w.plan.name, ref: w.plan.ref}
	start, end := w.plan.span(w.index)
	for s := range w.plan.statistics {
		for i, h := range w.samples(s, allCells) {
			if h.Population > 0 {
				out.strata = append(out.strata, column.Stratum{
					WindowStartMs: start, WindowEndMs: end, Statistic: w.plan.statistics[s].name, Stratum: h.Stratum,
					Population: h.Population, Panel: h.Panel, Clusters: w.layout.stratumClusters[i],
					PlanRevision: int64(w.plan.revision), WindowPanes: w.plan.panes, TurnPanes: w.plan.turnOf(s),
				})
			}
		}
	}
	return out
}

// bury lets the dead letter of a message, or of the reports of it that have one cause, wait to be stored.
func (e *Engine) bury(c cause, m *message, content []byte, out *output) {
	letter := deadLetter(c, m, content, int(e.config.JetStream.Conn().MaxPayload())-letterRoom)
	e.config.Memory.Rows.Add(int64(len(letter.Data)))
	out.dead = append(out.dead, letter)
}

// deadLetter makes a dead letter. Of content that is longer than so many bytes it has the beginning, and says how long that was. Its
// identity is that of what it holds, so that a replay of REPORTS soon after is dropped.
func deadLetter(c cause, m *message, content []byte, most int) *nats.Msg {
	body, err := proto.Marshal(&quadratv1.DeadLetter{
		Cause: c.String(), Subject: m.subject, Sequence: m.sequence, Message: content[:min(len(content), max(most, 0))], MessageBytes: uint64(len(content)),
	})
	if err != nil {
		body = nil // only a string that isn't UTF-8 fails; the subject never is
	}
	msg := nats.NewMsg(broker.DeadSubject(c.String()))
	msg.Data = body
	sum := sha256.Sum256(content)
	msg.Header.Set(jetstream.MsgIDHeader, strconv.FormatUint(m.sequence, 10)+"/"+hex.EncodeToString(sum[:8]))
	return msg
}

// saveAgain is when a part tries again to make a checkpoint that it could not make.
const saveAgain = time.Second

// job is what Run's goroutine works on.
type job struct {
	queue  <-chan message
	ticks  <-chan struct{}  // it may be time for a checkpoint
	again  chan<- time.Time // asks for a tick at a moment
	failed <-chan error     // why the reader ended

	unsaved bool            // something was counted since the newest checkpoint
	askers  []chan struct{} // are closed once there is one
	rests   time.Time       // before which none is tried, since one has failed
}

// work counts messages and hands on what comes of them until ctx ends or the reader fails.
func (e *Engine) work(ctx context.Context, j job) error {
	for {
		wanted := false
		select {
		case <-ctx.Done():
			return nil
		case err := <-j.failed:
			if err != nil {
				return err
			}
			j.failed = nil
			continue
		case m := <-j.queue:
			e.takeAll(m, j.queue)
			j.unsaved = true
			if e.stale {
				return nil // ctx has ended
			}
		case <-j.ticks:
			wanted = j.unsaved
		case asker := <-e.asked:
			j.askers = append(j.askers, asker)
		}
		err := e.emit(ctx)
		if err == nil && (wanted || len(j.askers) > 0 || e.out.reports >= e.config.CheckpointReports) {
			err = e.checkpoint(ctx, &j)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // a shutdown is no fault
		}
	}
}

// checkpoint makes a checkpoint. A part that can't goes on counting and tries again later, for as long as there is room: its checkpoints lie in
// streams of their own, and results need not wait until those have a leader.
func (e *Engine) checkpoint(ctx context.Context, j *job) error {
	must := e.config.Part == nil || e.out.reports >= 2*e.config.CheckpointReports || e.config.Memory.Rows.Full()
	if !must && e.config.Pace.Now().Before(j.rests) {
		return nil
	}
	err := e.save(ctx, must)
	if errors.Is(err, errPutOff) {
		j.unsaved, j.rests = true, e.config.Pace.Now().Add(saveAgain)
		select {
		case j.again <- j.rests:
		default: // there will be a tick already
		}
		return nil
	}
	if j.unsaved = err != nil; err == nil {
		for _, asker := range j.askers {
			close(asker)
		}
		j.askers = nil
	}
	return err
}

// takeAll counts a message and those that already wait behind it, up to the bound of the queue.
func (e *Engine) takeAll(m message, queue <-chan message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.take(&m, &e.out)
	e.release(&m)
	for range e.config.QueueMessages {
		if e.config.Memory.Rows.Full() {
			e.config.Memory.Rows.Refuse()
			e.gather()
			return
		}
		select {
		case next := <-queue:
			e.take(&next, &e.out)
			e.release(&next)
		default:
			return
		}
	}
}

// emit hands on what was made: rows and results to the sink, results and dead letters to their streams. It tries until
// ctx ends; what was not handed on then stays in the output, and without it no checkpoint is written.
func (e *Engine) emit(ctx context.Context) error {
	out := &e.out
	if out.opened && e.config.Settle != nil {
		if err := e.persist(ctx, "frame", func() error { return e.config.Settle(ctx) }); err != nil {
			return err
		}
	}
	out.opened = false
	for len(out.batches) > 0 {
		if err := e.persist(ctx, "reports", func() error { return e.config.Sink.Batch(out.batches[0]) }); err != nil {
			return err
		}
		e.config.Memory.Rows.Give(out.batches[0].Bytes())
		out.batches = out.batches[1:]
	}
	out.batches = nil
	for len(out.strata) > 0 {
		next := &out.strata[0]
		if err := e.persist(ctx, "strata", func() error {
			return e.config.Sink.Strata(next.kappa, next.ref, next.strata)
		}); err != nil {
			return err
		}
		e.config.Memory.Rows.Give(int64(len(next.strata)) * stratumBytes)
		out.strata = out.strata[1:]
	}
	out.strata = nil
	if len(out.dead) > 0 {
		if err := e.persist(ctx, "dead letters", func() error { return e.publish(ctx, out.dead) }); err != nil {
			return err
		}
		for _, letter := range out.dead {
			e.config.Memory.Rows.Give(int64(len(letter.Data)))
		}
		clear(out.dead)
		out.dead = out.dead[:0]
	}
	if err := e.emitHandovers(ctx); err != nil {
		return err
	}
	if len(out.results) > 0 {
		return e.emitResults(ctx)
	}
	return nil
}

func (e *Engine) emitResults(ctx context.Context) error {
	out := &e.out
	if fresh := out.results[out.sunk:]; len(fresh) > 0 {
		if err := e.persist(ctx, "results", func() error { return e.config.Sink.Results(fresh) }); err != nil {
			return err
		}
		out.sunk = len(out.results)
	}
	messages, err := resultMessages(out.results)
	if err != nil {
		return err
	}
	if err := e.persist(ctx, "results stream", func() error { return e.publish(ctx, messages) }); err != nil {
		return err
	}
	e.metrics.results.Add(float64(len(out.results)))
	e.config.Memory.Rows.Give(int64(len(out.results)) * resultBytes)
	out.results, out.sunk = nil, 0
	return nil
}

// resultMessages encodes results. The identity of a message is that of the result, so that a replay is dropped.
func resultMessages(results []*quadratv1.Result) ([]*nats.Msg, error) {
	out := make([]*nats.Msg, len(results))
	for i, r := range results {
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("result: %w", err)
		}
		out[i] = nats.NewMsg(broker.ResultSubject(r.GetRef()))
		out[i].Data = body
		out[i].Header.Set(jetstream.MsgIDHeader, resultID(r))
	}
	return out, nil
}

// resultID names a result within the window in which the stream drops duplicates.
func resultID(r *quadratv1.Result) string {
	id := r.GetRef() + "/" + strconv.FormatInt(r.GetWindowStart().AsTime().UnixMilli(), 36) + "/" +
		strconv.FormatUint(uint64(r.GetRevision()), 10)
	sum := sha256.Sum256([]byte(r.GetStatistic() + "\x00" + column.Cell(r.GetCell()) + binText(r)))
	return id + "/" + hex.EncodeToString(sum[:8])
}

// binText tells the results of the categories of one statistic apart; it is empty for others.
func binText(r *quadratv1.Result) string {
	if r.GetBin() == nil {
		return ""
	}
	return "\x00" + strconv.FormatUint(uint64(r.GetBin().GetIndex()), 10)
}

// publish publishes messages and waits until all are stored.
func (e *Engine) publish(ctx context.Context, messages []*nats.Msg) error {
	for part := range slices.Chunk(messages, publishMost) {
		if err := e.publishSome(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// publishSome waits for as long as answers come: one that was lost with its server does not come.
func (e *Engine) publishSome(ctx context.Context, messages []*nats.Msg) error {
	futures := make([]jetstream.PubAckFuture, 0, len(messages))
	for _, m := range messages {
		f, err := e.config.JetStream.PublishMsgAsync(m)
		if err != nil {
			return err
		}
		futures = append(futures, f)
	}
	timer := time.NewTimer(e.patience())
	defer timer.Stop()
	for _, f := range futures {
		timer.Reset(e.patience())
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-timer.C:
			return errNoAnswer
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
