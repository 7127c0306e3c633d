package engine

import (
	"cmp"
	"iter"
	"slices"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// leastClusters is how many clusters of a stratum must have a report for it to be estimated on its own.
const leastClusters = 2

// cluster is one value of the attribute that makes the clusters within a stratum, or one device that lacks it.
type cluster struct {
	stratum int
	name    string // the value, or attr.Missing
	size    int64  // devices of the frame
	gateway uint64 // pseudonym of the gateway that speaks for them; 0 for none, and where the layout comes from a checkpoint
}

// slot is a group that is due in a window of a clustered plan, and the statistic that all its devices answer.
type slot struct{ group, statistic uint32 }

// clusterOf gives the number of a device's cluster, 0 without clusters, and makes it when it is new. A device without a
// value is a cluster of its own: devices that share nothing but an unknown value must not count as one draw.
func (b *frameBuilder) clusterOf(stratum int, row *fleet.Row) int {
	p := b.plan
	if p.clusteredBy == "" {
		return 0
	}
	value := row.Attributes[p.clusteredBy]
	key := clusterKey{stratum: stratum, value: value}
	if value == "" {
		key.device = row.ID
	}
	number, known := b.clusters[key]
	if known {
		return number
	}
	f := b.frame
	number = len(f.clusters)
	b.clusters[key] = number
	f.clusters = append(f.clusters, cluster{stratum: stratum, name: cmp.Or(value, attr.Missing), gateway: uint64(row.GatewayKey())})
	if p.gateways {
		f.members = append(f.members, nil)
	}
	f.stratumClusters[stratum]++
	b.places = append(b.places, arcOf(p.rotations[stratum], panel.NumberOfCluster(p.salt, p.strata[stratum], value, row.ID)))
	return number
}

// clusterKey names a cluster while a frame is compiled.
type clusterKey struct {
	stratum       int
	value, device string
}

// orderGroups lists, for each window of the lap, the groups that are due, in the order of their numbers.
func (b *frameBuilder) orderGroups() {
	f, p := b.frame, b.plan
	if p.clusteredBy == "" {
		return
	}
	statistics := uint32(len(p.statistics))
	f.groupLap, f.groupRank, f.groupPlace = make([][]uint32, p.lapWindows), make([]uint32, len(f.groups)), make([]uint32, len(f.groups))
	for i, g := range f.groups {
		at := b.places[g.cluster]
		f.groupPlace[i] = at
		if at == nowhere {
			continue
		}
		w := at / statistics
		f.groupRank[i] = uint32(len(f.groupLap[w]))
		f.groupLap[w] = append(f.groupLap[w], uint32(i))
	}
}

// dueSlots gives the groups that are due in a window, by rank, and how many devices each has.
func (f *frame) dueSlots(p *plan, index int64) (slots []slot, due []int64) {
	statistics, lap := uint64(len(p.statistics)), uint64(index/p.lapWindows)
	for _, g := range f.groupLap[index%p.lapWindows] {
		statistic := (uint64(f.groupPlace[g])%statistics + lap%statistics) % statistics
		slots = append(slots, slot{group: g, statistic: uint32(statistic)})
		due = append(due, f.groups[g].size)
	}
	return slots, due
}

// each goes over what a window knows of a statistic: the place in due and moments, and the group.
func (w *window) each(statistic int) iter.Seq2[int, *group] {
	return func(yield func(int, *group) bool) {
		groups := w.layout.groups
		if w.plan.clusteredBy != "" {
			for i, s := range w.dueGroups {
				if int(s.statistic) == statistic && !yield(i, &groups[s.group]) {
					return
				}
			}
			return
		}
		for i := range groups {
			if !yield(statistic*len(groups)+i, &groups[i]) {
				return
			}
		}
	}
}

// clusterInclusion computes the inclusion probabilities of clusters, and so of their devices.
func (w *window) clusterInclusion() {
	strata := len(w.layout.strata)
	w.pi = make([]float64, len(w.plan.statistics)*strata)
	seen := make([]bool, len(w.layout.clusters))
	for _, s := range w.dueGroups {
		g := &w.layout.groups[s.group]
		if !seen[g.cluster] {
			seen[g.cluster] = true
			w.pi[int(s.statistic)*strata+g.stratum]++
		}
	}
	for i := range w.pi {
		if clusters := w.layout.stratumClusters[i%strata]; clusters > 0 {
			w.pi[i] /= float64(clusters)
		}
	}
}

// clusterSamples gives what each stratum's clusters bring to a statistic in a domain, in the order of their names.
func (w *window) clusterSamples(statistic, domain int) []survey.ClusterSample {
	return w.clustersBy(statistic, domain, func(i int) survey.Moments { return w.moments[i] })
}

// clustersBy is clusterSamples with the moments that a group's answers have, by its place in the window.
func (w *window) clustersBy(statistic, domain int, of func(i int) survey.Moments) []survey.ClusterSample {
	out := make([]survey.ClusterSample, len(w.layout.strata))
	for h, name := range w.layout.strata {
		out[h] = survey.ClusterSample{Stratum: name, Population: w.layout.stratumSize[h], Clusters: w.layout.stratumClusters[h]}
	}
	places := map[int]int{}
	for i, g := range w.each(statistic) {
		due := &out[g.stratum].Due
		at, known := places[g.cluster]
		if !known {
			at = len(*due)
			places[g.cluster] = at
			c := &w.layout.clusters[g.cluster]
			*due = append(*due, survey.Cluster{Size: c.size, Pooled: w.plan.pools(c)})
		}
		said := survey.Cluster{Responses: w.moments[i].Count}
		if domain == allCells || domain == g.cell {
			said.Domain = of(i)
		}
		(*due)[at].Merge(said)
	}
	return out
}

// pools tells whether a gateway speaks for a cluster, as a sum: whoever has no gateway is a cluster without a name.
func (p *plan) pools(c *cluster) bool { return p.gateways && c.name != attr.Missing }

// solveClusters estimates a statistic of a clustered plan in a domain.
func (w *window) solveClusters(statistic, domain int) (survey.Estimate, []string, error) {
	merged, _, notes := survey.CollapseClusters(w.clusterSamples(statistic, domain), leastClusters)
	estimate, err := clusterEstimators()[w.plan.statistics[statistic].kind](merged, w.plan.confidence)
	return estimate, notes, err
}

// clusterEstimators are those of means and totals from clusters, by kind.
func clusterEstimators() map[string]func([]survey.ClusterSample, float64) (survey.Estimate, error) {
	return map[string]func([]survey.ClusterSample, float64) (survey.Estimate, error){
		"mean": survey.ClusterMean, "total": survey.ClusterTotal,
		"proportion": survey.ClusterProportion, "count": survey.ClusterCount,
	}
}

// fitsClusters tells whether the slots of a kept window are those of its plan and layout.
func (w *window) fitsClusters() bool {
	return len(w.layout.clusters) > 0 == (w.layout.size > 0) && len(w.due) == len(w.dueGroups) &&
		!slices.ContainsFunc(w.dueGroups, func(s slot) bool {
			return int(s.group) >= len(w.layout.groups) || int(s.statistic) >= len(w.plan.statistics)
		})
}
