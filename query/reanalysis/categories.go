package reanalysis

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey"
)

// setCategories is the most categories whose sets are read: a column of numbers holds 53 bits of them exactly.
const setCategories = 53

// Kinds of statistics that need a word.
const (
	kindRatio     = "ratio"
	kindVariance  = "variance"
	kindHistogram = "histogram"
	kindFrequency = "frequency"
	kindQuantile  = "quantile"
	kindMedian    = "median"
	kindShape     = "distribution"
)

// categoriesOf reads what the plan says of a stored statistic; nil for one without categories.
func categoriesOf(s *quadratv1.StatisticPlan, device *quadratv1.DevicePlan) (*categories.Binning, error) {
	price := mechanisms.Price{Report: privacy.Epsilon(device.GetEpsilonMicro()), Value: privacy.Epsilon(device.GetEpsilonValueMicro())}
	b, err := categories.New(s, price)
	switch {
	case err != nil:
		return nil, fmt.Errorf("its plan isn't understood: %w", err)
	case b == nil:
		return nil, nil //nolint:nilnil // no categories is no fault
	case b.Worded() && b.Categories > setCategories:
		return nil, fmt.Errorf("it has %d categories, and up to %d can be asked again", b.Categories, setCategories)
	case !b.Worded() && !b.Shape:
		return nil, fmt.Errorf("it has %d categories, and up to %d can be asked again", b.Categories, setCategories)
	}
	return b, nil
}

