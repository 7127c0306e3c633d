package survey

import (
	"container/heap"
	"fmt"
	"math"
)

// AllocStratum is what is known of a stratum before anything is drawn.
type AllocStratum struct {
	Population int64   // N_h, units in the frame
	StdDev     float64 // S_h, the standard deviation of the true values, without noise
	Noise      float64 // σ_h², the variance that the mechanism's noise adds to each report
	Most       int64   // the most units that one panel can have, at most Population
	Cost       float64 // c_h > 0, what one unit costs, in any unit that all strata share; only [CostOptimal] reads it
	Mean       float64 // Ȳ_h, the mean of the true values, not 0; only [Power] reads it
	Importance float64 // X_h^a ≥ 0, the stratum's size to the power 0 ≤ a ≤ 1; only [Power] reads it
}

// Method is a rule by which a sample is shared out to strata.
type Method uint8

// The methods of [Allocate].
const (
	Proportional Method = iota + 1 // ∝ N_h
	Equal                          // the same for each
	Neyman                         // ∝ N_h √(S_h² + σ_h²): the least variance of the overall mean (Neyman 1934; noise added to S²)
	CostOptimal                    // ∝ N_h √((S_h² + σ_h²)/c_h): the least variance for what it costs (Cochran 1977, §5.5)
	Power                          // ∝ X_h^a √(S_h² + σ_h²)/|Ȳ_h|: between equal strata (a = 0) and Neyman (a = 1) (Bankier 1988)
)

// leastPanel is the least panel of a stratum: with fewer than two reports no variance can be estimated.
const leastPanel = 2

// measure returns the number that the method's shares are proportional to.
func (m Method) measure(s AllocStratum) float64 {
	switch m {
	case Proportional:
		return float64(s.Population)
	case Equal:
		return 1
	case Neyman:
		return float64(s.Population) * s.deviation()
	case CostOptimal:
		return float64(s.Population) * s.deviation() / math.Sqrt(s.Cost)
	case Power:
		return s.Importance * s.deviation() / math.Abs(s.Mean)
	}
	return math.NaN()
}

// deviation returns √(S_h² + σ_h²), the standard deviation of a report.
func (s AllocStratum) deviation() float64 { return math.Sqrt(s.StdDev*s.StdDev + s.Noise) }

// checkFor reports what the method needs to know of the stratum and doesn't.
func (m Method) checkFor(s AllocStratum, i int) error {
	switch {
	case m == CostOptimal && (!(s.Cost > 0) || !finite(s.Cost)):
		return &Error{Code: Invalid, Detail: fmt.Sprintf("stratum %d: want a cost above 0", i)}
	case m == Power && (s.Mean == 0 || !finite(s.Mean, s.Importance) || s.Importance < 0):
		return &Error{Code: Invalid, Detail: fmt.Sprintf("stratum %d: want a mean other than 0 and an importance ≥ 0", i)}
	}
	return nil
}

// Allocate shares n units out to the strata: at least 2 and at most Most each, n in sum, otherwise as near to the
// method's shares as integers can be, by Wright's priorities measure_h/√(m(m+1)) for the (m+1)-th unit (Wright 2012),
// which for Neyman gives the exact least variance. Ties go to the stratum that comes first.
//
// A stratum whose Most is below 2, or an n outside [2·strata, Σ Most], is an *[Error] with the code Infeasible; its Best
// is the nearest n that can be had (0 when there is none).
func Allocate(method Method, n int64, strata []AllocStratum) ([]int64, error) {
	q := queue{measure: make([]float64, len(strata)), size: make([]int64, len(strata))}
	most := int64(0)
	for i, s := range strata {
		if err := s.check(i); err != nil {
			return nil, err
		}
		if err := method.checkFor(s, i); err != nil {
			return nil, err
		}
		q.measure[i] = method.measure(s)
		if !finite(q.measure[i]) {
			return nil, &Error{Code: Invalid, Detail: fmt.Sprintf("no measure of size for stratum %d", i)}
		}
		most += s.Most
	}
	least := leastPanel * int64(len(strata))
	if n < least || n > most {
		return nil, &Error{Code: Infeasible, Best: float64(min(max(n, least), most)), Detail: fmt.Sprintf(
			"%d units for %d strata: from %d to %d can be had", n, len(strata), least, most)}
	}
	spent := q.start(n, strata)
	for i, s := range strata {
		if q.size[i] < s.Most {
			q.open = append(q.open, i)
		}
	}
	heap.Init(&q)
	for ; spent < n; spent++ {
		i := q.open[0]
		q.size[i]++
		if q.size[i] < strata[i].Most {
			heap.Fix(&q, 0)
		} else {
			heap.Pop(&q)
		}
	}
	return q.size, nil
}

func (s AllocStratum) check(i int) error {
	if s.Most > s.Population || !finite(s.StdDev, s.Noise) || s.StdDev < 0 || s.Noise < 0 {
		return &Error{Code: Invalid, Detail: fmt.Sprintf(
			"stratum %d: want most ≤ population, deviation ≥ 0 and noise ≥ 0", i)}
	}
	if s.Most < leastPanel {
		return &Error{Code: Infeasible, Detail: fmt.Sprintf("stratum %d can give %d of %d units a panel", i, s.Most, leastPanel)}
	}
	return nil
}

// queue holds the strata that can take another unit, the one with the highest priority first.
type queue struct {
	measure []float64
	size    []int64
	open    []int
}

// start gives each stratum all but one of its units whose priority is above a threshold that at most n units pass, and
// returns their sum. These units come first in any case, so the queue goes on as if it had given them out one by one; the
// one that is kept back leaves room for rounding at the threshold.
func (q *queue) start(n int64, strata []AllocStratum) int64 {
	low, high := 0.0, 1.0
	for q.fill(high, 0, strata) > n {
		high *= 2
	}
	for range 100 {
		middle := (low + high) / 2
		if q.fill(middle, 0, strata) > n {
			low = middle
		} else {
			high = middle
		}
	}
	return q.fill(high, 1, strata)
}

// fill sets each size to the number of units whose priority is at least the threshold, less what is kept back, within
// [2, Most], and returns the sum. Unit m has the priority measure/√((m−1)m), so their number is the largest m with
// (m−1)m ≤ (measure/threshold)².
func (q *queue) fill(threshold float64, back int64, strata []AllocStratum) int64 {
	sum := int64(0)
	for i, s := range strata {
		ratio := q.measure[i] / threshold
		units := min((1+math.Sqrt(1+4*ratio*ratio))/2, float64(s.Most))
		q.size[i] = max(leastPanel, int64(units)-back)
		sum += q.size[i]
	}
	return sum
}

func (q *queue) priority(i int) float64 {
	m := float64(q.size[i])
	return q.measure[i] / math.Sqrt(m*(m+1))
}

// Len, Less, Swap, Push and Pop make queue a heap.
func (q *queue) Len() int { return len(q.open) }

func (q *queue) Less(a, b int) bool {
	i, j := q.open[a], q.open[b]
	if x, y := q.priority(i), q.priority(j); x != y {
		return x > y
	}
	return i < j
}

func (q *queue) Swap(a, b int) { q.open[a], q.open[b] = q.open[b], q.open[a] }

func (q *queue) Push(x any) { q.open = append(q.open, x.(int)) }

func (q *queue) Pop() any {
	last := q.open[len(q.open)-1]
	q.open = q.open[:len(q.open)-1]
	return last
}
