package audit

import (
	"math"

	"github.com/quadrat-dev/quadrat/privacy"
)

// CategoryReport is what one sample of reports shows.
type CategoryReport struct {
	// Fit is the chi-square test of the reports against their exact
	// probabilities. Reports that are expected fewer than 100 times share a bin;
	// with too many different reports nothing is left to test, and PValue is 1.
	Fit Result
	// Support is the test of how often each category is supported, by Bernstein's
	// bound: the worst of them, with PValue for all together. It is the test of
	// unbiasedness, since a score is a stretched support.
	Support Result
	// Pairs is the same test of how often two categories are supported together,
	// for up to pairsMax pairs.
	Pairs Result
}

// pairsMax bounds the pairs of categories that are looked at.
const pairsMax = 60

// SampleCategories draws reports for one category and tests them.
func SampleCategories(m privacy.Categorical, category uint32, draws int, src privacy.Source) (CategoryReport, error) {
	counts := map[string]float64{}
	support := make([]float64, m.Categories())
	pairs := pairsOf(m.Categories(), category)
	both := make([]float64, len(pairs))
	held := make([]bool, m.Categories())
	var buf []byte
	var found []uint32
	for range draws {
		var err error
		if buf, err = m.Randomise(category, src, buf[:0]); err != nil {
			return CategoryReport{}, err
		}
		if found, err = m.Supported(buf, found[:0]); err != nil {
			return CategoryReport{}, err
		}
		counts[string(buf)]++
		for _, c := range found {
			support[c]++
			held[c] = true
		}
		for i, pair := range pairs {
			if held[pair[0]] && held[pair[1]] {
				both[i]++
			}
		}
		for _, c := range found {
			held[c] = false
		}
	}
	n := float64(draws)
	rates := m.Rates()
	r := CategoryReport{Fit: fitReports(m, category, counts, n)}
	for c, count := range support {
		rate := rates.Other
		if uint32(c) == category {
			rate = rates.Truth
		}
		r.Support = worst(r.Support, frequency(count, rate, n), m.Categories())
	}
	for i, pair := range pairs {
		rate, _ := m.Both(category, pair[0], pair[1]).Float64()
		r.Pairs = worst(r.Pairs, frequency(both[i], rate, n), uint32(len(pairs)))
	}
	return r, nil
}

// pairsOf returns pairs with the true category and pairs without it.
func pairsOf(categories, category uint32) [][2]uint32 {
	var pairs [][2]uint32
	step := max(1, categories/pairsMax*2)
	for c := uint32(0); c+1 < categories && len(pairs) < pairsMax; c += step {
		if c != category {
			pairs = append(pairs, [2]uint32{category, c})
		}
		pairs = append(pairs, [2]uint32{c, c + 1})
	}
	return pairs
}

// frequency compares a count with its exact rate. A count that isn't 0 where the
// rate is 0 has probability 0.
func frequency(count, rate, n float64) Result {
	if rate == 0 {
		r := Result{PValue: 1}
		if count > 0 {
			r = Result{Statistic: math.Inf(1)}
		}
		return r
	}
	return bernstein(count/n-rate, rate*(1-rate), math.Max(rate, 1-rate), n)
}

// worst keeps the result of smaller p, times the number of tests.
func worst(a, b Result, tests uint32) Result {
	b.PValue = math.Min(1, b.PValue*float64(tests))
	if a == (Result{}) || b.PValue < a.PValue || b.PValue == a.PValue && b.Statistic > a.Statistic {
		return b
	}
	return a
}

// seldom is a count that a report with a bin of its own, expected 100 times, falls
// below with probability below 10⁻¹⁶: its exact probability need not be worked out.
const seldom = expectedMin / 4

func fitReports(m privacy.Categorical, category uint32, counts map[string]float64, n float64) Result {
	fit, observedRest, expectedRest := bins{}, n, n
	for report, count := range counts {
		if count < seldom {
			continue
		}
		p, _ := m.Probability([]byte(report), category).Float64()
		if expected := p * n; expected >= expectedMin {
			fit.add(count, expected)
			observedRest -= count
			expectedRest -= expected
		}
	}
	// What the listed reports leave, to rounding, is the rest's.
	if expectedRest > expectedMin || observedRest > 0 {
		fit.add(observedRest, math.Max(expectedRest, math.SmallestNonzeroFloat64))
	}
	return fit.result()
}
