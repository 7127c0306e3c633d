package engine

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/quadrat-dev/quadrat/survey"
)

// joined is the strata of a hop put together, without anything of a domain.
type joined struct {
	panes  []pane
	merged []survey.Sample
	into   [][]int  // by pane and stratum of its layout; −1 for one that takes no part
	silent []string // strata in which enough were due and nobody answered in any pane
	notes  []string
	given  []given // what devices answered; made when asked for
}

// join puts the strata of the panes together; offset 1 takes the denominator of a ratio.
func (v *seen) join(offset int) *joined {
	if v.joins[offset] != nil {
		return v.joins[offset]
	}
	j := &joined{}
	v.joins[offset] = j
	type count struct{ panel, responses int64 }
	counts := map[string]count{}
	samples := make([]survey.Pane, len(v.panes))
	for w, p := range v.panes {
		p.statistic += offset
		j.panes = append(j.panes, p)
		samples[w] = survey.Pane{Label: p.label(), Strata: p.samples(p.statistic, absent)}
		for _, s := range samples[w].Strata {
			c := counts[s.Stratum]
			counts[s.Stratum] = count{c.panel + s.Panel, c.responses + s.Responses}
		}
	}
	for name, c := range counts {
		if c.responses == 0 && c.panel >= leastResponses {
			j.silent = append(j.silent, name)
		}
	}
	slices.Sort(j.silent)
	for w := range samples {
		for i := range samples[w].Strata {
			if s := &samples[w].Strata[i]; slices.Contains(j.silent, s.Stratum) {
				*s = survey.Sample{Stratum: s.Stratum}
			}
		}
	}
	j.merged, j.into, j.notes = survey.JoinPanes(samples, leastResponses)
	return j
}

// heard is an error when a silent stratum has devices of the cell: it stands for nobody else.
func (j *joined) heard(cell span) error {
	for _, name := range j.silent {
		for w, p := range j.panes {
			if p.holds(name, cell.domains[w]) {
				return &survey.Error{Code: survey.NoReports, Stratum: name, Detail: fmt.Sprintf("in %d panes", len(j.panes))}
			}
		}
	}
	return nil
}

// strata gives the joined strata with the scores of a cell, which of gives by group.
func (j *joined) strata(cell span, of func(p pane, i int) survey.Moments) []survey.Sample {
	out := slices.Clone(j.merged)
	for w, p := range j.panes {
		domain := cell.domains[w]
		for i, g := range p.each(p.statistic) {
			at := j.into[w][g.stratum]
			if at < 0 || domain != allCells && domain != g.cell {
				continue
			}
			if p.tails != nil {
				out[at].Tails.Merge(out[at].Domain, p.tails[i], p.moments[i])
			}
			out[at].Domain.Merge(of(p, i))
		}
	}
	return out
}

// said is the moments of a group.
func (p pane) said(i int) survey.Moments { return p.moments[i] }

// solve estimates a statistic without categories in a cell.
func (v *seen) solve(cell span) (survey.Estimate, []string, error) {
	asked := &v.hop.plan.statistics[v.statistic]
	confidence := v.hop.plan.confidence
	if v.hop.plan.clusteredBy != "" {
		merged, notes := v.clusters(cell, pane.said)
		estimate, err := clusterEstimators()[asked.kind](merged, confidence)
		return v.perPane(estimate), notes, err
	}
	j := v.join(0)
	if err := j.heard(cell); err != nil {
		return survey.Estimate{}, nil, err
	}
	strata := j.strata(cell, pane.said)
	switch asked.kind {
	case kindVariance:
		estimate, err := survey.Variance(strata, asked.powers, confidence)
		return estimate, j.notes, err
	case kindRatio:
		below := v.join(1)
		if err := below.heard(cell); err != nil {
			return survey.Estimate{}, nil, err
		}
		estimate, err := survey.Ratio(strata, below.strata(cell, pane.said), confidence)
		return estimate, union(j.notes, below.notes), err
	}
	estimate, err := estimators()[asked.kind](strata, v.repeated(j, cell), confidence)
	return v.perPane(estimate), j.notes, err
}

