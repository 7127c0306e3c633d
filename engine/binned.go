package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// binning is what the reports of a histogram, a frequency or a quantile mean: each is a set of categories.
type binning struct {
	how     survey.Subset
	set     privacy.Categorical // nil for the mechanism none, whose value is the category
	edges   []float64           // of the bins, one more than there are; of a frequency the categories themselves
	wholes  bool                // the categories are whole numbers
	share   float64             // of a quantile, 0 for others
	scratch []uint32            // for one set; counting is for one goroutine
}

// cumulative tells whether the distribution function is wanted.
func (b *binning) cumulative() bool { return b.share > 0 }

// newBinning checks what a plan says of categories. It is nil for statistics without.
func newBinning(s *quadratv1.StatisticPlan, price mechanisms.Price) (*binning, error) {
	b := &binning{share: float64(s.GetShareMicro()) / 1e6}
	bounds := privacy.Bounds{Lo: privacy.Micro(s.GetLoMicro()), Hi: privacy.Micro(s.GetHiMicro())}
	k := s.GetCategories()
	switch s.GetKind() {
	case "histogram", "quantile":
	case "frequency":
		b.wholes = true
	default:
		return nil, nil //nolint:nilnil // no categories is no fault
	}
	if n, ok := bounds.Wholes(); bounds.Validate() != nil || b.wholes && (!ok || n != k) || (s.GetKind() == "quantile") != (b.share > 0 && b.share < 1) {
		return nil, errors.New("bounds, categories and share don't fit")
	}
	b.how = survey.Subset{Categories: int(k), Size: 1, Include: 1}
	if s.GetMechanism() != "none" {
		set, err := mechanisms.CategoricalAt(s.GetMechanism(), price, k)
		if err != nil {
			return nil, err
		}
		sized, ok := set.(interface{ Size() uint32 })
		if !ok || set.Bytes() > 8 {
			return nil, fmt.Errorf("mechanism %q does not fit the statistic", s.GetMechanism())
		}
		b.set, b.how.Size, b.how.Include = set, int(sized.Size()), set.Rates().Truth
	}
	if err := b.how.Check(); err != nil {
		return nil, err
	}
	for i := range k + 1 {
		edge := bounds.Lo.Float64() + (bounds.Hi-bounds.Lo).Float64()*float64(i)/float64(k)
		if b.wholes {
			edge = bounds.Lo.Float64() + float64(i)
		}
		b.edges = append(b.edges, edge)
	}
	return b, nil
}

// support reads the set of a report, a bit for each category; ok is false for a value that no device sends.
func (b *binning) support(value int64) (set uint64, ok bool) {
	if b.set == nil {
		return 1 << (uint64(value) & 63), value >= 0 && value < int64(b.how.Categories)
	}
	var report [8]byte
	binary.LittleEndian.PutUint64(report[:], uint64(value))
	n := b.set.Bytes()
	if bits.Len64(uint64(value)) > 8*n {
		return 0, false
	}
	found, err := b.set.Supported(report[:n], b.scratch[:0])
	b.scratch = found
	if err != nil {
		return 0, false
	}
	for _, c := range found {
		set |= 1 << c
	}
	return set, true
}

// binned tells whether a plan has a statistic of categories.
func (p *plan) binned() bool {
	for i := range p.statistics {
		if p.statistics[i].bins != nil {
			return true
		}
	}
	return false
}

// supported gives what each of the merged strata of a statistic brings to a domain.
func (w *window) supported(statistic, domain int, into map[string]int, strata int) []survey.Support {
	out := make([]survey.Support, strata)
	for i, g := range w.each(statistic) {
		if h, ok := into[w.layout.strata[g.stratum]]; ok && (domain == allCells || domain == g.cell) {
			out[h].Merge(w.supports[i])
		}
	}
	return out
}

