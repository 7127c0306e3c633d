//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// cluster is what is due: the units of one stratum, which are all asked the same.
type cluster struct {
	question agent.Question
	units    []*unit // ascending by identity
}

// cell is the units of a cluster that stand in one cell of GROUP BY.
type cell struct {
	device        string // least identity of all its units
	contributions []int64
}

// Report makes the release of a window that has ended, as an IntakeRequest behind b, or says why there is none. The law is that
// of agent.Agent's Report, with a cluster in place of a device: one charge of the household's ledger, durable before any noise is
// drawn, and the only bytes that the window will ever have.
func (c *Crew) Report(b []byte, ref string, window int64) (request []byte, outcome agent.Outcome, err error) {
	due, outcome := c.due(ref, window)
	if due == nil {
		return b, outcome, nil
	}
	release, outcome, err := c.release(due, ref, window)
	for _, u := range due.units {
		u.Settle(ref, window, outcome)
	}
	if outcome != agent.Reported {
		return b, outcome, err
	}
	return release.AppendRequest(b), agent.Reported, nil
}

// due finds the cluster that a window asks. Where clusters of several strata are due at once only the first one's is answered: the
// ledger adds up over the whole gateway and has one charge for a window.
func (c *Crew) due(ref string, window int64) (*cluster, agent.Outcome) {
	var found *cluster
	why := agent.NotDue
	for _, u := range c.units {
		q, outcome := u.Question(ref, window)
		switch {
		case outcome == agent.NotDue, outcome == agent.Unknown:
			if why == agent.NotDue {
				why = outcome
			}
			continue
		case u.refused, outcome == agent.Reported && q.Plan.Charge(window).WindowStart.UnixMilli() < u.sinceMs:
			continue
		case outcome != agent.Reported:
			u.Settle(ref, window, outcome)
			why = outcome
			continue
		case found == nil:
			found = &cluster{question: q}
		case found.question.Stratum != q.Stratum:
			u.Settle(ref, window, agent.RefusedCharged)
			continue
		}
		found.units = append(found.units, u)
	}
	return found, why
}

// release gathers, charges and adds noise, in this order. A cluster without any reading is silent before anything is charged.
func (c *Crew) release(due *cluster, ref string, window int64) (wire.Release, agent.Outcome, error) {
	q := &due.question
	r := wire.Release{Gateway: c.gateway, Kappa: ref, Revision: q.Revision, Window: window, Statistic: q.Statistic}
	cells := gather(due, window)
	if len(cells) == 0 {
		return r, agent.NoReadings, nil
	}
	sum := q.Sum()
	for i := range cells {
		r.Parts = append(r.Parts, wire.ReleasePart{
			Device: cells[i].device, Units: uint32(len(cells[i].contributions)), Values: make([]int64, max(sum.Categories, 1)),
		})
	}
	if r.SizeMost() > wire.ReleaseMost || len(r.Parts) > wire.PartsMost {
		return r, agent.RefusedSize, nil
	}
	if err := c.ledger.Reserve(q.Plan.Charge(window)); err != nil {
		return r, agent.Refusal(err), err
	}
	for i := range cells {
		values, err := noisy(c.noise, sum, q.Plan.Epsilon(), cells[i].contributions)
		if err != nil {
			return r, agent.EntropyFailed, err
		}
		r.Parts[i].Values = values
	}
	return r, agent.Reported, nil
}

// gather takes one contribution of each unit that has a reading into its cell; cells without any are left out. The units come in
// the order of their identities, so the cells do too.
func gather(due *cluster, window int64) []cell {
	var cells []cell
	at := make(map[string]int)
	for _, u := range due.units {
		name := u.Cell(&due.question)
		i, known := at[name]
		if !known {
			i = len(cells)
			at[name] = i
			cells = append(cells, cell{device: u.Device()})
		}
		if x, ok := u.Contribution(&due.question, window); ok {
			cells[i].contributions = append(cells[i].contributions, x)
		}
	}
	heard := cells[:0]
	for _, k := range cells {
		if len(k.contributions) > 0 {
			heard = append(heard, k)
		}
	}
	return heard
}
