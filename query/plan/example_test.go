package plan_test

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/query/script"
)

// indoor is the first query of the README.
const indoor = `KAPPA indoor AS
SELECT   mean(temperature), proportion(temperature > 26)
FROM     sense.temperature
WHERE    building_type <> 'others'
GROUP BY cooling_type
SAMPLE   ALL STRATIFIED BY region ROTATING
WINDOW   1m GRACE 5s
PRIVACY  LOCAL EPSILON 4 PER 1h BETWEEN 10 AND 40`

// fleet makes a frame from "region/cooling_type" → devices.
func fleet(sizes ...any) []plan.Member {
	var out []plan.Member
	for i := 0; i < len(sizes); i += 3 {
		attributes := map[string]string{"region": sizes[i].(string), "cooling_type": sizes[i+1].(string)}
		for range sizes[i+2].(int) {
			out = append(out, plan.Member{ID: fmt.Sprintf("device-%06d", len(out)), Attributes: attributes})
		}
	}
	return out
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
}

func prepared(t failer, text string, params map[string]float64) *script.Script {
	t.Helper()
	s, err := script.Prepare(text, params)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func Example() {
	s, err := script.Prepare(indoor, nil)
	if err != nil {
		panic(err)
	}
	frame := fleet("asia", "air conditioned", 6000, "asia", "", 1248, "europe", "naturally ventilated", 5000, "oceania", "", 21)
	rev, err := plan.Build(s, frame, plan.Options{Ref: "k7f3q2", Revision: 1})
	if err != nil {
		panic(err)
	}
	p := rev.GetPlan()
	fmt.Printf("%d of %d devices in each window, a lap of %d windows\n", p.GetPanel(), p.GetPopulation(), p.GetLapWindows())
	for _, s := range p.GetStatistics() {
		fmt.Printf("%s ± %.3f by %.0f reports\n", s.GetName(), s.GetMargin(), s.GetPanel())
	}
	// Output:
	// 204 of 12269 devices in each window, a lap of 60 windows
	// mean(temperature) ± 1.560 by 102 reports
	// proportion(temperature > 26) ± 0.101 by 102 reports
}
