package plan_test

import (
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/query/plan"
)

// TestPlanTellsWhatAnObserverLearns: a plan names what its epsilon does not cover, and claims a delta only where there is an epsilon.
func TestPlanTellsWhatAnObserverLearns(t *testing.T) {
	for privacy, words := range map[string][]string{
		"NONE": {"Who reported", "Who was silent", "no noise"},
		"LOCAL EPSILON 1 PER 1h BETWEEN 0 AND 30": {"Who reported", "Who was silent", "size", "pseudonym", "No amplification"},
	} {
		rev, err := plan.Build(prepared(t, "SELECT mean(x) FROM sense.t SAMPLE ALL WINDOW 1h PRIVACY "+privacy, nil),
			[]plan.Member{{ID: "a"}, {ID: "b"}}, plan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(rev.GetPlan().GetObserver(), "\n")
		for _, word := range words {
			if !strings.Contains(text, word) {
				t.Errorf("%s: no %q in\n%s", privacy, word, text)
			}
		}
		p := rev.GetPlan().GetPrivacy()
		if local := privacy != "NONE"; (p.Delta != nil) != local || p.GetDelta() != 0 || p.EpsilonToDate == nil || p.GetEpsilonToDate() != 0 {
			t.Errorf("%s: delta %v, to date %v", privacy, p.Delta, p.EpsilonToDate)
		}
		if local := privacy != "NONE"; strings.Contains(text, "no noise") == local {
			t.Errorf("%s: %s", privacy, text)
		}
	}
}
