package plan

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/script"
)

// Member is a device of the frame: one that has the capability, matches WHERE and takes part in the trust model.
type Member struct {
	ID         string            // identity
	Attributes map[string]string // public attributes; a missing one is absent or empty
}

// AnyStratum names, in a pilot, the strata that it has no name for.
const AnyStratum = ""

// Options is what a plan needs besides script and frame. Ref is empty and Revision 0 for an explanation.
type Options struct {
	Ref            string
	Revision       uint32
	PlanSetVersion uint64
	FromWindow     int64    // first window in force, 0 or more
	Salt           [16]byte // of the kappa, the same in all of its revisions
	// Previous is the revision before, nil for the first one: the next lap begins with the devices that rested in its
	// lap, and a redraw within a lap keeps its origins, so that devices keep their places.
	Previous *quadratv1.DevicePlan
	// Pilot holds standard deviations that are known from earlier results, by the statistic's name and the stratum's name,
	// in the statistic's unit for one device and without noise. What is missing is supposed: an eighth of the bounds' span
	// for means and totals, one half for proportions and counts.
	Pilot map[string]map[string]float64
	// Mechanisms are those that every device of the frame has named of the ones that not all know (mechanisms.Announced).
	Mechanisms []string
}

// planBytesMax is the most that a plan may take, so that it fits in one message of the broker.
const planBytesMax = 900 << 10

// Build makes a plan. The script must come from script.Prepare or Script.Bind. Its errors are *script.Error,
// *script.UnsupportedError, [*Infeasible] and, when two devices of the frame can't be told apart by their numbers under this
// salt (about once in 2^64/N² plans), *panel.Error.
func Build(s *script.Script, frame []Member, opt Options) (*quadratv1.PlanRevision, error) {
	if err := script.Unsupported(s); err != nil {
		return nil, err
	}
	q, err := read(s, opt)
	if err != nil {
		return nil, err
	}
	f, err := gather(q, frame)
	if err != nil {
		return nil, err
	}
	d, err := q.design(f)
	if err != nil {
		return nil, err
	}
	if err := d.checkPanes(); err != nil {
		return nil, err
	}
	if err := fits(d); err != nil {
		return nil, err
	}
	d.settle(opt.Previous)
	device, err := d.device(opt)
	if err != nil {
		return nil, err
	}
	if size := proto.Size(device); size > planBytesMax {
		return nil, tooLarge(d, size)
	}
	return &quadratv1.PlanRevision{Device: device, Plan: d.view(device, opt)}, nil
}

// fits refuses a plan that is too large before its arcs are drawn.
func fits(d *design) error {
	arcs := float64(len(d.strata)) * float64(d.lap) * float64(len(d.q.asked))
	if size := arcs * 8; size > planBytesMax || d.lap > math.MaxUint32 {
		return tooLarge(d, int(size))
	}
	return nil
}

func tooLarge(d *design, size int) error {
	return &Infeasible{
		Reason: fmt.Sprintf("the plan takes %d KB and may take %d: %d strata, %s in a lap, %s",
			size>>10, planBytesMax>>10, len(d.strata), plural(int(d.lap), "window"), d.q.slotsText()),
		BestPanel: d.panel(),
		Options:   []string{"a longer window", "a shorter period", "fewer strata", "fewer statistics"},
	}
}
