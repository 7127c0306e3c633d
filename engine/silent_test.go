package engine

import (
	"testing"

	"github.com/quadrat-dev/quadrat/survey"
)

func momentsOf(scores ...float64) (m survey.Moments) {
	for _, s := range scores {
		m.Add(s, 0)
	}
	return m
}

// A stratum in which enough devices were due and nobody answered (an outage, say) stands for nobody else: there is no
// number for whatever has members in it, rather than a wrong one. A stratum in which too few were due is collapsed.
func TestASilentStratumGivesNoNumber(t *testing.T) {
	const north, south, tiny = 0, 1, 2
	w := &window{
		plan: &plan{statistics: []statistic{{kind: "mean"}}, confidence: 0.95},
		layout: &layout{
			strata: []string{"north", "south", "tiny"}, stratumSize: []int64{100, 100, 3},
			cells:  []cell{{text: "a"}, {text: "b"}},
			groups: []group{{stratum: north, cell: 0}, {stratum: south, cell: 0}, {stratum: south, cell: 1}, {stratum: tiny, cell: 1}},
		},
		due:     []int64{5, 4, 4, 1},
		moments: []survey.Moments{momentsOf(20, 21, 22), {}, {}, {}},
	}
	for domain, name := range map[int]string{allCells: "all", 0: "a", 1: "b"} {
		if _, _, err := w.solve(0, domain); survey.CodeOf(err) != survey.NoReports {
			t.Errorf("%s, with the south silent: %v", name, err)
		}
	}
	w.moments = []survey.Moments{{}, momentsOf(30, 31), momentsOf(32, 33), {}}
	if _, _, err := w.solve(0, allCells); survey.CodeOf(err) != survey.NoReports {
		t.Errorf("all, with the north silent: %v", err)
	}
	if _, _, err := w.solve(0, 0); survey.CodeOf(err) != survey.NoReports {
		t.Errorf("a, with the north silent: %v", err)
	}
	e, notes, err := w.solve(0, 1)
	if err != nil || e.Value != 32.5 || len(notes) == 0 {
		t.Errorf("b has nobody in the north: %+v, %v, %v", e, notes, err)
	}
}
