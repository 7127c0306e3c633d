package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/follow"
)

const (
	// markHeader carries a mark: the server's time in milliseconds from the UTC epoch.
	markHeader   = "Quadrat-Mark"
	askPatience  = 5 * time.Second
	lastPatience = 15 * time.Second
	retryFirst   = 50 * time.Millisecond
	retryMost    = 5 * time.Second
	pullMessages = 512

	// In a cluster: a server that dies takes questions with it, and its streams are silent for some seconds. Whoever asked one of them is to ask
	// again before they speak, and soon after.
	askPart   = 3 * time.Second
	retryPart = 250 * time.Millisecond
)

// message is one message of REPORTS.
type message struct {
	sequence  uint64
	partition uint32 // beyond the last one for a mark
	markMs    int64  // above 0 for a mark
	subject   string
	data      []byte
	round     *round // what all shares have handed on, for a merger, in place of data
}

// read puts the messages behind a position into the queue, in order, until ctx ends. A consumer that fails is made
// again.
func (e *Engine) read(ctx context.Context, from uint64, queue chan<- message) error {
	if e.merges() {
		return e.readChains(ctx, queue)
	}
	stream, err := e.config.JetStream.Stream(ctx, broker.StreamReports)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // a shutdown is no fault
	}
	if err != nil {
		return fmt.Errorf("engine: %s: %w", broker.StreamReports, err)
	}
	e.keepFollowing(ctx, stream, e.subjects(), from, func(msg follow.Message) (bool, error) {
		m := newMessage(msg)
		e.received.Store(m.sequence)
		if !e.reserve(ctx, &m) {
			return false, nil
		}
		select {
		case queue <- m:
			return true, nil
		case <-ctx.Done():
			return false, nil
		}
	})
	return nil
}

// taker takes a message of a stream; ok is false once ctx has ended.
type taker = func(msg follow.Message) (ok bool, err error)

// keepFollowing gives the messages of some subjects, or with nil of all, behind a position to take, in order, until ctx ends. A consumer that
// fails is made again.
func (e *Engine) keepFollowing(ctx context.Context, stream jetstream.Stream, subjects []string, from uint64, take taker) {
	reader := follow.Reader{Stream: stream, Subjects: subjects, Position: from, Pull: e.pull()}
	for ctx.Err() == nil {
		if err := reader.Read(ctx, take); err != nil && ctx.Err() == nil {
			e.metrics.retries.WithLabelValues("consumer").Inc()
			e.config.Log.Warn("engine: consumer", "error", err)
			_ = e.config.Pace.WaitUntil(ctx, e.config.Pace.Now().Add(retryFirst))
		}
	}
}

func newMessage(msg follow.Message) message {
	m := message{sequence: msg.Position, partition: broker.Partitions, subject: msg.Subject(), data: msg.Data()}
	token := strings.TrimPrefix(m.subject, broker.PrefixReport)
	if m.subject == broker.SubjectMark {
		m.markMs = markOf(msg.Headers())
	} else if n, err := strconv.ParseUint(token, 10, 32); err == nil {
		m.partition = uint32(n)
	}
	return m
}

// markOf reads a mark; 0 for what is none.
func markOf(header nats.Header) int64 {
	ms, _ := strconv.ParseInt(header.Get(markHeader), 10, 64)
	return max(ms, 0)
}

// mark puts marks into REPORTS, one whenever the clock passes the end of a window and its grace, or when late reports
// have waited long enough. It ends with ctx.
func (e *Engine) mark(ctx context.Context) {
	var marked int64
	err := e.persist(ctx, "newest mark", func() (err error) { marked, err = e.lastMark(ctx); return err })
	if err != nil {
		return
	}
	e.mu.Lock()
	marked = max(marked, e.markMs)
	e.mu.Unlock()
	for ctx.Err() == nil {
		due, ok := e.nextMark(marked)
		if !e.waitUntil(ctx, due, ok) {
			continue
		}
		now := e.config.Clock.Now().UnixMilli()
		if e.persist(ctx, "mark", func() error { return e.publishMark(ctx, now) }) == nil {
			marked = now
		}
	}
}

