package reanalysis

import (
	"encoding/json"
	"math"
	"runtime"

	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey"
)

// The columns of a stored report that are read.
const (
	columnWindow    = "window_start"
	columnScore     = "score"
	columnNoise     = "noise_variance"
	columnStatistic = "statistic"
	columnStratum   = "stratum"
	columnCell      = "cell"
	columnRandom    = "random"
	columnAnswer    = "answer"
	columnCode      = "answer_code"
	columnDevice    = "device"
	columnCluster   = "cluster"
	columnSize      = "cluster_population"
	columnClusters  = "stratum_clusters"
	columnUnits     = "units"
	columnCounts    = "unit_counts"
)

// slotKey names a combination whose scores are added up.
type slotKey struct{ statistic, stratum, cell string }

// sum is what is kept of the scores of one combination in one window: their number, and sums of their distances from the slot's
// centre. It is all that moments need, and takes four additions a report.
type sum struct {
	n              int64
	first, squares float64
	noise          float64
	centre         float64 // of the slot
}

// fold adds up the reports of one reader.
type fold struct {
	question *question
	wanted   map[string]*categories.Binning // by stored name of the statistics what answers mean; nil for scores
	slots    []slot
	known    map[slotKey]int32
	table    []int32 // [(statistic·strata + stratum)·cells + cell] → slot + 1, −1 for one that isn't wanted, 0 for not seen
	strata   int     // dimensions of table
	cells    int
	windows  map[int64][]sum   // by start, then by slot
	extras   map[int64][]extra // the same; nil unless the question needs them
	rows     int64
	shares   func(startMs int64) (from, below float64) // which random numbers count in a window; nil for all
	singles  []kept                                    // reports that are kept by themselves
	devices  []uint64                                  // pseudonyms by code
	clusters []string                                  // names by code
	members  map[memberKey]*member                     // of a sample of clusters, in place of windows and extras
}

// slot is a combination, and the number that its scores are measured from.
type slot struct {
	slotKey

	centre float64
	how    *categories.Binning // of categories; nil for scores
}

func newFold(q *question, shares func(int64) (from, below float64)) *fold {
	f := &fold{question: q, shares: shares, wanted: map[string]*categories.Binning{}, known: map[slotKey]int32{}, windows: map[int64][]sum{}}
	for _, a := range q.asked {
		f.wanted[a.stored] = nil
		if a.categories != nil {
			f.wanted[a.stored] = a.categories.Counter()
		}
		if a.below != "" {
			f.wanted[a.below] = nil
		}
	}
	if q.needsMore() {
		f.extras = map[int64][]extra{}
	}
	if q.clustered {
		f.members = map[memberKey]*member{}
	}
	return f
}

// read adds up the reports in the files on all cores: all of them, or those with random numbers in a window's share.
func read(q *question, files *tabular.Files, shares func(int64) (from, below float64)) ([]*fold, error) {
	var folds []*fold
	want := tabular.Want{
		Numbers: []string{columnWindow, columnScore, columnNoise}, Labels: []string{columnStatistic, columnStratum, columnCell},
	}
	want.Numbers = append(want.Numbers, q.answerColumns()...)
	switch {
	case q.clustered:
		want.Numbers = append(want.Numbers, columnSize, columnClusters)
		want.Labels = append(want.Labels, columnCluster, columnDevice)
		if q.gateways {
			want.Numbers, want.Labels = append(want.Numbers, columnUnits), append(want.Labels, columnCounts)
		}
	case q.kept != nil:
		want.Labels = append(want.Labels, columnDevice)
	}
	part := tabular.Part{Bound: q.bound()}
	if shares != nil {
		want.Numbers = append(want.Numbers, columnRandom)
		part.Cut = &tabular.Cut{Group: columnWindow, Order: columnRandom, Between: shares}
	}
	err := files.Blocks(want, part, runtime.GOMAXPROCS(0), func() func(*tabular.Table) error {
		f := newFold(q, shares)
		folds = append(folds, f)
		return f.block
	})
	return folds, err
}

// bound is the windows that are asked for.
func (q *question) bound() *tabular.Bound {
	return &tabular.Bound{Column: columnWindow, Least: q.since, Most: q.until}
}

// block adds a block of rows. Rows of a window stand together, so the window is looked up once for each run of them.
func (f *fold) block(t *tabular.Table) error {
	b := f.columns(t)
	if b.clusters != nil {
		f.clusters = b.clusters.Levels
	}
	f.resize(len(b.statistics.Levels), len(b.strata.Levels), len(b.cells.Levels))
	for from := 0; from < t.Rows; {
		start, to := b.run(from, t.Rows)
		if start >= float64(f.question.since) && start < float64(f.question.until) {
			if err := f.take(int64(start), b, from, to); err != nil {
				return err
			}
		}
		from = to
	}
	f.rows += int64(t.Rows)
	return nil
}

// take adds rows of one window.
func (f *fold) take(start int64, b *columns, from, to int) error {
	if f.members != nil {
		return f.join(start, b, from, to)
	}
	f.add(start, b, from, to)
	if f.extras != nil {
		if err := f.rest(start, b, from, to); err != nil {
			return err
		}
	}
	if f.question.kept != nil {
		return f.keep(start, b, from, to)
	}
	return nil
}

// share is which random numbers count in a window.
func (f *fold) share(start int64) (from, below float64) {
	if f.shares == nil {
		return 0, 1
	}
	return f.shares(start)
}

