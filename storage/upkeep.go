package storage

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	upkeepEvery = time.Minute      // without news
	upkeepRetry = 10 * time.Second // after a round that failed
)

// Run keeps the store in good order until ctx ends: it removes what retention doesn't keep, compacts the rest, keeps the archive, and removes
// objects of a share that nobody needs. It never fails: what can't be done now is logged
// and counted, and tried again. Readers and commits go on meanwhile. It ends, too, when a share was taken by a later owner.
func (s *Store) Run(ctx context.Context) error {
	for ctx.Err() == nil && !s.isLost() {
		pause := upkeepEvery
		if err := s.Upkeep(ctx); err != nil && ctx.Err() == nil {
			s.metrics.failures.Inc()
			s.cfg.Log.Warn("storage: upkeep is put off", "cause", err)
			pause = upkeepRetry
		}
		s.rest(ctx, pause)
	}
	return nil
}

// rest waits for a time, or, unless it is one after a failure, for news.
func (s *Store) rest(ctx context.Context, pause time.Duration) {
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = s.cfg.Pace.WaitUntil(wait, s.cfg.Pace.Now().Add(pause)) // ends by the time or by ctx
	}()
	news := s.wake
	if pause == upkeepRetry {
		news = nil
	}
	select {
	case <-over:
	case <-news:
	case <-s.Lost():
	}
	cancel()
	<-over
}

// nudge tells Run that there may be work.
func (s *Store) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Upkeep does all that is due now, as Run does again and again. Before Restore nothing is. It returns what could not be
// done; everything else has been.
func (s *Store) Upkeep(ctx context.Context) error {
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	s.mu.Lock()
	restored := s.restored
	s.reap()
	s.mu.Unlock()
	if !restored {
		return nil
	}
	var faults []error
	for _, work := range []func(context.Context) error{s.retain, s.compactAll, s.archiveAll, s.tidyUp} {
		if err := work(ctx); err != nil {
			faults = append(faults, fmt.Errorf("storage: %w", err))
		}
	}
	return errors.Join(faults...)
}

// compactAll compacts until nothing is worth it. What fails is left for the next round.
func (s *Store) compactAll(ctx context.Context) error {
	var faults []error
	failed := map[part]bool{}
	for more := true; more; {
		s.mu.Lock()
		segments, permanent := s.catalog.visible(), s.permanent
		s.mu.Unlock()
		more = false
		for _, c := range s.plan(segments, permanent, s.cfg.Clock.Now()) {
			p := part{kind: c.kind, place: c.place}
			if failed[p] {
				continue
			}
			if err := ctx.Err(); err != nil {
				return errors.Join(append(faults, err)...)
			}
			if err := s.compact(ctx, c); err != nil {
				failed[p] = true
				faults = append(faults, err)
				continue
			}
			more = true
		}
	}
	return errors.Join(faults...)
}
