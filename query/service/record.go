package service

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/todate"
	"github.com/quadrat-dev/quadrat/privacy"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// The states of a kappa.
const (
	running = "running"
	waiting = "waiting" // no device in its frame yet
	paused  = "paused"
	failed  = "failed" // its record can't be read or run; only in memory
)

// latest is the newest revision, in force now or from the next window on.
func latest(record *quadratv1.KappaRecord) *quadratv1.PlanRevision {
	return record.GetRevisions()[len(record.GetRevisions())-1]
}

// planNow is the newest plan of a record with what devices can have spent through the window that has begun.
func (s *Service) planNow(record *quadratv1.KappaRecord) *quadratv1.Plan {
	device := latest(record).GetDevice()
	plan := proto.CloneOf(latest(record).GetPlan())
	if plan.GetPrivacy() != nil && device.GetWindowMs() > 0 {
		spent := todate.Of(record, device.GetRevision()).Through(windowAt(device, s.cfg.Clock.Now()))
		plan.Privacy.EpsilonToDate = new(spent.Float64())
	}
	s.shuffled(plan)
	return plan
}

// shuffled tells what the smallest batch of the declared shuffler is expected to tell of one report. It is never part of what is
// stored: a plan without the declaration has none.
func (s *Service) shuffled(plan *quadratv1.Plan) {
	p := plan.GetPrivacy()
	if p.GetModel() != "local" || p.GetEpsilonPerValue() > 0 {
		return
	}
	local, err := privacy.NewEpsilon(p.GetEpsilonPerReport())
	if err != nil {
		return
	}
	if figure, ok := s.figures.Of(p.GetMechanism(), local, int(plan.GetSmallestBatch())); ok {
		p.Shuffle = &quadratv1.Shuffle{
			Assumes: s.figures.Party().Assumes(), Reports: uint32(figure.Reports),
			Epsilon: figure.Epsilon, Delta: figure.Delta, Bound: figure.Bound,
		}
	}
}

// windowAt is the index of the window that holds a moment.
func windowAt(plan *quadratv1.DevicePlan, at time.Time) int64 {
	return at.UnixMilli() / int64(plan.GetWindowMs())
}

// inForce is the position of the revision that a window follows; 0 when the window is before all of them.
func inForce(revisions []*quadratv1.PlanRevision, window int64) int {
	found := 0
	for i, r := range revisions {
		if r.GetDevice().GetFromWindow() <= window {
			found = i
		}
	}
	return found
}

// withRevision is a copy of a record with one more revision, the kappa's state brought to it, and without what its
// retention no longer needs. At least the revision in force and the new one stay.
func withRevision(record *quadratv1.KappaRecord, next *quadratv1.PlanRevision, now time.Time, cfg Config) *quadratv1.KappaRecord {
	revisions := slices.Concat(record.GetRevisions(), []*quadratv1.PlanRevision{next})
	current := inForce(revisions, windowAt(next.GetDevice(), now))
	oldest := inForce(revisions, windowAt(next.GetDevice(), now.Add(-cfg.Retention)))
	revisions = revisions[oldest:]
	current -= oldest
	bytes := 0
	for _, r := range revisions {
		bytes += proto.Size(r)
	}
	for current > 0 && bytes > cfg.RecordBytesMax {
		bytes -= proto.Size(revisions[0])
		revisions = revisions[1:]
		current--
	}
	kappa := proto.CloneOf(record.GetKappa())
	kappa.Revision = next.GetDevice().GetRevision()
	kappa.State = stateOf(next)
	return &quadratv1.KappaRecord{Version: recordVersion, Kappa: kappa, Revisions: revisions, Deleted: record.GetDeleted()}
}

func stateOf(revision *quadratv1.PlanRevision) string {
	switch {
	case revision.GetDevice().GetPaused():
		return paused
	case revision.GetPlan().GetPopulation() == 0:
		return waiting
	}
	return running
}

// sameQuestion tells whether a kappa is what a script with these parameters would deploy.
func sameQuestion(kappa *quadratv1.Kappa, script string, params map[string]float64) bool {
	return kappa.GetScript() == script && maps.Equal(kappa.GetParams(), params)
}
