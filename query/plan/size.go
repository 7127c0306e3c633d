package plan

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/query/script"
)

// lapMost bounds the lap of a panel that rotates without a budget, where any length would do.
const lapMost = 1440

// counted plans n DEVICES and x PERCENT: with the fewest reports per period, hence the most epsilon for each, that give so
// many devices a window.
func (q *question) counted(f *frame, list []int64) (*design, error) {
	if q.clustered() != "" {
		return q.countedClusters(f, list)
	}
	number := q.script.Sample.Number.Value
	n := int(min(number, math.MaxInt32))
	if q.script.Sample.Size == script.Percent {
		n = int(math.Round(float64(f.size) * number / 100))
	}
	if least := answersLeast * q.slots(); n < least {
		return nil, &Infeasible{
			Reason: fmt.Sprintf("a panel of %s can't give two reports to each of %s",
				plural(n, "device"), q.slotsText()),
			BestPanel: f.size,
			Options:   []string{fmt.Sprintf("SAMPLE %d DEVICES", least)},
		}
	}
	d, last, err := q.first(f, list, n)
	if d == nil && err == nil {
		return nil, last.tooMany(n)
	}
	return d, err
}

// first is the design with the fewest reports per device and period that draws n devices, or clusters, a window; nil when
// none does, and last is then the one that came nearest.
func (q *question) first(f *frame, list []int64, n int) (found, last *design, err error) {
	for _, reports := range list {
		d, err := q.with(f, reports)
		if err != nil {
			var small *Infeasible
			if errors.As(err, &small) && reports != list[len(list)-1] {
				continue
			}
			return nil, nil, err
		}
		d.narrow(n)
		last = d
		if sum(d.most()) < n {
			continue
		}
		d.exact, err = d.share(n)
		if err != nil {
			return nil, nil, fmt.Errorf("plan: %w", err)
		}
		d.rotate()
		return d, nil, nil
	}
	return nil, last, nil
}

// narrow collapses strata until n devices give two answers to each statistic in each.
func (d *design) narrow(n int) {
	for len(d.strata) > 1 && len(d.strata)*answersLeast*d.q.slots() > n {
		smallest := slices.MinFunc(d.strata, func(a, b stratum) int { return a.units - b.units })
		d.strata = collapseAll(d.strata, smallest.units+1)
	}
}

// rotate gives a panel without a budget of a period a lap, so that devices take turns.
func (d *design) rotate() {
	if d.q.local() && !d.q.kept() || d.q.fixed() {
		return
	}
	d.lap = lapMost
	for h, n := range d.exact {
		d.lap = min(d.lap, int64(d.strata[h].units/n))
	}
}

// tooMany is the error that so many devices a window can't be had.
func (d *design) tooMany(n int) error {
	best := d.most()
	e := &Infeasible{BestPanel: sum(best)}
	ratio := math.Inf(1)
	if panels := floats(best); len(panels) > 0 {
		ratio, e.BestMargin = d.worst(1, false, panels)
	}
	if math.IsInf(ratio, 1) {
		e.BestMargin = 0
	}
	e.Reason = fmt.Sprintf("%d devices a window can't be had: each of the %d in the frame reports once in %s, "+
		"which makes at most %d", n, d.size, plural(int(d.lap), "window"), e.BestPanel)
	e.Options = append(e.Options, fmt.Sprintf("SAMPLE %d DEVICES or SAMPLE ALL", e.BestPanel))
	if d.lap > 1 {
		e.Options = append(e.Options, fmt.Sprintf("%d devices in the frame", int64(n)*d.lap))
		for k := int64(2); k <= d.q.windows(); k++ {
			if d.q.windows()%k == 0 && int64(n)*max(1, d.lap/k) <= int64(d.size) {
				e.Options = append(e.Options, d.q.windowText(d.q.windowMs*k))
				break
			}
		}
	}
	return e
}

// reach plans MARGIN m: the smallest panel whose every predicted margin is at most m.
func (q *question) reach(f *frame, list []int64) (*design, error) {
	best, err := q.attempt(f, list)
	if err != nil {
		return nil, err
	}
	if best.ratio <= 1 {
		return best.design, nil
	}
	e := &Infeasible{BestMargin: best.margin, BestPanel: sum(best.design.most())}
	wish := q.script.Sample.Number.Value
	where := ""
	if q.script.Sample.PerCell {
		where = " in every cell"
	}
	if math.IsInf(best.margin, 1) {
		e.BestMargin = 0
		e.Reason = fmt.Sprintf("a margin of %g%s can't be reached: some cell has too few reports for any interval, "+
			"with all %d devices that can be due in a window", wish, where, e.BestPanel)
	} else {
		e.Reason = fmt.Sprintf("a margin of %g%s can't be reached: the best is %.4g, with all %d devices that can be due "+
			"in a window", wish, where, best.margin, e.BestPanel)
	}
	e.Options = q.remedies(f)
	return nil, e
}

// attempt is the first design that reaches the margin, or the one that comes nearest.
type attempt struct {
	design *design
	ratio  float64 // largest margin over the wish; 1 or less when reached
	margin float64
}

func (q *question) attempt(f *frame, list []int64) (*attempt, error) {
	sample := q.script.Sample
	var best *attempt
	var failed error
	for _, reports := range list {
		d, err := q.with(f, reports)
		if err != nil {
			failed = err
			continue
		}
		most := d.most()
		ratio, margin := d.worst(sample.Number.Value, sample.PerCell, floats(most))
		if best == nil || ratio < best.ratio {
			best = &attempt{d, ratio, margin}
		}
		if ratio > 1 {
			continue
		}
		if err := d.shrink(sample.Number.Value, sample.PerCell, sum(most)); err != nil {
			return nil, err
		}
		d.rotate()
		return &attempt{d, ratio, margin}, nil
	}
	if best == nil {
		return nil, failed
	}
	return best, nil
}

// shrink finds the fewest devices a window that still reach the margin.
func (d *design) shrink(wish float64, perCell bool, high int) error {
	low := len(d.strata) * answersLeast * d.q.slots()
	for low < high {
		middle := low + (high-low)/2
		sizes, err := d.share(middle)
		if err != nil {
			return fmt.Errorf("plan: %w", err)
		}
		if ratio, _ := d.worst(wish, perCell, floats(sizes)); ratio <= 1 {
			high = middle
		} else {
			low = middle + 1
		}
	}
	var err error
	d.exact, err = d.share(high)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return nil
}

// plural prints "1 device" or "2 devices".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func sum(list []int) int {
	out := 0
	for _, n := range list {
		out += n
	}
	return out
}

func floats(list []int) []float64 {
	out := make([]float64, len(list))
	for i, n := range list {
		out[i] = float64(n)
	}
	return out
}
