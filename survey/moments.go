package survey

// Moments is the mergeable, centred state of one (window, statistic, stratum, cell): count, mean, sum of squared
// deviations from the mean, and the sum of the known noise variances. The zero value is empty and ready to use. It
// never holds Σx² − n·x̄², which cancels. It is a plain value for one goroutine at a time; its four numbers are all
// that a checkpoint needs.
type Moments struct {
	Count int64   // scores seen
	Mean  float64 // their mean
	M2    float64 // Σ (score − mean)², never negative
	Noise float64 // Σ σ_i², the known variance of the scores' noise
}

// Add counts one score with the variance of its noise (0 for none), by Welford's recurrence (Welford 1962). Both must be
// finite and the variance not negative; the estimators refuse a state that was fed otherwise.
func (m *Moments) Add(score, noiseVariance float64) {
	m.Count++
	delta := score - m.Mean
	m.Mean += delta / float64(m.Count)
	m.M2 += delta * (score - m.Mean)
	m.Noise += noiseVariance
}

// Merge adds the state of other, disjoint scores by the pairwise update of Chan, Golub and LeVeque (1983). The grouping
// and order of merges change the result by rounding only.
func (m *Moments) Merge(o Moments) {
	if o.Count == 0 {
		return
	}
	if m.Count == 0 {
		*m = o
		return
	}
	a, b := float64(m.Count), float64(o.Count)
	delta := o.Mean - m.Mean
	m.Count += o.Count
	m.Mean += delta * (b / (a + b))
	m.M2 += o.M2 + delta*delta*(a*b/(a+b))
	m.Noise += o.Noise
}

// spreadWithZeros returns Σ (t_k − t̄)² over m units, where t_k = score − centre for the Count scores of the domain and 0
// for the others: M2 + d(1 − d/m)(mean − centre)². Every term is a square, so nothing cancels and nothing is negative.
func (m Moments) spreadWithZeros(units int64, centre float64) float64 {
	d := float64(m.Count)
	outside := float64(units-m.Count) / float64(units)
	shift := m.Mean - centre
	return m.M2 + d*outside*shift*shift
}

// valid says whether the state can have come from Add and Merge with finite numbers.
func (m Moments) valid() bool {
	if m.Count < 0 || !finite(m.Mean, m.M2, m.Noise) || m.M2 < 0 || m.Noise < 0 {
		return false
	}
	return m.Count > 0 || m == Moments{}
}
