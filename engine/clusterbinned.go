package engine

import "github.com/quadrat-dev/quadrat/survey"

// changedCounts is how many counts of a release one unit changes when its category does, by one each: the sensitivity of all counts
// together.
const changedCounts = 2

// inClusters tells whether there is an estimator of the statistic from clusters. A release of more than 64 categories would soon be
// longer than one may be, and its noise larger than what it tells.
func (s *statistic) inClusters() bool {
	if s.bins != nil {
		return s.bins.Worded()
	}
	return s.kind != kindRatio && s.kind != kindVariance
}

// tallyAt is what a group of the window said of a statistic's categories.
func (w *window) tallyAt(i int, s *statistic) survey.Tally {
	t := survey.Tally{Support: w.supports[i]}
	if w.released == nil || w.released[i] == nil {
		return t
	}
	t.Released = survey.Released{Units: w.moments[i].Count, Noise: s.sumNoise, Counts: make([]float64, len(w.released[i]))}
	for v, n := range w.released[i] {
		t.Released.Counts[v] = float64(n)
	}
	return t
}

// solveClusterShare estimates the share of a category in a domain from clusters.
func (w *window) solveClusterShare(statistic, domain, category int) (survey.Estimate, []string, error) {
	s := &w.plan.statistics[statistic]
	samples := w.clustersBy(statistic, domain, func(i int) survey.Moments {
		t := w.tallyAt(i, s)
		return t.Bin(s.bins.Pure, category)
	})
	merged, _, notes := survey.CollapseClusters(samples, leastClusters)
	estimate, err := survey.ClusterShare(merged, s.bins.Pure, w.plan.confidence)
	return estimate, notes, err
}

// solveClusterQuantile estimates a quantile in a domain from clusters.
func (w *window) solveClusterQuantile(statistic, domain int) (survey.Estimate, []string, error) {
	s := &w.plan.statistics[statistic]
	_, _, notes := survey.CollapseClusters(w.clusterSamples(statistic, domain), leastClusters)
	at := func(bin int, part float64) []survey.ClusterSample {
		samples := w.clustersBy(statistic, domain, func(i int) survey.Moments {
			t := w.tallyAt(i, s)
			return t.Place(s.bins.How, bin, part)
		})
		merged, _, _ := survey.CollapseClusters(samples, leastClusters)
		return merged
	}
	estimate, err := survey.ClusterQuantile(s.bins.Edges, s.bins.How, at, s.bins.Share, w.plan.confidence)
	return estimate, notes, err
}
