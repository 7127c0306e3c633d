package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/follow"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	// streamResults is the stream that estimates come over.
	streamResults = "RESULTS"
	// readAgain is the pause before a stream that failed is read again.
	readAgain = 50 * time.Millisecond
)

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
	reader := follow.Reader{Stream: stream}
	for ctx.Err() == nil {
		err := reader.Read(ctx, func(m follow.Message) (bool, error) {
			s.take(m)
			return true, nil
		})
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) { // the connection is closed for ever
			return fmt.Errorf("results: %w", err)
		}
		if err != nil {
			s.cfg.Logger.Warn("results: reading again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(readAgain):
			}
		}
	}
	return nil
}

// take adds one message to the index. One that can't be read is counted and passed over.
func (s *Service) take(m follow.Message) {
	result := &quadratv1.Result{}
	if err := proto.Unmarshal(m.Data(), result); err != nil || result.GetRef() == "" || result.GetWindowStart() == nil {
		s.metrics.unreadable.Inc()
	} else if s.results.add(m.Position, result) {
		s.metrics.results.Inc()
	}
	if m.Pending == 0 {
		s.caught.Store(true)
	}
}
