package estimate

import (
	"errors"
	"math"
	"runtime"
	"slices"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey/inference"
)

// errRows says that the answer needs the rows: they give it, or say what is wrong with which of them.
var errRows = errors.New("estimate: the rows are needed")

// streams says whether moments of each stratum are enough for all that is asked, so that no row has to be kept.
func (p *plan) streams(reports []string) bool {
	if reports != nil || len(p.Cluster) > 0 || len(p.FPC) > 1 || len(p.By) > 0 || p.where != nil || p.NoiseVariance != "" ||
		p.Pi != "" || p.Phase2 != "" || p.margins != nil || p.auxiliary != nil || p.replicates != nil {
		return false
	}
	for _, s := range p.statistics {
		switch s.kind {
		case inference.Mean, inference.Total, inference.Ratio, inference.Proportion:
		case inference.Variance, inference.Quantile:
			return false
		}
	}
	return true
}

// stream answers from moments alone. An error means that the rows must answer.
func (p *plan) stream(w tabular.Want) ([]Result, error) {
	var folds []*fold
	err := tabular.Blocks(p.Data, w, runtime.GOMAXPROCS(0), func() func(*tabular.Table) error {
		f := &fold{plan: p, moments: make([][]inference.Moments, len(p.statistics))}
		folds = append(folds, f)
		return f.block
	})
	if err != nil {
		return nil, err
	}
	strata, err := merged(folds, len(p.statistics))
	if err != nil {
		return nil, err
	}
	r := &runner{plan: p}
	for i := range p.statistics {
		sample := inference.Stratified{Strata: strata[i], Weighted: p.Weight != "", Confidence: p.Confidence, Interval: p.interval}
		e, err := sample.Estimate(p.statistics[i].kind)
		if err = r.answer(&p.statistics[i], map[string]string{}, e, err); err != nil {
			return nil, err
		}
	}
	return r.results, nil
}

// merged returns the strata of each statistic over all readers.
func merged(folds []*fold, statistics int) ([][]inference.Stratum, error) {
	strata := make([][]inference.Stratum, statistics)
	index := make(map[string]int)
	for _, f := range folds {
		for code, name := range f.levels {
			at, ok := index[name]
			if !ok {
				at = len(index)
				index[name] = at
				for i := range strata {
					strata[i] = append(strata[i], inference.Stratum{Name: name, Size: f.sizes[code]})
				}
			}
			for i := range strata {
				h := &strata[i][at]
				if h.Size != f.sizes[code] {
					return nil, errRows
				}
				h.Moments.Merge(f.moments[i][code])
			}
		}
	}
	return strata, nil
}

// fold is one reader's moments, with room for a block in the order of its strata.
type fold struct {
	*plan
	levels  []string              // of the strata
	sizes   []float64             // of each stratum; 0 without
	moments [][]inference.Moments // of each statistic and stratum
	quick   inference.Block
	starts  []int32 // where each stratum begins in order; one more for the end
	order   []int32 // the rows by stratum
	ones    []float64
	bits    []float64
	kept    []int32
	w, y, x []float64
}

// block adds a block.
func (f *fold) block(t *tabular.Table) error {
	weights := f.weights(t)
	codes, err := f.strata(t)
	if err != nil {
		return err
	}
	only, sorted := single(codes), false
	for i := range f.statistics {
		y, x := f.values(t, &f.statistics[i])
		if only < 0 && x == nil && f.quick.Add(f.moments[i], codes, weights, y) {
			continue
		}
		if !sorted {
			f.sort(codes, only, t.Rows)
			sorted = true
		}
		if err := f.slow(i, only, weights, y, x); err != nil {
			return err
		}
	}
	return nil
}

// slow adds a block stratum by stratum.
func (f *fold) slow(i, only int, weights, y, x []float64) error {
	positive := true
	for _, w := range weights {
		if !(w >= 0) {
			return errRows
		}
		positive = positive && w > 0
	}
	whole := positive && present(y) && present(x)
	switch {
	case whole && only >= 0:
		f.moments[i][only].AddRows(weights, y, x)
		return nil
	case !whole && !f.DropMissing && positive:
		return errRows
	}
	for h := range f.levels {
		rows := f.order[f.starts[h]:f.starts[h+1]]
		if len(rows) > 0 && !f.gather(&f.moments[i][h], rows, weights, y, x, whole) {
			return errRows
		}
	}
	return nil
}

func (f *fold) weights(t *tabular.Table) []float64 {
	if f.Weight != "" {
		return t.Number(f.Weight)
	}
	for len(f.ones) < t.Rows {
		f.ones = append(f.ones, 1)
	}
	return f.ones[:t.Rows]
}

