package restate

import (
	"errors"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/coordinate"
)

var scales = map[string]coordinate.Scale{
	"mean": coordinate.Mean, "proportion": coordinate.Mean, "total": coordinate.Total, "count": coordinate.Total,
}

// Changes tells whether a change is told of a kind of statistic.
func Changes(kind string) bool { return scales[kind] != 0 }

// Change tells how a statistic of a FIXED panel changed from one window to another, in a domain. Both windows must have been made
// with changes. A device counts as answering in both where it stands in the same estimated stratum and the same cell.
func Change(before, now *Window, domain string, confidence float64) (coordinate.Change, error) {
	scale := scales[now.asked.Kind]
	if scale == 0 || before.asked.Kind != now.asked.Kind || before.Clustered() != now.Clustered() {
		return coordinate.Change{}, errors.New("a change is told of a mean, a total, a proportion and a count")
	}
	if now.Clustered() {
		return changeOfClusters(scale, before, now, domain, confidence)
	}
	both := make([]coordinate.Overlap, len(now.strata))
	for _, first := range before.answers {
		place, answered := now.said[first.device]
		if !answered {
			continue
		}
		second := now.answers[place]
		if second.cell != first.cell || before.strata[first.stratum].name != now.strata[second.stratum].name {
			continue
		}
		h := &both[second.stratum]
		h.Common++
		if second.inside && (domain == AllCells || domain == second.cell) {
			h.Domain.Add(first.score, second.score)
		}
	}
	sides := coordinate.Align(before.samples(domain), now.samples(domain), both, func(s survey.Sample) string { return s.Stratum })
	return coordinate.Between(scale, sides.First, sides.Second, sides.Both, confidence)
}

func changeOfClusters(scale coordinate.Scale, before, now *Window, domain string, confidence float64) (coordinate.Change, error) {
	first, _ := before.clustersBy(domain, momentsOf)
	second, numbers := now.clustersBy(domain, momentsOf)
	at := make([]int, len(before.clusters)) // of each cluster its place among those of its stratum
	for i, places := 0, make([]int, len(before.strata)); i < len(at); i++ {
		at[i] = places[before.clusters[i].stratum]
		places[before.clusters[i].stratum]++
	}
	both := make([][]coordinate.Same, len(second))
	for h, list := range numbers {
		for i, number := range list {
			if earlier, known := before.byKey[now.clusters[number].key]; known {
				both[h] = append(both[h], coordinate.Same{First: at[earlier], Second: i})
			}
		}
	}
	sides := coordinate.Align(first, second, both, func(s survey.ClusterSample) string { return s.Stratum })
	return coordinate.BetweenClusters(scale, sides.First, sides.Second, sides.Both, confidence)
}
