package service_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
)

// TestPlannerTellsKnowledgeFromSupposition: a redraw of a MARGIN plan that is given what the first one knew draws the same
// panel, and what was only supposed does not pass for knowledge.
func TestPlannerTellsKnowledgeFromSupposition(t *testing.T) {
	p := service.NewFleetPlanner(registryOf(t, 4000), func(context.Context) error { return nil })
	const text = `KAPPA m AS SELECT mean(temperature) FROM sense.temperature SAMPLE MARGIN 4 STRATIFIED BY region ALLOCATE NEYMAN
		WINDOW 1m PRIVACY LOCAL EPSILON 4 PER 10m BETWEEN 10 AND 40`
	draft := service.Draft{Script: text, Ref: "k7f3q2", Name: "m", Salt: make([]byte, 16), Revision: 1, Now: start}
	plan := func(known ...service.Known) *quadratv1.PlanRevision {
		t.Helper()
		draft.Known = known
		r, err := p.Plan(t.Context(), draft)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	blind := func(r *quadratv1.PlanRevision) bool {
		return slices.ContainsFunc(r.GetPlan().GetWarnings(), func(w string) bool { return strings.Contains(w, "no standard deviations are known") })
	}
	first := plan()
	view := first.GetPlan().GetStatistics()[0]
	know := func(sd float64) service.Known {
		return service.Known{Capability: "sense.temperature", Statistic: first.GetDevice().GetStatistics()[0], StdDev: sd}
	}
	supposed, known := plan(know(view.GetAssumedStdDev())), plan(know(1))
	again := plan(know(known.GetPlan().GetStatistics()[0].GetAssumedStdDev()))
	if !blind(first) || !blind(supposed) || blind(known) || blind(again) {
		t.Errorf("blind: %v %v %v %v", blind(first), blind(supposed), blind(known), blind(again))
	}
	panels := []uint32{first.GetPlan().GetPanel(), supposed.GetPlan().GetPanel(), known.GetPlan().GetPanel(), again.GetPlan().GetPanel()}
	if panels[0] != panels[1] || panels[2] != panels[3] || panels[2] >= panels[0] {
		t.Errorf("panels of %v devices", panels)
	}
}