// nextMark tells when the next mark is due, given the newest one; ok is false when nothing waits for one.
func (e *Engine) nextMark(marked int64) (due time.Time, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	least := int64(-1)
	for _, k := range e.kappas {
		if e.shares() {
			break // the merger sees to the windows
		}
		if at := k.dueAt(marked); least < 0 || at < least {
			least = at
		}
	}
	if len(e.late) > 0 {
		at := e.lateAt.Add(e.config.ReviseAfter).UnixMilli()
		if at > marked && (least < 0 || at < least) {
			least = at
		}
	}
	e.markedMs, e.awaited = marked, least
	return time.UnixMilli(least).UTC(), least >= 0
}

// waitUntil waits for a moment, or for the kick or the end of ctx; it tells whether the moment came.
func (e *Engine) waitUntil(ctx context.Context, due time.Time, ok bool) bool {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	came := make(chan bool, 1)
	go func() { came <- ok && e.config.Clock.WaitUntil(waiting, due) == nil || !ok && ended(waiting) }()
	select {
	case <-e.kick:
		cancel()
		<-came
		return false
	case yes := <-came:
		return yes
	}
}

// ended waits for the end of ctx and returns false.
func ended(ctx context.Context) bool {
	<-ctx.Done()
	return false
}

func (e *Engine) publishMark(ctx context.Context, ms int64) error {
	ctx, cancel := context.WithTimeout(ctx, e.patience())
	defer cancel()
	msg := nats.NewMsg(broker.SubjectMark)
	msg.Header.Set(markHeader, strconv.FormatInt(ms, 10))
	msg.Header.Set(jetstream.MsgIDHeader, "mark/"+strconv.FormatInt(ms, 10)) // a second try must not stand behind later reports
	_, err := e.config.JetStream.PublishMsg(ctx, msg)
	return err
}

// patience is how long the engine waits for an answer of a stream before it asks again.
func (e *Engine) patience() time.Duration {
	if e.config.Part != nil {
		return askPart
	}
	return askPatience
}

// tick asks for a checkpoint from time to time.
func (e *Engine) tick(ctx context.Context, ticks chan<- struct{}) {
	for e.config.Pace.WaitUntil(ctx, e.config.Pace.Now().Add(e.config.CheckpointEvery)) == nil {
		select {
		case ticks <- struct{}{}:
		default:
		}
	}
}

// tickAgain asks for one more checkpoint at each moment that it is told.
func (e *Engine) tickAgain(ctx context.Context, moments <-chan time.Time, ticks chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-moments:
			if e.config.Pace.WaitUntil(ctx, at) != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case ticks <- struct{}{}:
		}
	}
}

// inProcess tells whether a message was refused because the stream is storing one of the same identity right now, the engine's own or that of
// another part: there is nothing wrong, and the next try finds it stored.
func inProcess(err error) bool {
	const duplicateInProcess jetstream.ErrorCode = 10158
	var answer *jetstream.APIError
	return errors.As(err, &answer) && answer.ErrorCode == duplicateInProcess
}

// persist calls do until it succeeds or ctx ends. Until then the engine counts nothing more and its status tells why.
func (e *Engine) persist(ctx context.Context, what string, do func() error) error {
	defer e.recovers(what)
	most := retryMost
	if e.config.Part != nil {
		most = retryPart
	}
	for wait := retryFirst; ; wait = min(2*wait, most) {
		err := do()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, ErrFenced) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if inProcess(err) {
			wait = retryFirst
			e.config.Log.Debug("engine: the message is being stored", "what", what)
		} else {
			e.suffers(what, fmt.Errorf("%s: %w", what, err))
		}
		if err := e.config.Pace.WaitUntil(ctx, e.config.Pace.Now().Add(wait)); err != nil {
			return err
		}
	}
}

// errPutOff says that something could not be done now and is to be tried again later.
var errPutOff = errors.New("put off")

// attempt calls do once. When it fails the engine's status tells why until a later call of the same succeeds; the error is ErrFenced, ctx's, or
// errPutOff.
func (e *Engine) attempt(ctx context.Context, what string, do func() error) error {
	err := do()
	switch {
	case err == nil:
		e.recovers(what)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrFenced):
		return fmt.Errorf("%s: %w", what, err)
	}
	e.suffers(what, fmt.Errorf("%s: %w", what, err))
	return errPutOff
}
