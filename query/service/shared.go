package service

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/follow"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	// followEvery is how often changes by other processes are looked for.
	followEvery = 200 * time.Millisecond
	// followPatience bounds one look.
	followPatience = 5 * time.Second
)

// shared is what a service knows of a bucket PLANS that other processes write, too.
type shared struct {
	bucket *follow.Bucket
	// Guarded by Service.mu:
	revisions map[string]uint64    // of the keys, in the bucket
	owed      map[uint64]time.Time // versions of the plan set whose kappa isn't known, and until when it is waited for
}

const (
	// owedFor is how long the kappa of a version is waited for. Whoever takes a version saves its kappa right behind, or has died, or it is
	// the version of a deletion, which no record names.
	owedFor = 10 * time.Second
	// owedMost is of how many versions the kappas may be waited for, the newest.
	owedMost = 64
)

// owe notes the versions behind one, up to another, of which no kappa is known yet; of a plan set that is only being read the newest. The
// caller holds Service.mu.
func (x *shared) owe(known func(uint64) bool, from, to uint64, now time.Time) {
	maps.DeleteFunc(x.owed, func(_ uint64, until time.Time) bool { return !now.Before(until) })
	if from == 0 && to > 0 {
		from = to - 1
	}
	for v := max(from+1, max(to, owedMost)-owedMost+1); v <= to; v++ {
		if !known(v) {
			x.owed[v] = now.Add(owedFor)
		}
	}
}

// told is the version of the plan set that devices may be told: the newest one that no kappa is owed of or below. The caller holds Service.mu.
func (x *shared) told(version uint64, now time.Time) uint64 {
	for v, until := range x.owed {
		if now.Before(until) {
			version = min(version, v-1)
		}
	}
	return version
}

// holds tells whether a kappa has a plan of a version. The caller holds mu.
func (s *Service) holds(version uint64) bool {
	has := func(r *quadratv1.PlanRevision) bool { return r.GetDevice().GetPlanSetVersion() == version }
	for _, d := range s.live {
		if slices.ContainsFunc(d.record.GetRevisions(), has) {
			return true
		}
	}
	for _, record := range s.gone {
		if slices.ContainsFunc(record.GetRevisions(), has) {
			return true
		}
	}
	return false
}

func newShared(s *Service) *shared {
	return &shared{bucket: follow.New(s.cfg.Results, s.cfg.Plans.Bucket(), s.learn), revisions: map[string]uint64{}, owed: map[uint64]time.Time{}}
}

// catch returns once the service knows every change that was saved before the call; at once where nobody else makes any.
func (s *Service) catch(ctx context.Context) error {
	if s.shared == nil {
		return nil
	}
	if err := s.shared.bucket.Catch(ctx); err != nil {
		return &Error{Code: Unavailable, Message: err.Error()}
	}
	return nil
}

// keepUp follows the changes of others until ctx ends.
func (s *Service) keepUp(ctx context.Context) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		asking, cancel := context.WithTimeout(ctx, followPatience)
		if err := s.catch(asking); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("changes of kappas by others can't be read; it is tried again", "error", err)
		}
		cancel()
	}
}

// upTo catches up when somebody knows a later version of the plan set: another process has told it.
func (s *Service) upTo(version uint64) {
	if s.shared == nil {
		return
	}
	s.mu.RLock()
	behind := version > s.version
	s.mu.RUnlock()
	if !behind {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), followPatience)
	defer cancel()
	if err := s.catch(ctx); err != nil {
		s.cfg.Logger.Warn("changes of kappas by others can't be read", "error", err)
	}
}

// learn takes a value of the bucket, also one that this process wrote.
func (s *Service) learn(e follow.Entry) error {
	if e.Key == keyVersion && len(e.Value) == 8 {
		s.mu.Lock()
		defer s.mu.Unlock()
		before := s.version
		s.version, s.shared.revisions[e.Key] = binary.BigEndian.Uint64(e.Value), e.Revision
		s.shared.owe(s.holds, before, s.version, s.cfg.Clock.Now())
		return nil
	}
	ref, ok := strings.CutPrefix(e.Key, keyPrefix)
	if !ok {
		return nil
	}
	record, err := readRecord(e.Key, e.Value)
	switch {
	case e.Deleted:
	case err != nil:
		s.cfg.Logger.Error("kappa can't be read", "ref", ref, "error", err)
		record = broken(ref)
	case record.GetDeleted() == nil:
		if err := s.cfg.Engine.Check(record); err != nil {
			s.cfg.Logger.Error("kappa can't be run; it is listed as failed", "ref", ref, "error", err)
			record = proto.CloneOf(record)
			record.Kappa.State = failed
		} else if err := s.cfg.Engine.Apply(record); err != nil {
			return fmt.Errorf("kappa %s: %w", ref, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared.revisions[e.Key] = e.Revision
	for _, r := range record.GetRevisions() {
		delete(s.shared.owed, r.GetDevice().GetPlanSetVersion())
	}
	if e.Deleted || record.GetDeleted() != nil {
		s.drop(ref, record)
		return nil
	}
	s.enter(ref, record)
	return nil
}

// drop takes a kappa out that was deleted; with a nil record it is forgotten as well. The caller holds mu.
func (s *Service) drop(ref string, record *quadratv1.KappaRecord) {
	if d := s.live[ref]; d != nil {
		if d.stop != nil {
			d.stop()
		}
		s.roll.leave(d.record)
		delete(s.live, ref)
		s.cfg.Engine.Remove(ref)
	}
	if record == nil {
		delete(s.gone, ref)
		s.results.forget(ref)
		return
	}
	s.gone[ref] = record
	s.results.closeRef(ref)
}

// errRaced is the error of a change that another process was ahead of.
func errRaced() error {
	return &Error{Code: Unavailable, Message: "another server changed a kappa at the same moment; ask again"}
}

// nextVersion takes the next version of the plan set for a change. Where others make changes too it is theirs if they were ahead: every
// change rests on all before it.
func (s *Service) nextVersion(ctx context.Context) (uint64, error) {
	if s.shared == nil {
		return s.store.next(ctx)
	}
	s.mu.RLock()
	version, revision := s.version, s.shared.revisions[keyVersion]
	s.mu.RUnlock()
	next, err := s.cfg.Plans.Update(ctx, keyVersion, binary.BigEndian.AppendUint64(nil, version+1), revision)
	if err != nil {
		return 0, raced(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared.revisions[keyVersion] = next
	return version + 1, nil
}

// save returns once a kappa is on disk. Where others make changes too it takes the place of the record that is known, and of no other.
func (s *Service) save(ctx context.Context, record *quadratv1.KappaRecord) error {
	if s.shared == nil {
		return s.store.save(ctx, record)
	}
	raw, err := proto.Marshal(record)
	if err != nil {
		return fmt.Errorf("plans: %w", err)
	}
	key := keyPrefix + record.GetKappa().GetRef()
	s.mu.RLock()
	revision := s.shared.revisions[key]
	s.mu.RUnlock()
	if revision, err = s.cfg.Plans.Update(ctx, key, raw, revision); err != nil {
		return raced(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared.revisions[key] = revision
	return nil
}

// wrongLast is the other code by which servers say that they compared with another revision.
const wrongLast jetstream.ErrorCode = 10164

// raced tells a change that came second from a broker that can't be reached.
func raced(err error) error {
	var answer *jetstream.APIError
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) ||
		errors.As(err, &answer) && (answer.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || answer.ErrorCode == wrongLast) {
		return errRaced()
	}
	return fmt.Errorf("plans: %w", err)
}
