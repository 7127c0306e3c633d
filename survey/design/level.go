package design

import "math"

// tolerance is how much two numbers that ought to be equal may differ by rounding in a text file.
const tolerance = 1e-9

// level is a stage, indexed: rows lie in units, units in groups. A group is a stratum within a unit of the stage above.
type level struct {
	unit     []int32 // of each row; nil when each row is a unit
	units    int
	group    []int32   // of each unit; nil when there is one group
	size     []int32   // units of each group
	names    []string  // of each group, for errors; nil when there are no strata
	fraction []float64 // of each unit, for the variance; nil for with replacement
	chance   []float64 // of each unit, for the weights; nil when unknown
	above    []float64 // of each group, Π of the fractions of the units above it; nil for 1
}

func (l *level) unitOf(row int) int {
	if l.unit == nil {
		return row
	}
	return int(l.unit[row])
}

func (l *level) groupOf(unit int) int {
	if l.group == nil {
		return 0
	}
	return int(l.group[unit])
}

func (l *level) fractionOf(unit int) float64 {
	if l.fraction == nil {
		return 0
	}
	return l.fraction[unit]
}

func (l *level) chanceOf(unit int) float64 {
	if l.chance == nil {
		return 0
	}
	return l.chance[unit]
}

func (l *level) aboveOf(group int) float64 {
	if l.above == nil {
		return 1
	}
	return l.above[group]
}

func (l *level) name(group int) string {
	if l.names == nil {
		return ""
	}
	return l.names[group]
}

// totals returns the sum of u over the rows of each unit. The caller must not change it.
func (l *level) totals(u []float64) []float64 {
	if l.unit == nil {
		return u
	}
	totals := make([]float64, l.units)
	for k, x := range u {
		totals[l.unit[k]] += x
	}
	return totals
}

// level builds stage i upon those above it.
func (s Spec) level(i int, above []level) (level, error) {
	stage := s.Stages[i]
	var parent *level
	if i > 0 {
		parent = &above[i-1]
	}
	rowGroup, l := s.groups(stage, parent)
	rowUnit := l.index(s.Rows, stage.Unit, rowGroup)
	if parent != nil {
		l.inherit(parent, rowGroup)
	}
	if i == 0 && s.Pi != nil {
		return l, l.fromPi(s, rowUnit)
	}
	if stage.Size == nil {
		return l, nil
	}
	return l, l.fromSize(stage.Size, i+1)
}

// groups returns the group of each row (nil when there is one group) and a level with the names of the groups.
func (s Spec) groups(stage Stage, parent *level) ([]int32, level) {
	var l level
	switch {
	case stage.Stratum == nil && parent == nil:
		return nil, level{size: make([]int32, 1)}
	case parent == nil:
		l.size, l.names = make([]int32, len(stage.Stratum.Levels)), stage.Stratum.Levels
		return stage.Stratum.Codes, l
	}
	type key struct{ parent, stratum int32 }
	index := make(map[key]int32)
	rowGroup := make([]int32, s.Rows)
	for k := range rowGroup {
		at := key{parent: int32(parent.unitOf(k)), stratum: -1}
		if stage.Stratum != nil {
			at.stratum = stage.Stratum.Codes[k]
		}
		group, ok := index[at]
		if !ok {
			group = int32(len(index))
			index[at] = group
			l.names = append(l.names, stage.Stratum.name(at.stratum))
		}
		rowGroup[k] = group
	}
	l.size = make([]int32, len(index))
	return rowGroup, l
}

// index numbers the units, in order of first appearance, and counts them by group. It returns the unit of each row.
func (l *level) index(rows int, unit *Factor, rowGroup []int32) []int32 {
	if unit == nil {
		l.units, l.group = rows, rowGroup
		if rowGroup == nil {
			l.size[0] = int32(rows)
			return nil
		}
		for _, group := range rowGroup {
			l.size[group]++
		}
		return nil
	}
	type key struct{ group, label int32 }
	seen := make(map[key]int32)
	l.unit = make([]int32, rows)
	for k := range l.unit {
		at := key{label: unit.Codes[k]}
		if rowGroup != nil {
			at.group = rowGroup[k]
		}
		number, ok := seen[at]
		if !ok {
			number = int32(l.units)
			seen[at] = number
			l.units++
			l.group = append(l.group, at.group)
			l.size[at.group]++
		}
		l.unit[k] = number
	}
	return l.unit
}

// inherit sets each group's product of fractions above.
func (l *level) inherit(parent *level, rowGroup []int32) {
	l.above = make([]float64, len(l.size))
	for k, group := range rowGroup {
		unit := parent.unitOf(k)
		l.above[group] = parent.aboveOf(parent.groupOf(unit)) * parent.fractionOf(unit)
	}
}

// fromPi takes the inclusion probabilities of the first stage.
func (l *level) fromPi(s Spec, rowUnit []int32) error {
	l.chance = make([]float64, l.units)
	for k, p := range s.Pi {
		unit := k
		if rowUnit != nil {
			unit = int(rowUnit[k])
		}
		if l.chance[unit] != 0 && math.Abs(l.chance[unit]-p) > tolerance {
			return &Error{Code: Invalid, Role: RolePi, Row: k + 1, Detail: "not constant within its cluster"}
		}
		l.chance[unit] = p
	}
	if s.Method != WithReplacement {
		l.fraction = l.chance
	}
	return nil
}

// fromSize takes population sizes, or sampling fractions when all are at most 1.
func (l *level) fromSize(size []float64, stage int) error {
	fractions := true
	for _, x := range size {
		if x > 1 {
			fractions = false
			break
		}
	}
	first := make([]float64, len(l.size)) // the first size in each group
	l.fraction = make([]float64, l.units)
	for k, x := range size {
		unit := l.unitOf(k)
		group := l.groupOf(unit)
		n := float64(l.size[group])
		switch {
		case first[group] == 0:
			first[group] = x
		case math.Abs(first[group]-x) > tolerance*x:
			return &Error{Code: Invalid, Role: RoleFPC, Stage: stage, Row: k + 1, Stratum: l.name(group), Detail: "not constant within its stratum"}
		}
		f := x
		if !fractions {
			f = n / x
		}
		if f > 1+tolerance {
			return &Error{Code: Invalid, Role: RoleFPC, Stage: stage, Row: k + 1, Stratum: l.name(group), Detail: "population below the number of sampled units"}
		}
		l.fraction[unit] = min(f, 1)
	}
	l.chance = l.fraction
	return nil
}
