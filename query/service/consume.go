package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// streamResults is the stream that estimates come over.
const streamResults = "RESULTS"

// consume reads the stream RESULTS from its beginning into the index until ctx ends, which is no error.
func (s *Service) consume(ctx context.Context) error {
	err := s.readResults(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // that it was stopped is no fault
	}
	return err
}

func (s *Service) readResults(ctx context.Context) error {
	stream, err := s.cfg.Results.Stream(ctx, streamResults)
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	if stream.CachedInfo().State.Msgs == 0 {
		s.caught.Store(true)
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		m, err := messages.Next()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				return fmt.Errorf("results: %w", err)
			}
			s.cfg.Logger.Warn("results: reading again", "error", err)
			continue
		}
		s.take(m)
	}
}

// take adds one message to the index. One that can't be read is counted and passed over.
func (s *Service) take(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		s.metrics.unreadable.Inc()
		return
	}
	result := &quadratv1.Result{}
	if err := proto.Unmarshal(m.Data(), result); err != nil || result.GetRef() == "" || result.GetWindowStart() == nil {
		s.metrics.unreadable.Inc()
	} else if s.results.add(meta.Sequence.Stream, result) {
		s.metrics.results.Inc()
	}
	if meta.NumPending == 0 {
		s.caught.Store(true)
	}
}
