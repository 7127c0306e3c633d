// Package shuffle computes what a shuffler adds to local privacy: the ε and δ of a batch of reports against somebody who sees the
// reports in random order and nothing else of them.
//
// Quadrat itself is no such shuffler: its intake knows the identity of every device that sends and its engine a pseudonym of
// each report. The numbers are for a batch that is published without device, time and order by a party which saw those and is
// trusted to keep them; against that party itself, and everybody before it, the local ε holds and no better. Plans and results tell
// them only where the operator declares such a [Party].
//
// The bounds are those of Feldman, McMillan and Talwar, "Hiding Among the Clones" (FOCS 2021). The stronger ones of their
// paper of 2023 are not used: by its erratum they hold for some mechanisms only. For Warner's randomised response there is the
// exact figure of the worst batch.
//
//	s := shuffle.Setting{Reports: 10_000, Local: 1_000_000, Delta: 1e-6}
//	e, err := s.Epsilon() // 0.053
package shuffle

import (
	"errors"
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/privacy"
)

// ErrSetting says that a setting can't be computed with.
var ErrSetting = errors.New("shuffle: 2 to 100,000,000 reports, a local epsilon up to 20 and a delta between 0 and 1 are needed")

// reportsMost bounds the reports of a batch.
const reportsMost = 100_000_000

// Setting is a batch. It is a value, safe for use by many goroutines.
type Setting struct {
	// Reports is how many devices gave one report each to the batch, all by the same mechanism for the same question. Only those
	// count that followed the mechanism and told nobody their report.
	Reports int
	// Local is the ε of each report.
	Local privacy.Epsilon
	// Delta is the probability with which the answer may not hold.
	Delta float64
}

// Validate returns ErrSetting unless the setting can be computed with.
func (s Setting) Validate() error {
	if s.Reports < 2 || s.Reports > reportsMost || s.Local.Validate() != nil || !(s.Delta > 0 && s.Delta < 1) {
		return ErrSetting
	}
	return nil
}

// ClosedForm is the bound of the paper's theorem 3.1 for any mechanism, with the slightly larger factor of its authors' program
// in place of (e^ε₀ − 1)/(e^ε₀ + 1). It is the local ε where the theorem doesn't hold: for ε₀ > ln(n / (16·ln(4/δ))).
func (s Setting) ClosedForm() (float64, error) {
	if err := s.Validate(); err != nil {
		return 0, err
	}
	local, n, rest := s.Local.Float64(), float64(s.Reports), math.Log(4/s.Delta)
	if local > math.Log(n/(16*rest)) {
		return local, nil
	}
	e := math.Exp(local)
	more := 8*math.Sqrt(e*rest/n) + 8*e/n
	factor := (1 - 1/e) / (1 + 1/(e*(1+more)))
	return min(local, math.Log1p(factor*more)), nil
}

// Epsilon is the numerical bound for any mechanism: the least ε, to a thousandth of itself, for which two dominating
// distributions of the same paper's section 3 have a hockey-stick divergence of at most δ.
func (s Setting) Epsilon() (float64, error) {
	if err := s.Validate(); err != nil {
		return 0, err
	}
	clones := clonesOf(s.Reports-1, math.Exp(-s.Local.Float64()))
	return s.least(func(e float64) float64 { return s.divergence(clones, e) }), nil
}

// Bit is a bound for Warner's randomised response, whatever bits the others have. Each of them answers with a fair coin with
// probability 2/(e^ε₀+1) and with its own bit otherwise. Somebody who is told which of them threw a coin, and the bits of the rest,
// knows as much as somebody who sees only a number of fair coins added to the one answer in question; that number doesn't depend
// on any bit. It is the argument of the paper's section 3 with more clones, since an answer has two values only. Warner is less.
func (s Setting) Bit() (float64, error) {
	if err := s.Validate(); err != nil {
		return 0, err
	}
	clones := clonesOf(s.Reports-1, 2/(1+math.Exp(s.Local.Float64())))
	return s.least(func(e float64) float64 { return s.divergence(clones, e) }), nil
}

