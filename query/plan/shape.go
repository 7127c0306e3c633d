package plan

import (
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const kindDistribution = "distribution"

// shapeBinsLeast is the least number of bins that the planner chooses for a distribution.
const shapeBinsLeast = 16

// shaped says how a distribution is answered. No margin can be predicted, since there is no interval; spread and noise are those
// of the mean that the same reports would tell, by which the number of reports per period is chosen.
func (q *question) shaped(epsilonMicro uint64) (answer, error) {
	span := (q.bounds.Hi - q.bounds.Lo).Float64()
	out := answer{mechanism: none, spread: span / spreadPerSpan}
	if epsilonMicro == 0 {
		return out, nil
	}
	m, err := mechanisms.ForShape(squarewave.Name, mechanisms.Price{Report: privacy.Epsilon(epsilonMicro)})
	if err != nil {
		return answer{}, fmt.Errorf("plan: %w", err)
	}
	out.mechanism, out.noise, out.bytes = squarewave.Name, q.bounds.Variance(m.NoiseVariance()), 3
	return out, nil
}

// settle chooses the bins of distributions that name none, now that the reports of a window are known.
func (d *design) settle(previous *quadratv1.DevicePlan) {
	reports := 0.0
	for _, n := range d.each(d.panels()) {
		reports += n
	}
	for i := range d.q.asked {
		a := &d.q.asked[i]
		if a.stat.Kind != kindDistribution {
			continue
		}
		d.answers[i].bins = a.bins
		if a.bins == 0 {
			d.answers[i].bins = shapeBins(reports, before(previous, a.name))
		}
	}
}

// shapeBins is the least power of two that is not below the root of the number of reports, from 16 to 256: with fewer bins what there is
// of detail may not show, with more the shape is no nearer (measured on samples of 200 to 100,000 reports at epsilon 0.5 to 2, see
// docs/statistics.md) and takes longer. A plan that is drawn again keeps its bins until the number is off by a factor of four.
func shapeBins(reports float64, before int) int {
	bins := shapeBinsLeast
	for float64(bins) < math.Sqrt(reports) && bins < mechanisms.ShapeBins {
		bins *= 2
	}
	if before > 0 && bins < 4*before && before < 4*bins {
		return before
	}
	return bins
}

// before is the number of bins that a distribution of that name had, 0 for none.
func before(previous *quadratv1.DevicePlan, name string) int {
	for _, s := range previous.GetStatistics() {
		if s.GetName() == name && s.GetKind() == kindDistribution {
			return int(s.GetCategories())
		}
	}
	return 0
}

// shapeText says what is to be expected of a distribution.
func (d *design) shapeText(i int) string {
	return fmt.Sprintf("%s is a shape of %d bins for display, biased and without intervals, so no margin is predicted; histogram and "+
		"quantile give intervals", d.q.asked[i].stat.Name(), d.answers[i].bins)
}
