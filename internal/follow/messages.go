package follow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// heartbeat is how often an idle consumer must show that it lives; one that is silent for two of them is given up. The library's default
	// is fifteen seconds, and its ordered consumer asks for ten before it asks again: too long for who is to be back within ten.
	heartbeat = 1500 * time.Millisecond
	// askPatience is for the answer to a request for a consumer.
	askPatience = 3 * time.Second
	// idleMost is when the server forgets a consumer that nobody reads from.
	idleMost = time.Minute
)

// errGap says that a consumer left out a message.
var errGap = errors.New("a message was left out on its way")

// Reader reads the messages of a stream in order. It is for use by one goroutine.
type Reader struct {
	Stream   jetstream.Stream
	Subjects []string                  // nil for all
	Position uint64                    // behind which it reads; it moves along
	Pull     jetstream.PullMessagesOpt // how much is asked for at once; nil for the library's default
}

// Read gives messages to take until ctx ends or take says that it is enough, which is no error, or until something fails: then the next call goes
// on where this one ended. Take gives the position of its message.
func (r *Reader) Read(ctx context.Context, take func(jetstream.Msg) (position uint64, ok bool, err error)) (err error) {
	consumer, err := r.consumer(ctx)
	if err != nil {
		return err
	}
	options := []jetstream.PullMessagesOpt{jetstream.PullHeartbeat(heartbeat)}
	if r.Pull != nil {
		options = append(options, r.Pull)
	}
	messages, err := consumer.Messages(options...)
	if err != nil {
		return err
	}
	defer func() {
		messages.Stop()
		if err == nil { // otherwise nobody may be there to ask, and it is forgotten by itself
			leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), askPatience)
			defer cancel()
			_ = r.Stream.DeleteConsumer(leaving, consumer.CachedInfo().Name)
		}
	}()
	defer context.AfterFunc(ctx, messages.Stop)()
	for next := uint64(1); ; next++ {
		msg, err := messages.Next()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != next {
			return fmt.Errorf("message %d: %w", meta.Sequence.Stream, errGap)
		}
		position, ok, err := take(msg)
		if err != nil || !ok {
			return err
		}
		r.Position = position
	}
}

// consumer makes a consumer that holds nothing on disk and asks for no answers.
func (r *Reader) consumer(ctx context.Context) (jetstream.Consumer, error) {
	asking, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	return r.Stream.CreateConsumer(asking, jetstream.ConsumerConfig{
		FilterSubjects: r.Subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.Position + 1,
		AckPolicy: jetstream.AckNonePolicy, MaxDeliver: 1, MemoryStorage: true, Replicas: 1, InactiveThreshold: idleMost,
	})
}
