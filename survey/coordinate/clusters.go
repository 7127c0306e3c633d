package coordinate

import (
	"math"

	"github.com/quadrat-dev/quadrat/survey"
)

// Same says that a cluster that was due in both windows is first[h].Due[First] and second[h].Due[Second].
type Same struct{ First, Second int }

// BetweenClusters is [Between] for samples of clusters, both[h] naming the clusters that were due in both windows. V̂_1 and V̂_2 are
// those of [survey.ClusterMean] or [survey.ClusterTotal]; the covariance is that of the clusters' weighed totals, r_i/B_i of a
// cluster's units having reported: Ĉov_h = (c/(m₁m₂) − 1/M)·r·s₁s₂ over m₁ and m₂ clusters with a report and c with one in both
// windows. What silent units add within clusters keeps its variance of both windows. Common counts clusters, in the domain or not.
func BetweenClusters(scale Scale, first, second []survey.ClusterSample, both [][]Same, confidence float64) (Change, error) {
	if len(first) != len(second) || len(first) != len(both) {
		return Change{}, invalid("%d and %d strata with %d overlaps", len(first), len(second), len(both))
	}
	estimator := survey.ClusterMean
	switch scale {
	case Mean:
	case Total:
		estimator = survey.ClusterTotal
	default:
		return Change{}, invalid("scale %d", scale)
	}
	before, err := estimator(first, confidence)
	if err != nil {
		return Change{}, err
	}
	now, err := estimator(second, confidence)
	if err != nil {
		return Change{}, err
	}
	a, b := clusterSide{samples: first, size: 1}, clusterSide{samples: second, size: 1}
	if scale == Mean {
		a.linearise(before.Value)
		b.linearise(now.Value)
	}
	c := Change{Value: now.Value - before.Value, DegreesOfFreedom: min(before.DegreesOfFreedom, now.DegreesOfFreedom)}
	for h := range first {
		covariance, common, err := covaryClusters(a, b, h, both[h])
		if err != nil {
			return Change{}, err
		}
		c.Common += common
		c.Covariance += covariance
	}
	variance := max(0, before.StdError*before.StdError+now.StdError*now.StdError-2*c.Covariance)
	c.VariancePrivacy = min(variance, before.VariancePrivacy+now.VariancePrivacy)
	return c.finish(variance, confidence)
}

// clusterSide is one window: its strata, and centre and size of the mean of its domain; 0 and 1 for a total.
type clusterSide struct {
	samples      []survey.ClusterSample
	centre, size float64
}

// linearise finds N̂_d.
func (s *clusterSide) linearise(mean float64) {
	s.centre, s.size = mean, 0
	for _, h := range s.samples {
		answered, members := 0.0, 0.0
		for _, c := range h.Due {
			if c.Responses > 0 {
				answered++
				members += float64(c.Size) / float64(c.Responses) * float64(c.Domain.Count)
			}
		}
		if answered > 0 {
			s.size += float64(h.Clusters) / answered * members
		}
	}
}

// total is what a cluster with a report adds to Σ(y − centre) over the domain, its silent units made up for.
func (s *clusterSide) total(c survey.Cluster) float64 {
	return float64(c.Size) / float64(c.Responses) * float64(c.Domain.Count) * (c.Domain.Mean - s.centre)
}

// spread is the moments of the totals of a stratum's clusters.
func (s *clusterSide) spread(h int) survey.Moments {
	var m survey.Moments
	for _, c := range s.samples[h].Due {
		if c.Responses > 0 {
			m.Add(s.total(c), 0)
		}
	}
	return m
}

// covaryClusters returns what a stratum adds to the covariance of the two estimates, and its clusters with a report in both.
func covaryClusters(a, b clusterSide, h int, both []Same) (covariance float64, common int64, err error) {
	x, y := a.samples[h], b.samples[h]
	var pairs Pairs
	for _, s := range both {
		if s.First < 0 || s.First >= len(x.Due) || s.Second < 0 || s.Second >= len(y.Due) {
			return 0, 0, invalid("a cluster in both windows that is not in one")
		}
		if first, second := x.Due[s.First], y.Due[s.Second]; first.Responses > 0 && second.Responses > 0 {
			pairs.Add(a.total(first), b.total(second))
		}
	}
	first, second := a.spread(h), b.spread(h)
	if pairs.Count > min(first.Count, second.Count) {
		return 0, 0, invalid("%d clusters in both windows, %d and %d with a report", pairs.Count, first.Count, second.Count)
	}
	if first.Count < 2 || second.Count < 2 {
		return 0, pairs.Count, nil
	}
	s := math.Sqrt(first.M2/float64(first.Count-1)) * math.Sqrt(second.M2/float64(second.Count-1))
	covariance = float64(x.Clusters) / a.size * float64(y.Clusters) / b.size *
		Covariance(max(x.Clusters, y.Clusters), first.Count, second.Count, pairs.Count, s)
	r, known := pairs.correlation()
	if !known {
		return -math.Abs(covariance), pairs.Count, nil
	}
	return r * covariance, pairs.Count, nil
}
