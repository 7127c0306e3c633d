package draw

import (
	"cmp"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/quadrat-dev/quadrat/survey/panel"
)

// ByKey returns the units in ascending order of a key, equal keys in frame order: a list sorted by what goes with the
// variable makes a systematic sample spread over it. A NaN is an error.
func ByKey(keys []float64) ([]int, error) {
	for k, x := range keys {
		if math.IsNaN(x) {
			return nil, invalid("unit %d has no key", k)
		}
	}
	return sorted(len(keys), func(i, j int) int { return cmp.Compare(keys[i], keys[j]) }), nil
}

// ByNumber returns the units in ascending order of their permanent random numbers. The order is random, and a systematic
// sample of it a simple random one.
func ByNumber(numbers []panel.Number) []int {
	return sorted(len(numbers), func(i, j int) int { return cmp.Compare(numbers[i], numbers[j]) })
}

func sorted(n int, compare func(i, j int) int) []int {
	order := identity(n)
	slices.SortStableFunc(order, compare)
	return order
}

func identity(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// checkOrder says whether order holds each of the units 0 … n−1 once.
func checkOrder(order []int) error {
	seen := make([]bool, len(order))
	for _, k := range order {
		if k < 0 || k >= len(order) || seen[k] {
			return invalid("the order doesn't hold each unit once: %d", k)
		}
		seen[k] = true
	}
	return nil
}

// Systematic draws n units at even steps of a list from one random start: the units at ⌊(r + iN)/n⌋, i = 0 … n−1, with r
// uniform on 0 … N−1. π = n/N exactly, whether or not n divides N. order is the list; see [ByKey] and [ByNumber].
//
// One start allows no unbiased estimator of the variance: [SuccessiveDifferences] is the usual one, and the formula of SRS
// overstates it where the list follows the variable.
func Systematic(src rand.Source, order []int, n int) (Sample, error) {
	population := len(order)
	if err := checkSize(population, n); err != nil {
		return Sample{}, err
	}
	if err := checkOrder(order); err != nil {
		return Sample{}, err
	}
	start := uint64(rand.New(src).IntN(population))
	units := make([]int, n)
	for i := range units {
		high, low := bits.Mul64(uint64(i), uint64(population))
		low, carry := bits.Add64(low, start, 0)
		place, _ := bits.Div64(high+carry, low, uint64(n))
		units[i] = order[place]
	}
	return equal(units, float64(n)/float64(population)), nil
}

// SystematicStarts draws m of the K classes of a list by simple random sampling: class j holds the places j, j+K, j+2K, …
// π = m/K exactly; the size varies by at most m when K doesn't divide N. Groups holds each unit's class. With m ≥ 2 the
// variance has an unbiased estimator, [SeveralStarts].
func SystematicStarts(src rand.Source, order []int, interval, starts int) (Sample, error) {
	if interval > len(order) {
		return Sample{}, infeasible(len(order), "an interval of %d in a list of %d", interval, len(order))
	}
	if err := checkSize(interval, starts); err != nil {
		return Sample{}, err
	}
	if err := checkOrder(order); err != nil {
		return Sample{}, err
	}
	chosen := choose(rand.New(src), interval, starts)
	var s Sample
	for base := 0; base < len(order); base += interval {
		for _, class := range chosen {
			if base+class < len(order) {
				s.Units = append(s.Units, order[base+class])
				s.Groups = append(s.Groups, class)
			}
		}
	}
	s.Pi = equal(s.Units, float64(starts)/float64(interval)).Pi
	return s, nil
}

// SuccessiveDifferences estimates the variance of the mean of a systematic sample from the differences of neighbours:
// (1−f)/n · Σ(y_i − y_{i−1})²/(2(n−1)) (Wolter 2007, §8.2). values stand in the order of the list. It is right for a list
// in random order and far better than the formula of SRS for one that follows the variable. It doesn't see what the start
// does: a steep trend with little noise, or a list with a period, makes it too small, and then several starts are the way.
func SuccessiveDifferences(values []float64, population int) (float64, error) {
	n := len(values)
	if n < 2 || n > population {
		return 0, invalid("want from 2 values to the population, not %d of %d", n, population)
	}
	sum := 0.0
	for i := 1; i < n; i++ {
		d := values[i] - values[i-1]
		sum += d * d
	}
	size := float64(n)
	variance := (1 - size/float64(population)) / size * sum / (2 * (size - 1))
	if math.IsNaN(variance) || math.IsInf(variance, 0) {
		return 0, invalid("the values are not finite")
	}
	return variance, nil
}

// SeveralStarts returns the mean of estimates from m ≥ 2 starts drawn without replacement and its unbiased variance
// (1−f)Σ(v_j − v̄)²/(m(m−1)), f = m/K the fraction of the classes drawn (Cochran 1977, §8.12). Each estimate is K times the
// class's total for a total, or the class's mean when all classes have one size.
func SeveralStarts(estimates []float64, interval int) (mean, variance float64, err error) {
	m := len(estimates)
	if m < 2 || m > interval {
		return 0, 0, invalid("want from 2 starts to the interval, not %d of %d", m, interval)
	}
	starts := float64(m)
	for _, v := range estimates {
		mean += v / starts
	}
	for _, v := range estimates {
		variance += (v - mean) * (v - mean)
	}
	variance *= (1 - starts/float64(interval)) / (starts * (starts - 1))
	if math.IsNaN(variance) || math.IsInf(variance, 0) {
		return 0, 0, invalid("the estimates are not finite")
	}
	return mean, variance, nil
}
