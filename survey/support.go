package survey

import (
	"fmt"
	"math"
	"math/bits"
)

// SupportMost is the largest number of categories of a [Support].
const SupportMost = 1024

// setMost is how many categories fit the set of a report as one word, which is also the most that a quantile has.
const setMost = 64

// Pure says how the reports of a categorical question support categories, whichever mechanism made them: the true one with
// probability Truth, any other with probability Other (pure protocols, Wang et al. 2017).
type Pure struct {
	Truth float64 // in (0, 1]
	Other float64 // in [0, Truth)
}

// Check reports the law that the description breaks.
func (p Pure) Check() error {
	if !(p.Other >= 0 && p.Truth > p.Other && p.Truth <= 1) {
		return &Error{Code: Invalid, Detail: fmt.Sprintf("the true category is supported with probability %g, another one with %g", p.Truth, p.Other)}
	}
	return nil
}

// Noise is the mean noise variance of a report's score for one category, when a share of the units has it.
func (p Pure) Noise(share float64) float64 {
	gap := p.Truth - p.Other
	return (share*p.Truth*(1-p.Truth) + (1-share)*p.Other*(1-p.Other)) / (gap * gap)
}

// Subset says how the reports of a categorical question were randomised: each holds Size of Categories categories, the
// true one with probability Include, and the others are a simple random sample of the rest (subset selection, Ye and
// Barg 2018; Size 1 is k-ary randomised response, and with Include 1 the truth).
type Subset struct {
	Categories int     // 2 to 64
	Size       int     // 1 to Categories − 1
	Include    float64 // in (0, 1], above the chance of every other category
}

// Check reports the first law that the description breaks.
func (s Subset) Check() error {
	if s.Categories < 2 || s.Categories > setMost || s.Size < 1 || s.Size >= s.Categories ||
		!(s.Include <= 1 && s.Include > s.Other()) {
		return &Error{Code: Invalid, Detail: fmt.Sprintf("%d of %d categories, the true one with probability %g", s.Size, s.Categories, s.Include)}
	}
	return nil
}

// Other is the chance of a category that is not the true one.
func (s Subset) Other() float64 {
	return (float64(s.Size) - s.Include) / float64(s.Categories-1)
}

// Pure is what the sets tell of single categories.
func (s Subset) Pure() Pure { return Pure{Truth: s.Include, Other: s.Other()} }

// BelowNoise is the mean noise variance of a report's score for the first so many categories together, when a share of the
// units has one of them. It grows with the number of categories.
func (s Subset) BelowNoise(categories int, share float64) float64 {
	gap := s.Include - s.Other()
	return (share*s.spread(categories, true) + (1-share)*s.spread(categories, false)) / (gap * gap)
}

// PartNoise is the mean noise variance of a report's score for the first so many categories together and a part of the next
// one, whose score counts so much, when a share under of the units has one of the first and a share next the next one. The
// scores of one report depend on each other; that of the category and that of the categories before it have half of what
// the variance of their sum has more than both.
func (s Subset) PartNoise(categories int, part, under, next float64) float64 {
	p, q := s.Include, s.Other()
	spread := func(among int, holds bool) float64 {
		if among == 0 || among == s.Categories { // none, or all of the set
			return 0
		}
		return s.spread(among, holds)
	}
	law := func(first, second bool, own float64) float64 {
		return (1-part)*spread(categories, first) + part*spread(categories+1, first || second) - part*(1-part)*own
	}
	// a + b·part with Var a, Var b and Var(a+b) known has the variance (1−part)Var a + part·Var(a+b) − part(1−part)Var b.
	mean := under*law(true, false, q*(1-q)) + next*law(false, true, p*(1-p)) + (1-under-next)*law(false, false, q*(1-q))
	return mean / ((p - q) * (p - q))
}

// Support is the mergeable state of one (window, statistic, stratum, cell) of a categorical question. All its numbers
// are whole, so merges are exact in every order and grouping. The zero value is empty; Squares is only kept for
// quantiles, see [Support.Add].
type Support struct {
	Count   int64   // reports
	Hits    []int64 // by category: reports that support it, which those with a set that holds it do
	Squares []int64 // by j from 0 to categories − 2: Σ T², T being how many of the categories 0…j a report's set holds
}

// Add counts one report's set: bit v stands for category v. With cumulative it also keeps what a quantile needs. All
// reports of one state must have the same categories, and cumulative or not alike.
func (s *Support) Add(set uint64, categories int, cumulative bool) {
	if s.Hits == nil {
		s.Hits = make([]int64, categories)
		if cumulative {
			s.Squares = make([]int64, categories-1)
		}
	}
	s.Count++
	for rest := set; rest != 0; rest &= rest - 1 {
		s.Hits[bits.TrailingZeros64(rest)]++
	}
	if !cumulative {
		return
	}
	held := int64(0)
	for j := range s.Squares {
		held += int64(set >> j & 1)
		s.Squares[j] += held * held
	}
}

