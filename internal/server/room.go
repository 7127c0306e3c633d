package server

import (
	"cmp"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
)

// roomy is the engine as the service needs it.
type roomy struct{ *engine.Engine }

// Check tells callers why there is no memory for a kappa.
func (c roomy) Check(record *quadratv1.KappaRecord) error {
	err := c.Engine.Check(record)
	if full, ok := errors.AsType[*engine.NoRoomError](err); ok {
		return &service.Error{Code: service.TooMany, Message: "no memory for this kappa: " + full.Error()}
	}
	return err
}

// Weigh writes into a revision's plan what its windows take in memory. A plan that can't be run says nothing of it; Check tells why.
func (c roomy) Weigh(r *quadratv1.PlanRevision) {
	named := proto.CloneOf(r)
	named.Device.Ref, named.Device.Revision = cmp.Or(r.GetDevice().GetRef(), "explained"), max(r.GetDevice().GetRevision(), 1)
	if weight, err := c.Engine.Weigh(named); err == nil {
		r.Plan.WindowBytes, r.Plan.KeptBytes = uint64(weight.WindowBytes), uint64(weight.KeptBytes)
	}
}

// Weigh says nothing: what windows take is known where they are counted.
func (distant) Weigh(*quadratv1.PlanRevision) {}
