package engine

import (
	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/survey"
)

// window is the state of one kappa's window: who was due, who was heard, and the moments of what they said.
type window struct {
	index     int64
	plan      *plan
	layout    *layout
	frame     *frame           // nil when nobody has asked for it since a restart or since the window closed
	dueGroups []slot           // of a clustered plan: the groups that are due; due and moments are in their order
	due       []int64          // devices due, [statistic·groups + group]
	pi        []float64        // inclusion probability, [statistic·strata + stratum]
	moments   []survey.Moments // [statistic·groups + group]
	tails     []survey.Tails   // beside moments; nil unless the plan asks for a variance
	supports  []survey.Support // in the order of moments; nil unless the plan has statistics of categories
	released  [][]int64        // noisy counts of releases, beside supports; nil unless gateways speak for units, too
	heard     []uint64         // a bit for each device that is due, by rank
	revision  uint32           // of its results; 0 while it is open
	dirty     bool             // closed, and late reports came since its newest results
	damaged   bool             // the frame could not be made again, so that nothing more is counted
	values    []int64          // of the devices that were heard, by rank, while they are kept: see kappa.keep
	closedBy  uint64           // of a merger: the shares that have closed it, a bit for each
	held      int64            // bytes in the account of windows
	told      []told           // what its newest results said, [statistic·(cells+1) + domain]
}

// told is an estimate that stands in a running mean.
type told struct {
	value, variance float64
	counted         bool
}

// newWindow opens a window over its frame.
func newWindow(index int64, p *plan, f *frame) *window {
	w := &window{
		index: index, plan: p, layout: f.layout, frame: f, told: make([]told, len(p.statistics)*(len(f.cells)+1)),
	}
	if p.clusteredBy == "" {
		w.due = f.due(p, index)
	} else {
		w.dueGroups, w.due = f.dueSlots(p, index)
	}
	w.moments = make([]survey.Moments, len(w.due))
	if p.hasVariance() {
		w.tails = make([]survey.Tails, len(w.due))
	}
	if p.binned() {
		w.supports = make([]survey.Support, len(w.due))
		if p.gateways {
			w.released = make([][]int64, len(w.due))
		}
	}
	w.heard = make([]uint64, w.words())
	if p.keeps {
		w.values = make([]int64, len(f.seatsOf(p, index)))
	}
	w.inclusion()
	return w
}

// words is the length of heard. Only devices that are due can be heard, so a plain bitmap of those is smaller than a
// compressed one of the frame.
func (w *window) words() int {
	due := int64(0)
	for _, n := range w.due {
		due += n
	}
	return int(due+63) / 64
}

// inclusion computes the inclusion probabilities from who was due.
func (w *window) inclusion() {
	if w.plan.clusteredBy != "" {
		w.clusterInclusion()
		return
	}
	strata, groups := len(w.layout.strata), len(w.layout.groups)
	w.pi = make([]float64, len(w.plan.statistics)*strata)
	for s := range w.plan.statistics {
		for i, g := range w.layout.groups {
			w.pi[s*strata+g.stratum] += float64(w.due[s*groups+i])
		}
		for h, size := range w.layout.stratumSize {
			if size > 0 {
				w.pi[s*strata+h] /= float64(size)
			}
		}
	}
}

// design is what the rows of a group's reports to a statistic share, with the noise that their codes tell.
func (w *window) design(group uint32, statistic int, noise float64) *column.Report {
	s := &w.plan.statistics[statistic]
	row := w.row(group, statistic)
	row.NoiseVariance, row.Mechanism = noise, s.mechanism
	if s.bins != nil {
		storeAnswer(s.bins, &row, 0)
	}
	return &row
}

// row is what the row of a device of a group says of frame and design.
func (w *window) row(group uint32, statistic int) column.Report {
	start, end := w.plan.span(w.index)
	g, s := w.layout.groups[group], &w.plan.statistics[statistic]
	text := "{}"
	if g.cell >= 0 {
		text = w.layout.cells[g.cell].text
	}
	row := column.Report{
		WindowStartMs: start, WindowEndMs: end, Statistic: s.name,
		Stratum: w.layout.strata[g.stratum], Cell: text, Pi: w.pi[statistic*len(w.layout.strata)+g.stratum],
		StratumPopulation: w.layout.stratumSize[g.stratum],
		Epsilon:           w.plan.epsilon, PlanRevision: w.plan.revision,
	}
	if w.plan.clusteredBy != "" {
		c := &w.layout.clusters[g.cluster]
		row.Cluster, row.ClusterPopulation, row.StratumClusters = c.name, c.size, w.layout.stratumClusters[g.stratum]
	}
	s.describe(&row)
	return row
}
