package agent_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// Devices of one building are due together and for the same statistic, where the building's number stands; devices without
// one are due by their own numbers. Each reports once a lap.
func TestClustersAreDueTogether(t *testing.T) {
	p := everyone()
	p.ClusteredBy = "building"
	rotation := panel.Rotation{LapWindows: lap, Slots: 2, Origin: panel.Number(p.Strata[0].Origin), Last: p.Strata[0].Last}
	salt, library := panel.Salt(p.Salt), &agent.Library{}
	for i := range 120 {
		c := config(t, fmt.Sprintf("device-%d", i))
		c.Library = library
		number := panel.NumberOf(salt, c.Device)
		if i%4 > 0 {
			building := fmt.Sprint("building-", i/12)
			c.Attributes = map[string]string{"building": building}
			number = panel.NumberOf(salt, "cluster:(all)\x00"+building)
		}
		a := start(t, c, p)
		for w := range int64(2 * lap) {
			statistic, due := rotation.Due(number, w)
			if s, d := a.DueAt(p.Ref, w); s != statistic || d != due {
				t.Fatalf("device %d, window %d: due %v for %d, want %v for %d", i, w, d, s, due, statistic)
			}
			if _, outcome, err := a.Report(nil, p.Ref, w); (outcome == agent.Reported) != due || err != nil {
				t.Fatalf("device %d, window %d: %v, %v, due %v", i, w, outcome, err, due)
			}
		}
		if n := a.Count(agent.Reported); n != 2 {
			t.Fatalf("%d reports in 2 laps", n)
		}
	}
}
