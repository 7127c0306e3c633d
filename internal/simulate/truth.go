package simulate

import (
	"slices"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
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
	start           time.Time
	statistic, cell string
	of              []int
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

// At is the truth of a statistic in a cell of a window; false when the cell holds no place or the statistic is unknown.
func (t *Truth) At(windowStart time.Time, statistic string, cell map[string]string) (float64, bool) {
	above, okAbove := t.at(windowStart, statistic+" numerator", cell)
	below, okBelow := t.at(windowStart, statistic+" denominator", cell)
	if okAbove && okBelow {
		return above / below, below != 0
	}
	return t.at(windowStart, statistic, cell)
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

// InBin is the share of the category with this number, of a histogram, a frequency or a distribution, as At is of other statistics.
func (t *Truth) InBin(windowStart time.Time, statistic string, cell map[string]string, bin uint32) (float64, bool) {
	s, members, position := t.find(windowStart, statistic, cell)
	if s == nil || s.Categories == 0 {
		return 0, false
	}
	key := t.key(cell)
	if c := &t.counted; !c.start.Equal(windowStart) || c.statistic != statistic || c.cell != key || c.of == nil {
		*c = counted{start: windowStart, statistic: statistic, cell: key, of: make([]int, s.Categories)}
		bounds := privacy.Bounds{Lo: privacy.Micro(s.LoMicro), Hi: privacy.Micro(s.HiMicro)}
		for _, m := range members {
			x := summarised(s, t.fleet.config.Places[m].Reading(position))
			if s.Kind == "frequency" {
				c.of[bounds.Whole(x)]++
			} else {
				c.of[bounds.Bin(x, s.Categories)]++
			}
		}
	}
	if int(bin) >= len(t.counted.of) {
		return 0, false
	}
	return float64(t.counted.of[bin]) / float64(len(members)), true
}

// quantile is the least summary that at least a share of the members do not exceed.
func (t *Truth) quantile(s *wire.StatisticPlan, members []int, position int64) float64 {
	values := make([]privacy.Micro, len(members))
	for i, m := range members {
		values[i] = summarised(s, t.fleet.config.Places[m].Reading(position))
	}
	slices.Sort(values)
	rank := (int64(s.ShareMicro)*int64(len(values)) + 999_999) / 1_000_000
	return values[max(rank, 1)-1].Float64()
}

// find gives a statistic of the plan, or nil, with the members of a cell and what they replay in a window.
func (t *Truth) find(windowStart time.Time, statistic string, cell map[string]string) (s *wire.StatisticPlan, members []int, position int64) {
	members = t.cell(cell)
	length := int64(t.plan.WindowMs)
	for i := range t.plan.Statistics {
		if t.plan.Statistics[i].Name == statistic && len(members) > 0 {
			return &t.plan.Statistics[i], members, t.fleet.Position(length, windowStart.UnixMilli()/length)
		}
	}
	return nil, nil, 0
}

// summarised is a window's summary of its one reading.
func summarised(s *wire.StatisticPlan, reading privacy.Micro) privacy.Micro {
	if s.Summary == "count" {
		return 1_000_000
	}
	return reading
}

// at is the truth of a statistic of the plan, which may be a part of a ratio.
func (t *Truth) at(windowStart time.Time, statistic string, cell map[string]string) (float64, bool) {
	s, members, position := t.find(windowStart, statistic, cell)
	if s == nil {
		return 0, false
	}
	var sum float64
	for _, m := range members {
		sum += score(s, t.fleet.config.Places[m].Reading(position))
	}
	switch s.Kind {
	case "quantile":
		return t.quantile(s, members, position), true
	case "variance":
		return t.spread(s, members, position, sum/float64(len(members))), len(members) > 1
	case "mean", "proportion", "ratio":
		sum /= float64(len(members))
	}
	return sum, true
}

// spread is the variance of the places' values about their mean, with one less than their number below.
func (t *Truth) spread(s *wire.StatisticPlan, members []int, position int64, mean float64) float64 {
	squares := 0.0
	for _, m := range members {
		d := score(s, t.fleet.config.Places[m].Reading(position)) - mean
		squares += d * d
	}
	return squares / float64(max(1, len(members)-1))
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
