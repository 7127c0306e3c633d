package reanalysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/survey"
)

// unitName tells units of a stratum apart that were drawn: a cluster by its name, a device, and one without the attribute that makes the
// clusters, by its pseudonym.
type unitName struct {
	cluster string
	device  uint64
}

// unit is what a cluster said in a window, or what a cluster or a device said in all windows that ask it.
type unit struct {
	unitName

	size    int64 // devices of the frame in the cluster; with several windows device-windows
	windows int64 // in which it said something
	pooled  bool  // a gateway speaks for it, as sums
	all     said  // of what WHERE lets in
	domains map[int]said
	heard   int64 // reports, also those that WHERE leaves out
}

// in is what the unit said in a domain.
func (u *unit) in(domain int) said {
	if domain == allCells {
		return u.all
	}
	return u.domains[domain]
}

// put adds what was said at a place.
func (u *unit) put(at place, s said) {
	u.heard += s.moments.Count
	if !at.in {
		return
	}
	u.all.merge(s)
	if at.domain == allCells {
		return
	}
	if u.domains == nil {
		u.domains = map[int]said{}
	}
	of := u.domains[at.domain]
	of.merge(s)
	u.domains[at.domain] = of
}

// again adds what the same unit said in another window.
func (u *unit) again(o *unit) {
	u.size, u.windows, u.heard, u.pooled = u.size+o.size, u.windows+o.windows, u.heard+o.heard, u.pooled || o.pooled
	u.all.merge(o.all)
	for domain, s := range o.domains {
		if u.domains == nil {
			u.domains = map[int]said{}
		}
		of := u.domains[domain]
		of.merge(s)
		u.domains[domain] = of
	}
}

// drawn is the units of a stratum, in the windows of one class.
type drawn struct {
	stratum    string
	population int64 // devices of the frame, over the windows
	units      int64 // of the frame
	windows    int64
	said       []*unit
}

// drawnPane is one window, or all of one class that ask the same units.
type drawnPane struct {
	label  string
	strata []drawn
}

// drawnFor puts the units of some windows together. Windows that ask the same units, since these answer again after a lap, make one
// pane: then what a unit says in all of them is one number of it, and that it was drawn once is what its variance rests on.
func (g *gathered) drawnFor(q *question, a *asked, windows []int64) []drawnPane {
	key := span{a.stored, windows[0], int(g.rows)}
	if g.lastDrawn.key == key {
		return g.lastDrawn.panes
	}
	classes, groups := map[class]int{}, [][]int64(nil)
	for _, start := range windows {
		c := q.class(a, start)
		at, known := classes[c]
		if !known || !q.repeats(a, windows) {
			at = len(groups)
			classes[c] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], start)
	}
	singles := g.devicesOf(a, windows)
	panes := make([]drawnPane, len(groups))
	for i, group := range groups {
		panes[i].label = label(group[0])
		for _, name := range g.order[a.stored] {
			panes[i].strata = append(panes[i].strata, g.draw(a, group, name, singles))
		}
	}
	g.lastDrawn.key, g.lastDrawn.panes = key, panes
	return panes
}

// draw makes a stratum of the windows of a class. Who says nothing in a window was asked all the same: its silence is a silent part of the
// unit. A frame that changes counts with its largest number of units.
func (g *gathered) draw(a *asked, windows []int64, name string, singles map[*stratum][]*unit) drawn {
	out := drawn{stratum: name}
	units := map[unitName]*unit{}
	for _, start := range windows {
		s := g.strata[strataKey{start, a.stored, name}]
		if s == nil {
			continue
		}
		out.windows++
		out.population += s.population
		frame, said := s.population, singles[s]
		if g.clustered {
			frame, said = s.clusters, s.saidBy()
		}
		out.units = max(out.units, frame)
		for _, u := range said {
			if known := units[u.unitName]; known != nil {
				known.again(u)
				continue
			}
			if len(windows) == 1 {
				units[u.unitName] = u
				continue
			}
			one := &unit{unitName: u.unitName}
			one.again(u)
			units[u.unitName] = one
		}
	}
	sizes := int64(0)
	for _, u := range units {
		if u.windows > 0 && u.windows < out.windows { // as large as in the windows in which it said something
			u.size = int64(math.Round(float64(u.size) * float64(out.windows) / float64(u.windows)))
		}
		sizes += u.size
		out.said = append(out.said, u)
	}
	slices.SortFunc(out.said, func(a, b *unit) int {
		return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.device, b.device))
	})
	out.units, out.population = max(out.units, int64(len(out.said))), max(out.population, sizes)
	return out
}

