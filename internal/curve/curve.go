// Package curve tells before anything is deployed what a privacy budget costs: the standard error that the devices'
// noise brings to a statistic, against ε, for every mechanism that can answer.
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

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/subset"
	"github.com/quadrat-dev/quadrat/privacy/warner"
	"github.com/quadrat-dev/quadrat/survey"
)

// Statistic is what is asked.
type Statistic string

// The statistics.
const (
	Mean       Statistic = "mean"       // of a number within bounds, in its unit
	Total      Statistic = "total"      // of that number over the devices
	Proportion Statistic = "proportion" // of a bit, as a share
	Count      Statistic = "count"      // of the devices for which the bit is 1
	Histogram  Statistic = "histogram"  // one cell of it, as a share
	Frequency  Statistic = "frequency"  // one whole number of it, as a share
	Quantile   Statistic = "quantile"   // of a number within bounds, in its unit
	Median     Statistic = "median"     // the quantile at a half
)

// Statistics are all of them.
func Statistics() []Statistic {
	return []Statistic{Mean, Total, Proportion, Count, Histogram, Frequency, Quantile, Median}
}

// The limits of a question.
const (
	binsMost, stepsMost, devicesMost = 1024, 400, 1e12
)

// Question says what a curve is about.
type Question struct {
	Statistic Statistic
	// Lo and Hi are the bounds of a number.
	Lo, Hi float64
	// Bins is the number of cells of a histogram or of whole numbers of a frequency, and Share the part of the devices that
	// lies in the one that is looked at; 0 for one in Bins.
	Bins  uint32
	Share float64
	// Level is the share of the devices below a quantile.
	Level float64
	// Devices is how many report, once each.
	Devices float64
	// From and To are the ends of the curve and Steps the number of its points, at equal ratios.
	From, To float64
	Steps    int
}

// Validate reports all faults at once, by the names of the flags.
func (q Question) Validate() error {
	var faults []error
	if !slices.Contains(Statistics(), q.Statistic) {
		faults = append(faults, errors.New("--statistic: mean, total, proportion, count, histogram, frequency, quantile or median"))
	}
	if q.number() || q.quantile() {
		if _, err := q.bounds(); err != nil {
			faults = append(faults, errors.New("--lo, --hi: lo must be below hi"))
		}
	}
	if q.Statistic == Quantile && !(q.Level > 0 && q.Level < 1) {
		faults = append(faults, errors.New("--level: between 0 and 1"))
	}
	if q.cells() && (q.Bins < 2 || q.Bins > binsMost) {
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

// number tells whether the answer is a score within bounds, bit whether it is a bit, cells whether it is a category of which a
// share is asked, and quantile whether it is one of which a place is.
func (q Question) number() bool   { return q.Statistic == Mean || q.Statistic == Total }
func (q Question) bit() bool      { return q.Statistic == Proportion || q.Statistic == Count }
func (q Question) cells() bool    { return q.Statistic == Histogram || q.Statistic == Frequency }
func (q Question) quantile() bool { return q.Statistic == Quantile || q.Statistic == Median }

// level is the share of the devices below the quantile.
func (q Question) level() float64 {
	if q.Statistic == Median {
		return 0.5
	}
	return q.Level
}

// times is what a mean over the devices is multiplied with: by their number for a sum over them.
func (q Question) times() float64 {
	if q.Statistic == Total || q.Statistic == Count {
		return q.Devices
	}
	return 1
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
	// OptIn says that the mechanism takes an opt-in: no plan can ask for it.
	OptIn bool `json:"opt_in,omitempty"`
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
				Mechanism: name, Epsilon: e.Float64(), StdError: q.times() * math.Sqrt(variance/q.Devices),
				OptIn: slices.Contains(mechanisms.OptIns(), name),
			})
		}
	}
	return out, nil
}

// names are the mechanisms that can answer.
func (q Question) names() []string {
	switch {
	case q.cells():
		return mechanisms.CategoricalNames()
	case q.bit():
		return []string{warner.Name}
	case q.quantile():
		return []string{subset.Name}
	}
	numbers := slices.DeleteFunc(mechanisms.Names(), func(name string) bool { return name == warner.Name })
	return append(numbers, mechanisms.OptIns()...)
}

// variance is that of the noise in one score, the largest over all readings where it depends on them.
func (q Question) variance(name string, e privacy.Epsilon) (float64, error) {
	if q.quantile() {
		return q.place(e)
	}
	if q.cells() {
		m, err := mechanisms.CategoricalByName(name, e, q.Bins)
		if err != nil {
			return 0, err
		}
		return m.Rates().NoiseVariance(q.share()), nil
	}
	build := mechanisms.ByName
	if slices.Contains(mechanisms.OptIns(), name) {
		build = mechanisms.OptIn
	}
	m, err := build(name, e)
	if err != nil {
		return 0, err
	}
	if q.bit() {
		return m.NoiseVariance(), nil
	}
	b, err := q.bounds()
	return b.Variance(m.NoiseVariance()), err
}

// What the planner supposes of quantiles: a normal population whose deviation is an eighth of the bounds, and 8, 16, 32 or 64 bins,
// the first that are so fine that the straight line within a bin errs by a tenth of the standard error at most (docs/statistics.md).
const (
	spreadPerSpan       = 8
	binsLeast, binsFull = 8, 64
	steepest            = 0.242 // of the normal density's slope, where the deviation is 1
)

// place is the variance of a quantile by the noise of one report: that of the share below it, over the square of the density.
func (q Question) place(e privacy.Epsilon) (float64, error) {
	level, deviation := q.level(), (q.Hi-q.Lo)/spreadPerSpan
	z := distuv.UnitNormal.Quantile(level)
	slope := deviation / distuv.UnitNormal.Prob(z)
	for bins := binsLeast; ; bins *= 2 {
		m, err := subset.New(e, uint32(bins))
		if err != nil {
			return 0, err
		}
		sets := survey.Subset{Categories: bins, Size: int(m.Size()), Include: m.Rates().Truth}
		below := min(bins-1, max(1, int(math.Round(float64(bins)*(0.5+z/spreadPerSpan)))))
		noise, width := sets.BelowNoise(below, level), spreadPerSpan/float64(bins)
		if bins == binsFull || width*width/8*steepest <= 0.1*math.Sqrt((noise+level*(1-level))/q.Devices) {
			return noise * slope * slope, nil
		}
	}
}
