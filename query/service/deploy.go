package service

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/internal/todate"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// subjectPlan is where every device hears of new plans.
const subjectPlan = "quadrat.plan"

// scriptBytesMax bounds a script: a longer one is no question.
const scriptBytesMax = 64 << 10

// PutKappa deploys a script. The same name, script and parameters again give the same reference; the same name with
// anything else is refused.
func (s *Service) PutKappa(ctx context.Context, r *quadratv1.PutKappaRequest) (*quadratv1.PutKappaResponse, error) {
	if err := checkScript(r.GetScript(), r.GetParams()); err != nil {
		return nil, err
	}
	name, err := s.cfg.Planner.Name(r.GetScript(), r.GetParams())
	if err != nil {
		return nil, err
	}
	s.deploy.Lock()
	defer s.deploy.Unlock()
	if err := s.catch(ctx); err != nil {
		return nil, err
	}
	if there, err := s.present(name, r); there != nil || err != nil {
		return there, err
	}
	draft, err := s.firstDraft(name, r)
	if err != nil {
		return nil, err
	}
	revision, err := s.draw(ctx, draft)
	if err != nil {
		return nil, err
	}
	kappa := &quadratv1.Kappa{
		Ref: draft.Ref, Name: draft.Name, Script: r.GetScript(), Params: maps.Clone(r.GetParams()),
		Created: timestamppb.New(draft.Now.Truncate(time.Millisecond)),
	}
	base := &quadratv1.KappaRecord{Version: recordVersion, Kappa: kappa}
	record, err := s.publish(ctx, base, revision)
	if err != nil {
		return nil, err
	}
	s.cfg.Logger.Info("kappa deployed", "ref", draft.Ref, "name", draft.Name, "population", revision.GetPlan().GetPopulation())
	return &quadratv1.PutKappaResponse{Ref: draft.Ref, Plan: s.planNow(record), Created: true}, nil
}

func checkScript(script string, params map[string]float64) error {
	if len(script) > scriptBytesMax {
		return &Error{Code: Invalid, Message: fmt.Sprintf("a script has at most %d bytes", scriptBytesMax)}
	}
	for name, value := range params {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return &Error{Code: Invalid, Message: fmt.Sprintf("parameter %q: not a finite number", name)}
		}
	}
	return nil
}

// present answers for a kappa that is there already: nil and nil when none is. A script without a name is the same
// kappa when it is the same text.
func (s *Service) present(name string, r *quadratv1.PutKappaRequest) (*quadratv1.PutKappaResponse, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if d := s.alike(name, r); d != nil {
		kappa := d.record.GetKappa()
		if d.failed() {
			return nil, errFailed(kappa)
		}
		if !sameQuestion(kappa, r.GetScript(), r.GetParams()) {
			return nil, &Error{Code: Exists, Message: fmt.Sprintf(
				"the name %q belongs to kappa %s with another script or other parameters; delete it first, or take another name",
				name, kappa.GetRef())}
		}
		return &quadratv1.PutKappaResponse{Ref: kappa.GetRef(), Plan: s.planNow(d.record)}, nil
	}
	if len(s.live) >= s.cfg.KappasMax {
		return nil, &Error{Code: TooMany, Message: fmt.Sprintf("there are %d kappas, and no more are allowed; delete one", len(s.live))}
	}
	return nil, nil
}

// alike is the live kappa of a name or, for an empty one, of the same script and parameters; nil when there is none. The caller holds mu.
func (s *Service) alike(name string, r *quadratv1.PutKappaRequest) *deployed {
	if name != "" {
		return s.named(name)
	}
	for _, ref := range s.roll.texts[r.GetScript()] {
		if d := s.live[ref]; sameQuestion(d.record.GetKappa(), r.GetScript(), r.GetParams()) {
			return d
		}
	}
	return nil
}

func (s *Service) firstDraft(name string, r *quadratv1.PutKappaRequest) (Draft, error) {
	d := Draft{
		Script: r.GetScript(), Params: r.GetParams(), Name: name, Revision: 1, Now: s.cfg.Clock.Now(),
		Salt: make([]byte, 16), Knows: s.knows,
	}
	if _, err := io.ReadFull(s.cfg.Entropy, d.Salt); err != nil {
		return Draft{}, fmt.Errorf("salt: %w", err)
	}
	for d.Ref == "" || s.taken(d.Ref) {
		var err error
		if d.Ref, err = newRef(s.cfg.Entropy); err != nil {
			return Draft{}, err
		}
	}
	if d.Name == "" {
		d.Name = d.Ref
	}
	return d, nil
}

// taken tells whether a reference means something already.
func (s *Service) taken(ref string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, gone := s.gone[ref]
	return gone || s.live[ref] != nil || s.named(ref) != nil
}

