package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/privacy/shuffle"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Service deploys kappas and serves their results. It implements quadratv1.KappaServiceServer and the fleet's source of
// plans, and is safe for use by many goroutines.
type Service struct {
	quadratv1.UnimplementedKappaServiceServer

	cfg     Config
	store   store
	results *index
	looks   looks
	metrics *metrics
	figures *shuffle.Figures // of the declared shuffler
	openAPI []byte
	methods map[string][]string // of each path of openAPI
	caught  atomic.Bool         // the stored results have been read

	shared *shared // nil unless other processes write PLANS

	deploy sync.Mutex // held by whoever changes a kappa, from the plan to the broadcast

	mu      sync.RWMutex // guards everything below; records themselves are never changed once they are in
	live    map[string]*deployed
	roll    roll                              // of the live ones
	gone    map[string]*quadratv1.KappaRecord // deleted, until retention ends
	version uint64
	begun   bool
	ended   bool

	tending sync.WaitGroup
}

// deployed is a live kappa.
type deployed struct {
	record *quadratv1.KappaRecord
	stop   func() // ends looking whether its plan fits the fleet; nil before Run
}

// New restores every kappa from the bucket PLANS, hands them to the engine, and serves nothing yet. It fails when the
// bucket can't be read: a server that forgot a kappa would draw its panels anew. A single record that is broken, or that the
// engine refuses, is logged and listed as failed; the others run.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	document, err := openAPI()
	if err != nil {
		return nil, err
	}
	methods, err := methodsOf(document)
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, methods: methods, store: store{kv: cfg.Plans}, results: newIndex(&cfg), openAPI: document,
		figures: shuffle.NewFigures(cfg.Shuffler), live: map[string]*deployed{}, roll: newRoll(), gone: map[string]*quadratv1.KappaRecord{},
	}
	s.metrics = newMetrics(s)
	if cfg.Shared {
		s.shared = newShared(s)
		return s, s.catch(ctx)
	}
	records, version, err := s.store.load(ctx, cfg.Logger)
	if err != nil {
		return nil, err
	}
	s.version = version
	for _, record := range records {
		if err := s.restore(ctx, record); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Service) restore(ctx context.Context, record *quadratv1.KappaRecord) error {
	ref := record.GetKappa().GetRef()
	if record.GetDeleted() == nil {
		s.enter(ref, record)
	} else {
		if s.cfg.Clock.Now().Sub(record.GetDeleted().AsTime()) > s.cfg.Retention {
			return s.store.forget(ctx, ref)
		}
		s.gone[ref] = record
		return nil
	}
	err := errBroken
	if record.GetKappa().GetState() != failed {
		err = s.cfg.Engine.Apply(record)
	}
	if err != nil {
		s.cfg.Logger.Error("kappa can't be run; it is listed as failed", "ref", ref, "error", err)
		record = proto.CloneOf(record)
		record.Kappa.State = failed
		s.enter(ref, record)
	}
	return nil
}

// enter makes a record that of a live kappa, whether it was one before or not. The caller holds mu, or is New.
func (s *Service) enter(ref string, record *quadratv1.KappaRecord) {
	if d := s.live[ref]; d != nil {
		s.roll.enter(record, d.record)
		d.record = record
		return
	}
	s.roll.enter(record, nil)
	s.live[ref] = &deployed{record: record}
	if s.begun && !s.ended {
		s.tend(ref, s.live[ref])
	}
}

// errBroken stands for a record whose fault was logged when it was read.
var errBroken = errors.New("its record can't be read")

// failed tells whether a kappa stands in the list only so that it can be seen and deleted.
func (d *deployed) failed() bool { return d.record.GetKappa().GetState() == failed }

func errFailed(k *quadratv1.Kappa) error {
	return &Error{Code: Unavailable, Message: fmt.Sprintf(
		"kappa %s has failed: its stored record can't be run, the server's log says why; delete it and deploy it again", k.GetRef())}
}

// working is find for who wants to change a kappa: one that has failed can only be deleted.
func (s *Service) working(ref string) (*quadratv1.KappaRecord, error) {
	record, err := s.find(ref)
	if err == nil && record.GetKappa().GetState() == failed {
		return nil, errFailed(record.GetKappa())
	}
	return record, err
}

// Run follows the stream of results and keeps every plan fitting its frame until ctx ends; then it waits for all that
// it started. Call it once.
func (s *Service) Run(ctx context.Context) error {
	s.mu.Lock()
	s.begun = true
	for ref, d := range s.live {
		s.tend(ref, d)
	}
	s.mu.Unlock()
	looking, stop := context.WithCancel(ctx)
	defer stop()
	s.tending.Go(func() { s.keepFitting(looking) })
	s.tending.Go(func() { s.bury(ctx) })
	if s.shared != nil {
		s.tending.Go(func() { s.keepUp(ctx) })
	}
	err := s.consume(ctx)
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	stop()
	s.results.closeAll()
	s.tending.Wait()
	return err
}

// LetGo ends everyone who follows a kappa, so that a server can close without waiting for them.
func (s *Service) LetGo() { s.results.closeAll() }

// Ready tells why the service can't answer for its results yet; nil when it can.
func (s *Service) Ready() error {
	if !s.caught.Load() {
		return &Error{Code: Unavailable, Message: "stored results are still being read"}
	}
	return nil
}

