package restate

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/survey"
)

// Kinds whose parts need a word.
const (
	kindRatio    = "ratio"
	kindVariance = "variance"
)

// Asked is what all rows of a statistic in a window share. Numbers are 0 where the rows don't tell them.
type Asked struct {
	Kind       string  // mean, total, ratio, variance, proportion, count, histogram, frequency, quantile or distribution
	Share      float64 // of a quantile, in (0, 1)
	Low, High  float64 // bounds of the readings, of a frequency the first and the last category
	Mechanism  string  // of devices that speak for themselves; empty when only gateways did
	Epsilon    float64 // of one report
	Categories int     // of statistics of categories
	Size       int     // categories in a set
	Include    float64 // probability that a report supports the true category
	Other      float64 // that it supports another one; where answers are codes
}

// Named reads kind and share from the name that the script's canonical text gives a statistic, for rows that don't tell them. A part
// of a ratio is told by the word behind the name. ok is false for another name, such as one after AS.
func Named(name string) (kind string, share float64, ok bool) {
	kind, rest, ok := strings.Cut(name, "(")
	if !ok {
		return "", 0, false
	}
	switch kind {
	case "mean", "total", kindRatio, kindVariance, "proportion", "count", categories.Histogram, categories.Frequency, categories.Distribution:
		return kind, 0, true
	case "median":
		return categories.Quantile, 0.5, true
	case categories.Quantile:
		last := strings.TrimSpace(strings.TrimSuffix(rest[strings.LastIndex(rest, ",")+1:], ")"))
		share, err := strconv.ParseFloat(last, 64)
		return categories.Quantile, share, err == nil && share > 0 && share < 1
	}
	return "", 0, false
}

// Categorical tells whether answers are categories, so that they have no score.
func (a *Asked) Categorical() bool { return categories.Is(a.Kind) }

// Bounded tells whether an answer needs bounds: places on a scale do, and what the noise does to squares.
func (a *Asked) Bounded() bool { return a.Categorical() || a.Kind == kindVariance && a.noisy() }

func (a *Asked) noisy() bool { return a.Mechanism != "" && a.Mechanism != mechanismNone }

// mechanismNone is what rows call answers without noise.
const mechanismNone = "none"

// bounds is the bounds as the plan had them, in millionths.
func (a *Asked) bounds() privacy.Bounds {
	micro := func(x float64) privacy.Micro { return privacy.Micro(math.Round(x * 1e6)) }
	return privacy.Bounds{Lo: micro(a.Low), Hi: micro(a.High)}
}

// epsilon is that of a report as the plan had it.
func (a *Asked) epsilon() privacy.Epsilon { return privacy.Epsilon(math.Round(a.Epsilon * 1e6)) }

// powers is how the noise moves the powers of a score. The zero value is for answers without noise, and where bounds aren't known:
// then all of a variance's variance is put down to the noise.
func (a *Asked) powers() (survey.Powers, error) {
	if !a.noisy() || !(a.Low < a.High) {
		return survey.Powers{}, nil
	}
	bounds := a.bounds()
	m, err := mechanisms.ByName(a.Mechanism, a.epsilon())
	if err != nil {
		return survey.Powers{}, fmt.Errorf("mechanism %q: %w", a.Mechanism, err)
	}
	powered, ok := m.(privacy.Powered)
	if !ok {
		return survey.Powers{}, fmt.Errorf("mechanism %q tells nothing of a variance", a.Mechanism)
	}
	p, ok := powered.Powers()
	if !ok {
		return survey.Powers{}, fmt.Errorf("mechanism %q tells nothing of a variance", a.Mechanism)
	}
	lo, hi := bounds.Score(0), bounds.Score(1)
	return survey.Powers{Centre: (lo + hi) / 2, Scale: (hi - lo) / 2, Variance: p.Variance, Third: p.Third, Fourth: p.Fourth}, nil
}

// binning checks what rows say of categories. It is nil for statistics without.
func (a *Asked) binning() (*categories.Binning, error) {
	if !a.Categorical() {
		return nil, nil //nolint:nilnil // no categories is no fault
	}
	stored := categories.Stored{
		Kind: a.Kind, Share: a.Share, Bounds: a.bounds(), Categories: a.Categories, Mechanism: a.Mechanism, Epsilon: a.epsilon(),
		Size: a.Size, Include: a.Include, Other: a.Other,
	}
	return stored.Binning() //nolint:wrapcheck // it names what is wrong
}
