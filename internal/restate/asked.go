package restate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	"github.com/quadrat-dev/quadrat/survey"
)

// wordCategories is how many categories an answer can be of that is a set in one word.
const wordCategories = 64

// Kinds whose parts and shapes need a word.
const (
	kindRatio        = "ratio"
	kindVariance     = "variance"
	kindHistogram    = "histogram"
	kindFrequency    = "frequency"
	kindQuantile     = "quantile"
	kindDistribution = "distribution"
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
	case "mean", "total", kindRatio, kindVariance, "proportion", "count", kindHistogram, kindFrequency, kindDistribution:
		return kind, 0, true
	case "median":
		return kindQuantile, 0.5, true
	case kindQuantile:
		last := strings.TrimSpace(strings.TrimSuffix(rest[strings.LastIndex(rest, ",")+1:], ")"))
		share, err := strconv.ParseFloat(last, 64)
		return kindQuantile, share, err == nil && share > 0 && share < 1
	}
	return "", 0, false
}

// Categorical tells whether answers are categories, so that they have no score.
func (a *Asked) Categorical() bool {
	switch a.Kind {
	case kindHistogram, kindFrequency, kindQuantile, kindDistribution:
		return true
	}
	return false
}

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

// binning is what answers of categories mean.
type binning struct {
	categories int
	share      float64 // of a quantile, 0 for others
	wholes     bool    // the categories are whole numbers
	shape      bool    // a distribution is wanted
	how        survey.Subset
	pure       survey.Pure
	set        privacy.Categorical // of answers that are codes; nil where the code is the category
	wave       *squarewave.Mechanism
	edges      []float64
	scratch    []uint32
}

// worded tells whether answers are sets in one word.
func (b *binning) worded() bool { return !b.shape && b.categories <= wordCategories }

// cumulative tells whether the distribution function is wanted.
func (b *binning) cumulative() bool { return b.share > 0 }

// binning checks what rows say of categories. It is nil for statistics without.
func (a *Asked) binning() (*binning, error) {
	if !a.Categorical() {
		return nil, nil //nolint:nilnil // no categories is no fault
	}
	b := &binning{
		categories: a.Categories, wholes: a.Kind == kindFrequency, shape: a.Kind == kindDistribution, pure: survey.Pure{Truth: 1},
	}
	if a.Kind == kindQuantile {
		b.share = a.Share
		if !(b.share > 0 && b.share < 1) {
			return nil, errors.New("the share of a quantile is not known")
		}
	}
	bounds := a.bounds()
	n, whole := bounds.Wholes()
	if b.categories < 2 || b.categories > survey.SupportMost || bounds.Validate() != nil || b.wholes && (!whole || int(n) != b.categories) {
		return nil, fmt.Errorf("bounds %v to %v and %d categories don't go together", a.Low, a.High, a.Categories)
	}
	if err := b.answered(a); err != nil {
		return nil, err
	}
	for i := range b.categories + 1 {
		edge := bounds.Lo.Float64() + (bounds.Hi-bounds.Lo).Float64()*float64(i)/float64(b.categories)
		if b.wholes {
			edge = bounds.Lo.Float64() + float64(i)
		}
		b.edges = append(b.edges, edge)
	}
	return b, nil
}

// answered sets what reports support, and with which probabilities.
func (b *binning) answered(a *Asked) error {
	price := mechanisms.Price{Report: a.epsilon()}
	switch {
	case b.worded():
		b.how = survey.Subset{Categories: b.categories, Size: max(1, a.Size), Include: a.Include}
		if a.Mechanism == "" {
			b.how = survey.Subset{Categories: b.categories, Size: 1, Include: 1}
		}
		b.pure = b.how.Pure()
		return b.how.Check()
	case !a.noisy():
		return nil
	case b.shape:
		wave, err := mechanisms.ForShape(a.Mechanism, price)
		if err != nil {
			return fmt.Errorf("mechanism %q: %w", a.Mechanism, err)
		}
		b.wave = wave
		return nil
	}
	set, err := mechanisms.InReport(a.Mechanism, price, uint32(b.categories))
	if err != nil {
		return fmt.Errorf("mechanism %q: %w", a.Mechanism, err)
	}
	b.set, b.pure = set, survey.Pure{Truth: a.Include, Other: a.Other}
	return b.pure.Check()
}

// count puts an answer into a state; ok is false for one that no device sends.
func (b *binning) count(into *survey.Support, said uint64) (ok bool) {
	switch {
	case b.worded():
		if b.categories < wordCategories && said>>b.categories != 0 || bits.OnesCount64(said) != b.how.Size {
			return false
		}
		into.Add(said, b.categories, b.cumulative())
		return true
	case b.wave != nil:
		if said >= uint64(b.wave.Codes()) {
			return false
		}
		bin, err := b.wave.Bin(uint32(said), b.categories)
		if err != nil {
			return false
		}
		b.scratch = append(b.scratch[:0], uint32(bin))
	case b.set == nil:
		if said >= uint64(b.categories) {
			return false
		}
		b.scratch = append(b.scratch[:0], uint32(said))
	default:
		var report [mechanisms.ReportBytes]byte
		binary.LittleEndian.PutUint64(report[:], said)
		n := b.set.Bytes()
		if bits.Len64(said) > 8*n {
			return false
		}
		found, err := b.set.Supported(report[:n], b.scratch[:0])
		if err != nil {
			return false
		}
		b.scratch = found
	}
	into.AddEach(b.scratch, b.categories)
	return true
}

// shares reconstructs the shape of a distribution from weighted counts.
func (b *binning) shares(strata []survey.Sample, states []survey.Support) ([]float64, error) {
	counts, reports, sum := make([]float64, b.categories), int64(0), 0.0
	for h := range states {
		weight := float64(strata[h].Population) / float64(max(1, strata[h].Responses))
		reports += states[h].Count
		for v, n := range states[h].Hits {
			counts[v] += weight * float64(n)
			sum += weight * float64(n)
		}
	}
	if reports < leastResponses {
		return nil, &survey.Error{Code: survey.NoDomain, Detail: "a shape needs two reports"}
	}
	scale := float64(reports) / sum
	if b.wave == nil {
		scale = 1 / sum
	}
	for v := range counts {
		counts[v] *= scale
	}
	if b.wave == nil {
		return counts, nil
	}
	tally, err := b.wave.TallyOf(counts)
	if err != nil {
		return nil, err
	}
	shape, err := tally.Shape(squarewave.Smoothed)
	return shape.Share, err
}
