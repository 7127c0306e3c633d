package inference

import (
	"github.com/quadrat-dev/quadrat/survey/calibrate"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/interval"
	"github.com/quadrat-dev/quadrat/survey/replicate"
)

// Study is a sample with all that its analysis needs besides the variables. Zero values are the defaults.
type Study struct {
	Design        *design.Design
	Calibration   *calibrate.Spec // nil for none
	Replicates    *replicate.Plan // nil for linearisation
	Confidence    float64         // 0 for 0.95
	Interval      interval.Method // of every estimate; those for proportions refuse other statistics
	DropMissing   bool            // a missing value puts its row outside the domain; otherwise it is an error
	DomainFreedom bool            // degrees of freedom from units and strata that have domain members; otherwise the whole design's
	Rule          Rule            // of quantiles
	Population    float64         // units of the population, for counts and design effects of totals; 0 for what the weights add up to
}

// Analysis is a Study whose calibration has been reached. It doesn't change.
type Analysis struct {
	Study
	fit      *calibrate.Fit
	weight   []float64 // w g
	clusters design.Clusters
}

// New reaches the calibration. Errors are *[design.Error] and *[calibrate.Error].
func New(s Study) (*Analysis, error) {
	if s.Confidence == 0 {
		s.Confidence = 0.95
	}
	if !(s.Confidence > 0 && s.Confidence < 1) {
		return nil, &design.Error{Code: design.Invalid, Detail: "the confidence must lie between 0 and 1"}
	}
	a := &Analysis{Study: s, weight: s.Design.Weights()}
	if s.Replicates != nil {
		var ok bool
		if a.clusters, ok = s.Design.Clusters(); !ok {
			return nil, &design.Error{Code: design.Unsupported, Detail: "replicates are for simple random samples of units in one phase"}
		}
	}
	if s.Calibration == nil {
		return a, nil
	}
	fit, err := calibrate.New(a.weight, *s.Calibration)
	if err != nil {
		return nil, err
	}
	a.fit, a.weight = fit, calibrated(a.weight, fit)
	return a, nil
}

func calibrated(weight []float64, fit *calibrate.Fit) []float64 {
	w := make([]float64, len(weight))
	for k := range w {
		w[k] = weight[k] * fit.G[k]
	}
	return w
}

// Weights returns the weights that estimates use, after calibration. The caller must not change them.
func (a *Analysis) Weights() []float64 { return a.weight }

// Fit returns the calibration, or nil.
func (a *Analysis) Fit() *calibrate.Fit { return a.fit }

// Estimate is one number for the population with what is known about its error. All numbers are finite and
// Low ≤ High.
type Estimate struct {
	Value            float64
	StdError         float64 // √(VarianceSampling + VariancePrivacy); for quantiles (High − Low)/2t
	Low, High        float64
	VarianceSampling float64 // max(0, V̂ − Σ a² σ²)
	VariancePrivacy  float64 // the rest of V̂
	DegreesOfFreedom float64
	DesignEffect     float64 // V̂ over that of a simple random sample of as many rows, the same noise added
	DesignEffectWR   float64 // the same with a simple random sample with replacement
	Rows             int     // rows with a weight in the domain
	Warnings         []string
}
