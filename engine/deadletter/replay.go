package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine/intake"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Why a letter can't be replayed, beside the causes of the intake.
var (
	errUnreadable = errors.New("the letter can't be read")
	errHello      = errors.New("a hello is no report; its device says hello again by itself")
	errCut        = errors.New("only the beginning of the message was kept")
	errNoWay      = errors.New("it came on a subject that takes no reports")
	errForm       = errors.New("it is not of a form that this version reads")
	errPartition  = errors.New("its devices are not of the partition that it came on")
)

const (
	outcomeReplayed = "replayed"
	outcomeKept     = "kept"
	storedVersion   = 1
)

// delivery brings a message on its way; it returns once the message is on disk.
type delivery func(ctx context.Context, sequence uint64) error

// way checks a letter as the intake does and tells how its message is let in again, or why it can't be.
func (l *Letters) way(dead *quadratv1.DeadLetter) (delivery, error) {
	if cut(dead) {
		return nil, errCut
	}
	subject, message := dead.GetSubject(), dead.GetMessage()
	switch {
	case strings.HasPrefix(subject, broker.PrefixIn):
		device := strings.TrimPrefix(subject, broker.PrefixIn)
		if cause := intake.Check(device, message, l.config.Devices); cause != "" {
			return nil, fmt.Errorf("the intake refuses it again: %s", cause)
		}
		return func(ctx context.Context, _ uint64) error { return l.request(ctx, subject, message) }, nil
	case strings.HasPrefix(subject, broker.PrefixHello):
		return nil, errHello
	case strings.HasPrefix(subject, broker.PrefixReport):
		if err := checkStored(strings.TrimPrefix(subject, broker.PrefixReport), message); err != nil {
			return nil, err
		}
		return func(ctx context.Context, sequence uint64) error { return l.publish(ctx, subject, message, sequence) }, nil
	}
	return nil, errNoWay
}

// checkStored holds reports that the engine refused against what the intake would have stored.
func checkStored(partition string, message []byte) error {
	number, err := strconv.ParseUint(partition, 10, 32)
	if err != nil || number >= broker.Partitions {
		return errNoWay
	}
	b := &quadratv1.StoredBatch{}
	if proto.Unmarshal(message, b) != nil || b.GetVersion() != storedVersion || len(b.GetGroups())+len(b.GetReleases()) == 0 {
		return errForm
	}
	for _, g := range b.GetGroups() {
		n := len(g.GetDevice())
		if wire.CheckDevice(g.GetKappa()) != nil || g.GetRevision() == 0 || g.GetWindow() < 0 || n != len(g.GetStatistic()) || n != len(g.GetValue()) {
			return errForm
		}
		for _, key := range g.GetDevice() {
			if uint64(fleet.Partition(fleet.Key(key))) != number {
				return errPartition
			}
		}
	}
	for _, r := range b.GetReleases() {
		if wire.CheckDevice(r.GetKappa()) != nil || r.GetRevision() == 0 || r.GetWindow() < 0 {
			return errForm
		}
		if uint64(fleet.Partition(fleet.Key(r.GetGateway()))) != number {
			return errPartition
		}
	}
	return nil
}

// request asks the intake, as the device did.
func (l *Letters) request(ctx context.Context, subject string, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	m, err := l.config.Conn.RequestWithContext(ctx, subject, message)
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	reply, err := wire.DecodeIntakeReply(m.Data)
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	if reply.Status != wire.Stored {
		return fmt.Errorf("intake: %s", reply.Reason)
	}
	return nil
}

// publish puts reports into their partition. The message's identity is the letter's, so that the stream drops a second
// try that comes soon; the engine drops later ones.
func (l *Letters) publish(ctx context.Context, subject string, message []byte, sequence uint64) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	msg := &nats.Msg{Subject: subject, Data: storedAt(message, l.config.Clock.Now()), Header: nats.Header{}}
	id := "dead/" + strconv.FormatUint(sequence, 10)
	_, err := l.config.JetStream.PublishMsg(ctx, msg, jetstream.WithExpectStream(broker.StreamReports), jetstream.WithMsgID(id))
	if err != nil {
		return fmt.Errorf("%s: %w", broker.StreamReports, err)
	}
	return nil
}

// storedAt puts the moment of the replay in front of a batch: what was too far in the future may be so no more.
func storedAt(message []byte, now time.Time) []byte {
	b := protowire.AppendTag(nil, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, storedVersion)
	b = protowire.AppendTag(b, 4, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(now.UnixMilli()))
	return append(b, message...)
}

// Replay lets letters in again: those of the sequences, or, without any, all that are there now of a cause, or of all
// causes. A letter that can't be let in stays, and the others are tried.
func (l *Letters) Replay(ctx context.Context, sequences []uint64, cause string) (*quadratv1.ReplayDeadResponse, error) {
	wanted, err := subject(cause)
	if err != nil {
		return nil, err
	}
	stream, err := l.stream(ctx)
	if err != nil {
		return nil, err
	}
	out := &quadratv1.ReplayDeadResponse{}
	for _, sequence := range sequences {
		m, err := letter(ctx, stream, sequence)
		if errors.Is(err, ErrNone) {
			l.keep(out, sequence, err)
			continue
		}
		if err == nil {
			err = l.replay(ctx, stream, m, out)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(sequences) > 0 {
		return out, nil
	}
	last := stream.CachedInfo().State.LastSeq // letters that are refused again come behind it
	for m, err := range each(ctx, stream, wanted, 1) {
		if err == nil && m.Sequence > last {
			break
		}
		if err == nil {
			err = l.replay(ctx, stream, m, out)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// replay lets one letter in and deletes it then.
func (l *Letters) replay(ctx context.Context, stream jetstream.Stream, m *jetstream.RawStreamMsg, out *quadratv1.ReplayDeadResponse) error {
	dead, err := read(m)
	var deliver delivery
	if err == nil {
		deliver, err = l.way(dead)
	}
	if err == nil {
		err = deliver(ctx, m.Sequence)
	}
	if ctx.Err() != nil {
		return ctx.Err() //nolint:wrapcheck // the caller's own
	}
	if err != nil {
		l.keep(out, m.Sequence, err)
		return nil
	}
	if err := stream.DeleteMsg(ctx, m.Sequence); err != nil && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return fmt.Errorf("dead letters: %w", err)
	}
	out.Replayed++
	l.replayed.WithLabelValues(outcomeReplayed).Inc()
	return nil
}

// keep tells why a letter stays.
func (l *Letters) keep(out *quadratv1.ReplayDeadResponse, sequence uint64, why error) {
	out.KeptTotal++
	l.replayed.WithLabelValues(outcomeKept).Inc()
	if len(out.GetKept()) < pageLettersMost {
		out.Kept = append(out.Kept, &quadratv1.DeadKept{Sequence: sequence, Reason: why.Error()})
	}
}