// AddEach counts one report by the categories that it supports, each below the number of categories and once. All reports
// of one state must have the same categories, and none of them may be cumulative.
func (s *Support) AddEach(supported []uint32, categories int) {
	if s.Hits == nil {
		s.Hits = make([]int64, categories)
	}
	s.Count++
	for _, v := range supported {
		s.Hits[v]++
	}
}

// Merge adds the state of other, disjoint reports of the same question.
func (s *Support) Merge(o Support) {
	if o.Count == 0 {
		return
	}
	if s.Hits == nil {
		s.Hits, s.Squares = make([]int64, len(o.Hits)), make([]int64, len(o.Squares))
	}
	s.Count += o.Count
	for v, n := range o.Hits {
		s.Hits[v] += n
	}
	for j, n := range o.Squares {
		s.Squares[j] += n
	}
}

// Valid says whether the state can have come from Add and Merge: no count is negative or above that of the reports, and
// the squares fit the hits, by Cauchy and Schwarz and since T is at most its category's number.
func (s *Support) Valid() bool {
	if s.Count < 0 || s.Count > math.MaxInt64/(SupportMost*SupportMost) || (s.Count > 0) != (len(s.Hits) > 0) ||
		len(s.Hits) > SupportMost || len(s.Squares) > 0 && (len(s.Squares) != len(s.Hits)-1 || len(s.Hits) > setMost) {
		return false
	}
	sum := int64(0)
	for v, n := range s.Hits {
		if n < 0 || n > s.Count {
			return false
		}
		sum += n
		if v < len(s.Squares) {
			most := sum * int64(v+1)
			if q := s.Squares[v]; q < sum || q > most || math.IsNaN(deviations(uint64(s.Count), uint64(sum), uint64(q))) {
				return false
			}
		}
	}
	return true
}

// Bin gives the moments of the unbiased scores of "the value is category v", (1[v ∈ Y] − q)/(p − q) for a report that supports
// the categories Y (Wang et al. 2017, pure protocols). Noise is unbiased too: given the truth, the score of a report varies
// by p(1−p) or q(1−q), over (p−q)², and (1−p)(1−q) for a report that supports v, pq for one that does not, has just these
// expectations.
func (s *Support) Bin(how Pure, v int) Moments {
	if s.Count == 0 {
		return Moments{}
	}
	p, q, n, c := how.Truth, how.Other, float64(s.Count), float64(s.Hits[v])
	scale := 1 / (p - q)
	return Moments{
		Count: s.Count, Mean: scale * (c/n - q), M2: scale * scale * c * (n - c) / n,
		Noise: scale * scale * (c*(1-p)*(1-q) + (n-c)*p*q),
	}
}

// Below gives the moments of the unbiased scores of "the value is one of the categories 0…j": with T the number of these
// in a report's set, (T − (j+1)q)/(p − q). The categories of one set are dependent, so this is not the sum of their
// variances: the spread is that of T itself, and the noise that of T given the truth, hypergeometric given whether the
// true category is in the set.
func (s *Support) Below(how Subset, j int) Moments {
	if s.Count == 0 {
		return Moments{}
	}
	sum := int64(0)
	for _, c := range s.Hits[:j+1] {
		sum += c
	}
	p, q, n := how.Include, how.Other(), float64(s.Count)
	scale := 1 / (p - q)
	m := Moments{
		Count: s.Count, Mean: scale * (float64(sum)/n - float64(j+1)*q),
		M2: scale * scale * deviations(uint64(s.Count), uint64(sum), uint64(s.Squares[j])),
	}
	inside, outside := how.spread(j+1, true), how.spread(j+1, false)
	m.Noise = scale * scale * n * max(0, outside+(inside-outside)*m.Mean)
	return m
}

// deviations returns ΣT² − (ΣT)²/n from whole numbers, whose difference is taken before anything is rounded.
func deviations(n, sum, squares uint64) float64 {
	high, low := bits.Mul64(n, squares)
	takenHigh, takenLow := bits.Mul64(sum, sum)
	low, borrow := bits.Sub64(low, takenLow, 0)
	high, borrow = bits.Sub64(high, takenHigh, borrow)
	if borrow != 0 { // by Cauchy and Schwarz only a damaged state
		return math.NaN()
	}
	return (float64(high)*(1<<64) + float64(low)) / float64(n)
}

// spread returns the variance of T, how many of a given categories the set holds, when the true one is among them or not.
func (s Subset) spread(among int, holds bool) float64 {
	k, p := float64(s.Categories-1), s.Include
	own := 0.0
	others := float64(among)
	if holds {
		own, others = 1, others-1
	}
	// With the true category in the set, size − 1 of the others are drawn, otherwise size.
	with, without := float64(s.Size-1), float64(s.Size)
	share := others / k
	gap := own + (with-without)*share
	return p*hypergeometric(k, others, with) + (1-p)*hypergeometric(k, others, without) + p*(1-p)*gap*gap
}

// hypergeometric returns the variance of how many of m marked ones are among d drawn from n without replacement.
func hypergeometric(n, m, d float64) float64 {
	if n < 2 {
		return 0
	}
	return d * (m / n) * (1 - m/n) * (n - d) / (n - 1)
}