// least is the upper end of a bisection, so that the divergence there is at most δ.
func (s Setting) least(divergence func(e float64) float64) float64 {
	low, high := 0.0, s.Local.Float64()
	if divergence(0) <= s.Delta {
		return 0
	}
	for high-low > high/2000 && high > 1e-9 {
		if middle := (low + high) / 2; divergence(middle) <= s.Delta {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// group is some numbers of clones, with their probability and the least of them.
type group struct {
	least       int
	probability float64
}

// groupsAbout is about how many groups there are.
const groupsAbout = 1000

// clonesOf groups the number of clones, binomial of n reports with p.
func clonesOf(n int, p float64) []group {
	clones := binomial(n, p)
	step := len(clones.weights)/groupsAbout + 1
	var out []group
	for i := 0; i < len(clones.weights); i += step {
		g := group{least: clones.first + i}
		for _, w := range clones.weights[i:min(i+step, len(clones.weights))] {
			g.probability += w
		}
		out = append(out, g)
	}
	return out
}

// weighed is the probabilities of numbers from the first on.
type weighed struct {
	first   int
	weights []float64
}

// binomial is the number of n coins of probability p that come up, made from the likeliest outward. What is left out on either side
// is less than 1e-30 of the likeliest for each number, far below any δ of use.
func binomial(n int, p float64) weighed {
	mode := min(n, int(float64(n+1)*p))
	up := walk(n-mode, func(i int) float64 { k := float64(mode + i); return (float64(n) - k) / (k + 1) * p / (1 - p) })
	down := walk(mode, func(i int) float64 { k := float64(mode - i); return k / (float64(n) - k + 1) * (1 - p) / p })
	weights := make([]float64, 0, len(up)+len(down)+1)
	for _, w := range slices.Backward(down) {
		weights = append(weights, w)
	}
	weights = append(append(weights, 1), up...)
	total := 0.0
	for _, w := range weights {
		total += w
	}
	for i := range weights {
		weights[i] /= total
	}
	return weighed{first: mode - len(down), weights: weights}
}

// walk multiplies ratios from 1 on, at most so many, until what is left is nothing.
func walk(most int, ratio func(i int) float64) []float64 {
	var out []float64
	w := 1.0
	for i := range most {
		if w *= ratio(i); w < 1e-30 {
			break
		}
		out = append(out, w)
	}
	return out
}

// divergence bounds δ at ε. Of a group it takes the divergence of the least number of clones: one more clone is one more fair
// coin added to what is seen, which can only hide.
func (s Setting) divergence(clones []group, e float64) float64 {
	truth := 1 / (1 + math.Exp(-s.Local.Float64()))
	sum := 0.0
	for _, g := range clones {
		up, _ := hockeyStick(g.least, 0.5, truth, e)
		sum += g.probability * up
	}
	return sum
}

// hockeyStick compares X + B with X + B′ where X is binomial (n, q), B is 1 with the probability keep and B′ with 1 − keep:
// the largest P(A) − e^ε·P′(A) over events A, and the same with the two exchanged. The ratio of the two probabilities
// of x grows with x, so the events are an upper and a lower tail.
func hockeyStick(n int, q, keep, e float64) (up, down float64) {
	lie, factor := 1-keep, math.Exp(e)
	// P(x)/P′(x) > e^ε  ⇔  b(x−1)/b(x) > edge, with b(x−1)/b(x) = x(1−q) / ((n+1−x)q).
	if keep <= factor*lie {
		return 0, 0
	}
	edge := (factor*keep - lie) / (keep - factor*lie)
	at := func(edge float64) float64 { return float64(n+1) * edge * q / (edge*q + 1 - q) }
	m := int(math.Floor(at(edge))) + 1 // the first of the upper tail
	one, more := tail(n, q, m-1), tail(n, q, m)
	up = keep*one + lie*more - factor*(lie*one+keep*more)
	m = int(math.Ceil(at(1 / edge))) // the first that is not in the lower tail
	one, more = 1-tail(n, q, m-1), 1-tail(n, q, m)
	down = lie*one + keep*more - factor*(keep*one+lie*more)
	return max(0, up), max(0, down)
}

// tail is the probability that a binomial number is m or more: the sum on the side of m on which the terms fall.
func tail(n int, q float64, m int) float64 {
	switch {
	case m <= 0:
		return 1
	case m > n:
		return 0
	case float64(m) > float64(n)*q:
		return falling(n, q, m)
	}
	return 1 - falling(n, 1-q, n-m+1)
}

// falling is the sum of binomial probabilities from m on, for m above the mean.
func falling(n int, q float64, m int) float64 {
	sum := 0.0
	for term, k := probability(n, q, m), m; term > sum*1e-18 && k <= n; k++ {
		sum += term
		term *= float64(n-k) / float64(k+1) * q / (1 - q)
	}
	return sum
}

// probability is that of the binomial number k.
func probability(n int, q float64, k int) float64 {
	return math.Exp(logFactorial(n) - logFactorial(k) - logFactorial(n-k) + float64(k)*math.Log(q) + float64(n-k)*math.Log1p(-q))
}

func logFactorial(n int) float64 {
	l, _ := math.Lgamma(float64(n) + 1)
	return l
}
