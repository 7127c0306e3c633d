package service_test

import (
	"net/http"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy/shuffle"
	"github.com/quadrat-dev/quadrat/query/service"
)

// TestPlansTellWhatADeclaredShufflerAdds: in what a deployment answers, in the plan and in an explanation, at the expected reports of
// the smallest batch; and no longer when the server is started without the declaration.
func TestPlansTellWhatADeclaredShufflerAdds(t *testing.T) {
	office := shuffle.Party{Name: "Statistics Office", Delta: 1e-7}
	want, _ := shuffle.NewFigures(office).Of("warner", 1_000_000, 1234)
	b := openBroker(t, t.TempDir())
	s := stackOn(t, b, func(c *service.Config) { c.Shuffler = office })
	s.planner.batch = 1234.9
	told := func(plan map[string]any) map[string]any {
		shuffled, _ := plan["plan"].(map[string]any)["privacy"].(map[string]any)["shuffle"].(map[string]any)
		return shuffled
	}
	for what, plan := range map[string]map[string]any{
		"deployed":  s.object(http.StatusCreated, http.MethodPut, "/kappa?e=1", indoor),
		"explained": s.object(http.StatusOK, http.MethodPost, "/explain?e=1", indoor),
	} {
		got := told(plan)
		if got["reports"] != 1234.0 || got["epsilon"] != want.Epsilon || got["delta"] != office.Delta || got["bound"] != want.Bound ||
			got["assumes"] != office.Assumes() {
			t.Errorf("%s: %v, want %+v", what, got, want)
		}
	}
	if got := told(s.object(http.StatusOK, http.MethodGet, "/kappa/indoor/plan", "")); got["epsilon"] != want.Epsilon {
		t.Errorf("in the plan: %v", got)
	}
	s.stop()
	again := stackOn(t, b, nil)
	if got := told(again.object(http.StatusOK, http.MethodGet, "/kappa/indoor/plan", "")); got != nil {
		t.Errorf("nobody is declared, and yet %v", got)
	}
}
