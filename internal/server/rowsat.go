package server

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/follow"
)

const (
	rowsPause    = 30 * time.Millisecond // between two looks for a horizon that somebody waits for
	rowsPatience = 3 * time.Second       // before who waits is told why
)

// rowsAt is the fleet's rows as the keeper stores them.
type rowsAt struct {
	follower *fleet.Follower
	bucket   *follow.Bucket
}

func newRowsAt(js jetstream.JetStream, devices *fleet.Registry) (*rowsAt, error) {
	follower, err := fleet.NewFollower(devices)
	if err != nil {
		return nil, err
	}
	r := &rowsAt{follower: follower}
	r.bucket = follow.New(js, broker.BucketDevices, func(e follow.Entry) error {
		if e.Deleted {
			e.Value = nil
		}
		return follower.Take(e.Key, e.Value)
	})
	return r, nil
}

// Rows returns once all rows of a moment are known.
func (r *rowsAt) Rows(ctx context.Context, at time.Time) error {
	for begun := time.Now(); ; {
		if !r.follower.Horizon().Before(at) {
			return nil
		}
		if err := r.bucket.Catch(ctx); err != nil {
			return err
		}
		if !r.follower.Horizon().Before(at) {
			return nil
		}
		if time.Since(begun) > rowsPatience {
			return fmt.Errorf("the fleet is known up to %s, and %s is needed: no keeper writes it (a process with --role %s)",
				r.follower.Horizon().Format(time.RFC3339Nano), at.Format(time.RFC3339Nano), RoleAPI)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rowsPause):
		}
	}
}

// run keeps the rows fresh until ctx ends. A broker that can't be reached is asked again.
func (r *rowsAt) run(ctx context.Context) error {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			_ = r.bucket.Catch(ctx) // whoever needs rows is told
		}
	}
}