// union adds notes that are not there yet.
func union(notes, more []string) []string {
	for _, note := range more {
		if !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	return notes
}

// clusters puts the clusters of the panes together, with the scores of a cell.
func (v *seen) clusters(cell span, of func(p pane, i int) survey.Moments) (merged []survey.ClusterSample, notes []string) {
	labels, panes := make([]string, len(v.panes)), make([][]survey.ClusterSample, len(v.panes))
	for w, p := range v.panes {
		labels[w] = p.label()
		panes[w] = p.clustersBy(p.statistic, cell.domains[w], func(i int) survey.Moments { return of(p, i) })
	}
	return survey.JoinClusterPanes(labels, panes, leastClusters)
}

// binSolver gives what estimates a category in a cell, or the quantile.
func (v *seen) binSolver(cell span) func(category int) (survey.Estimate, []string, error) {
	b, confidence := v.hop.plan.statistics[v.statistic].bins, v.hop.plan.confidence
	if v.hop.plan.clusteredBy != "" {
		return v.clusterSolver(cell)
	}
	j := v.join(0)
	err := j.heard(cell)
	return func(category int) (survey.Estimate, []string, error) {
		if err != nil {
			return survey.Estimate{}, nil, err
		}
		if !b.Cumulative() {
			strata := j.strata(cell, func(p pane, i int) survey.Moments { return p.supports[i].Bin(b.Pure, category) })
			e, err := survey.Share(strata, b.Pure, confidence)
			return e, j.notes, err
		}
		below := make([][]survey.Sample, b.Categories-1)
		for edge := range below {
			below[edge] = j.strata(cell, func(p pane, i int) survey.Moments { return p.supports[i].Below(b.How, edge) })
		}
		e, err := survey.Quantile(b.Edges, b.How, below, b.Share, confidence)
		return e, j.notes, err
	}
}

// clusterSolver is binSolver for clusters.
func (v *seen) clusterSolver(cell span) func(category int) (survey.Estimate, []string, error) {
	b, confidence := v.hop.plan.statistics[v.statistic].bins, v.hop.plan.confidence
	tally := func(p pane, i int) survey.Tally { return p.tallyAt(i, &p.plan.statistics[p.statistic]) }
	return func(category int) (survey.Estimate, []string, error) {
		if !b.Cumulative() {
			merged, notes := v.clusters(cell, func(p pane, i int) survey.Moments {
				t := tally(p, i)
				return t.Bin(b.Pure, category)
			})
			e, err := survey.ClusterShare(merged, b.Pure, confidence)
			return e, notes, err
		}
		_, notes := v.clusters(cell, pane.said)
		at := func(bin int, part float64) []survey.ClusterSample {
			merged, _ := v.clusters(cell, func(p pane, i int) survey.Moments {
				t := tally(p, i)
				return t.Place(b.How, bin, part)
			})
			return merged
		}
		e, err := survey.ClusterQuantile(b.Edges, b.How, at, b.Share, confidence)
		return e, notes, err
	}
}

// shape reconstructs a distribution.
func (v *seen) shape(cell span) (shares []float64, notes []string, err error) {
	j := v.join(0)
	if err := j.heard(cell); err != nil {
		return nil, nil, err
	}
	states := make([]survey.Support, len(j.merged))
	for w, p := range j.panes {
		for i, g := range p.each(p.statistic) {
			if at := j.into[w][g.stratum]; at >= 0 && (cell.domains[w] == allCells || cell.domains[w] == g.cell) {
				states[at].Merge(p.supports[i])
			}
		}
	}
	shares, err = v.hop.plan.statistics[v.statistic].bins.Shares(j.merged, states)
	return shares, j.notes, err
}

// lost tells whether it isn't known any more who answered what.
func (v *seen) lost() bool {
	return v.repeats() && v.refusal() == nil && slices.ContainsFunc(v.panes, func(p pane) bool { return p.values == nil })
}

// repeated says which devices answered several times; nil where none can have.
func (v *seen) repeated(j *joined, cell span) *survey.Repeats {
	if !v.repeats() {
		return nil
	}
	type place struct {
		stratum  string
		revision uint32
		turn     int64
	}
	out := &survey.Repeats{Class: make([]int, len(j.merged))}
	classes, told := map[place]int{}, make([]bool, len(j.merged))
	for w, p := range j.panes {
		for h, at := range j.into[w] {
			if at < 0 || told[at] {
				continue
			}
			told[at] = true
			name := place{p.layout.strata[h], p.plan.revision, p.index % p.plan.turn()}
			number, known := classes[name]
			if !known {
				number = len(classes)
				classes[name] = number
			}
			out.Class[at] = number
		}
	}
	if !v.lost() {
		out.Units = v.units(j, cell)
	}
	return out
}

// given is one answer of a device in a pane.
type given struct {
	key         uint64
	score       float64
	pane, group uint32
	at          int32 // stratum of the estimate
}

// answers lists what every device answered, by device, then by pane.
func (v *seen) answers(j *joined) []given {
	if j.given != nil {
		return j.given
	}
	var out []given
	for w, p := range j.panes {
		s := &p.plan.statistics[p.statistic]
		for rank, u := range p.seats() {
			at := j.into[w][p.layout.groups[u.group].stratum]
			if at < 0 || !p.heardBy(rank) || u.answers(p.index, p.plan) != p.statistic {
				continue
			}
			score, _ := s.score(p.values[rank]) // that was counted
			out = append(out, given{key: u.key, score: score, pane: uint32(w), group: u.group, at: int32(at)})
		}
	}
	slices.SortFunc(out, func(a, b given) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.pane, b.pane)) })
	j.given = out
	return out
}

// units gives the answers of each device in turn.
func (v *seen) units(j *joined, cell span) iter.Seq[[]survey.Answer] {
	all := v.answers(j)
	return func(yield func([]survey.Answer) bool) {
		var of []survey.Answer
		for i, g := range all {
			if i > 0 && all[i-1].key != g.key {
				if !yield(of) {
					return
				}
				of = of[:0]
			}
			domain := cell.domains[g.pane]
			inside := domain == allCells || domain == j.panes[g.pane].layout.groups[g.group].cell
			of = append(of, survey.Answer{Stratum: int(g.at), Score: g.score, Inside: inside})
		}
		if len(of) > 0 {
			yield(of)
		}
	}
}
