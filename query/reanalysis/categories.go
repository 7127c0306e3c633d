package reanalysis

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

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
)

// categories is what reports about categories are of.
type categories struct {
	how    survey.Subset
	edges  []float64
	wholes bool // the categories are whole numbers
}

// categoriesOf reads what the plan says of a stored statistic; nil for one without categories.
func categoriesOf(s *quadratv1.StatisticPlan, device *quadratv1.DevicePlan) (*categories, error) {
	k := int(s.GetCategories())
	if k == 0 || s.GetKind() == "distribution" {
		return nil, nil //nolint:nilnil // no categories is no fault
	}
	if k > setCategories {
		return nil, fmt.Errorf("it has %d categories, and up to %d can be asked again", k, setCategories)
	}
	out := &categories{how: survey.Subset{Categories: k, Size: 1, Include: 1}, wholes: s.GetKind() == kindFrequency}
	if s.GetMechanism() != "none" {
		price := mechanisms.Price{Report: privacy.Epsilon(device.GetEpsilonMicro()), Value: privacy.Epsilon(device.GetEpsilonValueMicro())}
		m, err := mechanisms.InReport(s.GetMechanism(), price, uint32(k))
		if err != nil {
			return nil, fmt.Errorf("its mechanism isn't known: %w", err)
		}
		out.how.Include = m.Rates().Truth
		if sized, ok := m.(interface{ Size() uint32 }); ok {
			out.how.Size = int(sized.Size())
		}
	}
	lo, hi := privacy.Micro(s.GetLoMicro()).Float64(), privacy.Micro(s.GetHiMicro()).Float64()
	for i := range k + 1 {
		edge := lo + (hi-lo)*float64(i)/float64(k)
		if out.wholes {
			edge = lo + float64(i)
		}
		out.edges = append(out.edges, edge)
	}
	return out, out.how.Check()
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
	rest, err := g.strataFor(q, a, windows, domain)
	c, level := a.categories, g.level(q, a, windows)
	g.count(base, rest, windows, domain)
	if a.share > 0 {
		var e survey.Estimate
		if err == nil {
			below := make([][]survey.Sample, c.how.Categories-1)
			for j := range below {
				below[j] = rest.strata(domain, func(s *survey.Support) survey.Moments { return s.Below(c.how, j) })
			}
			e, err = survey.Quantile(c.edges, c.how, below, a.share, level)
		}
		g.tell(a, base, e, err, windows)
		return []*quadratv1.Result{base}
	}
	out, shares, whole := make([]*quadratv1.Result, c.how.Categories), make([]float64, c.how.Categories), err == nil
	for v := range out {
		r := proto.Clone(base).(*quadratv1.Result)
		var e survey.Estimate
		fault := err
		if fault == nil {
			strata := rest.strata(domain, func(s *survey.Support) survey.Moments { return s.Bin(c.how.Pure(), v) })
			e, fault = survey.Share(strata, c.how.Pure(), level)
		}
		r.Bin = &quadratv1.Bin{Index: uint32(v), Low: c.edges[v], High: c.edges[v+1]}
		if c.wholes {
			r.Bin.High = c.edges[v]
		}
		g.tell(a, r, e, fault, windows)
		shares[v], whole, out[v] = e.Value, whole && fault == nil, r
	}
	if whole {
		for v, share := range survey.Simplex(shares) {
			out[v].Bin.Consistent = new(share)
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
	}
	return 0, false
}

// results is how many results the statistic has in one window and cell.
func (a *asked) results() int {
	if a.categories != nil && a.share == 0 {
		return a.categories.how.Categories
	}
	return 1
}
