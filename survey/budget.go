package survey

import (
	"fmt"
	"math"
)

// AllocateBudget shares a budget out to the strata: the allocation of [Allocate] with [CostOptimal] for the largest
// number of units whose cost Σ c_h n_h stays within the budget. Wright's priority N_h√((S_h²+σ_h²)/(c_h m(m+1))) is the
// root of what unit m+1 takes off the variance per unit of cost, so units are bought in the order of their worth.
//
// A budget below the cost of two units in each stratum is an *[Error] with the code Infeasible, whose Best is that cost.
func AllocateBudget(budget float64, strata []AllocStratum) ([]int64, error) {
	least := leastPanel * int64(len(strata))
	smallest, err := Allocate(CostOptimal, least, strata)
	if err != nil {
		return nil, err
	}
	if cost := costOf(smallest, strata); !(cost <= budget) || math.IsInf(budget, 0) {
		return nil, &Error{Code: Infeasible, Best: cost, Detail: fmt.Sprintf("a budget of %g: two units a stratum cost %g", budget, cost)}
	}
	most := int64(0)
	for _, s := range strata {
		most += s.Most
	}
	best := smallest
	// Allocations are nested: the one for n+1 units is the one for n and a unit more. So their cost grows with n.
	for low, high := least, most; low < high; {
		middle := low + (high-low+1)/2
		sizes, err := Allocate(CostOptimal, middle, strata)
		if err != nil {
			return nil, err
		}
		if costOf(sizes, strata) <= budget {
			low, best = middle, sizes
		} else {
			high = middle - 1
		}
	}
	return best, nil
}

// costOf returns Σ c_h n_h.
func costOf(sizes []int64, strata []AllocStratum) float64 {
	sum := 0.0
	for i, n := range sizes {
		sum += float64(n) * strata[i].Cost
	}
	return sum
}
