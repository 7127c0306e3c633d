package categories

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// Word is the most categories whose reports are sets in one word. Reports over more of them are kept as they came.
const Word = 64

// leastReports is how many reports a shape needs.
const leastReports = 2

// Kinds of statistics whose reports are about categories.
const (
	Histogram    = "histogram"
	Frequency    = "frequency"
	Quantile     = "quantile"
	Distribution = "distribution"
)

// mechanismNone is what plans and rows call answers without noise.
const mechanismNone = "none"

// Is tells whether the reports of a kind of statistic are about categories, so that they have no score.
func Is(kind string) bool {
	switch kind {
	case Histogram, Frequency, Quantile, Distribution:
		return true
	}
	return false
}

// Binning is what the reports of a histogram, a frequency or a quantile mean: each supports some categories. Those of a
// distribution are counted in as many bins of what the mechanism puts out. Reading and adding use memory of its own, so that it is for
// one goroutine at a time; its fields are not to be changed.
type Binning struct {
	Categories int // 2 to 1,024, of a quantile up to 64, of a distribution up to 256
	Pure       survey.Pure
	How        survey.Subset       // of up to 64 categories, whose reports are sets in one word
	Set        privacy.Categorical // nil for the mechanism none, whose value is the category, for a distribution, and where rows tell sets
	Shape      bool                // a distribution is wanted
	Wave       *squarewave.Mechanism
	Edges      []float64 // of the bins, one more than there are; of a frequency the categories themselves
	Wholes     bool      // the categories are whole numbers
	Share      float64   // of a quantile, in (0, 1); 0 for others
	// The report read last, and what it supports: memory that no report asks for anew.
	report  [mechanisms.ReportBytes]byte
	scratch []uint32
}

// Cumulative tells whether the distribution function is wanted.
func (b *Binning) Cumulative() bool { return b.Share > 0 }

// Worded tells whether reports are sets in one word.
func (b *Binning) Worded() bool { return !b.Shape && b.Categories <= Word }

// New checks what a plan says of a statistic of categories, and at what price its reports were made. It is nil for statistics without
// categories.
func New(s *quadratv1.StatisticPlan, price mechanisms.Price) (*Binning, error) {
	k := s.GetCategories()
	b := &Binning{Share: float64(s.GetShareMicro()) / 1e6, Categories: int(k)}
	bounds := privacy.Bounds{Lo: privacy.Micro(s.GetLoMicro()), Hi: privacy.Micro(s.GetHiMicro())}
	switch s.GetKind() {
	case Histogram, Quantile:
	case Frequency:
		b.Wholes = true
	case Distribution:
		b.Shape = true
	default:
		return nil, nil //nolint:nilnil // no categories is no fault
	}
	quantile := s.GetKind() == Quantile
	if n, ok := bounds.Wholes(); bounds.Validate() != nil || b.Wholes && (!ok || n != k) ||
		quantile != (b.Share > 0 && b.Share < 1) || k < 2 || k > b.most() || quantile && !b.Worded() {
		return nil, errors.New("bounds, categories and share don't fit")
	}
	if err := b.answeredBy(s.GetMechanism(), price); err != nil {
		return nil, err
	}
	b.cut(bounds)
	return b, nil
}

// cut makes the edges.
func (b *Binning) cut(bounds privacy.Bounds) {
	for i := range b.Categories + 1 {
		edge := bounds.Lo.Float64() + (bounds.Hi-bounds.Lo).Float64()*float64(i)/float64(b.Categories)
		if b.Wholes {
			edge = bounds.Lo.Float64() + float64(i)
		}
		b.Edges = append(b.Edges, edge)
	}
}

// Bin gives the edges of a category; of a frequency both are the category.
func (b *Binning) Bin(v int) (low, high float64) {
	if b.Wholes {
		return b.Edges[v], b.Edges[v]
	}
	return b.Edges[v], b.Edges[v+1]
}

// most is how many categories there may be.
func (b *Binning) most() uint32 {
	if b.Shape {
		return mechanisms.ShapeBins
	}
	return mechanisms.ReportCategories
}

