package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// absent is the domain of a cell that a pane has no device of.
const absent = -2

// hop is the window of the results that one pane's close gives: the panes that it spans, as far as there are any, oldest first.
type hop struct {
	*window // the newest

	panes []*window
}

// seen is the panes of a hop as one statistic sees them: those whose plan asks the same question in the same way.
type seen struct {
	hop       *hop
	statistic int // of the newest
	panes     []pane
	joins     [2]*joined // of the statistic and, of a ratio, of its denominator; made when asked for
}

// pane is a window of a hop with the number that the statistic has in its plan.
type pane struct {
	*window

	statistic int
}

// span is a cell of a hop, or all of them, with its number in each pane.
type span struct {
	text    string // "{}" for all
	values  map[string]string
	domains []int
}

// results makes the results that a window's close, or its revision, gives.
func (k *kappa) results(w *window, responseFloor float64) []*quadratv1.Result {
	if w.plan.panes == 1 {
		return k.estimate(w, responseFloor)
	}
	h := &hop{window: w}
	for index := w.index - w.plan.panes + 1; index <= w.index; index++ {
		if pane := k.windows[index]; pane != nil && pane.revision > 0 {
			h.panes = append(h.panes, pane)
		}
	}
	var out []*quadratv1.Result
	moved := k.moved(w)
	for s := range w.plan.statistics {
		if w.plan.statistics[s].part == denominator {
			continue
		}
		of := h.see(s)
		running := k.runPane(w, s)
		for _, cell := range of.spans() {
			results := of.tell(cell, responseFloor)
			k.figure(w, results, of.smallestBatch(cell))
			for _, r := range results {
				r.Running = running[cell.text]
				r.Warnings = append(r.Warnings, moved...)
			}
			out = append(out, results...)
		}
	}
	return out
}

// runPane brings the running means of a statistic up to date with what a pane alone says, by cell.
func (k *kappa) runPane(w *window, s int) map[string]*quadratv1.Running {
	out := map[string]*quadratv1.Running{}
	if !w.runs(s) {
		return out
	}
	for d := range len(w.layout.cells) + 1 {
		name := series{statistic: w.plan.statistics[s].result, cell: "{}"}
		if d > 0 {
			name.cell = w.layout.cells[d-1].text
		}
		estimate, _, err := w.solve(s, d-1)
		out[name.cell] = k.run(name, &w.told[s*(len(w.layout.cells)+1)+d], estimate, err == nil, w.plan.confidence)
	}
	return out
}

// see finds the panes that asked the same.
func (h *hop) see(statistic int) *seen {
	out := &seen{hop: h, statistic: statistic}
	asked := &h.plan.statistics[statistic]
	for _, p := range h.panes {
		for i := range p.plan.statistics {
			if p.plan.statistics[i].same(asked) && p.plan.clusteredBy == h.plan.clusteredBy {
				out.panes = append(out.panes, pane{window: p, statistic: i})
			}
		}
	}
	return out
}

// same tells whether answers to two statistics can stand in one estimate.
func (s *statistic) same(o *statistic) bool {
	if s.name != o.name || s.kind != o.kind || s.bounds != o.bounds || (s.bins == nil) != (o.bins == nil) {
		return false
	}
	if s.bins == nil {
		return s.kind != kindVariance || s.powers == o.powers
	}
	a, b := s.bins, o.bins
	return s.mechanism == o.mechanism && a.Categories == b.Categories && a.Pure == b.Pure && a.How == b.How && slices.Equal(a.Edges, b.Edges)
}

// spans lists all cells together and each cell of any pane, in the order of their texts.
func (v *seen) spans() []span {
	all := span{text: "{}", domains: slices.Repeat([]int{allCells}, len(v.panes))}
	cells := map[string]*span{}
	for w, p := range v.panes {
		for i, c := range p.layout.cells {
			at := cells[c.text]
			if at == nil {
				at = &span{text: c.text, values: c.values, domains: slices.Repeat([]int{absent}, len(v.panes))}
				cells[c.text] = at
			}
			at.domains[w] = i
		}
	}
	out := []span{all}
	for _, text := range slices.Sorted(maps.Keys(cells)) {
		out = append(out, *cells[text])
	}
	return out
}

