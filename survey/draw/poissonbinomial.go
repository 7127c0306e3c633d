package draw

import "slices"

// Fixed-size designs with unequal probabilities are Poisson designs that are conditioned on their size, so all that they
// need are the probabilities with which a Poisson design draws r units. These are sums of positive terms only; nothing is
// rejected and nothing cancels.

// cellsMost bounds the tables of one draw: two tables of 8 bytes a cell.
const cellsMost = 1 << 25

// counts returns P(r units), r = 0 … N, and E[Σ_{k drawn} extra_k; r units] when units are drawn independently with the
// probabilities q. extra may be nil, and then the second table is.
func counts(q, extra []float64) (chance, mass []float64) {
	chance = make([]float64, len(q)+1)
	chance[0] = 1
	if extra != nil {
		mass = make([]float64, len(q)+1)
	}
	for i, p := range q {
		for r := i + 1; r > 0; r-- {
			if extra != nil {
				mass[r] = (1-p)*mass[r] + p*(mass[r-1]+extra[i]*chance[r-1])
			}
			chance[r] = (1-p)*chance[r] + p*chance[r-1]
		}
		chance[0] *= 1 - p
	}
	return chance, mass
}

// without undoes one unit of counts, into buffers of the same length as chance less one. It goes up from 0 units for p <
// 1/2 and down from all of them otherwise, so that errors shrink on the way.
func without(chance, mass []float64, p, extra float64, chanceOut, massOut []float64) {
	last := len(chance) - 1
	if p < 0.5 {
		below, belowMass := 0.0, 0.0
		for r := range last {
			next := (chance[r] - p*below) / (1 - p)
			if mass != nil {
				belowMass = (mass[r] - p*(belowMass+extra*below)) / (1 - p)
				massOut[r] = belowMass
			}
			below = next
			chanceOut[r] = next
		}
		return
	}
	above, aboveMass := 0.0, 0.0
	for r := last; r > 0; r-- {
		next := (chance[r] - (1-p)*above) / p
		if mass != nil {
			aboveMass = (mass[r]-(1-p)*aboveMass)/p - extra*next
			massOut[r-1] = aboveMass
		}
		above = next
		chanceOut[r-1] = next
	}
}

// table holds counts for each tail of the list: row i is of the units i … N−1, for 0 … n drawn.
type table struct {
	width        int
	chance, mass []float64
}

func newTable(q, extra []float64, n int) (*table, error) {
	width := n + 1
	if len(q)+1 > cellsMost/width {
		return nil, infeasible(cellsMost/len(q), "%d of %d units need tables beyond memory", n, len(q))
	}
	t := &table{width: width, chance: make([]float64, (len(q)+1)*width)}
	if extra != nil {
		t.mass = make([]float64, (len(q)+1)*width)
	}
	t.chance[len(q)*width] = 1
	for i, p := range slices.Backward(q) {
		row, next := i*width, (i+1)*width
		for r := range width {
			t.chance[row+r] = (1 - p) * t.chance[next+r]
			if extra != nil {
				t.mass[row+r] = (1 - p) * t.mass[next+r]
			}
			if r == 0 {
				continue
			}
			t.chance[row+r] += p * t.chance[next+r-1]
			if extra != nil {
				t.mass[row+r] += p * (t.mass[next+r-1] + extra[i]*t.chance[next+r-1])
			}
		}
	}
	return t, nil
}

// weight returns the chance that the units i … draw r more, weighted with what the drawn ones carry: sum so far and rest.
// Without extra it is the chance alone.
func (t *table) weight(i, r int, sum float64) float64 {
	if r < 0 {
		return 0
	}
	at := i*t.width + r
	if t.mass == nil {
		return t.chance[at]
	}
	return t.mass[at] + sum*t.chance[at]
}
