package engine

import (
	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/coordinate"
)

// betweenClusters compares samples of clusters by the moments that windows keep anyway.
func (c *comparison) betweenClusters(w *window, domain, before int) (coordinate.Change, error) {
	first, then := c.past.namedClusters(c.before, before)
	second, now := w.namedClusters(c.statistic, domain)
	both := make([][]coordinate.Same, len(second))
	places := map[string]int{}
	for i, s := range first {
		places[s.Stratum] = i
	}
	for h, s := range second {
		at, known := places[s.Stratum]
		if !known {
			continue
		}
		due := map[clusterName]int{}
		for i, number := range then[at] {
			due[c.past.nameOfCluster(number, c.past.layout == w.layout)] = i
		}
		for i, number := range now[h] {
			name := w.nameOfCluster(number, c.past.layout == w.layout)
			if earlier, known := due[name]; known && name != (clusterName{}) {
				both[h] = append(both[h], coordinate.Same{First: earlier, Second: i})
			}
		}
	}
	sides := coordinate.Align(first, second, both, func(s survey.ClusterSample) string { return s.Stratum })
	return coordinate.BetweenClusters(
		scales(w.plan.statistics[c.statistic].kind), sides.First, sides.Second, sides.Both, w.plan.confidence)
}

// clusterName tells a cluster from others: its number in one layout, or stratum and name in two. The zero value is a
// device without a value, which nobody finds again in another layout.
type clusterName struct {
	number        int
	stratum, name string
}

func (w *window) nameOfCluster(number int, oneLayout bool) clusterName {
	if oneLayout {
		return clusterName{number: number + 1}
	}
	c := w.layout.clusters[number]
	if c.name == attr.Missing {
		return clusterName{}
	}
	return clusterName{stratum: w.layout.strata[c.stratum], name: c.name}
}

// namedClusters is the clusters that an estimate rests on, by collapsed stratum, and their numbers in the layout.
func (w *window) namedClusters(statistic, domain int) (merged []survey.ClusterSample, numbers [][]int) {
	apart := make([][]int, len(w.layout.strata))
	seen := make([]bool, len(w.layout.clusters))
	for _, g := range w.each(statistic) {
		if !seen[g.cluster] {
			seen[g.cluster] = true
			apart[g.stratum] = append(apart[g.stratum], g.cluster)
		}
	}
	merged, mapping, _ := survey.CollapseClusters(w.clusterSamples(statistic, domain), leastClusters)
	numbers = make([][]int, len(merged))
	for h, list := range apart {
		numbers[mapping[h]] = append(numbers[mapping[h]], list...)
	}
	return merged, numbers
}
