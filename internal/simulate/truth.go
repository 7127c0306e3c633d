package simulate

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Truth computes what a statistic really is, over the whole population and from the raw replay: what nobody but a
// simulation can know. It is for one goroutine.
type Truth struct {
	fleet   *Fleet
	plan    *wire.DevicePlan
	members map[string][]int // of each cell, the places in the frame
	counted counted
}

// counted is how many members of a cell are in each category, for the results of one statistic, which come together.
type counted struct {
	counting

	of []int
}

// counting names what was counted last.
type counting struct {
	first           int64
	panes           int
	statistic, cell string
}

// TruthOf prepares the truths of a kappa that the fleet takes part in; false while no device holds its plan.
func (f *Fleet) TruthOf(ref string) (*Truth, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for held := range f.devices[0].Plans() {
		if held.Plan.Ref == ref {
			return &Truth{fleet: f, plan: held.Plan, members: map[string][]int{}}, true
		}
	}
	return nil, false
}

// Of is the truth of a result; false when its cell holds no place or its statistic is unknown. Of windows that hop it is that of the panes since
// the plan was made, as the result is: of all places in all panes, of a total or a count the mean over the panes.
func (t *Truth) Of(r *quadratv1.Result) (float64, bool) {
	panes := t.panes(r.GetWindowStart().AsTime(), r.GetWindowEnd().AsTime())
	if b := r.GetBin(); b != nil {
		return t.inBin(panes, r.GetStatistic(), r.GetCell(), b.GetIndex())
	}
	return t.over(panes, r.GetStatistic(), r.GetCell())
}

// At is the truth of a statistic in a cell of a window of the plan; false when the cell holds no place or the statistic is unknown.
func (t *Truth) At(windowStart time.Time, statistic string, cell map[string]string) (float64, bool) {
	return t.over(t.panes(windowStart, windowStart), statistic, cell)
}

// InBin is the share of the category with this number, of a histogram, a frequency or a distribution, as At is of other statistics.
func (t *Truth) InBin(windowStart time.Time, statistic string, cell map[string]string, bin uint32) (float64, bool) {
	return t.inBin(t.panes(windowStart, windowStart), statistic, cell, bin)
}

// panes are the numbers of the plan's windows in a span, from the first one that the plan is in force for; at least that which the span begins
// with.
func (t *Truth) panes(start, end time.Time) []int64 {
	length := int64(t.plan.WindowMs)
	first, last := start.UnixMilli()/length, end.UnixMilli()/length-1
	if last > first {
		first = min(max(first, t.plan.FromWindow), last)
	}
	out := []int64{first}
	for next := first + 1; next <= last; next++ {
		out = append(out, next)
	}
	return out
}

// over is the truth over some panes.
func (t *Truth) over(panes []int64, statistic string, cell map[string]string) (float64, bool) {
	above, okAbove := t.at(panes, statistic+" numerator", cell)
	below, okBelow := t.at(panes, statistic+" denominator", cell)
	if okAbove && okBelow {
		return above / below, below != 0
	}
	return t.at(panes, statistic, cell)
}

// Results is how many results a statistic has in each cell of a window: one for each category of a histogram, a frequency
// or a distribution, else one.
func (t *Truth) Results(statistic string) int {
	for i := range t.plan.Statistics {
		s := &t.plan.Statistics[i]
		if s.Name == statistic && (s.Kind == "histogram" || s.Kind == "frequency" || s.Kind == "distribution") {
			return int(s.Categories)
		}
	}
	return 1
}

// inBin is the share of a category over some panes.
func (t *Truth) inBin(panes []int64, statistic string, cell map[string]string, bin uint32) (float64, bool) {
	s, members := t.find(statistic, cell)
	if s == nil || s.Categories == 0 {
		return 0, false
	}
	name := counting{first: panes[0], panes: len(panes), statistic: statistic, cell: t.key(cell)}
	if c := &t.counted; c.counting != name || c.of == nil {
		*c = counted{counting: name, of: make([]int, s.Categories)}
		bounds := privacy.Bounds{Lo: privacy.Micro(s.LoMicro), Hi: privacy.Micro(s.HiMicro)}
		for x := range t.readings(members, panes) {
			if x = summarised(s, x); s.Kind == "frequency" {
				c.of[bounds.Whole(x)]++
			} else {
				c.of[bounds.Bin(x, s.Categories)]++
			}
		}
	}
	if int(bin) >= len(t.counted.of) {
		return 0, false
	}
	return float64(t.counted.of[bin]) / float64(len(members)*len(panes)), true
}

