package draw

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/quadrat-dev/quadrat/survey/panel"
)

// Proportional returns inclusion probabilities proportional to size with the sum n: π_k = n x_k/Σx, where that is 1 or more
// the unit is certain, and the rest is shared out anew until none is (Tillé 2006, §2.10). A size of 0 gives π = 0: such a
// unit is never drawn, and a total over units that can be other than 0 is biased; give it a small size instead.
//
// Sizes that are negative or not finite are Invalid; fewer than n positive ones Infeasible.
func Proportional(sizes []float64, n int) ([]float64, error) {
	largest := 0.0
	for k, x := range sizes {
		if !(x >= 0) || math.IsInf(x, 1) {
			return nil, invalid("unit %d: the size %g is negative or not finite", k, x)
		}
		largest = max(largest, x)
	}
	able := 0
	for _, x := range sizes {
		if x/largest > 0 {
			able++
		}
	}
	if n < 1 {
		return nil, invalid("want a sample of at least 1, not %d", n)
	}
	if able < n {
		return nil, infeasible(able, "%d units where %d have a size above 0", n, able)
	}
	pi := make([]float64, len(sizes))
	for left := n; ; {
		sum := 0.0
		for k, x := range sizes {
			if pi[k] < 1 {
				sum += x / largest
			}
		}
		certain := 0
		for k, x := range sizes {
			if pi[k] == 1 {
				continue
			}
			if pi[k] = float64(left) * (x / largest / sum); pi[k] >= 1 {
				pi[k] = 1
				certain++
			}
		}
		left -= certain
		if certain == 0 || left == 0 {
			return pi, nil
		}
	}
}

// place returns where the number stands on (0, 1): the middle of one of 2^53 equal parts.
func place(n panel.Number) float64 { return (float64(n>>11) + 0.5) / (1 << 53) }

// Pareto draws Σπ units, those with the smallest ranks (U/(1−U))/(π/(1−π)), U the permanent random number (Rosén 1997). The
// true inclusion probabilities differ from pi a little: by less than 0.01 for 5 of 12 units, by less the larger Σπ(1−π) is; use
// [Sampford] for exact ones. Of all order samples it has the least variance. pi must add up to a whole number; units with π
// = 1 are certain. Equal ranks go to the smaller number, then to the unit that comes first.
func Pareto(numbers []panel.Number, pi []float64) (Sample, error) {
	return ordered(numbers, pi, func(u, p float64) float64 { return u / (1 - u) * (1 - p) / p })
}

// SequentialPoisson draws Σπ units, those with the smallest U/π (Ohlsson 1998). It is as [Pareto], with a slightly larger
// variance and the simpler rule: the sample is what Poisson sampling from the same numbers would take, to the right size.
func SequentialPoisson(numbers []panel.Number, pi []float64) (Sample, error) {
	return ordered(numbers, pi, func(u, p float64) float64 { return u / p })
}

func ordered(numbers []panel.Number, pi []float64, rank func(u, p float64) float64) (Sample, error) {
	n, err := fixedSize(pi)
	if err != nil {
		return Sample{}, err
	}
	if len(numbers) != len(pi) {
		return Sample{}, invalid("%d numbers for %d units", len(numbers), len(pi))
	}
	var order []int
	ranks := make([]float64, len(pi))
	for k, p := range pi {
		if p == 0 {
			continue
		}
		order = append(order, k)
		ranks[k] = rank(place(numbers[k]), p)
		if p == 1 {
			ranks[k] = -1 // before all others
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(ranks[i], ranks[j]), cmp.Compare(numbers[i], numbers[j]))
	})
	units := order[:n]
	slices.Sort(units)
	return withPi(units, pi), nil
}

func withPi(units []int, pi []float64) Sample {
	s := Sample{Units: units, Pi: make([]float64, len(units))}
	for i, k := range units {
		s.Pi[i] = pi[k]
	}
	return s
}

// SystematicProportional draws Σπ units at even steps of 1 along the cumulated inclusion probabilities of a list, from one
// random start (Madow 1949). π is exact; many joint probabilities are 0, so that no unbiased variance exists; see
// [SystematicJoint]. pi is indexed by unit, order is the list.
func SystematicProportional(src rand.Source, pi []float64, order []int) (Sample, error) {
	ends, err := cumulate(pi, order)
	if err != nil {
		return Sample{}, err
	}
	return withPi(hits(ends, order, rand.New(src).Float64()), pi), nil
}

// cumulate returns the cumulated probabilities along the list; the last is the whole number that they add up to.
func cumulate(pi []float64, order []int) ([]float64, error) {
	n, err := fixedSize(pi)
	if err != nil {
		return nil, err
	}
	if len(order) != len(pi) {
		return nil, invalid("an order of %d for %d units", len(order), len(pi))
	}
	if err := checkOrder(order); err != nil {
		return nil, err
	}
	ends, sum := make([]float64, len(order)), 0.0
	for i, k := range order {
		sum = min(sum+pi[k], float64(n))
		ends[i] = sum
	}
	for i := len(order) - 1; i >= 0 && float64(n)-ends[i] < 1e-9; i-- {
		ends[i] = float64(n)
	}
	return ends, nil
}

// hits returns the units whose part of the list holds one of the points u, u+1, u+2 and so on.
func hits(ends []float64, order []int, u float64) []int {
	var units []int
	next := u
	for i, end := range ends {
		if next < end {
			units = append(units, order[i])
			next++
		}
	}
	return units
}

// SystematicJoint returns the joint inclusion probabilities of [SystematicProportional], with π on the diagonal: between
// two neighbouring fractional parts of the cumulated probabilities every start draws the same units.
func SystematicJoint(pi []float64, order []int) ([][]float64, error) {
	ends, err := cumulate(pi, order)
	if err != nil {
		return nil, err
	}
	cuts := make([]float64, 0, len(ends)+2)
	cuts = append(cuts, 0, 1)
	for _, e := range ends {
		_, part := math.Modf(e)
		cuts = append(cuts, part)
	}
	slices.Sort(cuts)
	joint := square(len(pi))
	for i := 1; i < len(cuts); i++ {
		width := cuts[i] - cuts[i-1]
		if width == 0 {
			continue
		}
		units := hits(ends, order, cuts[i-1]+width/2)
		for _, k := range units {
			for _, l := range units {
				joint[k][l] += width
			}
		}
	}
	return joint, nil
}

func square(n int) [][]float64 {
	rows := make([][]float64, n)
	cells := make([]float64, n*n)
	for i := range rows {
		rows[i] = cells[i*n : (i+1)*n : (i+1)*n]
	}
	return rows
}
