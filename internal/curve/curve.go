// Package curve tells before anything is deployed what a privacy budget costs: the standard error that the devices'
// noise brings to a mean, a proportion or a cell of a histogram, against ε, for every mechanism that can answer.
//
// It stands beside the planner, which counts the error of sampling, too; a curve shows the noise alone, which no design
// can take away. The numbers are those of the mechanisms' own variances, from the integers that devices use.
//
//	points, err := curve.Compute(curve.Question{Statistic: curve.Mean, Lo: 10, Hi: 40, Devices: 1000, From: 0.1, To: 8, Steps: 25})
//	err = curve.SVG(w, question, points)
package curve

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// Statistic is what is asked.
type Statistic string

// The statistics.
const (
	Mean       Statistic = "mean"       // of a number within bounds, in its unit
	Proportion Statistic = "proportion" // of a bit, as a share
	Histogram  Statistic = "histogram"  // one cell of it, as a share
)

// The limits of a question.
const (
	binsMost, stepsMost, devicesMost = 1024, 400, 1e12
)

// Question says what a curve is about.
type Question struct {
	Statistic Statistic
	// Lo and Hi are the bounds of a mean.
	Lo, Hi float64
	// Bins is the number of cells of a histogram, and Share the part of the devices that lies in the one that is looked
	// at; 0 for one in Bins.
	Bins  uint32
	Share float64
	// Devices is how many report, once each.
	Devices float64
	// From and To are the ends of the curve and Steps the number of its points, at equal ratios.
	From, To float64
	Steps    int
}

// Validate reports all faults at once, by the names of the flags.
func (q Question) Validate() error {
	var faults []error
	if !slices.Contains([]Statistic{Mean, Proportion, Histogram}, q.Statistic) {
		faults = append(faults, errors.New("--statistic: mean, proportion or histogram"))
	}
	if q.Statistic == Mean {
		if _, err := q.bounds(); err != nil {
			faults = append(faults, errors.New("--lo, --hi: lo must be below hi"))
		}
	}
	if q.Statistic == Histogram && (q.Bins < 2 || q.Bins > binsMost) {
		faults = append(faults, fmt.Errorf("--bins: 2 to %d", binsMost))
	}
	if !(q.Share >= 0 && q.Share <= 1) {
		faults = append(faults, errors.New("--share: 0 to 1"))
	}
	if !(q.Devices >= 1 && q.Devices <= devicesMost) {
		faults = append(faults, errors.New("--devices: 1 or more"))
	}
	_, errFrom := privacy.NewEpsilon(q.From)
	_, errTo := privacy.NewEpsilon(q.To)
	if errFrom != nil || errTo != nil || q.From >= q.To {
		faults = append(faults, errors.New("--from, --to: from must be below to, both above 0 and at most 20"))
	}
	if q.Steps < 2 || q.Steps > stepsMost {
		faults = append(faults, fmt.Errorf("--steps: 2 to %d", stepsMost))
	}
	return errors.Join(faults...)
}

func (q Question) bounds() (privacy.Bounds, error) {
	lo, errLo := privacy.MicroOf(q.Lo)
	hi, errHi := privacy.MicroOf(q.Hi)
	b, err := privacy.NewBounds(lo, hi)
	return b, errors.Join(errLo, errHi, err)
}

// share is the part of the devices that the cell holds.
func (q Question) share() float64 {
	if q.Share == 0 {
		return 1 / float64(q.Bins)
	}
	return q.Share
}

// Point is a place on the curve of one mechanism.
type Point struct {
	Mechanism string  `json:"mechanism"`
	Epsilon   float64 `json:"epsilon"`
	// StdError is the standard error that the noise brings to the estimate.
	StdError float64 `json:"std_error"`
	// Draft says that the mechanism's proof is a draft: no plan can ask for it.
	Draft bool `json:"draft,omitempty"`
}

// Compute returns the points of all mechanisms, mechanism by mechanism, ε ascending.
func Compute(q Question) ([]Point, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var out []Point
	for _, name := range q.names() {
		for i := range q.Steps {
			at := q.From * math.Pow(q.To/q.From, float64(i)/float64(q.Steps-1))
			e, err := privacy.NewEpsilon(at)
			if err != nil {
				return nil, fmt.Errorf("epsilon %g: %w", at, err)
			}
			variance, err := q.variance(name, e)
			if err != nil {
				return nil, fmt.Errorf("%s at epsilon %v: %w", name, e, err)
			}
			out = append(out, Point{
				Mechanism: name, Epsilon: e.Float64(), StdError: math.Sqrt(variance / q.Devices),
				Draft: slices.Contains(mechanisms.Drafts(), name),
			})
		}
	}
	return out, nil
}

// names are the mechanisms that can answer.
func (q Question) names() []string {
	switch q.Statistic {
	case Histogram:
		return mechanisms.CategoricalNames()
	case Proportion:
		return []string{"warner"}
	case Mean:
		numbers := slices.DeleteFunc(mechanisms.Names(), func(name string) bool { return name == "warner" })
		return append(numbers, mechanisms.Drafts()...)
	}
	return nil
}

// variance is that of the noise in one score, the largest over all readings where it depends on them.
func (q Question) variance(name string, e privacy.Epsilon) (float64, error) {
	if q.Statistic == Histogram {
		m, err := mechanisms.CategoricalByName(name, e, q.Bins)
		if err != nil {
			return 0, err
		}
		return m.Rates().NoiseVariance(q.share()), nil
	}
	build := mechanisms.ByName
	if slices.Contains(mechanisms.Drafts(), name) {
		build = mechanisms.Draft
	}
	m, err := build(name, e)
	if err != nil {
		return 0, err
	}
	if q.Statistic == Proportion {
		return m.NoiseVariance(), nil
	}
	b, err := q.bounds()
	return b.Variance(m.NoiseVariance()), err
}
