package design

// checkFirst holds the laws of unequal probabilities in the first stage.
func (d *Design) checkFirst(s Spec) error {
	l := &d.levels[0]
	switch d.method {
	case Poisson:
		if l.names != nil {
			return &Error{Code: Unsupported, Role: RoleStratum, Detail: "Poisson sampling draws each unit by itself and has no strata"}
		}
	case SenYatesGrundy, HorvitzThompson:
		return d.checkJoint(l)
	case HartleyRao, HartleyRaoYates, Overton, Deville:
		if s.Square != 0 && l.names != nil {
			return &Error{Code: Unsupported, Role: RoleStratum, Detail: "a given Σπ² speaks of one stratum"}
		}
		if s.Square < 0 || !finite(s.Square) {
			return &Error{Code: Invalid, Role: RolePi, Detail: "Σπ² must be positive"}
		}
	case SimpleRandom, WithReplacement, Brewer:
	}
	return nil
}

func (d *Design) checkJoint(l *level) error {
	if len(d.joint) != l.units {
		return &Error{Code: Invalid, Role: RoleJoint, Detail: "not one row for each sampled unit"}
	}
	for i, row := range d.joint {
		if len(row) != l.units {
			return &Error{Code: Invalid, Role: RoleJoint, Row: i + 1, Detail: "not one column for each sampled unit"}
		}
		for j, p := range row {
			switch {
			case !(p > 0 && p <= 1):
				return &Error{Code: Invalid, Role: RoleJoint, Row: i + 1, Detail: "a joint probability is not in (0, 1]"}
			case i == j && !near(p, l.fraction[i]):
				return &Error{Code: Invalid, Role: RoleJoint, Row: i + 1, Detail: "the diagonal is not the inclusion probability"}
			case !near(p, d.joint[j][i]):
				return &Error{Code: Invalid, Role: RoleJoint, Row: i + 1, Detail: "not symmetric"}
			}
		}
	}
	return nil
}

// near allows for the rounding of tables that were printed with six digits or more.
func near(a, b float64) bool { return max(a-b, b-a) <= 1e-6*max(a, b) }

// unequal returns the first stage's variance for the methods that aren't a centred sum of squares.
func (d *Design) unequal(l *level, totals []float64) float64 {
	if d.method == SenYatesGrundy || d.method == HorvitzThompson {
		return d.pairs(l, totals)
	}
	sum := 0.0
	if d.method == Poisson {
		for unit, u := range totals {
			sum += (1 - l.fraction[unit]) * u * u
		}
		return sum
	}
	members := make([][]int, len(l.size))
	for unit := range totals {
		group := l.groupOf(unit)
		members[group] = append(members[group], unit)
	}
	for _, units := range members {
		if len(units) < 2 {
			continue
		}
		if d.method == Deville {
			sum += deville(l, totals, units)
			continue
		}
		sum += d.approximate(l, totals, units)
	}
	return sum
}

func deville(l *level, totals []float64, units []int) float64 {
	var rest, centre, square float64
	for _, k := range units {
		rest += 1 - l.fraction[k]
		centre += (1 - l.fraction[k]) * totals[k]
	}
	if rest == 0 {
		return 0
	}
	centre /= rest
	sum := 0.0
	for _, k := range units {
		a := (1 - l.fraction[k]) / rest
		square += a * a
		sum += (1 - l.fraction[k]) * (totals[k] - centre) * (totals[k] - centre)
	}
	if square >= 1 {
		return 0
	}
	return sum / (1 - square)
}

// approximate takes D_kl = α + β(π_k + π_l) off the diagonal, 1−π_k on it: the form that both Hartley and Rao's and
// Overton's joint probabilities have. ΣΣ D u_k u_l and −½ ΣΣ D (u_k − u_l)² then need single sums only.
func (d *Design) approximate(l *level, totals []float64, units []int) float64 {
	n := float64(len(units))
	var p, u, pu, uu, puu, diagonal float64
	for _, k := range units {
		pi, x := l.fraction[k], totals[k]
		p += pi
		u += x
		pu += pi * x
		uu += x * x
		puu += pi * x * x
		diagonal += (1 - pi) * x * x
	}
	square := d.square
	if square == 0 {
		square = p // Σ_s π²/π estimates Σ_U π²
	}
	alpha, beta := 1-(n+square/n)/(n-1), 1/(n-1)
	if d.method == Overton {
		alpha, beta = 1-n/(n-1), 1/(2*(n-1))
	}
	off := alpha*(u*u-uu) + 2*beta*(pu*u-puu) // Σ_{k≠l} D u_k u_l
	if d.method != HartleyRaoYates {
		return diagonal + off
	}
	// −½ Σ_{k≠l} D (u_k² − 2 u_k u_l + u_l²) = Σ_{k≠l} D u_k u_l − Σ_k u_k² Σ_{l≠k} D_kl
	return off - (uu*alpha*(n-1) + beta*((n-1)*puu+p*uu-puu))
}

// pairs returns the forms with given joint probabilities.
func (d *Design) pairs(l *level, totals []float64) float64 {
	sum := 0.0
	for k, uk := range totals {
		if d.method == HorvitzThompson {
			sum += (1 - l.fraction[k]) * uk * uk
		}
		for j := range k {
			difference := 1 - l.fraction[k]*l.fraction[j]/d.joint[k][j]
			if d.method == HorvitzThompson {
				sum += 2 * difference * uk * totals[j]
			} else {
				sum -= difference * (uk - totals[j]) * (uk - totals[j])
			}
		}
	}
	return sum
}