// nextDraft is the draft of the revision after a kappa's newest one.
func (s *Service) nextDraft(record *quadratv1.KappaRecord, params map[string]float64) Draft {
	kappa, previous := record.GetKappa(), latest(record)
	return Draft{
		Script: kappa.GetScript(), Params: params, Ref: kappa.GetRef(), Name: kappa.GetName(),
		Salt: previous.GetDevice().GetSalt(), Revision: previous.GetDevice().GetRevision() + 1,
		Now: s.cfg.Clock.Now(), Previous: previous,
	}
}

// draw plans a draft and refuses a plan that no message could carry.
func (s *Service) draw(ctx context.Context, d Draft) (*quadratv1.PlanRevision, error) {
	revision, err := s.cfg.Planner.Plan(ctx, d)
	if err != nil {
		return nil, err
	}
	s.cfg.Engine.Weigh(revision)
	if size := proto.Size(revision); size > s.cfg.RecordBytesMax {
		return nil, tooLarge(size, s.cfg.RecordBytesMax)
	}
	return revision, nil
}

// publish makes a revision real: it takes the next version of the plan set, puts the kappa on disk, gives it to the
// engine, and tells all devices. The caller holds deploy.
func (s *Service) publish(ctx context.Context, record *quadratv1.KappaRecord, revision *quadratv1.PlanRevision) (*quadratv1.KappaRecord, error) {
	version, err := s.nextVersion(ctx)
	if err != nil {
		return nil, err
	}
	revision.Device.PlanSetVersion = version
	postpone(revision, s.cfg.Clock.Now())
	revision.Account = todate.Next(record, revision.GetDevice())
	record = withRevision(record, revision, s.cfg.Clock.Now(), s.cfg)
	// A record that the engine refuses must not be found at the next start.
	if err := s.cfg.Engine.Check(record); err != nil {
		return nil, fmt.Errorf("kappa %s: %w", record.GetKappa().GetRef(), err)
	}
	if err := s.save(ctx, record); err != nil {
		return nil, err
	}
	if err := s.cfg.Engine.Apply(record); err != nil {
		return nil, fmt.Errorf("kappa %s: %w", record.GetKappa().GetRef(), err)
	}
	if s.shared == nil {
		s.insert(record, version)
	} else if err := s.catch(ctx); err != nil { // in the order of the bucket, in which another's change may be behind
		return nil, err
	}
	return record, s.broadcast(&quadratv1.PlanBroadcast{
		PlanSetVersion: version, PreviousVersion: version - 1, Plan: revision.GetDevice(),
	})
}

// leadMost is the most time that devices are given to hear of a plan before its first window.
const leadMost = 500 * time.Millisecond

// postpone moves a revision on to the next window that devices can hear of before it starts: planning and storing may
// have outlasted the one that it was drawn for. The arcs count windows from the epoch and stay as they are.
func postpone(revision *quadratv1.PlanRevision, now time.Time) {
	device := revision.GetDevice()
	length := time.Duration(device.GetWindowMs()) * time.Millisecond
	next := windowAt(device, now.Add(min(length/10, leadMost))) + 1
	if device.GetFromWindow() >= next {
		return
	}
	device.FromWindow = next
	revision.Plan.From = timestamppb.New(time.UnixMilli(next * length.Milliseconds()))
}

func (s *Service) insert(record *quadratv1.KappaRecord, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = version
	s.enter(record.GetKappa().GetRef(), record)
}

// broadcast tells all devices. A lost broadcast is no fault: devices learn at their next hello.
func (s *Service) broadcast(b *quadratv1.PlanBroadcast) error {
	raw, err := proto.Marshal(b)
	if err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	if err := s.cfg.Broadcast.Publish(subjectPlan, raw); err != nil {
		s.cfg.Logger.Warn("plan not broadcast; devices learn of it when they say hello", "error", err)
	}
	return nil
}

