package service

import (
	"context"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// DeadLetters looks at what was refused, lets it in again and forgets it. It fails with an *Error when a letter isn't there
// or a cause is no word.
type DeadLetters interface {
	List(ctx context.Context, r *quadratv1.ListDeadRequest) (*quadratv1.ListDeadResponse, error)
	Get(ctx context.Context, sequence uint64) (*quadratv1.DeadLetterView, error)
	// Replay lets in the letters of the sequences, or, without any, those of a cause, or all.
	Replay(ctx context.Context, sequences []uint64, cause string) (*quadratv1.ReplayDeadResponse, error)
	// Purge tells how many letters it forgot.
	Purge(ctx context.Context, r *quadratv1.PurgeDeadRequest) (uint64, error)
}

func (s *Service) dead() (DeadLetters, error) {
	if s.cfg.Dead == nil {
		return nil, &Error{Code: Unavailable, Message: "this server can't reach the dead letters"}
	}
	return s.cfg.Dead, nil
}

// ListDead lists dead letters, oldest first.
func (s *Service) ListDead(ctx context.Context, r *quadratv1.ListDeadRequest) (*quadratv1.ListDeadResponse, error) {
	dead, err := s.dead()
	if err != nil {
		return nil, err
	}
	return dead.List(ctx, r) //nolint:wrapcheck // statusOf tells it
}

// GetDead gives one dead letter.
func (s *Service) GetDead(ctx context.Context, r *quadratv1.GetDeadRequest) (*quadratv1.DeadLetterView, error) {
	dead, err := s.dead()
	if err != nil {
		return nil, err
	}
	return dead.Get(ctx, r.GetSequence()) //nolint:wrapcheck // statusOf tells it
}

// ReplayDead lets dead letters in again.
func (s *Service) ReplayDead(ctx context.Context, r *quadratv1.ReplayDeadRequest) (*quadratv1.ReplayDeadResponse, error) {
	dead, err := s.dead()
	if err != nil {
		return nil, err
	}
	if len(r.GetSequences()) > 0 && r.GetCause() != "" {
		return nil, &Error{Code: Invalid, Message: "sequences and cause: only one of them can be given"}
	}
	return dead.Replay(ctx, r.GetSequences(), r.GetCause()) //nolint:wrapcheck // statusOf tells it
}

// PurgeDead forgets dead letters.
func (s *Service) PurgeDead(ctx context.Context, r *quadratv1.PurgeDeadRequest) (*quadratv1.PurgeDeadResponse, error) {
	dead, err := s.dead()
	if err != nil {
		return nil, err
	}
	purged, err := dead.Purge(ctx, r)
	if err != nil {
		return nil, err //nolint:wrapcheck // statusOf tells it
	}
	return &quadratv1.PurgeDeadResponse{Purged: purged}, nil
}
