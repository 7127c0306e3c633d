package plan

import (
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/central"
	"github.com/quadrat-dev/quadrat/query/script"
)

// gateway tells whether gateways add the noise, to sums over their units.
func (q *question) gateway() bool { return q.script.Privacy.Model == script.Gateway }

// sums counts what gateways release of a stratum, in the whole and in each cell behind it: a release has one part for each
// cell in which units of the gateway stand.
type sums struct{ parts, units []int }

func newSums(cells int) sums { return sums{parts: make([]int, cells+1), units: make([]int, cells+1)} }

// add counts a unit in a cell, or in none (whole); first says that it is the first one of its gateway there.
func (s *sums) add(cell int, first bool) {
	for _, at := range []int{0, cell + 1} {
		s.units[at]++
		if first {
			s.parts[at]++
		}
		if cell == whole {
			return
		}
	}
}

// merge adds those of a stratum that is collapsed into this one. A gateway that stands in both makes a part for each, as far as
// a prediction goes.
func (s *sums) merge(o sums) {
	if s.parts == nil {
		*s = newSums(len(o.parts) - 1)
	}
	for i := range o.parts {
		s.parts[i] += o.parts[i]
		s.units[i] += o.units[i]
	}
}

// sorted puts the cells into another order: order[i] is which cell comes to i.
func (s *sums) sorted(order []int) sums {
	out := newSums(len(order))
	out.parts[0], out.units[0] = s.parts[0], s.units[0]
	for to, from := range order {
		out.parts[to+1], out.units[to+1] = s.parts[from+1], s.units[from+1]
	}
	return out
}

// countSums counts the parts of releases, of members whose stratum and cell are known.
func (f *frame) countSums(members []Member, places []place) {
	type part struct {
		place
		gateway string
	}
	for h := range f.strata {
		f.strata[h].sums = newSums(len(f.cells))
	}
	seen := map[part]bool{}
	for i, p := range places {
		if gateway := members[i].Attributes[script.GatewayAttribute]; gateway != "" {
			at := part{place: p, gateway: gateway}
			f.strata[p.stratum].sums.add(p.cell, !seen[at])
			seen[at] = true
		}
	}
}

// sumNoise is the variance of the noise in one part of a release, in the unit of the answer. It fails with an *Infeasible where
// noise would not fit in a released number.
func (q *question) sumNoise(a *asked, epsilonMicro uint64) (float64, error) {
	sensitivity, step := int64(1), 1.0
	if !a.bit {
		sensitivity, step = int64(q.bounds.Hi-q.bounds.Lo), 1e-6
	}
	noise, err := central.New(sensitivity, privacy.Epsilon(epsilonMicro))
	if err != nil {
		return 0, &Infeasible{
			Reason:  "the bounds are too wide: a gateway's sum and its noise would not fit in 64 bits",
			Options: []string{"narrower bounds behind BETWEEN", "more epsilon"},
		}
	}
	return noise.Variance() * step * step, nil
}

// noise is the noise variance of an answer in a cell of a stratum, on average over its units: a gateway adds its noise once for
// all of its units there, a device of its own once for itself.
func (d *design) noise(i, h, c int) float64 {
	a, s := d.answers[i], &d.strata[h]
	n := s.inCell(c)
	if !d.q.gateway() || n == 0 {
		return a.noise
	}
	units, parts := float64(s.sums.units[c+1]), float64(s.sums.parts[c+1])
	if c == whole && len(d.cells) > 0 { // the whole is told in the parts of its cells
		parts = 0
		for _, k := range s.sums.parts[1:] {
			parts += float64(k)
		}
	}
	return ((float64(n)-units)*a.noise + parts*a.sumNoise) / float64(n)
}

// meanNoise is noise over the whole frame.
func (d *design) meanNoise(i int) float64 {
	if !d.q.gateway() || d.size == 0 {
		return d.answers[i].noise
	}
	sum := 0.0
	for h := range d.strata {
		sum += d.noise(i, h, whole) * float64(d.strata[h].size) / float64(d.size)
	}
	return sum
}

// mechanism names what randomises the answers to a statistic.
func (d *design) mechanism(i int) string {
	if d.q.gateway() {
		return bothMechanisms(d.answers[i].mechanism)
	}
	return d.answers[i].mechanism
}

func bothMechanisms(device string) string {
	return central.Name + " (gateways), " + device + " (devices)"
}

// warnGateways says what margins rest on, and which gateways can't answer for all of their units.
func (d *design) warnGateways() (out []string) {
	if !d.q.gateway() || d.size == 0 {
		return nil
	}
	for i := range d.q.asked {
		out = append(out, d.gatewayText(i))
	}
	strata := map[string]int{}
	several := 0
	for h := range d.strata {
		for gateway := range d.strata[h].clusters {
			if strata[gateway]++; strata[gateway] == 2 {
				several++
			}
		}
	}
	if several > 0 {
		out = append(out, fmt.Sprintf("units of %s stand in several strata, and one ledger answers for all units of a gateway: where "+
			"two of its clusters are due within a period the second stays silent", plural(several, "gateway")))
	}
	return out
}

// gatewayText says who adds which noise to a statistic.
func (d *design) gatewayText(i int) string {
	a, behind, gateways := d.answers[i], 0, 0
	for h := range d.strata {
		behind += d.strata[h].sums.units[0]
		gateways += len(d.strata[h].clusters)
	}
	if a.bins > 0 {
		return d.countsText(i, behind, gateways)
	}
	return fmt.Sprintf("%s: a gateway adds noise with a standard deviation of %.4g once to the sum over its units, a device of its own %.4g to its "+
		"answer; the frame has %s behind %s and %s of their own", d.q.asked[i].stat.Name(), math.Sqrt(a.sumNoise), math.Sqrt(a.noise),
		plural(behind, "unit"), plural(gateways, "gateway"), plural(d.size-behind, "device"))
}

// countsText is gatewayText of a statistic of categories: a release has a count for each.
func (d *design) countsText(i, behind, gateways int) string {
	a := d.answers[i]
	one := math.Sqrt(a.sumNoise)
	if noise, err := central.New(changedCounts, privacy.Epsilon(d.epsilon)); err == nil {
		one = math.Sqrt(noise.Variance())
	}
	return fmt.Sprintf("%s: a gateway adds noise with a standard deviation of %.4g once to the number of its units in each of %d categories, a device "+
		"of its own answers by %s; the frame has %s behind %s and %s of their own", d.q.asked[i].stat.Name(), one, a.bins, a.mechanism,
		plural(behind, "unit"), plural(gateways, "gateway"), plural(d.size-behind, "device"))
}
