package service

import (
	"iter"
	"math"
	"slices"
	"time"

	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
)

// Known is what the results of a running kappa tell about the spread of one statistic: better to plan with than a
// supposition. Results are public, so planning with them costs no privacy.
type Known struct {
	Capability string
	Statistic  *quadratv1.StatisticPlan
	StdDev     float64 // of one device's summary within strata, without noise, in the statistic's unit
}

// knownWindows is how many of the newest windows of a kappa are asked.
const knownWindows = 60

// askedMost is how many running kappas are asked about one spread.
const askedMost = 8

// knows asks the newest results of running kappas about what a plan's statistics ask, of each the newest kappa that has an answer.
func (s *Service) knows(asked *quadratv1.DevicePlan) []Known {
	var out []Known
	for _, statistic := range asked.GetStatistics() {
		if statistic.GetCategories() > 0 {
			continue // nobody knows the spread of sets of categories
		}
		q := questionOf(asked.GetCapability(), statistic)
		for ref, revision := range s.asking(q) {
			if known := s.measured(ref, revision, q); len(known) > 0 {
				out = append(out, known...)
				break
			}
		}
	}
	return out
}

// asking is the newest of the kappas that ask a question, newest first, with their newest revisions.
func (s *Service) asking(q question) iter.Seq2[string, *quadratv1.PlanRevision] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	refs := s.roll.asked[q]
	refs = slices.Clone(refs[max(0, len(refs)-askedMost):])
	revisions := make([]*quadratv1.PlanRevision, len(refs))
	for i, ref := range refs {
		revisions[i] = latest(s.live[ref].record)
	}
	return func(yield func(string, *quadratv1.PlanRevision) bool) {
		for i := range slices.Backward(refs) {
			if !yield(refs[i], revisions[i]) {
				return
			}
		}
	}
}

// knownBefore is what a kappa's own plan and results tell for its next revision: what its plan supposed, and behind it
// what was measured since. So a plan that is drawn again does not fall back to what nobody knew at first.
func (s *Service) knownBefore(record *quadratv1.KappaRecord) []Known {
	revision := latest(record)
	var out []Known
	supposed := map[string]float64{}
	for _, view := range revision.GetPlan().GetStatistics() {
		supposed[view.GetName()] = view.GetAssumedStdDev()
	}
	for _, statistic := range revision.GetDevice().GetStatistics() {
		if sd := supposed[statistic.GetName()]; sd > 0 { // a part of a ratio has no view of its own
			out = append(out, Known{Capability: revision.GetDevice().GetCapability(), Statistic: statistic, StdDev: sd})
		}
	}
	for _, r := range record.GetRevisions() { // oldest first: the newest measurement counts
		out = append(out, s.measured(record.GetKappa().GetRef(), r, question{})...)
	}
	return out
}

// measured is what the newest results of one revision of a kappa tell about a question; about all of its own for none.
func (s *Service) measured(ref string, revision *quadratv1.PlanRevision, about question) []Known {
	var out []Known
	device := revision.GetDevice()
	if device.GetModel() == fleet.ModelGateway {
		return nil // the noise of sums and that of devices can't be told apart in a result
	}
	length := time.Duration(device.GetWindowMs()) * time.Millisecond
	since := s.cfg.Clock.Now().Add(-(knownWindows + 2 + time.Duration(revision.GetPlan().GetPanes())) * length)
	noise := map[string]float64{}
	for _, view := range revision.GetPlan().GetStatistics() {
		noise[view.GetName()] = view.GetNoiseStdDev()
	}
	for _, statistic := range device.GetStatistics() {
		sigma, told := noise[statistic.GetName()]
		if !told || statistic.GetCategories() > 0 {
			continue // a part of a ratio has no result of its own, a set of categories has many
		}
		if about != (question{}) && about != questionOf(device.GetCapability(), statistic) {
			continue
		}
		panes := float64(max(1, revision.GetPlan().GetPanes()))
		if device.GetLapWindows()*uint32(len(device.GetStatistics())) < uint32(panes) {
			continue // the answers of one device to several panes of a window go together
		}
		if sd, ok := spreadOf(s.results.overall(ref, statistic.GetName(), since), statistic, device.GetRevision(), sigma, panes); ok {
			out = append(out, Known{Capability: device.GetCapability(), Statistic: statistic, StdDev: sd})
		}
	}
	return out
}

// spreadOf solves V̂ = (1−n/N)·S²/n + σ²/n for S, with V̂ averaged over the windows of one plan revision (of totals and
// counts V̂/N²; a variance is S² itself), over the panes of a window n/N being that of a pane. It is false when there is no window, or when noise hides the spread altogether.
func spreadOf(entries []entry, statistic *quadratv1.StatisticPlan, revision uint32, noise, panes float64) (float64, bool) {
	var sum, weight float64
	for _, e := range entries {
		r := e.result
		n, population := float64(r.GetReports()), float64(r.GetPopulation())
		if r.GetStatistic() != statistic.GetName() || len(r.GetCell()) > 0 || r.StdError == nil || n < 2 || n >= population*panes ||
			r.GetPlanRevision() != revision {
			continue
		}
		if statistic.GetKind() == "variance" { // it is S² itself, and negative ones must count
			sum += n * r.GetValue()
			weight += n
			continue
		}
		variance := r.GetStdError() * r.GetStdError()
		if statistic.GetKind() == "total" || statistic.GetKind() == "count" {
			variance /= population * population
		}
		sum += n * (n*variance - noise*noise) / (1 - n/(population*panes))
		weight += n
	}
	if weight == 0 || sum <= 0 {
		return 0, false
	}
	return math.Sqrt(sum / weight), true
}

// pilot picks from what is known what fits a plan's statistics, in the form that the planner takes; nil for nothing.
func pilot(known []Known, p *quadratv1.DevicePlan) map[string]map[string]float64 {
	var out map[string]map[string]float64
	for _, asked := range p.GetStatistics() {
		for _, k := range known {
			if k.Capability != p.GetCapability() || !alike(k.Statistic, asked) {
				continue
			}
			if out == nil {
				out = map[string]map[string]float64{}
			}
			out[asked.GetName()] = map[string]float64{plan.AnyStratum: k.StdDev}
		}
	}
	return out
}

// learned is a pilot without what the plan supposes anyway, so that a supposition that was passed on does not pass for knowledge.
func learned(pilot map[string]map[string]float64, p *quadratv1.Plan) map[string]map[string]float64 {
	for _, view := range p.GetStatistics() {
		sd, supposed := pilot[view.GetName()][plan.AnyStratum], view.GetAssumedStdDev()
		if math.Abs(sd-supposed) <= 1e-9*supposed {
			delete(pilot, view.GetName())
		}
	}
	if len(pilot) == 0 {
		return nil
	}
	return pilot
}

// alike tells whether one device's summary has the same spread for two statistics: the same reading and summary, within
// the same bounds, or the same condition. It does not know the spread of sets of categories.
func alike(a, b *quadratv1.StatisticPlan) bool {
	return b.GetCategories() == 0 && questionOf("", a) == questionOf("", b)
}