// estimateBins makes the results of a statistic of categories in a domain: one for a quantile, one for each category of a
// histogram or a frequency.
func (w *window) estimateBins(statistic, domain int, floor float64) []*quadratv1.Result {
	s := &w.plan.statistics[statistic]
	b := s.bins
	base := w.frameOf(statistic, domain)
	merged, into, notes, err := w.collapsed(statistic, domain)
	states := w.supported(statistic, domain, into, len(merged))
	strata := func(of func(*survey.Support) survey.Moments) []survey.Sample {
		out := append([]survey.Sample(nil), merged...)
		for h := range out {
			out[h].Domain = of(&states[h])
		}
		return out
	}
	if b.cumulative() {
		var estimate survey.Estimate
		if err == nil {
			below := make([][]survey.Sample, b.how.Categories-1)
			for j := range below {
				below[j] = strata(func(x *survey.Support) survey.Moments { return x.Below(b.how, j) })
			}
			estimate, err = survey.Quantile(b.edges, below, b.share, w.plan.confidence)
		}
		w.fill(base, statistic, estimate, notes, err, floor)
		return []*quadratv1.Result{base}
	}
	out := make([]*quadratv1.Result, b.how.Categories)
	shares := make([]float64, b.how.Categories)
	whole := err == nil
	for v := range out {
		r, failed := proto.Clone(base).(*quadratv1.Result), err
		var estimate survey.Estimate
		if failed == nil {
			estimate, failed = survey.Proportion(strata(func(x *survey.Support) survey.Moments { return x.Bin(b.how, v) }), w.plan.confidence)
		}
		r.Bin = &quadratv1.Bin{Index: uint32(v), Low: b.edges[v], High: b.edges[v+1]}
		if b.wholes {
			r.Bin.High = b.edges[v]
		}
		w.fill(r, statistic, estimate, append([]string(nil), notes...), failed, floor)
		shares[v], whole, out[v] = estimate.Value, whole && failed == nil, r
	}
	if whole {
		for v, share := range survey.Simplex(shares) {
			out[v].Bin.Consistent = new(share)
		}
	}
	return out
}

// supports appends the sets' state of a window, in the order of its moments, which hold the counts.
func (w *encoder) supports(each *window) {
	for i := range each.supports {
		s := &each.supports[i]
		if each.moments[i].Count == 0 {
			continue
		}
		w.uint(uint64(len(s.Hits)))
		for _, n := range s.Hits {
			w.int(n)
		}
		w.uint(uint64(len(s.Squares)))
		for _, n := range s.Squares {
			w.int(n)
		}
	}
}

// supports reads what the encoder's supports wrote.
func (r *decoder) supports(w *window) {
	w.supports = make([]survey.Support, len(w.moments))
	for i := range w.supports {
		n := w.moments[i].Count
		if n == 0 {
			continue
		}
		s := survey.Support{}
		for range r.count() {
			s.Hits = append(s.Hits, r.int())
		}
		for range r.count() {
			s.Squares = append(s.Squares, r.int())
		}
		if len(s.Hits) > 0 || len(s.Squares) > 0 { // a statistic without categories has none
			s.Count = n
		}
		if !s.Valid() {
			r.fail()
			return
		}
		w.supports[i] = s
	}
}

// fitsSupports tells whether the sets' state has the shape that the plan asks for.
func (w *window) fitsSupports() bool {
	if !w.plan.binned() {
		return w.supports == nil
	}
	if len(w.supports) != len(w.moments) {
		return false
	}
	groups := len(w.layout.groups)
	for i := range w.supports {
		if w.moments[i].Count == 0 {
			continue
		}
		hits, squares := 0, 0
		if b := w.plan.statistics[i/groups].bins; b != nil {
			hits = b.how.Categories
			if b.cumulative() {
				squares = hits - 1
			}
		}
		if len(w.supports[i].Hits) != hits || len(w.supports[i].Squares) != squares {
			return false
		}
	}
	return true
}
