package plan

import (
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/hybrid"
)

const kindVariance = "variance"

// squaresLeast is how many reports survey.Variance needs.
const squaresLeast = 4

// squares returns the variances that one report's linearised score (z − ȳ)² has: of the population, and of the noise. It
// supposes that the summaries are normal with the standard deviation s about the middle of the bounds; then their squares
// have the variance 2s⁴, and their fourth powers the mean 3s⁴.
func (q *question) squares(s, noise float64, law privacy.Powers) (population, added float64) {
	square := s * s
	if noise == 0 {
		return 2 * square * square, 0
	}
	half := (q.bounds.Hi - q.bounds.Lo).Float64() / 2
	scaled := square / (half * half)
	return 2 * square * square, half * half * half * half * law.SquareNoise(scaled, 3*scaled*scaled)
}

// skewed turns the half-width t·SE into that of the interval of survey.Variance, which is symmetric for the logarithm of the
// variance with its noise.
func skewed(half, whole float64) float64 {
	if !(whole > 0) {
		return half
	}
	return whole * math.Sinh(half/whole)
}

// blind is the first variance that reports of so much epsilon tell nothing of, or nil.
func (q *question) blind(epsilonMicro uint64) *asked {
	for i := range q.asked {
		if a := &q.asked[i]; a.stat.Kind == kindVariance && q.local() && epsilonMicro <= hybrid.Crossing.Micro() {
			return a
		}
	}
	return nil
}

// sighted leaves of the numbers of reports per period those whose reports tell something of every variance that is asked
// for.
func (q *question) sighted(list []int64) ([]int64, error) {
	if !q.local() || len(list) == 0 {
		return list, nil
	}
	kept := list[:0:0]
	for _, m := range list {
		if q.blind(q.epsilon/uint64(m)) == nil {
			kept = append(kept, m)
		}
	}
	if len(kept) > 0 {
		return kept, nil
	}
	each := q.epsilon / uint64(list[0])
	need := math.Ceil((float64(hybrid.Crossing)/1e6*float64(list[0])+1e-6)*10) / 10
	e := &Infeasible{
		Reason: fmt.Sprintf("%s needs more than epsilon %g in a report, and there is %g: up to it an answer is one bit, and "+
			"bits tell the mean of readings, nothing of their squares",
			q.blind(each).stat.Name(), float64(hybrid.Crossing)/1e6, float64(each)/1e6),
		Options: []string{fmt.Sprintf("EPSILON %g", need)},
	}
	if q.fixed() && q.windows() > 1 {
		e.Options = append(e.Options, "ROTATING")
	}
	return nil, e
}

// supposedOfSquares says on what the margin of a variance rests.
func (d *design) supposedOfSquares(i int) string {
	return fmt.Sprintf("the margin of %s supposes summaries that are normal about the middle of the bounds, with the standard deviation %.4g",
		d.q.asked[i].stat.Name(), d.overallSpread(i))
}
