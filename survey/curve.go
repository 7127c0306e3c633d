package survey

import (
	"math"
	"slices"
)

// curveSteps is into how many pieces a bin is cut, on each of which the bounds of the score test are taken as straight.
const curveSteps = 16

// nearlyCertain is the variance of bits under which a share is as good as 0 or 1, and tells nothing of the design.
const nearlyCertain = 1e-9

// curve is an estimated distribution function with what is needed to ask of any place whether its share may be p.
type curve struct {
	edges    []float64
	value    []float64    // at the edges: the estimated share below, 0 at the first and 1 at the last
	sampling []float64    // at the edges: the sampling variance of a share there over that of a bit
	middle   []float64    // the same in the middles of the bins, where it was asked for there; else it is the mean of the edges
	load     float64      // Σ a², the weight of a report's noise
	released [][3]float64 // by bin, at its start, middle and end: the variance that releases' noise brings; nil without
	how      Subset
	p        float64

	gap, deviation []float64 // at every step from the first edge to the last: share less p, and its standard deviation were it p
}

// newCurve takes the shares below the inner edges, and of the strata only weights and counts, which are those of all edges.
func newCurve(edges []float64, how Subset, strata []Sample, shares []Estimate, p float64) *curve {
	c := &curve{edges: edges, how: how, p: p, value: []float64{0}, sampling: []float64{0}}
	size, kish := 0.0, 0.0
	for _, s := range strata {
		if s.Population > 0 {
			size += s.weight() * float64(s.Domain.Count)
		}
	}
	for _, s := range strata {
		if s.Population > 0 {
			a := s.weight() / size
			c.load += a * a * float64(s.Domain.Count)
			kish += a * a * float64(s.Domain.Count) * float64(s.Population-s.Responses) / float64(s.Population)
		}
	}
	for _, e := range shares {
		a, bits := kish, e.Value*(1-e.Value)
		if bits > nearlyCertain {
			a = e.VarianceSampling / bits
			if how.Include < 1 { // then the sampling part is a difference, and may be anything
				a = min(a, kish)
			}
		}
		c.value, c.sampling = append(c.value, e.Value), append(c.sampling, a)
	}
	c.value, c.sampling = append(c.value, 1), append(c.sampling, c.sampling[len(shares)])
	c.sampling[0] = c.sampling[1]
	c.walk()
	return c
}

// variance gives the variance of the share below a place that lies so far into bin b, were p its share: what sampling and what
// noise bring. Of the estimate only the bin's share f is used, as far as p allows for it. A unit in the bin counts with part,
// so the sampling variance is that of a bit less part(1−part)f. The noise of releases is the same whatever p is.
func (c *curve) variance(b int, part float64) (sampling, noise float64) {
	f := max(0, min(c.value[b+1]-c.value[b], c.p/max(part, 1e-12), (1-c.p)/max(1-part, 1e-12)))
	sampling = c.per(b, part) * max(0, c.p*(1-c.p)-part*(1-part)*f)
	under := max(0, c.p-part*f)
	noise = c.load * c.how.PartNoise(b, part, under, f)
	if c.released != nil {
		at := c.released[b] // quadratic in part, as the variance of a sum with a part of a number is
		noise += (1-part)*(1-2*part)*at[0] + 4*part*(1-part)*at[1] + part*(2*part-1)*at[2]
	}
	return sampling, noise
}

// per is the sampling variance over that of a bit.
func (c *curve) per(b int, part float64) float64 {
	from, to := c.sampling[b], c.sampling[b+1]
	switch {
	case c.middle == nil:
		return (1-part)*from + part*to
	case part < 0.5:
		return (1-2*part)*from + 2*part*c.middle[b]
	}
	return (2-2*part)*c.middle[b] + (2*part-1)*to
}

// walk fills in gap and deviation.
func (c *curve) walk() {
	bins := len(c.edges) - 1
	c.gap, c.deviation = make([]float64, 0, bins*curveSteps+1), make([]float64, 0, bins*curveSteps+1)
	for i := range bins*curveSteps + 1 {
		b := min(bins-1, i/curveSteps)
		part := float64(i-b*curveSteps) / curveSteps
		sampling, noise := c.variance(b, part)
		c.gap = append(c.gap, (1-part)*c.value[b]+part*c.value[b+1]-c.p)
		c.deviation = append(c.deviation, math.Sqrt(sampling+noise))
	}
}

// short is the place that lies as far from the first edge as all places whose share is more than t deviations too small are
// long together.
func (c *curve) short(t float64) float64 {
	x := c.edges[0]
	for b := range len(c.edges) - 1 {
		step := (c.edges[b+1] - c.edges[b]) / curveSteps
		for i := b * curveSteps; i < (b+1)*curveSteps; i++ {
			x += step * under(c.gap[i]+t*c.deviation[i], c.gap[i+1]+t*c.deviation[i+1])
		}
	}
	return x
}

// long is the place that lies as far from the last edge as all places whose share is more than t deviations too large are
// long together.
func (c *curve) long(t float64) float64 {
	x := c.edges[len(c.edges)-1]
	for b := range len(c.edges) - 1 {
		step := (c.edges[b+1] - c.edges[b]) / curveSteps
		for i := b * curveSteps; i < (b+1)*curveSteps; i++ {
			x -= step * under(t*c.deviation[i]-c.gap[i], t*c.deviation[i+1]-c.gap[i+1])
		}
	}
	return x
}

// ends are those of an interval at t: of the places that are refused one by one, and of those that are refused because shares ascend,
// in the parts p and 1−p at the upper end and 1−p and p at the lower one. docs/statistics.md says why, and what was measured.
func (c *curve) ends(t float64) (low, high float64) {
	from, to := c.closed(t)
	return c.p*c.short(t) + (1-c.p)*from, (1-c.p)*c.long(t) + c.p*to
}

// closed are the last place whose share is more than t deviations too small and the first one whose share is more than t
// deviations too large; where there is none, the edge.
func (c *curve) closed(t float64) (low, high float64) {
	last := len(c.gap) - 1
	low, high = c.edges[0], c.edges[len(c.edges)-1]
	for i := last; i > 0; i-- {
		if part := under(c.gap[i-1]+t*c.deviation[i-1], c.gap[i]+t*c.deviation[i]); part > 0 {
			low = c.place(i-1, part)
			if c.gap[i]+t*c.deviation[i] < 0 {
				low = c.place(i, 0)
			}
			break
		}
	}
	for i := range last {
		if part := under(t*c.deviation[i]-c.gap[i], t*c.deviation[i+1]-c.gap[i+1]); part > 0 {
			high = c.place(i, 1-part)
			if t*c.deviation[i]-c.gap[i] < 0 {
				high = c.place(i, 0)
			}
			break
		}
	}
	return low, high
}

// place is where step i has passed by a part.
func (c *curve) place(i int, part float64) float64 {
	b := min(len(c.edges)-2, i/curveSteps)
	return c.edges[b] + (c.edges[b+1]-c.edges[b])*(float64(i-b*curveSteps)+part)/curveSteps
}

// under is the part of a straight line from a to b that lies below 0.
func under(a, b float64) float64 {
	switch {
	case a < 0 && b < 0:
		return 1
	case a < 0:
		return a / (a - b)
	case b < 0:
		return b / (b - a)
	}
	return 0
}

// bin is the bin that holds x.
func (c *curve) bin(x float64) int {
	b, _ := slices.BinarySearch(c.edges[1:len(c.edges)-1], x)
	return b
}