// at is the place of a row's combination in the table.
func (f *fold) at(b *columns, i int) int {
	return (int(b.statistics.Codes[i])*f.strata+int(b.strata.Codes[i]))*f.cells + int(b.cells.Codes[i])
}

// columns is a block of rows by column. Numbers that stand in a dictionary have indices into entries, others stand in entries themselves.
type columns struct {
	statistics, strata, cells  *tabular.Labels
	scores, randoms            []float64 // randoms is nil when all rows count
	answers, codes             []float64 // of categories; nil when none are asked for
	devices, clusters, counts  *tabular.Labels
	sizes, numbers, units      []float64 // of clusters
	starts, noise              []float64 // entries
	startIndices, noiseIndices []int32   // nil without a dictionary
}

func (f *fold) columns(t *tabular.Table) *columns {
	b := &columns{
		statistics: t.Label(columnStatistic), strata: t.Label(columnStratum), cells: t.Label(columnCell), scores: t.Number(columnScore),
	}
	if f.shares != nil {
		b.randoms = t.Number(columnRandom)
	}
	b.answers, b.codes = t.Number(columnAnswer), t.Number(columnCode)
	b.devices, b.clusters, b.counts = t.Label(columnDevice), t.Label(columnCluster), t.Label(columnCounts)
	if f.members != nil {
		b.sizes, b.numbers, b.units = t.Number(columnSize), t.Number(columnClusters), t.Number(columnUnits)
	}
	if b.startIndices, b.starts = t.Coded(columnWindow); b.startIndices == nil {
		b.starts = t.Number(columnWindow)
	}
	if b.noiseIndices, b.noise = t.Coded(columnNoise); b.noiseIndices == nil {
		b.noise = t.Number(columnNoise)
	}
	return b
}

// run gives the window of a row and the first row after it, up to another, that is of another window.
func (b *columns) run(from, most int) (start float64, to int) {
	to = from + 1
	if b.startIndices != nil {
		for first := b.startIndices[from]; to < most && b.startIndices[to] == first; {
			to++
		}
		return b.starts[b.startIndices[from]], to
	}
	for first := b.starts[from]; to < most && b.starts[to] == first; {
		to++
	}
	return b.starts[from], to
}

// answer is what a row says of categories, a set or a code.
func (b *columns) answer(how *categories.Binning, i int) uint64 {
	x := 0.0
	switch {
	case how.Worded() && b.answers != nil:
		x = b.answers[i]
	case !how.Worded() && b.codes != nil:
		x = b.codes[i]
	}
	if !(x >= 0 && x < 1<<setCategories) {
		return math.MaxUint64 // that nobody sends
	}
	return uint64(x)
}

// noiseOf is the noise of a row's score.
func (b *columns) noiseOf(i int) float64 {
	if b.noiseIndices != nil {
		return b.noise[b.noiseIndices[i]]
	}
	return b.noise[i]
}

// add adds rows of one window.
func (f *fold) add(start int64, b *columns, first, last int) {
	from, below := f.share(start)
	sums := f.windows[start]
	statistics, strata, cells := b.statistics.Codes[:last], b.strata.Codes[:last], b.cells.Codes[:last]
	for i := first; i < last; i++ {
		if b.randoms != nil && !(b.randoms[i] >= from && b.randoms[i] < below) {
			continue
		}
		at := (int(statistics[i])*f.strata+int(strata[i]))*f.cells + int(cells[i])
		place := f.table[at]
		if place == 0 {
			place = f.place(at, slotKey{b.statistics.Levels[statistics[i]], b.strata.Levels[strata[i]], b.cells.Levels[cells[i]]}, b.scores[i])
		}
		if place < 0 {
			continue
		}
		if int(place) > len(sums) {
			sums = append(sums, make([]sum, len(f.slots)-len(sums))...)
			for k := range sums {
				sums[k].centre = f.slots[k].centre
			}
			f.windows[start] = sums
		}
		to := &sums[place-1]
		if f.extras != nil && f.slots[place-1].how != nil {
			to.n++
			continue
		}
		d := b.scores[i] - to.centre
		to.n++
		to.first += d
		to.squares += d * d
		to.noise += b.noiseOf(i)
	}
}

// resize makes room in the table when labels were seen that are new. Label codes never change, so what it holds is found again.
func (f *fold) resize(statistics, strata, cells int) {
	if statistics*strata*cells == len(f.table) && strata == f.strata && cells == f.cells {
		return
	}
	f.table, f.strata, f.cells = make([]int32, statistics*strata*cells), strata, cells
}

// place gives the slot of a combination that the table doesn't know.
func (f *fold) place(at int, key slotKey, score float64) int32 {
	place, known := f.known[key]
	if !known {
		place = -1
		how, wanted := f.wanted[key.statistic]
		if wanted && math.IsNaN(score) == (how != nil) {
			if how != nil {
				score = 0
			}
			f.slots = append(f.slots, slot{slotKey: key, centre: score, how: how})
			place = int32(len(f.slots))
		}
		f.known[key] = place
	}
	f.table[at] = place
	return place
}

// moments turns sums into moments about their mean.
func (s *sum) moments() survey.Moments {
	if s.n == 0 {
		return survey.Moments{}
	}
	mean := s.first / float64(s.n)
	return survey.Moments{Count: s.n, Mean: s.centre + mean, M2: max(0, s.squares-s.first*mean), Noise: s.noise}
}

// cellOf reads a stored cell.
func cellOf(text string) (map[string]string, error) {
	values := map[string]string{}
	if text == "" || text == "{}" {
		return values, nil
	}
	err := json.Unmarshal([]byte(text), &values)
	return values, err
}