// base fills what results of a cell say whether or not there is an estimate.
func (v *seen) base(cell span) *quadratv1.Result {
	r := v.hop.frameOf(v.statistic, allCells)
	_, end := v.hop.plan.span(v.hop.index)
	r.WindowStart = timestamppb.New(time.UnixMilli(end - v.hop.plan.panes*v.hop.plan.windowMs))
	r.Cell, r.Panel, r.Reports, r.ResponseRate = maps.Clone(cell.values), 0, 0, 0
	population := int64(0)
	for w, p := range v.panes {
		switch domain := cell.domains[w]; domain {
		case allCells:
			population += p.layout.size
		case absent:
		default:
			population += p.layout.cellSize[domain]
		}
		panel, reports := p.answered(p.statistic, cell.domains[w])
		r.Panel, r.Reports = r.GetPanel()+panel, r.GetReports()+reports
	}
	r.Population = uint32(math.Round(float64(population) / float64(max(1, len(v.panes)))))
	if r.GetPanel() > 0 {
		r.ResponseRate = float64(r.GetReports()) / float64(r.GetPanel())
	}
	return r
}

// tell makes the results of a cell: several of a statistic of categories.
func (v *seen) tell(cell span, floor float64) []*quadratv1.Result {
	base, asked := v.base(cell), &v.hop.plan.statistics[v.statistic]
	fault := v.refusal()
	var out []*quadratv1.Result
	switch {
	case asked.bins == nil:
		estimate, notes, err := survey.Estimate{}, []string(nil), fault
		if err == nil {
			estimate, notes, err = v.solve(cell)
		}
		v.hop.fill(base, v.statistic, estimate, notes, err, floor)
		out = []*quadratv1.Result{base}
	case asked.bins.Shape:
		shares, notes, err := []float64(nil), []string(nil), fault
		if err == nil {
			shares, notes, err = v.shape(cell)
		}
		out = v.hop.tellShape(base, v.statistic, shares, notes, err, floor)
	default:
		solve := func(int) (survey.Estimate, []string, error) { return survey.Estimate{}, nil, fault }
		if fault == nil {
			solve = v.binSolver(cell)
		}
		out = v.hop.tellBins(base, v.statistic, solve, floor)
	}
	for _, r := range out {
		r.Warnings = append(r.Warnings, v.gaps()...)
	}
	return out
}

// turn is after how many panes a device answers the statistic again.
func (v *seen) turn() int64 { return v.hop.plan.turnOf(v.statistic) }

// repeats tells whether the window holds several answers of one device.
func (v *seen) repeats() bool { return v.hop.plan.panes > v.turn() }

// refusal says why there is no estimator; nil where there is one.
func (v *seen) refusal() error {
	p := v.hop.plan
	if !v.repeats() || p.clusteredBy == "" && scales(p.statistics[v.statistic].kind) != 0 {
		return nil
	}
	return &survey.Error{Code: survey.Invalid, Detail: fmt.Sprintf(
		"windows hold several answers of one device, which answers every %s, and there is no %s over those",
		spell(uint64(v.turn()*p.windowMs)), p.statistics[v.statistic].kind)}
}

// gaps tells what the window lacks.
func (v *seen) gaps() []string {
	var out []string
	p := v.hop.plan
	if n := p.panes - int64(len(v.hop.panes)); n > 0 {
		out = append(out, fmt.Sprintf("the window holds %d of its %d panes of %s: the others closed before the kappa began, or while it was paused",
			len(v.hop.panes), p.panes, spell(uint64(p.windowMs))))
	}
	if n := len(v.hop.panes) - len(v.panes); n > 0 {
		out = append(out, fmt.Sprintf("%d panes are left out: an earlier plan asked in another way", n))
	}
	if lost := v.lost(); lost {
		out = append(out, "single answers of some panes are no longer kept: those of one device are taken to be as alike as they can be, "+
			"so the interval may be too wide")
	}
	return out
}

// smallestBatch is how many reports the smallest combination of stratum and cell of any pane gave that gave any.
func (v *seen) smallestBatch(cell span) int {
	least := 0
	for w, p := range v.panes {
		if n := p.smallestBatch(p.statistic, cell.domains[w]); n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// label names a pane in notes.
func (p pane) label() string {
	start, _ := p.plan.span(p.index)
	return time.UnixMilli(start).UTC().Format(time.RFC3339)
}

// perPane gives the mean over the panes of what adds up over them: totals and counts.
func (v *seen) perPane(e survey.Estimate) survey.Estimate {
	if kind := v.hop.plan.statistics[v.statistic].kind; kind == "total" || kind == "count" {
		return e.Over(float64(len(v.panes)))
	}
	return e
}
