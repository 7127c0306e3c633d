package engine

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/survey"
)

// window is the state of one kappa's window: who was due, who was heard, and the moments of what they said.
type window struct {
	index    int64
	plan     *plan
	layout   *layout
	frame    *frame           // nil when nobody has asked for it since a restart or since the window closed
	due      []int64          // devices due, [statistic·groups + group]
	pi       []float64        // inclusion probability, [statistic·strata + stratum]
	moments  []survey.Moments // [statistic·groups + group]
	heard    *roaring.Bitmap  // rows of the frame
	revision uint32           // of its results; 0 while it is open
	dirty    bool             // closed, and late reports came since its newest results
	damaged  bool             // the frame could not be made again, so that nothing more is counted
	told     []told           // what its newest results said, [statistic·(cells+1) + domain]
}

// told is an estimate that stands in a running mean.
type told struct {
	value, variance float64
	counted         bool
}

// newWindow opens a window over its frame.
func newWindow(index int64, p *plan, f *frame) *window {
	w := &window{
		index: index, plan: p, layout: f.layout, frame: f, due: f.due(p, index), heard: roaring.New(),
		moments: make([]survey.Moments, len(p.statistics)*len(f.groups)),
		told:    make([]told, len(p.statistics)*(len(f.cells)+1)),
	}
	w.inclusion()
	return w
}

// inclusion computes the inclusion probabilities from who was due.
func (w *window) inclusion() {
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

// verdict is what became of the reports of one group: how many were counted, and the places of the others by cause.
type verdict struct {
	counted   int
	duplicate int
	refused   [causes][]uint32
}

func (v *verdict) reset() {
	v.counted, v.duplicate = 0, 0
	for i := range v.refused {
		v.refused[i] = v.refused[i][:0]
	}
}

func (v *verdict) refuse(c cause, place int) { v.refused[c] = append(v.refused[c], uint32(place)) }

// refuseAll gives all reports of a group one cause.
func (v *verdict) refuseAll(c cause, n int) {
	for i := range n {
		v.refuse(c, i)
	}
}

// count takes a group's reports: each one whose device was due for that statistic and was not heard before goes into the
// moments and, as a row, to rows (which may be nil).
func (w *window) count(r *reports, v *verdict, rows *column.Reports, sequence uint64) {
	p, f := w.plan, w.frame
	statistics, groups := uint64(len(p.statistics)), len(f.groups)
	lapWindow, lap := uint64(w.index%p.lapWindows), uint64(w.index/p.lapWindows)%statistics
	for i, key := range r.device {
		row := f.find(key)
		if row < 0 {
			v.refuse(causeFrame, i)
			continue
		}
		place, statistic := uint64(f.place[row]), r.statistic[i]
		slot := place - lapWindow*statistics // wraps to a large number in an earlier window of the lap
		if f.place[row] == nowhere || slot >= statistics || (slot+lap)%statistics != statistic {
			v.refuse(causeDue, i)
			continue
		}
		score, ok := p.statistics[statistic].score(r.value[i])
		if !ok {
			v.refuse(causeCode, i)
			continue
		}
		if !w.heard.CheckedAdd(uint32(row)) {
			v.duplicate++
			continue
		}
		w.moments[int(statistic)*groups+int(f.group[row])].Add(score, p.statistics[statistic].noise)
		v.counted++
		if rows != nil {
			w.store(rows, row, int(statistic), score, sequence)
		}
	}
}

// store appends one report to the rows for the sink.
func (w *window) store(rows *column.Reports, row, statistic int, score float64, sequence uint64) {
	start, end := w.plan.span(w.index)
	g, s := w.layout.groups[w.frame.group[row]], &w.plan.statistics[statistic]
	text := "{}"
	if g.cell >= 0 {
		text = w.layout.cells[g.cell].text
	}
	rows.Append(&column.Report{
		WindowStartMs: start, WindowEndMs: end, Device: w.frame.keys[row], Statistic: s.name,
		Stratum: w.layout.strata[g.stratum], Cell: text, Pi: w.pi[statistic*len(w.layout.strata)+g.stratum],
		StratumPopulation: w.layout.stratumSize[g.stratum], Score: score, NoiseVariance: s.noise, Mechanism: s.mechanism,
		Epsilon: w.plan.epsilon, PlanRevision: w.plan.revision, Sequence: sequence,
	})
}