// saidBy is the clusters that said something in the window.
func (s *stratum) saidBy() []*unit {
	out := make([]*unit, 0, len(s.said))
	for _, u := range s.said {
		out = append(out, u)
	}
	return out
}

// devicesOf makes a unit of each report that is kept by itself, by stratum; nil with clusters.
func (g *gathered) devicesOf(a *asked, windows []int64) map[*stratum][]*unit {
	if g.clustered {
		return nil
	}
	out := map[*stratum][]*unit{}
	how := a.categories.Counter()
	for _, s := range g.singlesOf(a.stored, windows) {
		var x said
		x.moments.Add(0, 0)
		how.Add(&x.support, s.value) // it was taken when it was read
		u := &unit{unitName: unitName{device: s.device}, size: 1, windows: 1}
		u.put(place{domain: int(s.domain), in: s.domain != absent}, x)
		out[s.at] = append(out[s.at], u)
	}
	return out
}

// samples gives what the units bring to a domain, with the moments that of makes of what each said. Permanent noise is the same in every
// window: the noise of a unit's sum is at most as many times that of independent answers as there are.
func samplesOf(panes []drawnPane, q *question, domain int, of func(*said) survey.Moments) (merged []survey.ClusterSample, notes []string) {
	labels, out := make([]string, len(panes)), make([][]survey.ClusterSample, len(panes))
	for i, p := range panes {
		labels[i] = p.label
		for _, d := range p.strata {
			s := survey.ClusterSample{Stratum: d.stratum, Population: d.population, Clusters: d.units, Due: make([]survey.Cluster, 0, len(d.said))}
			for _, u := range d.said {
				x := u.in(domain)
				c := survey.Cluster{Size: u.size, Responses: u.heard, Pooled: u.pooled}
				if x.moments.Count > 0 {
					c.Domain = of(&x)
				}
				if q.permanent {
					c.Domain.Noise *= float64(u.windows)
				}
				s.Due = append(s.Due, c)
			}
			out[i] = append(out[i], s)
		}
	}
	return survey.JoinClusterPanes(labels, out, leastUnits)
}

// leastUnits is how many clusters of a stratum need a report for it to be estimated on its own, as in the engine.
const leastUnits = 2

var clusterEstimators = map[string]func([]survey.ClusterSample, float64) (survey.Estimate, error){
	"mean": survey.ClusterMean, "total": survey.ClusterTotal, "proportion": survey.ClusterProportion, "count": survey.ClusterCount,
}

// momentsOf is what scores are.
func momentsOf(s *said) survey.Moments { return s.moments }

// tally is what answers of categories are.
func (s *said) tally() survey.Tally { return survey.Tally{Support: s.support, Released: s.released} }

// solveUnits estimates a statistic from units that were drawn: of categories one of them, see bins.
func (g *gathered) solveUnits(q *question, a *asked, windows []int64, domain, category int) (survey.Estimate, []string, error) {
	panes, level := g.drawnFor(q, a, windows), g.level(q, a, windows)
	c := a.categories
	switch {
	case c == nil && clusterEstimators[a.kind] == nil:
		return survey.Estimate{}, nil, &survey.Error{Code: survey.Invalid, Detail: fmt.Sprintf("there is no %s of clusters", a.kind)}
	case c == nil:
		merged, notes := samplesOf(panes, q, domain, momentsOf)
		e, err := clusterEstimators[a.kind](merged, level)
		return e, notes, err
	case a.share > 0:
		_, notes := samplesOf(panes, q, domain, momentsOf)
		e, err := survey.ClusterQuantile(c.Edges, c.How, func(bin int, part float64) []survey.ClusterSample {
			merged, _ := samplesOf(panes, q, domain, func(s *said) survey.Moments {
				t := s.tally()
				return t.Place(c.How, bin, part)
			})
			return merged
		}, a.share, level)
		return e, notes, err
	}
	merged, notes := samplesOf(panes, q, domain, func(s *said) survey.Moments {
		t := s.tally()
		return t.Bin(c.Pure, category)
	})
	e, err := survey.ClusterShare(merged, c.Pure, level)
	return e, notes, err
}

// byUnits tells whether a statistic is estimated from units that were drawn rather than from reports: clusters, and devices that say their
// category several times.
func (g *gathered) byUnits(q *question, a *asked, windows []int64) bool {
	return g.clustered || g.keep && !g.lost && a.categories != nil && !a.categories.Shape && q.repeats(a, windows)
}
