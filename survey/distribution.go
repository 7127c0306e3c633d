package survey

import (
	"fmt"
	"math"
	"slices"
)

// Quantile returns the value below which the share p of the domain's units lies, from shares below given edges.
//
// edges are the inner edges of the bins with the outer ones before and behind them, ascending; below[j] are the strata
// with the scores of "less than edges[j+1]", one for each inner edge, of reports that were randomised as how says. Between
// edges the estimated distribution function Ĝ is a straight line.
//
// The interval inverts the score test (Woodruff 1952; Francisco and Fuller 1991). Whether x is the quantile is asked with
// Ĝ(x) − p over its standard deviation were it so, and all x that are not refused make a set that holds the quantile with
// the confidence asked for. Where noise makes Ĝ fall here and there the set has gaps, and each end lies between two places. One is that of
// ascending rearrangement (Chernozhukov, Fernández-Val and Galichon 2009), as is the value: as far from the first edge as all x refused for
// too small a share are long together. The other is the last of these x: shares ascend, so that none below it can be the quantile either.
// The first has too few refusals, the second too many, being many tests; their mean, with the weights p and 1−p, comes near the
// confidence. docs/statistics.md has the derivation and what was measured.
//
// StdError is a half of the interval's length over t, VariancePrivacy the part that noise has in the variance of Ĝ at the value.
//
// Where within a bin the quantile lies is interpolated, which an estimate says when its interval is shorter than the bin
// that it lies in. A quantile whose interval leaves the outermost edges ends there, with a warning. Errors are those of [Mean],
// and Invalid for a p outside (0, 1), edges that don't ascend or another number of categories.
func Quantile(edges []float64, how Subset, below [][]Sample, p, confidence float64) (Estimate, error) {
	if !(p > 0 && p < 1) || len(below) < 1 || len(edges) != len(below)+2 || how.Categories != len(edges)-1 || how.Check() != nil ||
		!ascending(edges) {
		return Estimate{}, &Error{Code: Invalid, Detail: fmt.Sprintf("quantile %g of %d edges and %d categories", p, len(edges), how.Categories)}
	}
	shares := make([]Estimate, len(below))
	for j, strata := range below {
		var err error
		if shares[j], err = Mean(strata, confidence); err != nil {
			return Estimate{}, err
		}
	}
	c := newCurve(edges, how, below[0], shares, p)
	return c.answer(shares[min(len(shares)-1, c.bin(c.short(0)))], confidence)
}

// answer makes the quantile of the estimate of the share below an edge near it, of which degrees of freedom and counts are taken.
func (c *curve) answer(out Estimate, confidence float64) (Estimate, error) {
	edges, value := c.edges, c.short(0)
	t := quantileT(confidence, out.DegreesOfFreedom)
	low, high := c.ends(t)
	out.Value, out.Low, out.High = value, min(value, low), max(value, high)
	out.Warnings = slices.Clone(out.Warnings)
	b := c.bin(value)
	if width := edges[b+1] - edges[b]; out.High-out.Low < width {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the interval is shorter than a bin (%.4g): the place within the bin is interpolated", width))
	}
	if out.Low == edges[0] || out.High == edges[len(edges)-1] {
		out.Warnings = append(out.Warnings, "the interval reaches the bounds: the quantile may lie at or beyond them")
	}
	sampling, noise := c.variance(b, (value-edges[b])/(edges[b+1]-edges[b]))
	out.StdError = (out.High - out.Low) / (2 * t)
	out.VariancePrivacy = out.StdError * out.StdError * noise / max(sampling+noise, math.SmallestNonzeroFloat64)
	out.VarianceSampling = out.StdError*out.StdError - out.VariancePrivacy
	return out.checked()
}

// ascending says whether all edges are finite and each lies above the one before.
func ascending(edges []float64) bool {
	for i := range edges {
		if !finite(edges[i]) || i > 0 && !(edges[i] > edges[i-1]) {
			return false
		}
	}
	return true
}

// Simplex returns the nearest point, in the sense of least squares, whose parts are not negative and sum to 1 (Duchi et
// al. 2008, algorithm 1). It is how unbiased shares of a whole are made presentable: a post-processing for display, which
// biases small shares upwards and has no interval. shares must be finite.
func Simplex(shares []float64) []float64 {
	sorted := slices.Clone(shares)
	slices.Sort(sorted)
	slices.Reverse(sorted)
	sum, shift := 0.0, 0.0
	for i, s := range sorted {
		sum += s
		if t := (sum - 1) / float64(i+1); s > t {
			shift = t
		}
	}
	out := make([]float64, len(shares))
	for i, s := range shares {
		out[i] = max(0, s-shift)
	}
	return out
}