// answeredBy sets what the mechanism's reports support, and with which probabilities. Up to 64 categories they are sets of
// one size.
func (b *Binning) answeredBy(mechanism string, price mechanisms.Price) error {
	b.Pure, b.scratch = survey.Pure{Truth: 1}, make([]uint32, 0, b.Categories)
	size := 1
	switch {
	case mechanism == mechanismNone:
	case b.Shape:
		wave, err := mechanisms.ForShape(mechanism, price)
		if err != nil {
			return err
		}
		inside := float64(wave.Window()) * wave.Inside()
		b.Wave, b.Pure = wave, survey.Pure{Truth: inside, Other: 1 - inside}
		return nil
	default:
		set, err := mechanisms.InReport(mechanism, price, uint32(b.Categories))
		if err != nil {
			return err
		}
		rates := set.Rates()
		b.Set, b.Pure = set, survey.Pure{Truth: rates.Truth, Other: rates.Other}
		if sized, ok := set.(interface{ Size() uint32 }); ok {
			size = int(sized.Size())
		} else if b.Worded() {
			return privacy.ErrMechanism
		}
	}
	if b.Worded() {
		b.How = survey.Subset{Categories: b.Categories, Size: size, Include: b.Pure.Truth}
		if err := b.How.Check(); err != nil {
			return err
		}
		b.Pure = b.How.Pure()
	}
	return b.Pure.Check()
}

// Read takes what a report supports, for [Binning.Count], which must follow before the next Read; ok is false for a value that no
// device sends. said is what is stored of it: a bit for each category, or the report itself beyond 64 of them.
func (b *Binning) Read(value int64) (said uint64, ok bool) {
	switch {
	case b.Wave != nil:
		if value < 0 || value >= int64(b.Wave.Codes()) {
			return 0, false
		}
		bin, err := b.Wave.Bin(uint32(value), b.Categories)
		b.scratch = append(b.scratch[:0], uint32(bin))
		return uint64(value), err == nil
	case b.Set == nil:
		if value < 0 || value >= int64(b.Categories) {
			return 0, false
		}
		b.scratch = append(b.scratch[:0], uint32(value))
	default:
		binary.LittleEndian.PutUint64(b.report[:], uint64(value))
		n := b.Set.Bytes()
		if bits.Len64(uint64(value)) > 8*n {
			return 0, false
		}
		found, err := b.Set.Supported(b.report[:n], b.scratch[:0])
		if err != nil {
			return 0, false
		}
		b.scratch = found
	}
	if !b.Worded() {
		return uint64(value), true
	}
	for _, c := range b.scratch {
		said |= 1 << c
	}
	return said, true
}

// Counter gives a copy with memory of its own for another goroutine, whose counts serve every share and every category.
func (b *Binning) Counter() *Binning {
	out := *b
	out.scratch = make([]uint32, 0, b.Categories)
	if out.Worded() && out.Share == 0 {
		out.Share = 0.5
	}
	return &out
}

// Of gives a copy that wants a quantile, or every category with a share of 0. It counts nothing.
func (b *Binning) Of(share float64) *Binning {
	out := *b
	out.scratch, out.Share = nil, share
	return &out
}

// Supported is the categories that the report read last supports, until the next Read.
func (b *Binning) Supported() []uint32 { return b.scratch }

// Count puts the report that was read last, with what Read said of it, into the state.
func (b *Binning) Count(into *survey.Support, said uint64) {
	if b.Worded() {
		into.Add(said, b.Categories, b.Cumulative())
		return
	}
	into.AddEach(b.scratch, b.Categories)
}

// Shares reconstructs the shape of a distribution, one share for each bin, which sum to 1; states[h] is of strata[h]. The weighted counts are scaled to
// the number of reports of like weight that tell as much, (Σw)²/Σw² (Kish 1965): by it the likelihood is held against the penalty.
// Without noise the weighted shares are the shape. It fails with [survey.NoDomain] below two reports.
func (b *Binning) Shares(strata []survey.Sample, states []survey.Support) ([]float64, error) {
	counts, reports, sum, squares := make([]float64, b.Categories), int64(0), 0.0, 0.0
	for h := range states {
		weight := float64(strata[h].Population) / float64(max(1, strata[h].Responses))
		reports += states[h].Count
		for v, n := range states[h].Hits {
			counts[v] += weight * float64(n)
			sum += weight * float64(n)
			squares += weight * weight * float64(n)
		}
	}
	if reports < leastReports {
		return nil, &survey.Error{Code: survey.NoDomain, Detail: "a shape needs two reports"}
	}
	scale := sum / squares
	if b.Wave == nil {
		scale = 1 / sum
	}
	for v := range counts {
		counts[v] *= scale
	}
	if b.Wave == nil {
		return counts, nil
	}
	tally, err := b.Wave.TallyOf(counts)
	if err != nil {
		return nil, err
	}
	shape, err := tally.Shape(squarewave.Penalised)
	return shape.Share, err
}