// find resolves a reference or a name to a live kappa.
func (s *Service) find(ref string) (*quadratv1.KappaRecord, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if d, ok := s.live[ref]; ok {
		return d.record, nil
	}
	if d := s.named(ref); d != nil {
		return d.record, nil
	}
	return nil, &Error{Code: NotFound, Message: fmt.Sprintf("no kappa has the reference or name %q", ref)}
}

// named is the live kappa of a name, or nil. The caller holds mu.
func (s *Service) named(name string) *deployed {
	if ref, ok := s.roll.named[name]; ok {
		return s.live[ref]
	}
	return nil
}

// NameOf is the name of a kappa, live or deleted; empty when there is none.
func (s *Service) NameOf(ref string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if d, ok := s.live[ref]; ok {
		return d.record.GetKappa().GetName()
	}
	return s.gone[ref].GetKappa().GetName()
}

// Resolve is the reference of a kappa that is live, by name or reference, or was deleted and is given by its reference.
func (s *Service) Resolve(ref string) (string, error) {
	record, err := s.find(ref)
	if err == nil {
		return record.GetKappa().GetRef(), nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, ok := s.gone[ref]; ok {
		return ref, nil
	}
	return "", err
}

// ListKappas lists what is deployed, oldest first.
func (s *Service) ListKappas(context.Context, *quadratv1.ListKappasRequest) (*quadratv1.ListKappasResponse, error) {
	return &quadratv1.ListKappasResponse{Kappas: s.kappas()}, nil
}

func (s *Service) kappas() []*quadratv1.Kappa {
	s.mu.RLock()
	defer s.mu.RUnlock()
	kappas := make([]*quadratv1.Kappa, 0, len(s.live))
	for _, d := range s.live {
		kappas = append(kappas, proto.CloneOf(d.record.GetKappa()))
	}
	slices.SortFunc(kappas, func(a, b *quadratv1.Kappa) int {
		return cmp.Or(a.GetCreated().AsTime().Compare(b.GetCreated().AsTime()), cmp.Compare(a.GetRef(), b.GetRef()))
	})
	return kappas
}

// GetPlan gives script, plan and state of a live kappa.
func (s *Service) GetPlan(_ context.Context, r *quadratv1.GetPlanRequest) (*quadratv1.GetPlanResponse, error) {
	record, err := s.find(r.GetRef())
	if err != nil {
		return nil, err
	}
	return &quadratv1.GetPlanResponse{Kappa: record.GetKappa(), Plan: s.planNow(record)}, nil
}

// Version is the current version of the plan set as Since tells it, once this process knows one that somebody has heard of.
func (s *Service) Version(heard uint64) uint64 {
	now := s.cfg.Clock.Now()
	s.upTo(heard)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.told(now)
}

// told is the version of the plan set that devices may be told: where other processes make changes too one may be taken whose kappa isn't saved yet. The
// caller holds mu.
func (s *Service) told(now time.Time) uint64 {
	if s.shared == nil {
		return s.version
	}
	return s.shared.told(s.version, now)
}

// Since returns the plans published after a version of the plan set, the current version, and the references of all
// live kappas. Of each kappa it tells the revision in force and those to come. A version that is none of this plan set
// counts as 0. The messages are shared and must not be changed.
func (s *Service) Since(version uint64) (plans []*quadratv1.DevicePlan, current uint64, live []string) {
	now := s.cfg.Clock.Now()
	s.upTo(version)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if version > s.version {
		version = 0
	}
	for ref, d := range s.live {
		if d.failed() {
			continue // nobody would count what devices say
		}
		live = append(live, ref)
		revisions := d.record.GetRevisions()
		from := inForce(revisions, windowAt(latest(d.record).GetDevice(), now))
		for _, r := range revisions[from:] {
			if r.GetDevice().GetPlanSetVersion() > version {
				plans = append(plans, r.GetDevice())
			}
		}
	}
	slices.Sort(live)
	slices.SortFunc(plans, func(a, b *quadratv1.DevicePlan) int {
		return cmp.Compare(a.GetPlanSetVersion(), b.GetPlanSetVersion())
	})
	return plans, s.told(now), live
}

// bury forgets deleted kappas whose retention has ended, once an hour.
func (s *Service) bury(ctx context.Context) {
	for s.cfg.Clock.WaitUntil(ctx, s.cfg.Clock.Now().Add(time.Hour)) == nil {
		for _, ref := range s.expired() {
			if !s.cfg.Keeps() {
				break
			}
			if err := s.store.forget(ctx, ref); err != nil {
				s.cfg.Logger.Error("deleted kappa not forgotten", "ref", ref, "error", err)
				continue
			}
			s.mu.Lock()
			delete(s.gone, ref)
			s.mu.Unlock()
			s.results.forget(ref)
		}
	}
}

func (s *Service) expired() []string {
	now := s.cfg.Clock.Now()
	s.mu.RLock()
	defer s.mu.RUnlock()
	var refs []string
	for ref, record := range s.gone {
		if now.Sub(record.GetDeleted().AsTime()) > s.cfg.Retention {
			refs = append(refs, ref)
		}
	}
	return refs
}
