package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrat-dev/quadrat/engine/intake"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	pageLetters     = 100  // of a list, unless another limit is asked for
	pageLettersMost = 1000 // of a list, and of the letters that a replay tells it kept
	askPatience     = 10 * time.Second
)

// ErrNone says that there is no dead letter of a sequence.
var ErrNone = errors.New("there is no dead letter of this sequence; it was replayed, purged or dropped for its age")

// Config is what Letters stand on. Conn, JetStream and Devices are required.
type Config struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	// Devices tells which gateway speaks for a device.
	Devices intake.Devices
	// Clock is the server's. Default: the machine's.
	Clock clock.Clock
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Letters are the dead letters of a cluster. Safe for use by many goroutines.
type Letters struct {
	config   Config
	replayed *prometheus.CounterVec // by outcome
}

// New makes Letters. It fails when the metrics are registered already.
func New(config Config) (*Letters, error) {
	if config.Clock == nil {
		config.Clock = clock.Real{}
	}
	l := &Letters{config: config, replayed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "quadrat", Subsystem: "dead_letters", Name: "replayed_total", Help: "Dead letters replayed, by outcome.",
	}, []string{"outcome"})}
	for _, outcome := range []string{outcomeReplayed, outcomeKept} {
		l.replayed.WithLabelValues(outcome)
	}
	if config.Registerer == nil {
		return l, nil
	}
	if err := config.Registerer.Register(l.replayed); err != nil {
		return nil, fmt.Errorf("dead letters: metrics: %w", err)
	}
	return l, nil
}

// subject is that of the letters of a cause, or of all when it is empty. It fails when the cause is no word.
func subject(cause string) (string, error) {
	if cause == "" {
		return broker.DeadSubject("*"), nil
	}
	for _, c := range cause {
		if (c < 'a' || c > 'z') && c != '-' {
			return "", &CauseError{Cause: cause}
		}
	}
	return broker.DeadSubject(cause), nil
}

// CauseError says that a cause is not a word as causes are.
type CauseError struct{ Cause string }

// Error names the cause.
func (e *CauseError) Error() string {
	return fmt.Sprintf("cause %q: a word of lower-case letters and hyphens is expected, like not-due", e.Cause)
}

func (l *Letters) stream(ctx context.Context) (jetstream.Stream, error) {
	stream, err := l.config.JetStream.Stream(ctx, broker.StreamDeadLetter)
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	return stream, nil
}

// List gives a page of letters, oldest first.
func (l *Letters) List(ctx context.Context, r *quadratv1.ListDeadRequest) (*quadratv1.ListDeadResponse, error) {
	wanted, err := subject(r.GetCause())
	if err != nil {
		return nil, err
	}
	stream, err := l.stream(ctx)
	if err != nil {
		return nil, err
	}
	out := &quadratv1.ListDeadResponse{}
	if err := census(ctx, stream, out); err != nil {
		return nil, err
	}
	limit := int(min(cmp.Or(r.GetLimit(), pageLetters), pageLettersMost))
	for m, err := range each(ctx, stream, wanted, r.GetAfter()+1) {
		if err != nil {
			return nil, err
		}
		if len(out.GetLetters()) == limit {
			out.Next = out.GetLetters()[limit-1].GetSequence()
			break
		}
		out.Letters = append(out.Letters, l.view(m))
	}
	return out, nil
}

// census counts all letters by cause.
func census(ctx context.Context, stream jetstream.Stream, out *quadratv1.ListDeadResponse) error {
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(broker.PrefixDead+">"))
	if err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	out.Total, out.Bytes = info.State.Msgs, info.State.Bytes
	for name, n := range info.State.Subjects {
		out.Causes = append(out.Causes, &quadratv1.DeadCount{Cause: strings.TrimPrefix(name, broker.PrefixDead), Letters: n})
	}
	slices.SortFunc(out.GetCauses(), func(a, b *quadratv1.DeadCount) int { return cmp.Compare(a.GetCause(), b.GetCause()) })
	return nil
}

// each walks the letters of a subject from a sequence on, in order.
func each(ctx context.Context, stream jetstream.Stream, subject string, from uint64) func(func(*jetstream.RawStreamMsg, error) bool) {
	return func(yield func(*jetstream.RawStreamMsg, error) bool) {
		for from = max(from, 1); ; {
			m, err := stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("dead letters: %w", err))
				return
			}
			if !yield(m, nil) {
				return
			}
			from = m.Sequence + 1
		}
	}
}

// Get gives one letter, or ErrNone.
func (l *Letters) Get(ctx context.Context, sequence uint64) (*quadratv1.DeadLetterView, error) {
	stream, err := l.stream(ctx)
	if err != nil {
		return nil, err
	}
	m, err := letter(ctx, stream, sequence)
	if err != nil {
		return nil, err
	}
	return l.view(m), nil
}

func letter(ctx context.Context, stream jetstream.Stream, sequence uint64) (*jetstream.RawStreamMsg, error) {
	if sequence == 0 {
		return nil, ErrNone
	}
	m, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	return m, nil
}

// Purge forgets the letters of a cause, or of all when it is empty, up to a sequence, or all when that is 0. It tells how
// many there were; letters that come meanwhile make that number smaller.
func (l *Letters) Purge(ctx context.Context, r *quadratv1.PurgeDeadRequest) (uint64, error) {
	wanted, err := subject(r.GetCause())
	if err != nil {
		return 0, err
	}
	stream, err := l.stream(ctx)
	if err != nil {
		return 0, err
	}
	options := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject(wanted)}
	if r.GetUntil() > 0 {
		options = append(options, jetstream.WithPurgeSequence(r.GetUntil()+1))
	}
	before := stream.CachedInfo().State.Msgs
	if err := stream.Purge(ctx, options...); err != nil {
		return 0, fmt.Errorf("dead letters: %w", err)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("dead letters: %w", err)
	}
	return before - min(before, info.State.Msgs), nil
}
