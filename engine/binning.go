package engine

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/olh"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	"github.com/quadrat-dev/quadrat/privacy/subset"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// wordCategories is how many categories a set in one word can be of. Reports over more of them are kept as they came.
const wordCategories = 64

// binning is what the reports of a histogram, a frequency or a quantile mean: each supports some categories. Those of a
// distribution are counted in as many bins of what the mechanism puts out.
type binning struct {
	categories int
	pure       survey.Pure
	how        survey.Subset       // of up to 64 categories, whose reports are sets in one word
	set        privacy.Categorical // nil for the mechanism none, whose value is the category, and for a distribution
	shape      bool                // a distribution is wanted
	wave       *squarewave.Mechanism
	edges      []float64 // of the bins, one more than there are; of a frequency the categories themselves
	wholes     bool      // the categories are whole numbers
	share      float64   // of a quantile, 0 for others
	// The report read last, and what it supports: memory that no report asks for anew. Counting is for one goroutine.
	report  [mechanisms.ReportBytes]byte
	scratch []uint32
}

// cumulative tells whether the distribution function is wanted.
func (b *binning) cumulative() bool { return b.share > 0 }

// worded tells whether reports are sets in one word.
func (b *binning) worded() bool { return !b.shape && b.categories <= wordCategories }

// newBinning checks what a plan says of categories. It is nil for statistics without.
func newBinning(s *quadratv1.StatisticPlan, price mechanisms.Price) (*binning, error) {
	k := s.GetCategories()
	b := &binning{share: float64(s.GetShareMicro()) / 1e6, categories: int(k)}
	bounds := privacy.Bounds{Lo: privacy.Micro(s.GetLoMicro()), Hi: privacy.Micro(s.GetHiMicro())}
	switch s.GetKind() {
	case "histogram", "quantile":
	case "frequency":
		b.wholes = true
	case kindDistribution:
		b.shape = true
	default:
		return nil, nil //nolint:nilnil // no categories is no fault
	}
	quantile := s.GetKind() == "quantile"
	if n, ok := bounds.Wholes(); bounds.Validate() != nil || b.wholes && (!ok || n != k) ||
		quantile != (b.share > 0 && b.share < 1) || k < 2 || k > b.most() || quantile && !b.worded() {
		return nil, errors.New("bounds, categories and share don't fit")
	}
	if err := b.answeredBy(s.GetMechanism(), price); err != nil {
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

// most is how many categories there may be.
func (b *binning) most() uint32 {
	if b.shape {
		return mechanisms.ShapeBins
	}
	return mechanisms.ReportCategories
}

// answeredBy sets what the mechanism's reports support, and with which probabilities. Up to 64 categories they are sets of
// one size.
func (b *binning) answeredBy(mechanism string, price mechanisms.Price) error {
	b.pure, b.scratch = survey.Pure{Truth: 1}, make([]uint32, 0, b.categories)
	size := 1
	switch {
	case mechanism == "none":
	case b.shape:
		wave, err := mechanisms.ForShape(mechanism, price)
		if err != nil {
			return err
		}
		inside := float64(wave.Window()) * wave.Inside()
		b.wave, b.pure = wave, survey.Pure{Truth: inside, Other: 1 - inside}
		return nil
	default:
		set, err := mechanisms.InReport(mechanism, price, uint32(b.categories))
		if err != nil {
			return err
		}
		rates := set.Rates()
		b.set, b.pure = set, survey.Pure{Truth: rates.Truth, Other: rates.Other}
		if sized, ok := set.(interface{ Size() uint32 }); ok {
			size = int(sized.Size())
		} else if b.worded() {
			return privacy.ErrMechanism
		}
	}
	if b.worded() {
		b.how = survey.Subset{Categories: b.categories, Size: size, Include: b.pure.Truth}
		if err := b.how.Check(); err != nil {
			return err
		}
		b.pure = b.how.Pure()
	}
	return b.pure.Check()
}

// read takes what a report supports, for count, which must follow before the next read; ok is false for a value that no
// device sends. said is what is stored of it: a bit for each category, or the report itself beyond 64 of them.
func (b *binning) read(value int64) (said uint64, ok bool) {
	switch {
	case b.wave != nil:
		if value < 0 || value >= int64(b.wave.Codes()) {
			return 0, false
		}
		bin, err := b.wave.Bin(uint32(value), b.categories)
		b.scratch = append(b.scratch[:0], uint32(bin))
		return uint64(value), err == nil
	case b.set == nil:
		if value < 0 || value >= int64(b.categories) {
			return 0, false
		}
		b.scratch = append(b.scratch[:0], uint32(value))
	default:
		binary.LittleEndian.PutUint64(b.report[:], uint64(value))
		n := b.set.Bytes()
		if bits.Len64(uint64(value)) > 8*n {
			return 0, false
		}
		found, err := b.set.Supported(b.report[:n], b.scratch[:0])
		if err != nil {
			return 0, false
		}
		b.scratch = found
	}
	if !b.worded() {
		return uint64(value), true
	}
	for _, c := range b.scratch {
		said |= 1 << c
	}
	return said, true
}

// count puts the report that was read last, with what read said of it, into the state.
func (b *binning) count(into *survey.Support, said uint64) {
	if b.worded() {
		into.Add(said, b.categories, b.cumulative())
		return
	}
	into.AddEach(b.scratch, b.categories)
}

// store writes what a report said into its row.
func (b *binning) store(row *column.Report, said uint64) {
	row.Categories, row.Include = uint32(b.categories), b.pure.Truth
	if b.worded() {
		row.Answer, row.Size = said, uint32(b.how.Size)
		return
	}
	row.Coded, row.Code, row.Size, row.Other = true, said, 1, b.pure.Other
	if b.wave != nil {
		row.Size = b.wave.Window()
		return
	}
	switch m := b.set.(type) {
	case *subset.Mechanism:
		row.Size = m.Size()
	case *olh.Mechanism:
		row.Size, row.Seeds, row.Root = m.Hashes(), m.Seeds(), m.Root()
	}
}
