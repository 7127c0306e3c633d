package survey

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestCollapseFollowsTheRule(t *testing.T) {
	strata := []Sample{
		stratum("north", 500, 1, 2, 3, 4),
		stratum("island", 20, 5),
		{Stratum: "empty"},
		stratum("cape", 1),
		stratum("south", 80, 6, 7),
	}
	merged, mapping, notes := Collapse(strata, 2)
	// cape (1 unit) joins the smallest other one, island (20); the two have one report and join south (80).
	if len(merged) != 3 || !slices.Equal(mapping, []int{0, 1, 2, 1, 1}) || len(notes) != 1 {
		t.Fatalf("%+v, %v, %v", merged, mapping, notes)
	}
	got := merged[1]
	if got.Stratum != "cape+island+south" || got.Population != 101 || got.Responses != 3 || got.Domain.Mean != 6 {
		t.Errorf("%+v", got)
	}
	if strata[1].Stratum != "island" || strata[1].Population != 20 {
		t.Error("the input changed")
	}
}

func TestCollapseKeepsEverythingAndIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f", "g"}[:rapid.IntRange(1, 7).Draw(t, "strata")]
		strata := make([]Sample, len(names))
		for i, name := range names {
			m := rapid.Int64Range(0, 6).Draw(t, "responses")
			strata[i] = Sample{Stratum: name, Population: m + rapid.Int64Range(0, 9).Draw(t, "silent"), Panel: m, Responses: m}
			strata[i].Domain = Moments{Count: m, Mean: float64(min(m, 1))}
		}
		floor := rapid.Int64Range(0, 8).Draw(t, "floor")
		merged, mapping, _ := Collapse(strata, floor)
		var units, back int64
		below, live := 0, 0
		for i, s := range merged {
			units += s.Population
			var population, responses int64
			for j, to := range mapping {
				if to == i {
					population, responses = population+strata[j].Population, responses+strata[j].Responses
				}
			}
			if population != s.Population || responses != s.Responses {
				t.Fatalf("%+v holds %d and %d", s, population, responses)
			}
			if s.Population > 0 {
				live++
				if s.Responses < floor {
					below++
				}
			}
		}
		for _, s := range strata {
			back += s.Population
		}
		if units != back || (below > 0 && live > 1) {
			t.Fatalf("%+v from %+v", merged, strata)
		}
		again, _, notes := Collapse(merged, floor)
		if !slices.Equal(again, merged) || len(notes) != 0 {
			t.Fatalf("a second pass changes %+v", merged)
		}
		shuffled, _, _ := Collapse(rapid.Permutation(strata).Draw(t, "order"), floor)
		for _, s := range shuffled {
			if !slices.Contains(merged, s) {
				t.Fatalf("%+v isn't in %+v", s, merged)
			}
		}
	})
}
