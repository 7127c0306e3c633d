package plan

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// whole stands for the cell {}, all devices.
const whole = -1

// margin predicts the half-width of the interval of a statistic in a cell when n[h] devices of stratum h answer each of its
// questions in a window; i is its first one, reports is the number of answers to expect from the cell. The margin is 0
// when there will be too few for an interval or nothing is known of the spread.
//
// A ratio is predicted as survey.Ratio estimates it, t·√(V_a + V_b)/|b| without finite-population correction, supposing that
// the means a and b both lie in the middle of the bounds; its margin is 0 when the denominator's interval would then hold 0.
// It takes the smaller of the two parts' degrees of freedom.
func (d *design) margin(i, c int, n []float64) (margin, reports float64) {
	a := d.variance(i, c, n)
	if d.q.asked[i].part == "" {
		if !a.known {
			return 0, a.reports
		}
		half := d.q.quantile(a.degrees) * math.Sqrt(a.variance)
		if d.q.asked[i].stat.Kind == kindVariance {
			if a.reports < squaresLeast {
				return 0, a.reports
			}
			spread := d.overallSpread(i)
			half = skewed(half, spread*spread+d.answers[i].noise)
		}
		return half, a.reports
	}
	b := d.variance(i+1, c, n)
	reports = a.reports + b.reports
	if !a.known || !b.known {
		return 0, reports
	}
	middle := math.Abs(d.answers[i+1].middle)
	if d.q.quantile(b.degrees)*math.Sqrt(b.variance) >= middle {
		return 0, reports
	}
	return d.q.quantile(min(a.degrees, b.degrees)) * math.Sqrt(a.variance+b.variance) / middle, reports
}

// predicted is what one question's answers in a cell will tell.
type predicted struct {
	variance, degrees, reports float64
	known                      bool // false when too few answers are expected or nothing is known of the spread
}

// variance predicts that of a mean or total in a cell.
//
// Of the n_h answers of a stratum the share p = N_hc/N_h is expected from the cell. A mean or proportion has the variance
// Σ (N_hc/N_c)² ((1−f_h)S² + σ²)/(n_h p), a total or count, whose scores outside the cell are 0, the variance
// Σ N_h² ((1−f_h)p(S² + (1−p)ȳ²) + pσ²)/n_h, with f_h = n_h/N_h: the finite-population correction shrinks the sampling,
// never the noise (Särndal, Swensson and Wretman 1992, §5.8 and §10.3); for a part of a ratio f_h is 0. A variance is the mean
// of squared deviations, with their own S² and σ², and f_h is 0 where there is noise. Degrees of freedom
// are the expected answers less the strata that have any, as the estimator counts them.
func (d *design) variance(i, c int, n []float64) predicted {
	if d.q.clustered() != "" {
		return d.clusterVariance(i, c, n)
	}
	a, total, part := d.answers[i], d.q.asked[i].sum, d.q.asked[i].part != ""
	population := 0.0
	for _, s := range d.strata {
		population += float64(s.inCell(c))
	}
	var out predicted
	for h, s := range d.strata {
		size := float64(s.size)
		p := float64(s.inCell(c)) / size
		if p == 0 || n[h] == 0 {
			continue
		}
		expected := n[h] * p
		panes, each := d.fall(i)
		out.reports += each * expected
		out.degrees += panes * max(0, expected-1)
		spread := d.spread(i, h)
		square, noise, rest := spread*spread, a.noise, max(0, 1-n[h]/size)
		if d.q.asked[i].stat.Kind == kindVariance {
			square, noise = d.q.squares(spread, a.noise, a.law)
		}
		if part || noise > 0 && d.q.asked[i].stat.Kind == kindVariance {
			rest = 1
		}
		rest, noise = rest/panes, noise/each
		if total {
			out.variance += size * size * (rest*p*(square+(1-p)*a.middle*a.middle) + p*noise) / n[h]
			continue
		}
		share := size * p / population
		out.variance += share * share * (rest*square + noise) / expected
	}
	out.known = a.known && out.degrees >= 1
	return out
}

// expected is how many answers to one statistic come from a cell in a window.
func (d *design) expected(c int, n []float64) float64 {
	sum := 0.0
	for h, s := range d.strata {
		sum += n[h] * float64(s.inCell(c)) / float64(s.units)
	}
	return sum
}

func (s *stratum) inCell(c int) int {
	if c == whole {
		return s.size
	}
	return s.cells[c]
}

// spread is the standard deviation that is supposed in a stratum: that of the pilot, of a collapsed stratum the root mean
// square of its parts' pilots, else the pilot of any stratum, else the statistic's.
func (d *design) spread(i, h int) float64 {
	pilot := d.q.pilot[d.q.asked[i].name]
	s := &d.strata[h]
	if v, ok := pilot[s.name]; ok {
		return v
	}
	sum, count := 0.0, 0
	for _, part := range s.parts {
		if v, ok := pilot[part]; ok {
			sum, count = sum+v*v, count+1
		}
	}
	if v, ok := pilot[AnyStratum]; ok && count == 0 {
		return v
	}
	if count == 0 {
		return d.answers[i].spread
	}
	return math.Sqrt(sum / float64(count))
}

// quantile is the t that a two-sided interval with the question's confidence needs. Expected degrees are seldom whole:
// between two whole ones it is linear in 1/degrees, which is exact at both ends and lets a search over many cells look the
// values up. Beyond a hundred thousand degrees it is the normal quantile to five digits.
func (q *question) quantile(degrees float64) float64 {
	if degrees > 1e5 {
		return math.Sqrt2 * math.Erfinv(q.confidence)
	}
	below := math.Floor(degrees)
	low := q.wholeQuantile(int(below))
	if below == degrees {
		return low
	}
	high := q.wholeQuantile(int(below) + 1)
	part := (1/below - 1/degrees) / (1/below - 1/(below+1))
	return low + part*(high-low)
}

func (q *question) wholeQuantile(degrees int) float64 {
	t, ok := q.quantiles[degrees]
	if !ok {
		t = distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(degrees)}.Quantile((1 + q.confidence) / 2)
		q.quantiles[degrees] = t
	}
	return t
}

// each gives the answers of each stratum to one statistic in a window, on average over the lap.
func (d *design) each(panels []float64) []float64 {
	out := make([]float64, len(panels))
	for h, n := range panels {
		out[h] = n / float64(d.q.slots())
	}
	return out
}

// worst gives, over the statistics and, if asked, the cells, the largest margin over the wish, and that margin; infinite
// when a cell will have too few reports.
func (d *design) worst(wish float64, perCell bool, panels []float64) (ratio, margin float64) {
	n := d.each(panels)
	for i := range d.q.asked {
		if !d.q.asked[i].leads() {
			continue
		}
		for c := whole; c < len(d.cells); c++ {
			if c > whole && !perCell {
				break
			}
			m, _ := d.margin(i, c, n)
			if m == 0 && d.answers[i].noise+d.answers[i].spread > 0 && !d.census(panels) {
				m = math.Inf(1)
			}
			if math.IsInf(m, 1) {
				return m, m
			}
			if r := m / wish; r > ratio {
				ratio, margin = r, m
			}
		}
	}
	return ratio, margin
}

// census tells whether every device answers every window, so that without noise nothing is uncertain.
func (d *design) census(panels []float64) bool {
	for h, n := range panels {
		if n/float64(d.q.slots()) < float64(d.strata[h].units) {
			return false
		}
	}
	return !d.q.local()
}
