package service

import (
	"context"
	"time"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// tend lets a kappa's plan be held against the fleet from time to time. The caller holds mu.
func (s *Service) tend(ref string, d *deployed) {
	d.stop = func() {}
	if d.failed() {
		return
	}
	plan := latest(d.record).GetDevice()
	d.stop = s.looks.add(&look{ref: ref, plan: plan, at: nextLook(plan, s.cfg.Clock.Now())})
}

// keepFitting redraws plans that no longer fit the fleet until ctx ends.
func (s *Service) keepFitting(ctx context.Context) {
	for {
		l := s.looks.next(ctx, s.cfg.Clock.WaitUntil)
		if l == nil {
			return
		}
		if err := s.redraw(ctx, l); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("plan not redrawn; the old one stays", "ref", l.ref, "error", err)
		}
		l.at = lookAfter(l.plan, l.at, s.cfg.Clock.Now())
		s.looks.again(l)
	}
}

// nextLook is the middle of this window or, when that is past, of the next one: late enough to see who joined in it,
// early enough for the new plan to reach everyone before the window ends.
func nextLook(plan *quadratv1.DevicePlan, now time.Time) time.Time {
	length := int64(plan.GetWindowMs())
	look := windowAt(plan, now)*length + length/2
	if look <= now.UnixMilli() {
		look += length
	}
	return time.UnixMilli(look).UTC()
}

// lookAfter is the look that follows one, a window later. Of looks that were missed only the last is made up for.
func lookAfter(plan *quadratv1.DevicePlan, last, now time.Time) time.Time {
	length := time.Duration(plan.GetWindowMs()) * time.Millisecond
	next, newest := last.Add(length), nextLook(plan, now).Add(-length)
	if newest.After(next) {
		return newest
	}
	return next
}

// redraw draws a new revision of a kappa when its plan no longer fits the fleet.
func (s *Service) redraw(ctx context.Context, l *look) error {
	if !s.cfg.Keeps() {
		return nil
	}
	s.deploy.Lock()
	defer s.deploy.Unlock()
	if err := s.catch(ctx); err != nil {
		return err
	}
	record, err := s.find(l.ref)
	if err != nil || record.GetKappa().GetState() == paused {
		return nil // a kappa that was deleted meanwhile needs no plan
	}
	draft := s.nextDraft(record, record.GetKappa().GetParams())
	if latest(record).GetDevice().GetFromWindow() > windowAt(latest(record).GetDevice(), draft.Now) {
		return nil // the newest plan is not in force yet; it is looked at when it is
	}
	var changes uint64
	if s.cfg.Changes != nil {
		changes = s.cfg.Changes()
		draft.Still = l.fits.over(changes, draft.Revision)
	}
	reason, err := s.cfg.Planner.Redraw(draft)
	if err == nil && reason == "" {
		l.fits.found(changes, draft.Revision, draft.Now)
	}
	if err != nil || reason == "" {
		return err
	}
	draft.Known = s.knownBefore(record)
	revision, err := s.draw(ctx, draft)
	if err != nil {
		return err
	}
	if _, err := s.publish(ctx, record, revision); err != nil {
		return err
	}
	s.metrics.redraws.Inc()
	s.cfg.Logger.Info("plan redrawn", "ref", l.ref, "revision", draft.Revision, "reason", reason,
		"population", revision.GetPlan().GetPopulation())
	return nil
}