// UpdateKappa pauses or resumes a kappa or gives it other parameters; what changes is in force from the next window on.
func (s *Service) UpdateKappa(ctx context.Context, r *quadratv1.UpdateKappaRequest) (*quadratv1.UpdateKappaResponse, error) {
	if r.Paused == nil && len(r.GetParams()) == 0 {
		return nil, &Error{Code: Invalid, Message: `nothing to do: this kappa takes {"paused": true} and {"params": {"n": 500}}`}
	}
	s.deploy.Lock()
	defer s.deploy.Unlock()
	if err := s.catch(ctx); err != nil {
		return nil, err
	}
	record, err := s.working(r.GetRef())
	if err != nil {
		return nil, err
	}
	params := maps.Clone(record.GetKappa().GetParams())
	if params == nil {
		params = map[string]float64{}
	}
	maps.Copy(params, r.GetParams())
	if err := checkScript(record.GetKappa().GetScript(), params); err != nil {
		return nil, err
	}
	pause := record.GetKappa().GetState() == paused
	if r.Paused != nil {
		pause = r.GetPaused()
	}
	if pause == (record.GetKappa().GetState() == paused) && maps.Equal(params, record.GetKappa().GetParams()) {
		return &quadratv1.UpdateKappaResponse{Kappa: record.GetKappa(), Plan: s.planNow(record)}, nil
	}
	revision, err := s.changed(ctx, record, params, pause)
	if err != nil {
		return nil, err
	}
	revision.Device.Paused = pause
	changed := &quadratv1.KappaRecord{Kappa: proto.CloneOf(record.GetKappa()), Revisions: record.GetRevisions()}
	changed.Kappa.Params = params
	if changed, err = s.publish(ctx, changed, revision); err != nil {
		return nil, err
	}
	return &quadratv1.UpdateKappaResponse{Kappa: changed.GetKappa(), Plan: s.planNow(changed)}, nil
}

// changed is the revision that an update asks for. A pause alone draws nothing: also a kappa whose plan the fleet of now
// could not carry any more must fall silent when it is told to.
func (s *Service) changed(ctx context.Context, record *quadratv1.KappaRecord, params map[string]float64, pause bool) (*quadratv1.PlanRevision, error) {
	if !pause || !maps.Equal(params, record.GetKappa().GetParams()) {
		draft := s.nextDraft(record, params)
		draft.Known = s.knownBefore(record)
		return s.draw(ctx, draft)
	}
	revision := proto.CloneOf(latest(record))
	revision.Device.Revision++
	revision.Plan.Revision = revision.GetDevice().GetRevision()
	return revision, nil
}

// settleMost is how long a deletion waits for the newest reports to be stored.
const settleMost = 5 * time.Second

// DeleteKappa stops and deletes a kappa. Its name is free again; its results stay until retention ends.
func (s *Service) DeleteKappa(ctx context.Context, r *quadratv1.DeleteKappaRequest) (*quadratv1.DeleteKappaResponse, error) {
	s.deploy.Lock()
	defer s.deploy.Unlock()
	if err := s.catch(ctx); err != nil {
		return nil, err
	}
	record, err := s.find(r.GetRef())
	if err != nil {
		return nil, err
	}
	ref := record.GetKappa().GetRef()
	// What was counted goes to disk first: after a crash nobody would read the reports of a deleted kappa again. An
	// engine that can't write now must not keep a kappa alive.
	settle, cancel := context.WithTimeout(ctx, settleMost)
	if err := s.cfg.Engine.Checkpoint(settle); err != nil {
		s.cfg.Logger.Warn("deleted before its newest reports were stored", "ref", ref, "error", err)
	}
	cancel()
	version, err := s.nextVersion(ctx)
	if err != nil {
		return nil, err
	}
	deleted := &quadratv1.KappaRecord{
		Version: recordVersion, Kappa: record.GetKappa(), Revisions: record.GetRevisions(),
		Deleted: timestamppb.New(s.cfg.Clock.Now()),
	}
	if err := s.save(ctx, deleted); err != nil {
		return nil, err
	}
	if s.shared == nil {
		s.mu.Lock()
		s.drop(ref, deleted)
		s.version = version
		s.mu.Unlock()
	} else if err := s.catch(ctx); err != nil {
		return nil, err
	}
	s.cfg.Logger.Info("kappa deleted", "ref", ref)
	return &quadratv1.DeleteKappaResponse{}, s.broadcast(&quadratv1.PlanBroadcast{
		PlanSetVersion: version, PreviousVersion: version - 1, Deleted: ref,
	})
}

// Explain plans a script over the fleet as it is and deploys nothing.
func (s *Service) Explain(ctx context.Context, r *quadratv1.ExplainRequest) (*quadratv1.ExplainResponse, error) {
	if err := checkScript(r.GetScript(), r.GetParams()); err != nil {
		return nil, err
	}
	name, err := s.cfg.Planner.Name(r.GetScript(), r.GetParams())
	if err != nil {
		return nil, err
	}
	draft := Draft{
		Script: r.GetScript(), Params: r.GetParams(), Name: name, Salt: make([]byte, 16), Now: s.cfg.Clock.Now(), Knows: s.knows,
	}
	revision, err := s.draw(ctx, draft)
	if err != nil {
		return nil, err
	}
	revision.Plan.Revision = 0
	s.shuffled(revision.GetPlan())
	return &quadratv1.ExplainResponse{Plan: revision.GetPlan()}, nil
}
