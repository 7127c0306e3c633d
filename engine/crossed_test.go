package engine

import (
	"fmt"
	"time"

	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// firstMinute is the index of the window of a minute that begins at epoch.
const firstMinute = 1_800_000_000_000 / 60_000

// crossed is the record of a kappa whose devices stand in 10 strata and 10 cells.
func crossed(ref string) *quadratv1.KappaRecord {
	plan := &quadratv1.DevicePlan{
		Ref: ref, Name: "name-" + ref, Revision: 1, FromWindow: firstMinute, WindowMs: 60_000, Salt: fmt.Appendf(nil, "%16s", ref), LapWindows: 1,
		Capability: "sense.temperature", Statistics: []*quadratv1.StatisticPlan{meanPlan("hybrid")}, Model: "local",
		EpsilonMicro: 4e6, Confidence: 0.95, GroupBy: []string{"cooling"}, StratifiedBy: []string{"region"},
	}
	for i := range 10 {
		plan.Strata = append(plan.Strata, &quadratv1.StratumPlan{
			Name: fmt.Sprint("r", i), Last: []uint64{1<<64 - 1}, Members: []*quadratv1.AttributeValues{{Values: []string{fmt.Sprint("r", i)}}},
		})
	}
	view := &quadratv1.Plan{Rotation: "rotating", Combinations: 100, Cells: 10, Panel: 1000}
	return &quadratv1.KappaRecord{
		Kappa: &quadratv1.Kappa{Ref: ref, Name: plan.GetName()}, Revisions: []*quadratv1.PlanRevision{{Device: plan, Plan: view}},
	}
}

// crossedRows is a fleet that fills all 100 groups of crossed.
func crossedRows(n int) []*fleet.Row {
	keyer, rows := fleet.NewKeyer([16]byte{}), make([]*fleet.Row, n)
	for i := range rows {
		id := fmt.Sprint("d", i)
		rows[i] = &fleet.Row{ID: id, Key: keyer.Key(id), Attributes: map[string]string{
			"region": fmt.Sprint("r", i%10), "cooling": fmt.Sprint("c", i/10%10),
		}}
	}
	return rows
}

// still is a fleet that never changes.
type still []*fleet.Row

func (s still) Frame(fleet.Query, time.Time) []*fleet.Row { return s }
