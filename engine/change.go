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

// keepsUnits tells whether a plan needs the answers of its devices one by one: the same devices are asked in every window,
// so that their answers, compared one by one, tell the change.
func (p *plan) keepsUnits(fixed bool) bool {
	if !fixed || p.lapWindows != 1 || p.clusteredBy != "" {
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

// reopen puts the windows that are compared with revised ones among those that are revised, so that no change is told of
// an estimate that no longer holds.
func (e *Engine) reopen() {
	for _, l := range e.late {
		if l.window.values == nil {
			continue
		}
		next := l.kappa.windows[l.window.index+l.window.turn()]
		if next == nil || next.revision == 0 || next.dirty || next.values == nil {
			continue
		}
		next.dirty = true
		e.late = append(e.late, late{kappa: l.kappa, window: next})
	}
}

// comparison is a statistic of a window beside the same statistic of the window that it is compared with.
type comparison struct {
	past              *window
	statistic, before int                // number of the statistic in the plan of either window
	pairs             []coordinate.Pairs // of the devices that answered in both, by group of the later window
}

// compare pairs the answers of a window with those of the earlier one. It gives nil where no change is told: for panels
// that are not FIXED, statistics without one, and windows whose single answers nobody keeps, which lost tells.
func (k *kappa) compare(w *window, statistic int) (c *comparison, lost bool) {
	s := &w.plan.statistics[statistic]
	if !w.plan.keeps || scales(s.kind) == 0 {
		return nil, false
	}
	past := k.earlier(w)
	if past == nil || past.values == nil || w.values == nil {
		before := k.at(w.index - w.turn())
		return nil, w.revision > 1 && before != nil && before.keeps && !before.paused
	}
	c = &comparison{past: past, statistic: statistic, before: -1, pairs: make([]coordinate.Pairs, len(w.layout.groups))}
	for i := range past.plan.statistics {
		if o := &past.plan.statistics[i]; o.name == s.name && o.kind == s.kind && o.bounds == s.bounds {
			c.before = i
		}
	}
	if c.before < 0 {
		return nil, false
	}
	c.pair(w)
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
			u.answers(w.index, len(w.plan.statistics)) != c.statistic ||
			o.answers(past.index, len(past.plan.statistics)) != c.before {
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
	first, _, _, err := c.past.collapsed(c.before, before)
	if err != nil {
		return nil
	}
	second, into, _, err := w.collapsed(c.statistic, domain)
	if err != nil {
		return nil
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
	first, second, both = align(first, second, both)
	got, err := coordinate.Between(scales(w.plan.statistics[c.statistic].kind), first, second, both, w.plan.confidence)
	if err != nil {
		return nil
	}
	start, _ := c.past.plan.span(c.past.index)
	return &quadratv1.Change{
		Value: got.Value, StdError: got.StdError, CiLow: got.Low, CiHigh: got.High, VarianceSampling: got.VarianceSampling,
		VariancePrivacy: got.VariancePrivacy, Since: timestamppb.New(time.UnixMilli(start)), Matched: uint32(got.Common),
	}
}

// align puts the strata of two windows side by side. One that the other window has not, for it was collapsed there otherwise or
// nobody was in it, stands beside an empty one: then what its devices have in common isn't used.
func align(first, second []survey.Sample, both []coordinate.Overlap) (a, b []survey.Sample, common []coordinate.Overlap) {
	places := map[string]int{}
	for i, s := range first {
		places[s.Stratum] = i
	}
	for i, s := range second {
		at, known := places[s.Stratum]
		b = append(b, s)
		if !known {
			a, common = append(a, survey.Sample{Stratum: s.Stratum}), append(common, coordinate.Overlap{})
			continue
		}
		a, common = append(a, first[at]), append(common, both[i])
		delete(places, s.Stratum)
	}
	for i, s := range first {
		if at, left := places[s.Stratum]; left && at == i {
			a, b, common = append(a, s), append(b, survey.Sample{Stratum: s.Stratum}), append(common, coordinate.Overlap{})
		}
	}
	return a, b, common
}

// lostChange is the warning of a revised result whose change can't be told any more.
func (w *window) lostChange() string {
	start, _ := w.plan.span(w.index - w.turn())
	return fmt.Sprintf("no change since %s: the single answers of that time are no longer kept",
		time.UnixMilli(start).UTC().Format(time.RFC3339))
}
