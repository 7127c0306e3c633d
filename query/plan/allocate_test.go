package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quadrat-dev/quadrat/query/plan"
)

// TestPowerLiesBetween holds POWER to its two ends: POWER 1 is NEYMAN whatever
// is known of the strata, and POWER 0 is EQUAL where all strata have the same deviation. In between, with the same
// deviation, the largest stratum's panel never shrinks as the exponent grows.
func TestPowerLiesBetween(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sizes []any
		for _, region := range []string{"a", "b", "c"} {
			sizes = append(sizes, region, "", rapid.IntRange(40, 400).Draw(t, region))
		}
		frame := fleet(sizes...)
		n := rapid.IntRange(6, 60).Draw(t, "n")
		pilot := map[string]float64{}
		for _, region := range []string{"a", "b", "c"} {
			pilot[region] = rapid.Float64Range(0.01, 5).Draw(t, "deviation "+region)
		}
		panels := func(allocate string, pilot map[string]float64) []float64 {
			t.Helper()
			text := fmt.Sprintf("SELECT mean(x) FROM a.q SAMPLE %d DEVICES STRATIFIED BY region ALLOCATE %s WINDOW 1m "+
				"PRIVACY LOCAL EPSILON 2 PER 2m BETWEEN 0 AND 8", n, allocate)
			rev, err := plan.Build(prepared(t, text, nil), frame, plan.Options{Pilot: map[string]map[string]float64{"mean(x)": pilot}})
			if err != nil {
				t.Fatal(err)
			}
			var out []float64
			for _, s := range rev.GetPlan().GetStrata() {
				out = append(out, s.GetPanel())
			}
			return out
		}
		if one, neyman := panels("POWER 1", pilot), panels("NEYMAN", pilot); !slices.Equal(one, neyman) {
			t.Fatalf("POWER 1 %v, NEYMAN %v", one, neyman)
		}
		if zero, equal := panels("POWER 0", nil), panels("EQUAL", nil); !slices.Equal(zero, equal) {
			t.Fatalf("POWER 0 %v, EQUAL %v", zero, equal)
		}
		largest, before := 0, 0.0
		for i := range 3 {
			if sizes[3*i+2].(int) > sizes[3*largest+2].(int) {
				largest = i
			}
		}
		for _, a := range []string{"0", "0.25", "0.5", "0.75", "1"} {
			now := panels("POWER "+a, nil)[largest]
			if now < before {
				t.Fatalf("POWER %s gives the largest stratum %g, a lower exponent %g", a, now, before)
			}
			before = now
		}
	})
}
