package survey

import (
	"fmt"
	"slices"
)

// Pane is the strata of one of several windows that one estimate is made of, and what to call it in notes and names.
type Pane struct {
	Label  string
	Strata []Sample
}

// JoinPanes puts the strata of several windows together for one estimate over all of them: each stratum of each window is one of its
// own, its units being device-windows, so that a mean is that over all units and windows, and variances add up (Särndal, Swensson and
// Wretman 1992, §3.7). For what is wrong with adding where a unit answers in several windows see [Repeats].
//
// A stratum with fewer than least responses in a window is joined with the same stratum in the windows that follow, a last one with
// those before. What is too small over all windows is collapsed by the rule of [Collapse]. Strata of one window must have different
// names; those whose population is 0 take no part.
//
// merged has the strata in the order of their names, then of the windows; into[w][i] is where panes[w].Strata[i] stands in it, −1 for
// one that takes no part. notes has a sentence for each stratum that was joined or collapsed. panes isn't changed.
func JoinPanes(panes []Pane, least int64) (merged []Sample, into [][]int, notes []string) {
	return joinPanes(panes, enough{responses: least, apart: "responses", few: "reports"})
}

// JoinPanesByDue is JoinPanes for a part of the reports: a stratum needs so many due units, whoever answered, so that what is joined doesn't
// follow from what was said, and two reports.
func JoinPanesByDue(panes []Pane, leastDue int64) (merged []Sample, into [][]int, notes []string) {
	const few = "devices due"
	return joinPanes(panes, enough{responses: 2, due: leastDue, apart: few, few: few})
}

// joinPanes is JoinPanes by what is enough.
func joinPanes(panes []Pane, by enough) (merged []Sample, into [][]int, notes []string) {
	if len(panes) == 1 {
		merged, mapping, notes := collapse(panes[0].Strata, by)
		return merged, [][]int{mapping}, notes
	}
	j := joiner{panes: panes, by: by, into: make([][]int, len(panes))}
	for w, p := range panes {
		j.into[w] = make([]int, len(p.Strata))
	}
	for _, name := range j.names() {
		j.join(name)
	}
	merged, mapping, notes := collapse(j.strata, by)
	for w := range j.into {
		for i, at := range j.into[w] {
			if at >= 0 {
				j.into[w][i] = mapping[at]
			}
		}
	}
	return merged, j.into, append(notes, j.notes...)
}

// joiner is JoinPanes on its way.
type joiner struct {
	panes  []Pane
	by     enough
	places []map[string]int // by pane: name → number in its strata
	strata []Sample
	into   [][]int
	notes  []string
}

// names lists the strata of all windows in order.
func (j *joiner) names() []string {
	var out []string
	seen := map[string]bool{}
	for _, p := range j.panes {
		places := make(map[string]int, len(p.Strata))
		for i, s := range p.Strata {
			places[s.Stratum] = i
			if !seen[s.Stratum] {
				seen[s.Stratum] = true
				out = append(out, s.Stratum)
			}
		}
		j.places = append(j.places, places)
	}
	slices.Sort(out)
	return out
}

// join makes the strata of one name.
func (j *joiner) join(name string) {
	first, open, joined := len(j.strata), false, 0 // open: the last of strata has too few responses yet
	for w, p := range j.panes {
		i, known := j.places[w][name]
		if !known {
			continue
		}
		if p.Strata[i].Population == 0 {
			j.into[w][i] = -1
			continue
		}
		if open {
			joined++
			j.strata[len(j.strata)-1].absorb(p.Strata[i])
		} else {
			next := p.Strata[i]
			next.Stratum = name + "@" + p.Label
			j.strata = append(j.strata, next)
		}
		j.into[w][i] = len(j.strata) - 1
		open = !j.by.has(j.strata[len(j.strata)-1])
	}
	if last := len(j.strata) - 1; open && last > first {
		joined++
		j.strata[last-1].absorb(j.strata[last])
		j.strata = j.strata[:last]
		for w := range j.into {
			for i := range j.into[w] {
				j.into[w][i] = min(j.into[w][i], last-1)
			}
		}
	}
	if joined > 0 {
		j.notes = append(j.notes, fmt.Sprintf("stratum %s: %d windows with fewer than %d %s are estimated with those around them",
			name, joined, j.by.least(), j.by.few))
	}
}

// JoinClusterPanes is [JoinPanes] for cluster samples: a stratum needs so many clusters with a report. panes[w] are the strata of a
// window, labels[w] what to call it.
func JoinClusterPanes(labels []string, panes [][]ClusterSample, leastClusters int64) (merged []ClusterSample, notes []string) {
	if len(panes) == 1 {
		merged, _, notes := CollapseClusters(panes[0], leastClusters)
		return merged, notes
	}
	plain := make([]Pane, len(panes))
	for w, strata := range panes {
		plain[w].Label = labels[w]
		for _, s := range strata {
			plain[w].Strata = append(plain[w].Strata, Sample{Stratum: s.Stratum, Population: s.Population, Responses: s.responding()})
		}
	}
	const few = "clusters with a report"
	named, into, notes := joinPanes(plain, enough{responses: leastClusters, apart: few, few: few})
	merged = make([]ClusterSample, len(named))
	for i, s := range named {
		merged[i].Stratum = s.Stratum
	}
	for w, strata := range panes {
		for i, s := range strata {
			if at := into[w][i]; at >= 0 {
				to := &merged[at]
				to.Population += s.Population
				to.Clusters += s.Clusters
				to.Due = append(to.Due, s.Due...)
			}
		}
	}
	return merged, notes
}
