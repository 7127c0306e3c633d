package survey

// Tails is the rest of the mergeable, centred state that a variance needs beside [Moments] of the same scores: the third
// and fourth powers of the deviations from the mean. The zero value is empty. It never holds sums of raw powers, which
// cancel. It is a plain value for one goroutine at a time.
type Tails struct {
	M3 float64 // Σ (score − mean)³
	M4 float64 // Σ (score − mean)⁴, never negative
}

// Add counts one score. It needs the moments of the scores before it, so it comes before their own Add (Terriberry 2007;
// Pébay 2008, §2).
func (t *Tails) Add(before Moments, score float64) {
	n := float64(before.Count + 1)
	delta := score - before.Mean
	step := delta / n
	square := delta * step * (n - 1) // what the score adds to M2
	t.M4 = max(0, t.M4+square*step*step*(n*n-3*n+3)+6*step*step*before.M2-4*step*t.M3)
	t.M3 += square*step*(n-2) - 3*step*before.M2
}

// Merge adds the state of other, disjoint scores; own and other are the moments of both before they are merged (Pébay
// 2008, §3.1). The grouping and order of merges change the result by rounding only.
func (t *Tails) Merge(own Moments, o Tails, other Moments) {
	if other.Count == 0 {
		return
	}
	if own.Count == 0 {
		*t = o
		return
	}
	a, b := float64(own.Count), float64(other.Count)
	n := a + b
	delta := other.Mean - own.Mean
	pa, pb := a/n, b/n
	square := delta * delta
	t.M4 += o.M4 + square*square*a*pb*(pa*pa-pa*pb+pb*pb) + 6*square*(pa*pa*other.M2+pb*pb*own.M2) + 4*delta*(pa*o.M3-pb*t.M3)
	t.M4 = max(0, t.M4)
	t.M3 += o.M3 + square*delta*a*pb*(pa-pb) + 3*delta*(pa*other.M2-pb*own.M2)
}

// valid says whether the state can be that of the same finite scores as m, or has not been kept. Where scores differ by
// little more than their own rounding no sharper law holds.
func (t Tails) valid(m Moments) bool {
	const rounding = 1e-20 // of a square
	if !finite(t.M3, t.M4) || t.M4 < 0 || m.Count == 0 && t != (Tails{}) {
		return false
	}
	spread := m.M2*m.M2 > 0 && m.M2 > rounding*float64(m.Count)*m.Mean*m.Mean
	return t.M4 > 0 || !spread
}