// strata returns the stratum of each row, nil when there is one, after a check that each stratum has one size.
func (f *fold) strata(t *tabular.Table) ([]int32, error) {
	var codes []int32
	f.levels = []string{""}
	if f.Stratum != "" {
		l := t.Label(f.Stratum)
		codes, f.levels = l.Codes, l.Levels
		for _, code := range codes {
			if code < 0 {
				return nil, errRows
			}
		}
	}
	for len(f.sizes) < len(f.levels) {
		f.sizes = append(f.sizes, 0)
		for i := range f.moments {
			f.moments[i] = append(f.moments[i], inference.Moments{})
		}
	}
	if len(f.FPC) == 0 {
		return codes, nil
	}
	sizes := f.sizes
	if codes == nil {
		for _, size := range t.Number(f.FPC[0]) {
			if size != sizes[0] && !f.resize(0, size) {
				return nil, errRows
			}
		}
		return nil, nil
	}
	if indices, entries := t.Coded(f.FPC[0]); indices != nil {
		for k, code := range codes {
			if size := entries[indices[k]]; size != sizes[code] && !f.resize(code, size) {
				return nil, errRows
			}
		}
		return codes, nil
	}
	for k, size := range t.Number(f.FPC[0]) {
		if size != sizes[codes[k]] && !f.resize(codes[k], size) {
			return nil, errRows
		}
	}
	return codes, nil
}

// resize sets the size of a stratum that has none.
func (f *fold) resize(code int32, size float64) bool {
	if f.sizes[code] != 0 || !(size > 0) {
		return false
	}
	f.sizes[code] = size
	return true
}

// single returns the stratum of a block's rows when there is one only, and −1 otherwise.
func single(codes []int32) int {
	if codes == nil {
		return 0
	}
	for _, code := range codes {
		if code != codes[0] {
			return -1
		}
	}
	return int(codes[0])
}

// sort orders a block's rows by stratum.
func (f *fold) sort(codes []int32, only, rows int) {
	f.order = slices.Grow(f.order[:0], rows)[:rows]
	f.starts = append(f.starts[:0], make([]int32, len(f.levels)+1)...)
	ends := f.starts[1:]
	if only >= 0 {
		for h := only; h < len(ends); h++ {
			ends[h] = int32(rows)
		}
		for k := range f.order {
			f.order[k] = int32(k)
		}
		return
	}
	for _, code := range codes {
		ends[code]++
	}
	sum := int32(0)
	for h, count := range ends {
		ends[h] = sum // where it begins, until the rows are in place
		sum += count
	}
	for k, code := range codes {
		f.order[ends[code]] = int32(k)
		ends[code]++
	}
}

// values returns the columns of a statistic; x is nil but for a ratio.
func (f *fold) values(t *tabular.Table, s *statistic) (y, x []float64) {
	if s.condition == nil {
		return t.Number(s.y), t.Number(s.x)
	}
	f.bits = f.bits[:0]
	for _, truth := range s.condition.Eval(t) {
		switch truth {
		case tabular.True:
			f.bits = append(f.bits, 1)
		case tabular.Unknown:
			f.bits = append(f.bits, missing)
		case tabular.False:
			f.bits = append(f.bits, 0)
		}
	}
	return f.bits, nil
}

func present(values []float64) bool {
	return !slices.ContainsFunc(values, math.IsNaN)
}

// gather adds some rows to the moments of their stratum. Rows without a weight or with a missing value are outside the
// domain; it says whether a missing value may be.
func (f *fold) gather(m *inference.Moments, rows []int32, weights, y, x []float64, whole bool) bool {
	if !whole {
		var ok bool
		if rows, ok = f.inside(m, rows, weights, y, x); !ok {
			return false
		}
	}
	picked(&f.w, weights, rows)
	picked(&f.y, y, rows)
	if x == nil {
		m.AddRows(f.w, f.y, nil)
		return true
	}
	picked(&f.x, x, rows)
	m.AddRows(f.w, f.y, f.x)
	return true
}

// inside adds the rows outside the domain and returns the others.
func (f *fold) inside(m *inference.Moments, rows []int32, weights, y, x []float64) ([]int32, bool) {
	f.kept = f.kept[:0]
	weighted, weight := int64(0), 0.0
	for _, row := range rows {
		w := weights[row]
		lacking := math.IsNaN(y[row]) || (x != nil && math.IsNaN(x[row]))
		switch {
		case w == 0:
		case !lacking:
			f.kept = append(f.kept, row)
		case !f.DropMissing:
			return nil, false
		default:
			weighted++
			weight += w
		}
	}
	m.AddOutside(int64(len(rows)-len(f.kept)), weighted, weight)
	return f.kept, true
}

// picked sets to to some of the values.
func picked(to *[]float64, values []float64, rows []int32) {
	out := slices.Grow((*to)[:0], len(rows))[:len(rows)]
	for i, row := range rows {
		out[i] = values[row]
	}
	*to = out
}
