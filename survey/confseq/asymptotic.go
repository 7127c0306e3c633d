package confseq

import "math"

// Asymptotic is the sequence for the mean of a stream of values of any kind: ȳ_t ± σ̂_t·u(t)/t with u the two-sided normal
// mixture of unit variance (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, Theorem 2.2). If the values' means
// change, it speaks of the mean of the means so far.
//
// It is asymptotic as t intervals are: values need a little more than two moments, and the first looks should wait for
// some thirty values (a hundred with heavy tails). The zero value is not of use; see [NewAsymptotic]. The exported fields
// are all its state; merging streams is exact, and the looks at either stream before count as looks.
type Asymptotic struct {
	Count    int64
	Mean     float64
	M2       float64 // Σ(x − Mean)²
	TimeBest float64 // the time at which the sequence is tightest
}

// NewAsymptotic returns an empty stream whose sequence is to be tightest after timeBest values, chosen beforehand.
func NewAsymptotic(timeBest float64) (Asymptotic, error) {
	if !positive(timeBest) {
		return Asymptotic{}, invalid("want a time above 0 to tune for, not %g", timeBest)
	}
	return Asymptotic{TimeBest: timeBest}, nil
}

// Add takes a value. One that isn't finite is an error and is not counted.
func (a *Asymptotic) Add(x float64) error {
	if !finite(x) {
		return invalid("a value isn't finite")
	}
	a.Count++
	d := x - a.Mean
	a.Mean += d / float64(a.Count)
	a.M2 += d * (x - a.Mean)
	return nil
}

// Merge adds the state of another, disjoint stream (Chan, Golub and LeVeque 1979).
func (a *Asymptotic) Merge(o Asymptotic) {
	if o.Count == 0 {
		return
	}
	n := float64(a.Count + o.Count)
	d := o.Mean - a.Mean
	a.Mean += d * (float64(o.Count) / n)
	a.M2 += o.M2 + d*d*float64(a.Count)*float64(o.Count)/n
	a.Count += o.Count
}

// Interval returns the sequence's bounds; −Inf and +Inf with fewer than two values or a confidence outside (0, 1).
func (a Asymptotic) Interval(confidence float64) (low, high float64) {
	if a.Count < 2 || !inside01(confidence) || !positive(a.TimeBest) {
		return math.Inf(-1), math.Inf(1)
	}
	t, alpha := float64(a.Count), 1-confidence
	m := Normal{rho: Rho(a.TimeBest, alpha), sides: TwoSided}
	half := math.Sqrt(a.M2/t) * m.Bound(t, alpha) / t
	return a.Mean - half, a.Mean + half
}

// WindowLevel returns the level 6α/(π²t²) for the t-th of an endless row of intervals, t from 1: all of them together then
// miss with probability alpha at most (Bonferroni and Euler). It is for intervals that each speak of a window of their own.
func WindowLevel(alpha float64, t int64) float64 {
	if t < 1 {
		return 0
	}
	x := math.Pi * float64(t)
	return 6 * alpha / (x * x)
}
