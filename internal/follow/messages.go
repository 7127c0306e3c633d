package follow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// heartbeat is how often an idle consumer must show that it lives; one that is silent for two of them is given up. The library's default
	// is fifteen seconds, and its ordered consumer asks for ten before it asks again: too long for who is to be back within ten.
	heartbeat = 1500 * time.Millisecond
	// consumerAgain is when one more consumer is asked for because those before haven't answered.
	consumerAgain = 400 * time.Millisecond
	// pullPatience is when a consumer that has sent nothing is asked whether it waits for anybody.
	pullPatience = 300 * time.Millisecond
	// idleMost is when the server forgets a consumer that nobody reads from.
	idleMost = time.Minute
)

// errGap says that a consumer left out a message, errPlace that it doesn't tell where a message stands, and errDeaf that it doesn't know that
// messages are waited for.
var (
	errGap   = errors.New("a message was left out on its way")
	errPlace = errors.New("a message doesn't tell its place in the stream")
	errDeaf  = errors.New("the consumer was never asked for messages")
)

// place is where a message stands in its stream and in what its consumer has sent, both from 1.
type place struct{ position, delivered, pending uint64 }

// placeOf reads the place of a message off the subject that asks for its acknowledgement: nine tokens that end with the times of delivery, the
// stream's sequence, the consumer's, a time and how many are pending, or two more in front and perhaps one behind (NATS ADR-15). It allocates
// nothing, unlike the library's own call: an engine does it for every message.
func placeOf(reply string) (p place, ok bool) {
	first := 5 // of the tokens that count
	switch strings.Count(reply, ".") {
	case 8: //nolint:mnd // between nine tokens
	case 10, 11: //nolint:mnd // between eleven or twelve
		first += 2
	default:
		return p, false
	}
	if !strings.HasPrefix(reply, "$JS.ACK.") {
		return p, false
	}
	for at := 0; reply != ""; at++ {
		var token string
		token, reply, _ = strings.Cut(reply, ".")
		var into *uint64
		switch at - first {
		case 0:
			into = &p.position
		case 1:
			into = &p.delivered
		case 3:
			into = &p.pending
		default:
			continue
		}
		if *into, ok = number(token); !ok {
			return p, false
		}
	}
	return p, ok && p.position > 0 && p.delivered > 0
}

// number reads a decimal number without a sign.
func number(s string) (n uint64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > (1<<64-1-9)/10 {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, s != ""
}

// Reader reads the messages of a stream in order. It is for use by one goroutine.
type Reader struct {
	Stream   jetstream.Stream
	Subjects []string                  // nil for all
	Position uint64                    // behind which it reads; it moves along
	Pull     jetstream.PullMessagesOpt // how much is asked for at once; nil for the library's default
}

// Message is a message and where it stands.
type Message struct {
	jetstream.Msg
	Position uint64 // in the stream, from 1
	Pending  uint64 // how many of the reader's messages stood behind it when it was sent
}

// Read gives messages to take until ctx ends or take says that it is enough, which is no error, or until something fails: then the next call goes
// on where this one ended. A message that take fails on is given again.
func (r *Reader) Read(ctx context.Context, take func(Message) (ok bool, err error)) (err error) {
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
	var came, deaf atomic.Bool
	guarding, end := context.WithCancel(ctx)
	var guard sync.WaitGroup
	guard.Go(func() {
		if r.deaf(guarding, consumer, &came) {
			deaf.Store(true)
			messages.Stop()
		}
	})
	defer guard.Wait()
	defer end()
	for next := uint64(1); ; next++ {
		msg, err := messages.Next()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && deaf.Load():
			return errDeaf
		case err != nil:
			return err
		}
		came.Store(true)
		place, ok := placeOf(msg.Reply())
		if !ok {
			return errPlace
		}
		if place.delivered != next {
			return fmt.Errorf("message %d: %w", place.position, errGap)
		}
		ok, err = take(Message{Msg: msg, Position: place.position, Pending: place.pending})
		if err != nil || !ok {
			return err
		}
		r.Position = place.position
	}
}

// deaf tells whether a consumer that has sent nothing yet has not even been asked for messages. A server that doesn't know yet that another one has the
// consumer drops what it is asked.
func (r *Reader) deaf(ctx context.Context, consumer jetstream.Consumer, came *atomic.Bool) bool {
	select {
	case <-time.After(pullPatience):
	case <-ctx.Done():
	}
	if ctx.Err() != nil || came.Load() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	own, err := r.Stream.Consumer(ctx, consumer.CachedInfo().Name) // the one that is read from is another goroutine's
	return err == nil && own.CachedInfo().NumWaiting == 0 && !came.Load()
}

// consumer makes a consumer that holds nothing on disk and asks for no answers. While the servers have no leader nobody answers, and for a while
// after the death of one of them they give consumers to it, which then never answer. So it is asked for again and again, each time for another
// one, until the first is there; what was made besides is forgotten by itself.
func (r *Reader) consumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	config := jetstream.ConsumerConfig{
		FilterSubjects: r.Subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.Position + 1,
		AckPolicy: jetstream.AckNonePolicy, MaxDeliver: 1, MemoryStorage: true, Replicas: 1, InactiveThreshold: idleMost,
	}
	type made struct {
		consumer jetstream.Consumer
		err      error
	}
	answers := make(chan made, askPatience/consumerAgain+2)
	var group sync.WaitGroup
	defer group.Wait() // they end with ctx
	defer cancel()
	again := time.NewTicker(consumerAgain)
	defer again.Stop()
	for {
		group.Go(func() {
			consumer, err := r.Stream.CreateConsumer(ctx, config)
			answers <- made{consumer, err}
		})
		select {
		case m := <-answers:
			return m.consumer, m.err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-again.C:
		}
	}
}
