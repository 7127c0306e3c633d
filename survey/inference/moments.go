package inference

// Moments is the mergeable state of a mean, total, proportion or ratio in one stratum of a sample of elements: what the
// linearised variance needs, so that no row has to be kept. With d = y − Centre · x (x is 1 but for a ratio), a = w d and
// b = w x over the rows of the domain, and 0 outside, it holds the sums of a and b, their centred squares and product over
// the Units, and Σ w d², Σ w d x, Σ w x². A change of Centre by −δ turns a into a + δ b, and so every sum is known about any
// centre: the score of the value R̂ is that of Centre = R̂. Near R̂ nothing cancels. Merging is by the pairwise update of
// Chan, Golub and LeVeque (1983); order and grouping change the result by rounding only. The zero value is empty.
type Moments struct {
	Units    int64   // rows of the stratum
	Weighted int64   // rows with a weight
	Rows     int64   // rows of the domain: with a weight, and no value missing
	All      float64 // Σ w of the Weighted
	Size     float64 // Σ w of the Rows
	Centre   float64
	A, B     float64 // Σ a, Σ b
	AA       float64 // Σ (a − ā)² over the Units, and so on
	AB, BB   float64
	DD       float64 // Σ w d²
	DX, XX   float64 // Σ w d x, Σ w x²
}

// Merge adds the state of other rows of the stratum.
func (m *Moments) Merge(o Moments) {
	switch {
	case o.Units == 0:
		return
	case m.Units == 0:
		*m = o
		return
	case m.Rows == 0:
		m.Centre = o.Centre
	case o.Rows > 0:
		o.recentre(m.Centre)
	}
	n, k := float64(m.Units), float64(o.Units)
	a, b := o.A/k-m.A/n, o.B/k-m.B/n
	pull := n * k / (n + k)
	m.AA += o.AA + a*a*pull
	m.AB += o.AB + a*b*pull
	m.BB += o.BB + b*b*pull
	m.A += o.A
	m.B += o.B
	m.DD += o.DD
	m.DX += o.DX
	m.XX += o.XX
	m.Units += o.Units
	m.Weighted += o.Weighted
	m.Rows += o.Rows
	m.All += o.All
	m.Size += o.Size
}

// recentre moves the centre.
func (m *Moments) recentre(centre float64) {
	d := m.Centre - centre
	m.AA += 2*d*m.AB + d*d*m.BB
	m.AB += d * m.BB
	m.A += d * m.B
	m.DD += 2*d*m.DX + d*d*m.XX
	m.DX += d * m.XX
	m.Centre = centre
}

// scale multiplies all weights.
func (m *Moments) scale(w float64) {
	m.All *= w
	m.Size *= w
	m.A *= w
	m.B *= w
	m.AA *= w * w
	m.AB *= w * w
	m.BB *= w * w
	m.DD *= w
	m.DX *= w
	m.XX *= w
}

// AddRows adds rows of the domain: none without a weight, none with a value missing, all finite. Their moments are taken
// in two passes about their own centre. x is nil for 1.
func (m *Moments) AddRows(w, y, x []float64) {
	if len(w) == 0 {
		return
	}
	part := Moments{Units: int64(len(w)), Weighted: int64(len(w)), Rows: int64(len(w))}
	if x == nil {
		part.ofMean(w, y[:len(w)])
	} else {
		part.ofRatio(w, y[:len(w)], x[:len(w)])
	}
	part.All = part.Size
	m.Merge(part)
}

// AddOutside adds rows outside the domain, so many of them with weights that add up to weight.
func (m *Moments) AddOutside(units, weighted int64, weight float64) {
	m.Merge(Moments{Units: units, Weighted: weighted, All: weight})
}

// ofMean centres at Σ w y/Σ w. Four sums run side by side, because an addition waits for the one before it.
func (m *Moments) ofMean(w, y []float64) {
	var s, t [4]float64
	k := 0
	for ; k+4 <= len(w); k += 4 {
		v, u := (*[4]float64)(w[k:]), (*[4]float64)(y[k:])
		s[0] += v[0]
		s[1] += v[1]
		s[2] += v[2]
		s[3] += v[3]
		t[0] += v[0] * u[0]
		t[1] += v[1] * u[1]
		t[2] += v[2] * u[2]
		t[3] += v[3] * u[3]
	}
	for ; k < len(w); k++ {
		s[0] += w[k]
		t[0] += w[k] * y[k]
	}
	m.Size = s[0] + s[1] + s[2] + s[3]
	m.Centre = (t[0] + t[1] + t[2] + t[3]) / m.Size
	centre, mean := m.Centre, m.Size/float64(len(w))
	var a, aa, ab, bb, dd float64
	for k, v := range w {
		d := y[k] - centre
		ad, b := v*d, v-mean
		a += ad
		aa += ad * ad
		ab += ad * b
		bb += b * b
		dd += ad * d
	}
	m.A, m.B, m.AB, m.BB = a, m.Size, ab, bb
	m.AA = max(0, aa-a*a/float64(len(w))) // a is 0 to rounding
	m.DD, m.DX, m.XX = dd, a, m.Size
}

// ofRatio centres at Σ w x y/Σ w x², the slope with the least Σ w d².
func (m *Moments) ofRatio(w, y, x []float64) {
	var xy, b float64
	for k, v := range w {
		m.Size += v
		b += v * x[k]
		m.XX += v * x[k] * x[k]
		xy += v * x[k] * y[k]
	}
	if m.XX > 0 {
		m.Centre = xy / m.XX
	}
	for k, v := range w {
		d := y[k] - m.Centre*x[k]
		m.A += v * d
		m.DD += v * d * d
		m.DX += v * d * x[k]
	}
	m.B = b
	meanA, meanB := m.A/float64(len(w)), b/float64(len(w))
	for k, v := range w {
		da, db := v*(y[k]-m.Centre*x[k])-meanA, v*x[k]-meanB
		m.AA += da * da
		m.AB += da * db
		m.BB += db * db
	}
}