// answerColumns are the columns that hold what is said of categories.
func (q *question) answerColumns() []string {
	var out []string
	for _, a := range q.asked {
		name := columnAnswer
		switch {
		case a.categories == nil:
			continue
		case !a.categories.Worded():
			name = columnCode
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// powersOf says how the noise of a stored variance moves the powers of a score; the zero value without noise.
func powersOf(s *quadratv1.StatisticPlan, device *quadratv1.DevicePlan) survey.Powers {
	m, err := mechanisms.ByName(s.GetMechanism(), privacy.Epsilon(device.GetEpsilonMicro()))
	if err != nil {
		return survey.Powers{}
	}
	powered, ok := m.(privacy.Powered)
	if !ok {
		return survey.Powers{}
	}
	law, ok := powered.Powers()
	if !ok {
		return survey.Powers{}
	}
	lo, hi := privacy.Micro(s.GetLoMicro()).Float64(), privacy.Micro(s.GetHiMicro()).Float64()
	return survey.Powers{Centre: (lo + hi) / 2, Scale: (hi - lo) / 2, Variance: law.Variance, Third: law.Third, Fourth: law.Fourth}
}

// rests is the strata that an estimate rests on, and where each stratum of each window stands among them.
type rests struct {
	merged []survey.Sample
	of     []*stratum
	into   []int
	notes  []string
}

// strata gives the merged strata with moments that are made of the sets in a domain.
func (r *rests) strata(domain int, moments func(*survey.Support) survey.Moments) []survey.Sample {
	out := slices.Clone(r.merged)
	for h := range out {
		out[h].Domain, out[h].Tails = survey.Moments{}, survey.Tails{}
	}
	for i, s := range r.of {
		of := s.in(domain)
		out[r.into[i]].Domain.Merge(moments(&of.support))
	}
	return out
}

// bins makes the results of a statistic of categories like base: one of a quantile, else one for each category.
func (g *gathered) bins(q *question, a *asked, windows []int64, domain int, base *quadratv1.Result) []*quadratv1.Result {
	c := a.categories
	if c.Shape {
		return g.shape(q, a, windows, domain, base)
	}
	solve := g.binSolver(q, a, windows, domain, base)
	if a.share > 0 {
		e, err := solve(0)
		g.tell(q, a, base, e, err, windows)
		return []*quadratv1.Result{base}
	}
	out, shares, whole := make([]*quadratv1.Result, c.Categories), make([]float64, c.Categories), true
	for v := range out {
		e, fault := solve(v)
		r := proto.Clone(base).(*quadratv1.Result)
		r.Bin = &quadratv1.Bin{Index: uint32(v)}
		r.Bin.Low, r.Bin.High = c.Bin(v)
		g.tell(q, a, r, e, fault, windows)
		shares[v], whole, out[v] = e.Value, whole && fault == nil, r
	}
	if whole {
		for v, share := range survey.Simplex(shares) {
			out[v].Bin.Consistent = new(share)
		}
	}
	return out
}

// binSolver gives what estimates a category in a domain, or the quantile, and counts who answered.
func (g *gathered) binSolver(
	q *question, a *asked, windows []int64, domain int, base *quadratv1.Result,
) func(category int) (survey.Estimate, error) {
	g.count(base, a.stored, windows, domain)
	if g.byUnits(q, a, windows) {
		return func(category int) (survey.Estimate, error) {
			e, notes, err := g.solveUnits(q, a, windows, domain, category)
			note(base, notes)
			return e, err
		}
	}
	rest, err := g.strataFor(q, a, windows, domain)
	c, level := a.categories, g.level(q, a, windows)
	if err == nil {
		note(base, rest.notes)
	}
	return func(category int) (survey.Estimate, error) {
		switch {
		case err != nil:
			return survey.Estimate{}, err
		case a.share > 0:
			below := make([][]survey.Sample, c.Categories-1)
			for j := range below {
				below[j] = rest.strata(domain, func(s *survey.Support) survey.Moments { return s.Below(c.How, j) })
			}
			return survey.Quantile(c.Edges, c.How, below, a.share, level)
		}
		strata := rest.strata(domain, func(s *survey.Support) survey.Moments { return s.Bin(c.Pure, category) })
		return survey.Share(strata, c.Pure, level)
	}
}

// shapeNote stands in every result of a shape, as in the live results.
const shapeNote = "for display only: the share is that of a reconstructed shape (penalised likelihood), biased, without value and interval; histogram and " +
	"quantile give intervals"

// shape reconstructs a distribution from the answers in a domain, one result for each bin.
func (g *gathered) shape(q *question, a *asked, windows []int64, domain int, base *quadratv1.Result) []*quadratv1.Result {
	g.count(base, a.stored, windows, domain)
	rest, err := g.strataFor(q, a, windows, domain)
	var shares []float64
	if err == nil {
		note(base, rest.notes)
		states := make([]survey.Support, len(rest.merged))
		for i, s := range rest.of {
			of := s.in(domain)
			states[rest.into[i]].Merge(of.support)
		}
		shares, err = a.categories.Shares(rest.merged, states)
	}
	base.Warnings = append(base.Warnings, shapeNote)
	if err != nil {
		base.Warnings = append(base.Warnings, "no estimate: "+err.Error())
	}
	base.ResponseRate = g.answered(a, windows)
	out := make([]*quadratv1.Result, a.categories.Categories)
	for v := range out {
		out[v] = proto.Clone(base).(*quadratv1.Result)
		out[v].Bin = &quadratv1.Bin{Index: uint32(v)}
		out[v].Bin.Low, out[v].Bin.High = a.categories.Bin(v)
		if err == nil {
			out[v].Bin.Consistent = new(shares[v])
		}
	}
	return out
}

// answersBins tells whether reports about categories answer a statistic, and which share of it when it is a quantile.
func answersBins(p *quadratv1.StatisticPlan, s *script.Statistic) (share float64, ok bool) {
	of := p.GetKind() == kindHistogram || p.GetKind() == kindQuantile
	switch s.Kind {
	case kindQuantile:
		return s.Number.Value, of
	case kindMedian:
		return 0.5, of
	case kindHistogram:
		return 0, of && float64(p.GetCategories()) == s.Number.Value
	case kindFrequency:
		return 0, p.GetKind() == kindFrequency
	case kindShape:
		return 0, p.GetKind() == kindShape && (s.Number == nil || float64(p.GetCategories()) == s.Number.Value)
	}
	return 0, false
}

// results is how many results the statistic has in one window and cell.
func (a *asked) results() int {
	if a.categories != nil && a.share == 0 {
		return a.categories.Categories
	}
	return 1
}
