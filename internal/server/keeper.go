package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/quadrat-dev/quadrat/engine/member"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
)

const (
	keeperKey   = "keeper"
	keeperPause = 400 * time.Millisecond // between two looks at the lease
)

// keep is keeper whenever the lease is free, until ctx ends. After the bucket of leases could not be asked all of them may have ended meanwhile:
// who had it comes first.
func (s *Server) keep(ctx context.Context) error {
	ticker := time.NewTicker(keeperPause)
	defer ticker.Stop()
	var uneasy time.Time // until when it is not taken
	for {
		var lease *member.Lease
		if time.Now().After(uneasy) {
			asking, cancel := context.WithTimeout(ctx, member.LeaseLife)
			var err error
			if lease, err = s.leases.Take(asking, keeperKey); err != nil {
				uneasy = time.Now().Add(member.LeaseLife)
			}
			cancel()
		}
		if lease != nil {
			s.log.Info("keeper of the fleet", "epoch", lease.Epoch)
			if err := s.reign(ctx, lease); err != nil && ctx.Err() == nil {
				s.log.Warn("keeper no more", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// reign hears hellos and writes the fleet's rows until ctx ends, the lease is another's, or another has written.
func (s *Server) reign(ctx context.Context, lease *member.Lease) error {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		if lease.Keep(ctx) {
			cancel()
		}
	})
	err := s.rule(ctx)
	cancel()
	group.Wait()
	leaving, stop := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer stop()
	return errors.Join(err, lease.Release(leaving), s.abdicate(leaving))
}

// rule is what a keeper does.
func (s *Server) rule(ctx context.Context) error {
	js := s.broker.JetStream()
	kv, err := js.KeyValue(ctx, broker.BucketDevices)
	if err != nil {
		return err
	}
	if err := s.rowsAt.bucket.Catch(ctx); err != nil {
		return err
	}
	store, err := fleet.Keep(s.devices, fleet.NewExclusive(js, kv, s.rowsAt.bucket.Position()), fleet.StoreConfig{
		Clock: s.config.Clock, Retention: s.config.Retention + 24*time.Hour, Horizon: true, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.rowsAt.follower.Keep(true, s.config.Clock.Now())
	if err := store.PutHorizon(ctx, s.config.Clock.Now()); err != nil { // from here on no former keeper can write
		return err
	}
	hellos := fleet.NewServer(s.devices, s.service, fleet.ServerConfig{
		Subject: broker.PrefixHello + "*", Group: broker.GroupHello, Clock: s.config.Clock, Log: s.log, Doubtful: s.doubtful,
	})
	if err := hellos.Start(s.broker.Conn()); err != nil {
		return err
	}
	s.keeper.Store(store)
	defer s.keeper.Store(nil)
	err = store.Run(ctx)
	return errors.Join(err, hellos.Close())
}

// abdicate makes the process follow the rows again.
func (s *Server) abdicate(ctx context.Context) error {
	s.rowsAt.follower.Keep(false, s.config.Clock.Now())
	s.rowsAt.bucket.Reset()
	if err := s.rowsAt.bucket.Catch(ctx); err != nil {
		return err
	}
	s.rowsAt.follower.Forget()
	return nil
}

// keeps tells whether the process is keeper.
func (s *Server) keeps() bool { return s.keeper.Load() != nil }

// settled returns once the rows that a plan was drawn from are on disk: those of a keeper may be only in its memory.
func (s *Server) settled(ctx context.Context) error {
	if store := s.keeper.Load(); store != nil {
		return store.Flush(ctx)
	}
	return nil
}
