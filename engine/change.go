package engine

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/coordinate"
)

// scales is how the scores of each kind whose change can be told are put together.
func scales(kind string) coordinate.Scale {
	switch kind {
	case "mean", "proportion":
		return coordinate.Mean
	case "total", "count":
		return coordinate.Total
	}
	return 0
}

// tellsChange tells whether results have a change: the same devices are asked in every window, so that their answers,
// compared one by one, tell far more of it than those of different devices.
func (p *plan) tellsChange(fixed bool) bool {
	if !fixed || p.lapWindows != 1 || p.panes > 1 { // windows next to each other share most of their panes
		return false
	}
	for _, s := range p.statistics {
		if scales(s.kind) != 0 {
			return true
		}
	}
	return false
}

// earlier is the window that a window of a FIXED panel is compared with: the newest before it in which the same devices
// were due for the same statistics, which take turns. It may be nil.
func (k *kappa) earlier(w *window) *window { return k.windows[w.index-w.turn()] }

// turn is after how many windows the devices of a FIXED panel answer the same statistic again.
func (w *window) turn() int64 { return int64(len(w.plan.statistics)) }

// reopen puts the windows that are compared with revised ones, and those that hold a revised pane, among those that are revised, so
// that nothing is told of an estimate that no longer holds.
func (e *Engine) reopen() {
	for _, l := range e.late {
		for next := l.window.index + 1; next < l.window.index+l.window.plan.panes; next++ {
			if w := l.kappa.windows[next]; w != nil && w.revision > 0 && !w.dirty {
				w.dirty = true
				e.late = append(e.late, late{kappa: l.kappa, window: w})
			}
		}
		next := l.kappa.windows[l.window.index+l.window.turn()]
		if !l.window.comparable() || next == nil || next.revision == 0 || next.dirty || !next.comparable() {
			continue
		}
		next.dirty = true
		e.late = append(e.late, late{kappa: l.kappa, window: next})
	}
}

// comparable tells whether a window still has what a comparison needs.
func (w *window) comparable() bool { return w.plan.changes && (w.values != nil || !w.plan.keeps) }

// comparison is a statistic of a window beside the same statistic of the window that it is compared with.
type comparison struct {
	past              *window
	statistic, before int                // number of the statistic in the plan of either window
	pairs             []coordinate.Pairs // of the devices that answered in both, by group of the later window; nil with clusters
}

// compare pairs the answers of a window with those of the earlier one. It gives nil where no change is told: for panels
// that are not FIXED, statistics without one, and windows whose single answers nobody keeps, which lost tells.
func (k *kappa) compare(w *window, statistic int) (c *comparison, lost bool) {
	s := &w.plan.statistics[statistic]
	if !w.plan.changes || scales(s.kind) == 0 {
		return nil, false
	}
	past := k.earlier(w)
	if past == nil || !past.comparable() || !w.comparable() {
		before := k.at(w.index - w.turn())
		return nil, w.revision > 1 && before != nil && before.changes && !before.paused
	}
	if past.plan.clusteredBy != w.plan.clusteredBy {
		return nil, false
	}
	c = &comparison{past: past, statistic: statistic, before: -1}
	for i := range past.plan.statistics {
		if o := &past.plan.statistics[i]; o.name == s.name && o.kind == s.kind && o.bounds == s.bounds {
			c.before = i
		}
	}
	if c.before < 0 {
		return nil, false
	}
	if w.plan.keeps {
		c.pairs = make([]coordinate.Pairs, len(w.layout.groups))
		c.pair(w)
	}
	return c, false
}

// pair goes over both panels in the order of their keys. A device that changed its stratum or its cell is left out.
func (c *comparison) pair(w *window) {
	past, same := c.past, c.sameGroups(w)
	now, then := &w.plan.statistics[c.statistic], &past.plan.statistics[c.before]
	j := 0
	for i, u := range w.layout.panel {
		for j < len(past.layout.panel) && past.layout.panel[j].key < u.key {
			j++
		}
		if j == len(past.layout.panel) {
			return
		}
		o := past.layout.panel[j]
		if o.key != u.key || same[o.group] != int(u.group) || !w.heardBy(i) || !past.heardBy(j) ||
			u.answers(w.index, w.plan) != c.statistic ||
			o.answers(past.index, past.plan) != c.before {
			continue
		}
		first, _ := then.score(past.values[j]) // that were counted
		second, _ := now.score(w.values[i])
		c.pairs[u.group].Add(first, second)
	}
}

// sameGroups gives for each group of the earlier window the number of the same one in the later, or −1.
func (c *comparison) sameGroups(w *window) []int {
	same := make([]int, len(c.past.layout.groups))
	names := map[[2]string]int{}
	for i := range w.layout.groups {
		names[w.layout.nameOf(i)] = i
	}
	for i := range same {
		same[i] = -1
		if at, known := names[c.past.layout.nameOf(i)]; known {
			same[i] = at
		}
	}
	return same
}

// nameOf is stratum and cell of a group.
func (l *layout) nameOf(number int) [2]string {
	g := l.groups[number]
	name := [2]string{l.strata[g.stratum]}
	if g.cell >= 0 {
		name[1] = l.cells[g.cell].text
	}
	return name
}

// domain gives the number of a window's cell in the earlier window.
func (c *comparison) domain(w *window, domain int) (before int, known bool) {
	if domain == allCells {
		return allCells, true
	}
	for i := range c.past.layout.cells {
		if c.past.layout.cells[i].text == w.layout.cells[domain].text {
			return i, true
		}
	}
	return 0, false
}

// change tells the change of a domain since the earlier window; nil when one of the two has no estimate.
func (c *comparison) change(w *window, domain int) *quadratv1.Change {
	before, known := c.domain(w, domain)
	if !known {
		return nil
	}
	between := c.between
	if c.pairs == nil {
		between = c.betweenClusters
	}
	got, err := between(w, domain, before)
	if err != nil {
		return nil // one of the two windows has no estimate, or too little freedom
	}
	start, _ := c.past.plan.span(c.past.index)
	return &quadratv1.Change{
		Value: got.Value, StdError: got.StdError, CiLow: got.Low, CiHigh: got.High, VarianceSampling: got.VarianceSampling,
		VariancePrivacy: got.VariancePrivacy, Since: timestamppb.New(time.UnixMilli(start)), Matched: uint32(got.Common),
	}
}

// between compares samples of devices. before is the domain's number in the earlier window.
func (c *comparison) between(w *window, domain, before int) (coordinate.Change, error) {
	first, _, _, err := c.past.collapsed(c.before, before)
	if err != nil {
		return coordinate.Change{}, err
	}
	second, into, _, err := w.collapsed(c.statistic, domain)
	if err != nil {
		return coordinate.Change{}, err
	}
	both := make([]coordinate.Overlap, len(second))
	for i, g := range w.layout.groups {
		h, known := into[w.layout.strata[g.stratum]]
		if !known {
			continue
		}
		both[h].Common += c.pairs[i].Count
		if domain == allCells || domain == g.cell {
			both[h].Domain.Merge(c.pairs[i])
		}
	}
	sides := coordinate.Align(first, second, both, func(s survey.Sample) string { return s.Stratum })
	return coordinate.Between(scales(w.plan.statistics[c.statistic].kind), sides.First, sides.Second, sides.Both, w.plan.confidence)
}

// lostChange is the warning of a revised result whose change can't be told any more.
func (w *window) lostChange() string {
	start, _ := w.plan.span(w.index - w.turn())
	return fmt.Sprintf("no change since %s: the single answers of that time are no longer kept",
		time.UnixMilli(start).UTC().Format(time.RFC3339))
}
