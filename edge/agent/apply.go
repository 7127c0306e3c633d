package agent

import (
	"errors"
	"slices"

	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// revisionsMost is how many revisions of a kappa a device holds: the one in force, those to come, and those that windows
// which have just ended belong to.
const revisionsMost = 4

// held is a kappa.
type held struct {
	ref       string
	revisions []revision // ascending by number, at least one
	reported  int64      // end of the newest window reported, in milliseconds
}

// revision is what a revision of a plan means to this device.
type revision struct {
	plan     *Plan // nil for one that broke its law
	number   uint32
	version  uint64
	place    uint32 // window of the lap
	stratum  int32
	point    panel.Number // permanent random number of the device, or of its cluster
	standing Standing
}

// Standing is how a device stands to a plan.
type Standing uint8

// The standings.
const (
	// Takes: it takes part and has a place in the lap.
	Takes Standing = iota
	// Rests: it is in the frame and has no place in this lap.
	Rests
	// OutOfFrame: the plan means other devices: other attributes, or a capability that this one lacks.
	OutOfFrame
	// ForbidsModel: the policy takes no part in the model, or the capability isn't open.
	ForbidsModel
	// ForbidsEpsilon: one report, or one category, costs more than the policy gives in a period or for ever.
	ForbidsEpsilon
	// KeepsNothing: the plan asks for permanent answers, and the device can't keep any.
	KeepsNothing
	// Broken: the plan breaks its law.
	Broken
)

// String says it in words.
func (s Standing) String() string {
	switch s {
	case Takes:
		return "takes part"
	case Rests:
		return "rests in this lap"
	case OutOfFrame:
		return "is not asked"
	case ForbidsModel:
		return "the policy forbids the trust model"
	case ForbidsEpsilon:
		return "the policy forbids the price"
	case KeepsNothing:
		return "this device can't keep permanent answers"
	case Broken:
		return "the plan is broken"
	}
	return "invalid"
}

// ErrRefused says that the server refused the device; the text of the reply says why.
var ErrRefused = errors.New("hello: refused by the server")

// ApplyReply takes in the answer to a hello. It returns ErrRefused when the device was refused; then nothing changes.
// Again says that the next hello should be said soon: there are more plans than one answer carries, or the server lists a kappa whose
// plan the device neither holds nor was given, because the server's plan set isn't the one that the device knew; then the
// next hello names version 0.
func (a *Agent) ApplyReply(r *wire.HelloReply) (again bool, err error) {
	if r.Error != "" {
		return false, ErrRefused
	}
	live := make(map[string]bool, len(r.Live))
	for _, ref := range r.Live {
		live[ref] = true
	}
	a.drop(func(h held) bool { return !live[h.ref] })
	for _, w := range r.Plans {
		if live[w.Ref] {
			a.hold(w)
		}
	}
	named := a.version
	a.version = r.PlanSetVersion
	for i := range a.kappas {
		delete(live, a.kappas[i].ref)
	}
	if named != 0 && len(live) > 0 {
		a.version = 0
		return true, nil
	}
	return r.More, nil
}

// ApplyBroadcast takes in a change. Gap says that the device has missed an earlier one and must say hello; the change
// itself is taken in all the same.
func (a *Agent) ApplyBroadcast(b *wire.PlanBroadcast) (gap bool) {
	if b.PlanSetVersion <= a.version {
		return false
	}
	if b.Deleted != "" {
		a.drop(func(h held) bool { return h.ref == b.Deleted })
	}
	if b.Plan != nil {
		a.hold(b.Plan)
	}
	if b.PreviousVersion != a.version {
		return true
	}
	a.version = b.PlanSetVersion
	return false
}

// hold takes a revision in. One that breaks its law is remembered as such, so that it isn't asked for again, and is
// followed by silence.
func (a *Agent) hold(w *wire.DevicePlan) {
	r := revision{number: w.Revision, version: w.PlanSetVersion, standing: Broken}
	if p, err := a.config.Library.Prepare(w); err == nil {
		r.plan = p
		a.stand(&r)
	} else {
		a.invalid++
	}
	h := a.find(w.Ref)
	if h == nil {
		a.kappas = append(a.kappas, held{ref: w.Ref})
		if a.places != nil {
			a.places[w.Ref] = len(a.kappas) - 1
		}
		h = &a.kappas[len(a.kappas)-1]
	}
	at, found := slices.BinarySearchFunc(h.revisions, r.number, func(x revision, n uint32) int {
		switch {
		case x.number < n:
			return -1
		case x.number > n:
			return 1
		}
		return 0
	})
	switch {
	case !found:
		h.revisions = slices.Insert(h.revisions, at, r)
	case h.revisions[at].version <= r.version:
		h.revisions[at] = r
	}
	if n := len(h.revisions); n > revisionsMost {
		h.revisions = slices.Delete(h.revisions, 0, n-revisionsMost)
	}
}

// stand decides what the plan means to this device.
func (a *Agent) stand(r *revision) {
	p := r.plan
	r.standing = OutOfFrame
	c, ok := a.capability(p.wire.Capability)
	if !ok || !p.wire.Where.Match(a.attributes) {
		return
	}
	for i := range p.statistics {
		if !yields(c, p.statistics[i].reading) {
			return
		}
	}
	if r.stratum, ok = p.stratum(a.attributes); !ok {
		return
	}
	rotation := p.rotations[r.stratum]
	r.point = p.number(r.stratum, a.config.Device, a.attributes)
	place, _, ok := rotation.Place(r.point)
	r.place = place
	limits := a.config.Policy.Limits
	switch {
	case !ok:
		r.standing = Rests
	case !a.takes(p.wire.Model), p.price.Charge() == 0 && !c.Open:
		r.standing = ForbidsModel
	case p.price.Charge() > min(limits.PerPeriod, limits.Lifetime):
		r.standing = ForbidsEpsilon
	case p.price.Value > 0 && a.config.Memory == nil:
		r.standing = KeepsNothing
	default:
		r.standing = Takes
	}
}

// takes says whether the policy takes part in a model. A device that no gateway speaks for answers a question for gateways as
// one of the model local, which promises more.
func (a *Agent) takes(model string) bool {
	if model == Gateway && a.config.Gateway == "" {
		model = Local
	}
	return slices.Contains(a.config.Policy.Models, model)
}

// searchMost is how many kappas are searched one by one; beyond it their places are remembered.
const searchMost = 32

func (a *Agent) drop(which func(held) bool) {
	a.kappas, a.places = slices.DeleteFunc(a.kappas, which), nil
}

func (a *Agent) find(ref string) *held {
	if len(a.kappas) > searchMost {
		if a.places == nil {
			a.places = make(map[string]int, len(a.kappas))
			for i := range a.kappas {
				a.places[a.kappas[i].ref] = i
			}
		}
		if i, ok := a.places[ref]; ok {
			return &a.kappas[i]
		}
		return nil
	}
	for i := range a.kappas {
		if a.kappas[i].ref == ref {
			return &a.kappas[i]
		}
	}
	return nil
}
