package design

// phase is the second phase: who responded, by class.
type phase struct {
	responded []bool
	class     []int32 // of each row; nil for one
	drawn     []float64
	answered  []float64
}

func (p *phase) classOf(row int) int {
	if p.class == nil {
		return 0
	}
	return int(p.class[row])
}

// level shows the classes as strata of rows.
func (p *phase) level(rows int) *level {
	return &level{units: rows, group: p.class, size: make([]int32, len(p.drawn))}
}

// rate returns m_c/n_c of the row's class.
func (p *phase) rate(row int) float64 {
	c := p.classOf(row)
	return p.answered[c] / p.drawn[c]
}

// respond adds the second phase: responders weigh n_c/m_c times as much, the others nothing.
func (d *Design) respond(s Phase2) error {
	if len(s.Responded) != d.rows {
		return &Error{Code: Invalid, Role: RolePhase2, Detail: "not as long as the table"}
	}
	if err := s.Class.check(d.rows, 0, RolePhase2); err != nil {
		return err
	}
	p := &phase{responded: s.Responded, drawn: make([]float64, 1), answered: make([]float64, 1)}
	if s.Class != nil {
		p.class = s.Class.Codes
		p.drawn, p.answered = make([]float64, len(s.Class.Levels)), make([]float64, len(s.Class.Levels))
	}
	for k, responded := range s.Responded {
		c := p.classOf(k)
		p.drawn[c]++
		if responded {
			p.answered[c]++
		}
	}
	for c, n := range p.drawn {
		name := ""
		if s.Class != nil {
			name = s.Class.Levels[c]
		}
		switch m := p.answered[c]; {
		case n > 0 && m == 0:
			return &Error{Code: NoResponse, Role: RolePhase2, Stratum: name}
		case m == 1 && n > 1:
			return &Error{Code: Lonely, Role: RolePhase2, Stratum: name, Detail: "one response only"}
		}
	}
	d.phase = p
	d.weight = make([]float64, d.rows)
	for k, w := range d.first {
		if s.Responded[k] {
			w /= p.rate(k)
			d.weight[k] = w
		}
	}
	return nil
}

// ResponseRates returns for each class of the second phase responses over drawn rows, in the order of the class's
// levels; nil when there is no second phase.
func (d *Design) ResponseRates() []float64 {
	if d.phase == nil {
		return nil
	}
	rates := make([]float64, len(d.phase.drawn))
	for c, n := range d.phase.drawn {
		if n > 0 {
			rates[c] = d.phase.answered[c] / n
		}
	}
	return rates
}

// twoPhases returns ΣΣ D*_kl u_k u_l over the responders with D* = D1 + D2 − D1·D2 (Särndal, Swensson and Wretman 1992,
// (9.3.7), in the form of one weight). D2 is that of a stratified simple random sample, so 1 − D2 is 1 between classes,
// κ_c = m(n−1)/(n(m−1)) within class c and m/n on the diagonal. The Hadamard product of D1 and 1 − D2 then needs nothing but
// the quadratic form of the first phase, once over all and once for each class, and its diagonal; it holds for any
// design of the first phase.
func (d *Design) twoPhases(u []float64) float64 {
	p := d.phase
	sum := d.oneVariance(u) + p.variance(u)
	part := make([]float64, len(u))
	for c, n := range p.drawn {
		m := p.answered[c]
		if m == n || m < 2 {
			continue // everybody responded: 1 − D2 is 1
		}
		kappa := m * (n - 1) / (n * (m - 1))
		for k := range part {
			part[k] = 0
			if p.responded[k] && p.classOf(k) == c {
				part[k] = u[k]
			}
		}
		sum += (kappa - 1) * d.oneVariance(part)
		for k, x := range part {
			if x != 0 {
				sum += (m/n - kappa) * (1 - d.firstShare(k)) * x * x
			}
		}
	}
	return sum
}

// firstShare returns π_k of the first phase, 0 for with replacement.
func (d *Design) firstShare(k int) float64 { return d.Share(k) / d.phase.rate(k) }

// variance returns ΣΣ D2_kl u_k u_l: by class (1 − m/n)·m/(m−1)·Σ(u − ū)².
func (p *phase) variance(u []float64) float64 {
	mean, square := make([]float64, len(p.drawn)), make([]float64, len(p.drawn))
	for k, x := range u {
		if p.responded[k] {
			mean[p.classOf(k)] += x
		}
	}
	for c, m := range p.answered {
		mean[c] /= max(m, 1)
	}
	for k, x := range u {
		if p.responded[k] {
			c := p.classOf(k)
			square[c] += (x - mean[c]) * (x - mean[c])
		}
	}
	sum := 0.0
	for c, n := range p.drawn {
		if m := p.answered[c]; m > 1 {
			sum += (1 - m/n) * m / (m - 1) * square[c]
		}
	}
	return sum
}
