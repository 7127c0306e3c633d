package design

// Variance returns v̂ of Σ u over the rows, where u is the row's weight times its score, for the whole design: all
// stages, both phases. Rows outside a domain must be there with u = 0. It can be negative for HorvitzThompson, HartleyRao
// and Overton; the caller refuses then. len(u) must be Rows.
//
// Under LonelyBorrow the only sampled unit of a cluster of several takes for its variance the spread of scores within the
// clusters of its stratum that have more sampled units, Σ Σ(z − z̄)²/Σ(n−1), times its weight squared. A stratum where no
// cluster has more counts as drawn with replacement: the variance of ultimate clusters is never too small on average.
func (d *Design) Variance(u []float64) float64 {
	if d.phase == nil {
		return d.oneVariance(u)
	}
	return d.twoPhases(u)
}

// Covariance returns the estimated covariance of Σ u and Σ v: the bilinear form that belongs to the quadratic form
// Variance, (V(u+v) − V(u−v))/4 after scaling both to the same size.
func (d *Design) Covariance(u, v []float64) float64 {
	a, b := norm(u), norm(v)
	if a == 0 || b == 0 {
		return 0
	}
	plus, minus := make([]float64, len(u)), make([]float64, len(u))
	for k := range u {
		x, y := u[k]/a, v[k]/b
		plus[k], minus[k] = x+y, x-y
	}
	return (d.Variance(plus) - d.Variance(minus)) / 4 * a * b
}

func norm(u []float64) float64 {
	sum := 0.0
	for _, x := range u {
		sum += max(x, -x)
	}
	return sum
}

// oneVariance sums the stages up: V = Σ over groups of Π of the fractions above · the group's variance.
func (d *Design) oneVariance(u []float64) float64 {
	sum := 0.0
	for i := range d.levels {
		l := &d.levels[i]
		if i > 0 && d.levels[i-1].fraction == nil {
			break // with replacement above: nothing below adds anything
		}
		totals := l.totals(u)
		if i == 0 && d.method != SimpleRandom && d.method != WithReplacement && d.method != Brewer {
			sum += d.unequal(l, totals)
			continue
		}
		sum += d.centred(l, totals)
		if i == 1 && d.lends != nil {
			sum += d.borrowed(u)
		}
	}
	return sum
}

// centred returns Σ over groups of above · n/(n−1) Σ (1−f_i)(t_i − t̄)²: simple random sampling, and Brewer's form when the
// fractions differ. It centres before it squares, so nothing cancels.
func (d *Design) centred(l *level, totals []float64) float64 {
	mean := make([]float64, len(l.size))
	grand := 0.0
	for unit, t := range totals {
		mean[l.groupOf(unit)] += t
		grand += t
	}
	grand /= float64(l.units)
	for group, n := range l.size {
		if n > 0 {
			mean[group] /= float64(n)
		}
		if n == 1 && d.lonely == LonelyAdjust {
			mean[group] = grand
		}
	}
	square := make([]float64, len(l.size))
	open := make([]bool, len(l.size)) // a lonely unit that isn't all of its group
	for unit, t := range totals {
		group := l.groupOf(unit)
		rest := 1 - l.fractionOf(unit)
		square[group] += rest * (t - mean[group]) * (t - mean[group])
		open[group] = l.size[group] == 1 && rest > 0
	}
	sum, lonely, others := 0.0, 0.0, 0.0
	for group, n := range l.size {
		switch {
		case n == 0:
		case open[group] && d.lonely == LonelyAverage:
			lonely++
		case n == 1:
			sum += l.aboveOf(group) * square[group]
		default:
			others++
			sum += l.aboveOf(group) * square[group] * float64(n) / float64(n-1)
		}
	}
	if lonely > 0 && others > 0 {
		sum += sum / others * lonely
	}
	return sum
}
