package survey

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"testing"
)

// samplingCompared is how many numbers of sampling_oracle.json this package must reproduce.
const samplingCompared = 29

// samplingOracle reads the values of the entries by their names; a single value stands as a list of one.
func samplingOracle(t *testing.T) map[string][]float64 {
	t.Helper()
	text, err := os.ReadFile("draw/testdata/sampling_oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Results []struct {
			ID    string
			Value json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	out := make(map[string][]float64)
	for _, r := range file.Results {
		var list numbers
		if json.Unmarshal(r.Value, &list) == nil {
			out[r.ID] = list
		}
	}
	return out
}

func oracleStrata() []AllocStratum {
	return []AllocStratum{
		{Population: 4421, Most: 4421, StdDev: 120, Cost: 1, Mean: 100, Importance: math.Sqrt(4421)},
		{Population: 755, Most: 755, StdDev: 110, Cost: 4, Mean: -100, Importance: math.Sqrt(755)},
		{Population: 1018, Most: 1018, StdDev: 115, Cost: 2, Mean: 100, Importance: math.Sqrt(1018)},
	}
}

func TestSamplingOracle(t *testing.T) {
	oracle, compared := samplingOracle(t), 0
	check := func(id string, got ...float64) {
		t.Helper()
		want := oracle[id]
		if len(got) != len(want) {
			t.Fatalf("%s: %d numbers, want %d", id, len(got), len(want))
		}
		for i := range got {
			compared++
			if !near(got[i], want[i], 1e-9, 0) {
				t.Errorf("%s[%d]: %.15g, want %.15g", id, i, got[i], want[i])
			}
		}
	}
	strata := oracleStrata()
	for id, method := range map[string]Method{
		"alloc_prop": Proportional, "alloc_neyman": Neyman, "alloc_cost": CostOptimal, "alloc_power_half": Power,
	} {
		shares, sum := make([]float64, len(strata)), 0.0
		for i, s := range strata {
			shares[i] = method.measure(s)
			sum += shares[i]
		}
		for i := range shares {
			shares[i] *= 200 / sum
		}
		check(id, shares...)
		whole, err := Allocate(method, 200, strata)
		if err != nil {
			t.Fatal(err)
		}
		for i := range whole {
			if math.Abs(float64(whole[i])-shares[i]) >= 1 {
				t.Errorf("%s: %v, want %v rounded", id, whole, shares)
			}
		}
	}
	first, second := 0.0, 0.0
	for _, s := range strata {
		first += Neyman.measure(s)
		second += Neyman.measure(s) * s.StdDev
	}
	check("var_neyman", (first*first/200-second)/(6194*6194))
	size := AllocStratum{Population: 6194, StdDev: 130}
	unbounded := AllocStratum{Population: math.MaxInt64, StdDev: 130}
	check("n_mean", normalSize(10, 0.95, size), normalSize(10, 0.95, unbounded))
	// For a proportion S² = N p(1−p)/(N−1).
	bits := AllocStratum{Population: 6194, StdDev: math.Sqrt(0.25 * 6194 / 6193)}
	many := AllocStratum{Population: math.MaxInt64, StdDev: 0.5}
	check("n_prop", normalSize(0.05, 0.95, many), normalSize(0.05, 0.95, bits))
	var ts []float64
	for _, df := range []float64{1, 2, 4, 14, 39, 197, 1000.5} {
		ts = append(ts, quantileT(0.95, df))
	}
	check("qt_975", ts...)
	check("qnorm", quantileZ(0.8), quantileZ(0.9), quantileZ(0.95), quantileZ(0.99), quantileZ(1-2e-6))
	t.Logf("compared %d numbers with R", compared)
	if compared < samplingCompared {
		t.Errorf("compared %d numbers, want at least %d", compared, samplingCompared)
	}
}

// The oracle: among all allocations within the budget none has a smaller variance than what one more cheapest unit
// would bring, and none with the same cost is better.
func TestAllocateBudgetBuysInOrderOfWorth(t *testing.T) {
	strata := []AllocStratum{
		{Population: 40, Most: 12, StdDev: 3, Cost: 1}, {Population: 25, Most: 9, StdDev: 9, Noise: 4, Cost: 2.5},
	}
	variance := func(sizes []int64) float64 {
		sum := 0.0
		for i, s := range strata {
			w := Neyman.measure(s)
			sum += w * w / float64(sizes[i])
		}
		return sum
	}
	for budget := 7.0; budget < 40; budget += 0.5 {
		got, err := AllocateBudget(budget, strata)
		if err != nil {
			t.Fatal(err)
		}
		cost := costOf(got, strata)
		next, err := Allocate(CostOptimal, got[0]+got[1]+1, strata)
		if err == nil && costOf(next, strata) <= budget {
			t.Fatalf("budget %g: %v leaves money for %v", budget, got, next)
		}
		if cost > budget {
			t.Fatalf("budget %g: %v costs %g", budget, got, cost)
		}
		for a := int64(2); a <= 12; a++ {
			for b := int64(2); b <= 9; b++ {
				other := []int64{a, b}
				if costOf(other, strata) <= cost && variance(other) < variance(got)*(1-1e-12) {
					t.Fatalf("budget %g: %v is better than %v", budget, other, got)
				}
			}
		}
	}
}

// Power allocation goes by the coefficient of variation: a stratum measured in another unit keeps its share.
func TestPowerDoesNotDependOnUnits(t *testing.T) {
	strata := oracleStrata()
	strata[0].Noise = 50
	before, err := Allocate(Power, 200, strata)
	if err != nil {
		t.Fatal(err)
	}
	strata[0].StdDev *= 30
	strata[0].Mean *= -30
	strata[0].Noise *= 900
	after, err := Allocate(Power, 200, strata)
	if err != nil {
		t.Fatal(err)
	}
	if before[0] != after[0] || before[1] != after[1] {
		t.Errorf("%v, then %v", before, after)
	}
}

func TestAllocateWantsCostsAndMeans(t *testing.T) {
	good := oracleStrata()
	for _, bad := range []struct {
		method Method
		change func(*AllocStratum)
	}{
		{CostOptimal, func(s *AllocStratum) { s.Cost = 0 }},
		{CostOptimal, func(s *AllocStratum) { s.Cost = math.NaN() }},
		{CostOptimal, func(s *AllocStratum) { s.Cost = math.Inf(1) }},
		{Power, func(s *AllocStratum) { s.Mean = 0 }},
		{Power, func(s *AllocStratum) { s.Importance = -1 }},
		{Power, func(s *AllocStratum) { s.Mean = math.Inf(1) }},
	} {
		strata := append([]AllocStratum(nil), good...)
		bad.change(&strata[1])
		if _, err := Allocate(bad.method, 50, strata); CodeOf(err) != Invalid {
			t.Errorf("%+v: %v", strata[1], err)
		}
		if _, err := Allocate(Neyman, 50, strata); err != nil {
			t.Errorf("Neyman reads neither: %v", err)
		}
	}
	var e *Error
	if _, err := AllocateBudget(13.9, good); !errors.As(err, &e) || e.Code != Infeasible || e.Best != 14 {
		t.Errorf("%v", err)
	}
	if _, err := AllocateBudget(math.NaN(), good); CodeOf(err) != Infeasible {
		t.Errorf("%v", err)
	}
}
