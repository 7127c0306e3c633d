package restate

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/survey"
)

// Answer is one result: an estimate, or why there is none.
type Answer struct {
	Estimate survey.Estimate
	Err      error
	Bin      *Bin // of a histogram, a frequency or a distribution; nil for others
	Shape    bool // only Bin.Consistent says something: the share of a reconstructed shape, without value and interval
}

// Bin is one category.
type Bin struct {
	Index      int
	Low, High  float64  // edges; of a frequency both are the category
	Consistent *float64 // share of the nearest distribution, or of the shape: for display only
}

var (
	ofDevices = map[string]func([]survey.Sample, *survey.Repeats, float64) (survey.Estimate, error){
		"mean": survey.MeanOf, "total": survey.TotalOf, "proportion": survey.ProportionOf, "count": survey.CountOf,
	}
	ofClusters = map[string]func([]survey.ClusterSample, float64) (survey.Estimate, error){
		"mean": survey.ClusterMean, "total": survey.ClusterTotal, "proportion": survey.ClusterProportion, "count": survey.ClusterCount,
	}
)

// Answers estimates the statistic in a domain, a cell or AllCells: one answer, or one for each category. A ratio has two windows: see
// Ratio.
func (w *Window) Answers(domain string, confidence float64) []Answer {
	var out []Answer
	if w.bins != nil {
		out = w.bin(domain, confidence)
	} else {
		e, err := w.solve(domain, confidence)
		out = []Answer{{Estimate: e, Err: err}}
	}
	for i := range out {
		out[i] = w.qualify(domain, out[i])
	}
	return out
}

// solve estimates a statistic of scores.
func (w *Window) solve(domain string, confidence float64) (survey.Estimate, error) {
	kind := w.asked.Kind
	switch {
	case w.Clustered() && ofClusters[kind] != nil:
		samples, _ := w.clustersBy(domain, momentsOf)
		return ofClusters[kind](samples, confidence)
	case w.Clustered() || kind != kindVariance && ofDevices[kind] == nil:
		return survey.Estimate{}, fmt.Errorf("a %s has no estimate of such a sample", kind)
	case kind == kindVariance:
		return survey.Variance(w.samples(domain), w.powers, confidence)
	}
	return ofDevices[kind](w.samples(domain), w.repeated(domain), confidence)
}

// Ratio estimates the ratio of two statistics of one window, its parts.
func Ratio(numerator, denominator *Window, domain string, confidence float64) Answer {
	e, err := survey.Ratio(numerator.samples(domain), denominator.samples(domain), confidence)
	return denominator.qualify(domain, numerator.qualify(domain, Answer{Estimate: e, Err: err}))
}

// bin estimates a statistic of categories.
func (w *Window) bin(domain string, confidence float64) []Answer {
	b := w.bins
	switch {
	case b.Shape:
		return w.shape(domain)
	case b.Cumulative():
		e, err := w.quantile(domain, confidence)
		return []Answer{{Estimate: e, Err: err}}
	}
	out, shares, whole := make([]Answer, b.Categories), make([]float64, b.Categories), true
	states, merged := w.supported(domain), w.samples(domain)
	for v := range out {
		a := &out[v]
		a.Estimate, a.Err = w.category(domain, v, states, merged, confidence)
		a.Bin = binOf(b, v)
		shares[v], whole = a.Estimate.Value, whole && a.Err == nil
	}
	if whole {
		for v, share := range survey.Simplex(shares) {
			out[v].Bin.Consistent = &share
		}
	}
	return out
}

// binOf is a category without its share.
func binOf(b *categories.Binning, v int) *Bin {
	out := &Bin{Index: v}
	out.Low, out.High = b.Bin(v)
	return out
}

// category estimates the share of one category.
func (w *Window) category(domain string, v int, states []survey.Support, merged []survey.Sample, confidence float64) (survey.Estimate, error) {
	pure := w.bins.Pure
	if w.Clustered() {
		samples, _ := w.clustersBy(domain, func(g *group) survey.Moments {
			t := survey.Tally{Support: g.support, Released: g.released}
			return t.Bin(pure, v)
		})
		return survey.ClusterShare(samples, pure, confidence)
	}
	return survey.Share(with(merged, states, func(s *survey.Support) survey.Moments { return s.Bin(pure, v) }), pure, confidence)
}

// with is strata with the moments that each one's answers have.
func with(strata []survey.Sample, states []survey.Support, of func(*survey.Support) survey.Moments) []survey.Sample {
	out := append([]survey.Sample(nil), strata...)
	for h := range out {
		out[h].Domain = of(&states[h])
	}
	return out
}

// quantile estimates a quantile.
func (w *Window) quantile(domain string, confidence float64) (survey.Estimate, error) {
	b := w.bins
	if w.Clustered() {
		at := func(bin int, part float64) []survey.ClusterSample {
			samples, _ := w.clustersBy(domain, func(g *group) survey.Moments {
				t := survey.Tally{Support: g.support, Released: g.released}
				return t.Place(b.How, bin, part)
			})
			return samples
		}
		return survey.ClusterQuantile(b.Edges, b.How, at, b.Share, confidence)
	}
	states, merged := w.supported(domain), w.samples(domain)
	below := make([][]survey.Sample, b.Categories-1)
	for j := range below {
		below[j] = with(merged, states, func(s *survey.Support) survey.Moments { return s.Below(b.How, j) })
	}
	return survey.Quantile(b.Edges, b.How, below, b.Share, confidence)
}

// shape reconstructs a distribution.
func (w *Window) shape(domain string) []Answer {
	b := w.bins
	shares, err := b.Shares(w.samples(domain), w.supported(domain))
	out := make([]Answer, b.Categories)
	for v := range out {
		out[v] = Answer{Err: err, Bin: binOf(b, v), Shape: true}
		if err == nil {
			out[v].Bin.Consistent = &shares[v]
		}
	}
	return out
}