// quantile is the least summary that at least a share of what the members have in the panes does not exceed.
func (t *Truth) quantile(s *wire.StatisticPlan, members []int, panes []int64) float64 {
	values := make([]privacy.Micro, 0, len(members)*len(panes))
	for x := range t.readings(members, panes) {
		values = append(values, summarised(s, x))
	}
	slices.Sort(values)
	rank := (int64(s.ShareMicro)*int64(len(values)) + 999_999) / 1_000_000
	return values[max(rank, 1)-1].Float64()
}

// find gives a statistic of the plan, or nil, with the members of a cell.
func (t *Truth) find(statistic string, cell map[string]string) (s *wire.StatisticPlan, members []int) {
	members = t.cell(cell)
	for i := range t.plan.Statistics {
		if t.plan.Statistics[i].Name == statistic && len(members) > 0 {
			return &t.plan.Statistics[i], members
		}
	}
	return nil, nil
}

// readings gives what members replay in some panes, one after the other.
func (t *Truth) readings(members []int, panes []int64) iter.Seq[privacy.Micro] {
	return func(yield func(privacy.Micro) bool) {
		for _, pane := range panes {
			position := t.fleet.Position(int64(t.plan.WindowMs), pane)
			for _, m := range members {
				if !yield(t.fleet.config.Places[m].Reading(position)) {
					return
				}
			}
		}
	}
}

// summarised is a window's summary of its one reading.
func summarised(s *wire.StatisticPlan, reading privacy.Micro) privacy.Micro {
	if s.Summary == "count" {
		return 1_000_000
	}
	return reading
}

// at is the truth of a statistic of the plan, which may be a part of a ratio.
func (t *Truth) at(panes []int64, statistic string, cell map[string]string) (float64, bool) {
	s, members := t.find(statistic, cell)
	if s == nil {
		return 0, false
	}
	sum, all := 0.0, float64(len(members)*len(panes))
	for x := range t.readings(members, panes) {
		sum += score(s, x)
	}
	switch s.Kind {
	case "quantile":
		return t.quantile(s, members, panes), true
	case "variance":
		return t.spread(s, members, panes, sum/all), all > 1
	case "mean", "proportion", "ratio":
		return sum / all, true
	}
	return sum / float64(len(panes)), true
}

// spread is the variance of the places' values in all panes about their mean, with one less than their number below.
func (t *Truth) spread(s *wire.StatisticPlan, members []int, panes []int64, mean float64) float64 {
	squares := 0.0
	for x := range t.readings(members, panes) {
		d := score(s, x) - mean
		squares += d * d
	}
	return squares / float64(max(1, len(members)*len(panes)-1))
}

// score is what one place contributes without noise. A window holds one reading, so every summary but "count" is it.
func score(s *wire.StatisticPlan, reading privacy.Micro) float64 {
	reading = summarised(s, reading)
	x, threshold, holds := int64(reading), s.ThresholdMicro, false
	switch s.Comparison {
	case "":
		return reading.Float64()
	case "=":
		holds = x == threshold
	case "<>":
		holds = x != threshold
	case "<":
		holds = x < threshold
	case "<=":
		holds = x <= threshold
	case ">":
		holds = x > threshold
	case ">=":
		holds = x >= threshold
	}
	if holds {
		return 1
	}
	return 0
}

// cell lists the places of the frame that have the cell's values.
func (t *Truth) cell(cell map[string]string) []int {
	key := t.key(cell)
	if members, ok := t.members[key]; ok {
		return members
	}
	var members []int
	for i := range t.fleet.config.Places {
		attributes := t.fleet.config.Places[i].Attributes
		if i >= len(t.fleet.devices) && t.plan.Model != agent.Gateway {
			break // units take part in gateways' questions only
		}
		if t.plan.Where.Match(attributes) && inCell(attributes, cell) {
			members = append(members, i)
		}
	}
	t.members[key] = members
	return members
}

// key is one text of a cell's values.
func (t *Truth) key(cell map[string]string) string {
	var key strings.Builder
	for _, name := range t.plan.GroupBy {
		if v, ok := cell[name]; ok {
			key.WriteString(v)
		}
		key.WriteByte(0)
	}
	return key.String()
}

func inCell(attributes, cell map[string]string) bool {
	for name, want := range cell {
		have := attributes[name]
		if have == "" {
			have = attr.Missing
		}
		if have != want {
			return false
		}
	}
	return true
}
