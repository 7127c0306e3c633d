package plan

import (
	"fmt"
	"math"
	"strings"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/query/script"
)

// remedies names the changes that would reach the margin, each alone, with numbers.
func (q *question) remedies(f *frame) []string {
	var out []string
	for _, remedy := range []func(*frame) string{q.moreEpsilon, q.turns, q.longerWindow, q.fewerStatistics, q.moreDevices, q.narrowerBounds} {
		if text := remedy(f); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// reaches tells whether the changed question has the margin with this frame.
func (q *question) reaches(f *frame) bool {
	list := []int64{1}
	if q.local() {
		var err error
		if list, err = q.reports(); err != nil {
			return false
		}
	}
	sample := q.script.Sample
	for _, reports := range list {
		d, err := q.with(f, reports)
		if err != nil {
			continue
		}
		if ratio, _ := d.worst(sample.Number.Value, sample.PerCell, floats(d.most())); ratio <= 1 {
			return true
		}
	}
	return false
}

// least gives the least step from 1 to most that passes, or 0; passing is taken to be monotone.
func least(most int, passes func(int) bool) int {
	if most < 1 || !passes(most) {
		return 0
	}
	low, high := 1, most
	for low < high {
		middle := low + (high-low)/2
		if passes(middle) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return high
}

// moreEpsilon tries tenths of epsilon up to the most that a script may ask for.
func (q *question) moreEpsilon(f *frame) string {
	if !q.local() {
		return ""
	}
	const tenth = 100_000
	if q.kept() {
		return q.moreEpsilonPerValue(f)
	}
	changed := *q
	base := int(q.epsilon / tenth)
	step := least(script.EpsilonMost*10-base, func(k int) bool {
		changed.epsilon = uint64(base+k) * tenth
		return changed.reaches(f)
	})
	if step == 0 {
		return ""
	}
	return fmt.Sprintf("EPSILON %g", float64(base+step)/10)
}

// turns tries rotation in place of splitting.
func (q *question) turns(f *frame) string {
	if !q.local() || !q.fixed() {
		return ""
	}
	changed, text, sample := *q, *q.script, *q.script.Sample
	sample.Rotation = script.Rotating
	text.Sample, changed.script = &sample, &text
	if !changed.reaches(f) {
		return ""
	}
	return string(script.Rotating)
}

// fewerStatistics tries each statistic alone, to which all devices of a window then answer.
func (q *question) fewerStatistics(f *frame) string {
	if len(q.script.Select) < 2 {
		return ""
	}
	var names []string
	for _, stat := range q.script.Select {
		changed := *q
		changed.asked = q.ask(stat)
		if changed.reaches(f) {
			names = append(names, stat.Name())
		}
	}
	switch len(names) {
	case 0:
		return ""
	case len(q.script.Select):
		return "any one statistic alone"
	}
	return strings.Join(names, " alone or ") + " alone"
}

// longerWindow tries multiples of the window that divide the period.
func (q *question) longerWindow(f *frame) string {
	if !q.local() {
		return ""
	}
	changed := *q
	tries := 0
	for k := int64(2); k <= q.windows() && tries < 64; k++ {
		if q.windows()%k != 0 {
			continue
		}
		tries++
		changed.windowMs = q.windowMs * k
		if changed.reaches(f) {
			return changed.windowText(changed.windowMs)
		}
	}
	return ""
}

// devicesMost is the largest fleet that is worth proposing.
const devicesMost = 1e9

// moreDevices tries larger fleets with the same make-up, in steps of a twentieth of a doubling.
func (q *question) moreDevices(f *frame) string {
	const perDoubling = 20
	most := math.Log2(devicesMost/float64(f.size)) * perDoubling
	step := least(int(most), func(k int) bool {
		return q.reaches(f.times(math.Exp2(float64(k) / perDoubling)))
	})
	if step == 0 {
		return ""
	}
	factor := math.Exp2(float64(step) / perDoubling)
	return fmt.Sprintf("about %d devices in the frame (%.3g times as many)", roundUp(factor*float64(f.size)), factor)
}

// roundUp rounds up to two digits.
func roundUp(v float64) int {
	unit := math.Pow(10, max(0, math.Floor(math.Log10(v))-1))
	return int(math.Ceil(v/unit) * unit)
}

// narrowerBounds tries hundredths of the span of the bounds.
func (q *question) narrowerBounds(f *frame) string {
	if !q.bounded {
		return ""
	}
	changed := *q
	span := q.bounds.Hi - q.bounds.Lo
	step := least(99, func(k int) bool {
		changed.bounds = privacy.Bounds{Lo: q.bounds.Lo, Hi: q.bounds.Lo + max(1, span/100*privacy.Micro(100-k))}
		return changed.reaches(f)
	})
	if step == 0 {
		return ""
	}
	return fmt.Sprintf("bounds that span %g in place of %g", span.Float64()*float64(100-step)/100, span.Float64())
}
