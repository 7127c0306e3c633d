package server

import (
	"context"
	"errors"

	"github.com/quadrat-dev/quadrat/engine/deadletter"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
)

// dead lets the service work on dead letters: it tells their faults as the service tells its own.
type dead struct{ letters *deadletter.Letters }

func told(err error) error {
	var cause *deadletter.CauseError
	switch {
	case errors.Is(err, deadletter.ErrNone):
		return &service.Error{Code: service.NotFound, Message: err.Error()}
	case errors.As(err, &cause):
		return &service.Error{Code: service.Invalid, Message: err.Error()}
	}
	return err
}

// List gives a page of letters.
func (d dead) List(ctx context.Context, r *quadratv1.ListDeadRequest) (*quadratv1.ListDeadResponse, error) {
	out, err := d.letters.List(ctx, r)
	return out, told(err)
}

// Get gives one letter.
func (d dead) Get(ctx context.Context, sequence uint64) (*quadratv1.DeadLetterView, error) {
	out, err := d.letters.Get(ctx, sequence)
	return out, told(err)
}

// Replay lets letters in again.
func (d dead) Replay(ctx context.Context, sequences []uint64, cause string) (*quadratv1.ReplayDeadResponse, error) {
	out, err := d.letters.Replay(ctx, sequences, cause)
	return out, told(err)
}

// Purge forgets letters.
func (d dead) Purge(ctx context.Context, r *quadratv1.PurgeDeadRequest) (uint64, error) {
	purged, err := d.letters.Purge(ctx, r)
	return purged, told(err)
}
