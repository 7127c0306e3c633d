package survey

import (
	"fmt"
	"math"
)

// ClusterQuantile is [Quantile] for cluster samples. at gives the strata with the scores of "the value lies below a place", so far into a
// bin, those of [Tally.Place]; each cluster's total is made first, so no covariances of cells or edges are needed. The places are the
// bins' edges and middles.
//
// Whether a place is the quantile is asked as there, with its variance were it so: that of bits times the design's factor, the variance
// of [ClusterMean] at the place less the noise over that of bits; the noise of reports at that share; and that of releases, which no share
// changes. With noise the factor is at most that of a sample in which the units of a cluster count as one.
//
// Errors are those of [ClusterMean], and Invalid as for [Quantile].
func ClusterQuantile(edges []float64, how Subset, at func(bin int, part float64) []ClusterSample, p, confidence float64) (Estimate, error) {
	if !(p > 0 && p < 1) || how.Check() != nil || how.Categories != len(edges)-1 || !ascending(edges) {
		return Estimate{}, &Error{Code: Invalid, Detail: fmt.Sprintf("quantile %g of %d edges and %d categories", p, len(edges), how.Categories)}
	}
	bins := how.Categories
	c := &curve{
		edges: edges, how: how, p: p, value: make([]float64, bins+1), sampling: make([]float64, bins+1),
		middle: make([]float64, bins), released: make([][3]float64, bins),
	}
	c.value[bins] = 1
	near := make([]Estimate, 0, bins-1) // of the share at each inner edge
	for b := 1; b < bins; b++ {
		asked, err := c.ask(at(b, 0), confidence)
		if err != nil {
			return Estimate{}, err
		}
		near = append(near, asked.Estimate)
		c.value[b], c.sampling[b] = asked.Value, asked.per(asked.Value*(1-asked.Value), how)
		c.released[b][0], c.released[b-1][2] = asked.released, asked.released
	}
	c.sampling[0], c.sampling[bins] = c.sampling[1], c.sampling[bins-1]
	for b := range bins {
		asked, err := c.ask(at(b, 0.5), confidence)
		if err != nil {
			return Estimate{}, err
		}
		c.middle[b] = asked.per(asked.Value*(1-asked.Value)-(c.value[b+1]-c.value[b])/4, how)
		c.released[b][1] = asked.released
	}
	c.walk()
	return c.answer(near[min(len(near)-1, c.bin(c.short(0)))], confidence)
}

// place is the share below a place, and what its variance is made of.
type place struct {
	Estimate
	kish     float64 // the sampling variance over that of a bit, did the units of a cluster count as one
	released float64 // what the noise of releases brings
}

// ask estimates the share below a place, and takes the load of reports' noise, which is the same at all places.
func (c *curve) ask(strata []ClusterSample, confidence float64) (place, error) {
	e, err := ClusterMean(strata, confidence)
	if err != nil {
		return place{}, err
	}
	kept, err := weighClusters(strata, confidence)
	if err != nil {
		return place{}, err
	}
	out, size := place{Estimate: e}, clusterSize(kept)
	c.load = 0
	for _, s := range kept {
		for _, each := range s.clusters {
			w, n := each.weight/size, float64(each.Domain.Count)
			out.kish += (1 - s.fraction*each.share()) * w * w * n * n
			if each.Pooled {
				out.released += w * w * each.Domain.Noise
			} else {
				c.load += w * w * n
			}
		}
	}
	return out, nil
}

// per is the sampling variance over that of a bit, whose variance is given.
func (p place) per(bits float64, how Subset) float64 {
	if bits <= nearlyCertain {
		return p.kish
	}
	a := p.VarianceSampling / bits
	if how.Include < 1 { // then the sampling part is a difference, and may be anything
		a = math.Min(a, p.kish)
	}
	return a
}
