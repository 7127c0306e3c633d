package simulate

import (
	"strings"
	"time"

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

// at is the truth of a statistic of the plan, which may be a part of a ratio.
func (t *Truth) at(windowStart time.Time, statistic string, cell map[string]string) (float64, bool) {
	members := t.cell(cell)
	length := int64(t.plan.WindowMs)
	position := t.fleet.Position(length, windowStart.UnixMilli()/length)
	for i := range t.plan.Statistics {
		s := &t.plan.Statistics[i]
		if s.Name != statistic || len(members) == 0 {
			continue
		}
		var sum float64
		for _, m := range members {
			sum += score(s, t.fleet.config.Places[m].Reading(position))
		}
		if s.Kind == "variance" {
			return t.spread(s, members, position, sum/float64(len(members))), len(members) > 1
		}
		if s.Kind == "mean" || s.Kind == "proportion" || s.Kind == "ratio" {
			sum /= float64(len(members))
		}
		return sum, true
	}
	return 0, false
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
	if s.Summary == "count" {
		reading = 1_000_000
	}
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
	var key strings.Builder
	for _, name := range t.plan.GroupBy {
		if v, ok := cell[name]; ok {
			key.WriteString(v)
		}
		key.WriteByte(0)
	}
	if members, ok := t.members[key.String()]; ok {
		return members
	}
	var members []int
	for i := range t.fleet.config.Places {
		attributes := t.fleet.config.Places[i].Attributes
		if t.plan.Where.Match(attributes) && inCell(attributes, cell) {
			members = append(members, i)
		}
	}
	t.members[key.String()] = members
	return members
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
