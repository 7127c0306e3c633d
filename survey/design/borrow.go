package design

import "slices"

// lend prepares LonelyBorrow: it notes the stratum of each cluster, and takes the finite-population correction away where
// a lonely unit finds nothing to borrow.
func (d *Design) lend() error {
	first, second := &d.levels[0], &d.levels[1]
	if first.fraction == nil { // nothing below adds anything
		return nil
	}
	d.lends = make([]int32, len(second.size))
	lonely, pairs := make([]bool, len(first.size)), make([]bool, len(first.size))
	for k := range d.rows {
		unit := second.unitOf(k)
		group, stratum := second.groupOf(unit), first.groupOf(first.unitOf(k))
		d.lends[group] = int32(stratum)
		switch {
		case second.size[group] > 1:
			pairs[stratum] = true
		case second.fractionOf(unit) < 1:
			lonely[stratum] = true
		}
	}
	ultimate := func(stratum int) bool { return lonely[stratum] && !pairs[stratum] }
	for stratum, n := range first.size {
		if ultimate(stratum) && n == 1 {
			return &Error{Code: Lonely, Stage: 2, Stratum: first.name(stratum), Detail: "one unit of its only cluster: nothing to borrow from"}
		}
	}
	first.fraction = slices.Clone(first.fraction) // the weights keep theirs
	for unit := range first.fraction {
		if ultimate(first.groupOf(unit)) {
			first.fraction[unit] = 0
		}
	}
	for group, stratum := range d.lends {
		if ultimate(int(stratum)) {
			second.above[group] = 0
		}
	}
	return nil
}

// borrowed returns the variance within the clusters of one sampled unit.
func (d *Design) borrowed(u []float64) float64 {
	l := &d.levels[1]
	score := make([]float64, len(u))
	for k, x := range u {
		if w := d.weight[k]; w > 0 {
			score[k] = x / w
		}
	}
	score = l.totals(score)
	mean := make([]float64, len(l.size))
	for unit, z := range score {
		group := l.groupOf(unit)
		mean[group] += z / float64(l.size[group])
	}
	square, degrees := make([]float64, len(d.levels[0].size)), make([]float64, len(d.levels[0].size))
	for unit, z := range score {
		group := l.groupOf(unit)
		square[d.lends[group]] += (z - mean[group]) * (z - mean[group])
	}
	for group, n := range l.size {
		degrees[d.lends[group]] += float64(max(n-1, 0))
	}
	sum := 0.0
	done := make([]bool, l.units)
	for k, w := range d.weight {
		unit := l.unitOf(k)
		group := l.groupOf(unit)
		if stratum := d.lends[group]; l.size[group] == 1 && !done[unit] && degrees[stratum] > 0 {
			sum += l.aboveOf(group) * (1 - l.fractionOf(unit)) * w * w * square[stratum] / degrees[stratum]
		}
		done[unit] = true
	}
	return sum
}
