package estimate

import (
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/internal/tabular"
)

const (
	unitsColumn     = "units"
	statisticColumn = "statistic"
	// endless is how many clusters a stratum is taken to have whose variance is that of ultimate clusters: the part that is drawn is 0.
	endless = 1e18
	// unitsMost bounds the rows that sums may make.
	unitsMost = 1 << 26
)

// spread makes of each row of exported reports that is a gateway's sum as many rows as it has units: all with the mean of these, and
// with a part of the noise such that the noise of the sum comes out. So they weigh what the units weigh, and the estimate is that of the
// sum. What the sum hides is how units differ: a stratum in which a gateway has silent units takes the variance of ultimate clusters, as
// the server's does.
func (p *plan) spread(t *tabular.Table) (*tabular.Table, error) {
	units := t.Number(unitsColumn)
	if !p.sums(t, nil) {
		return t, nil
	}
	if p.Weight == "" {
		return nil, &UsageError{"weight", "some of these reports are sums of gateways, which stand for several units each: give --weight weight"}
	}
	times, all := make([]int, t.Rows), 0
	for row, n := range units {
		times[row] = 1
		if !math.IsNaN(n) {
			if n < 1 || n > unitsMost || n != math.Trunc(n) {
				return nil, t.At(unitsColumn, row+1, "want a whole number of units, 1 or more")
			}
			times[row] = int(n)
		}
		if all += times[row]; all > unitsMost {
			return nil, t.At(unitsColumn, row+1, "these sums stand for too many units to be estimated together; --where takes some of them")
		}
	}
	if p.served() {
		ultimate(t, times)
	}
	if noise := p.NoiseVariance; noise != "" {
		for row, n := range times {
			t.Number(noise)[row] *= float64(n)
		}
	}
	return t.Repeat(times, deviceColumn), nil
}

// sums says whether any of some rows, of all where rows is nil, is a gateway's sum of several units.
func (p *plan) sums(t *tabular.Table, rows []int32) bool {
	units := t.Number(unitsColumn)
	return p.clustered && units != nil && slices.ContainsFunc(pick(units, rows), func(n float64) bool { return !math.IsNaN(n) })
}

// ultimate makes the strata in which a gateway has silent units endless.
func ultimate(t *tabular.Table, times []int) {
	type stratum struct{ window, statistic, kappa, stratum int32 }
	type cluster struct {
		stratum
		name int32
	}
	code := func(name string, row int) int32 {
		if l := t.Label(name); l != nil {
			return l.Codes[row]
		}
		return 0
	}
	of := func(row int) cluster {
		return cluster{
			stratum{code(windowColumn, row), code(statisticColumn, row), code("kappa", row), code(stratumColumn, row)}, code(clusterColumn, row),
		}
	}
	sums, heard := map[cluster]bool{}, map[cluster]int{}
	for row, n := range times {
		heard[of(row)] += n
		if !math.IsNaN(t.Number(unitsColumn)[row]) {
			sums[of(row)] = true
		}
	}
	open := map[stratum]bool{}
	for row := range times {
		if c := of(row); sums[c] && float64(heard[c]) < t.Number(sizeColumn)[row] {
			open[c.stratum] = true
		}
	}
	for row := range times {
		if open[of(row).stratum] {
			t.Number(numberColumn)[row] = endless
		}
	}
}
