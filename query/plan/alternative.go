package plan

import (
	"errors"
	"fmt"
	"math"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/script"
)

// alternative predicts the same question when the same devices spend the same budget of a period the other way: a rotating
// plan's devices each answer every window with an equal part of epsilon (Dwork et al. 2006, composition), a fixed plan's
// devices take turns. It is nil without a budget, and where both ways are one: when a period has one window, and when the best
// rotation asks every device in every window.
//
// The devices are those that take turns in the plan, its panel times its lap, so that a plan that leaves a part of the frame
// alone is not held against one that spends more.
func (d *design) alternative(panels []float64) *quadratv1.Alternative {
	if !d.q.local() || d.q.windows() == 1 || d.size == 0 || !d.q.fixed() && d.lap == 1 {
		return nil
	}
	other, err := d.otherWay()
	var no *Infeasible
	switch {
	case errors.As(err, &no):
		return &quadratv1.Alternative{Rotation: d.otherName(), Reason: no.Reason}
	case err != nil:
		return &quadratv1.Alternative{Rotation: d.otherName(), Reason: err.Error()}
	case d.lap == other.lap:
		return nil
	}
	turns := make([]float64, len(panels))
	due := 0.0
	for h, n := range panels {
		turns[h] = n * float64(d.lap) / float64(other.lap)
		due += d.strata[h].devices(turns[h])
	}
	out := &quadratv1.Alternative{
		Rotation: d.otherName(), EpsilonPerReport: float64(other.epsilon) / 1e6, Panel: uint32(math.Round(due)),
	}
	here, there := d.each(panels), other.each(turns)
	for i := range d.q.asked {
		if !d.q.asked[i].leads() {
			continue
		}
		view := &quadratv1.AlternativeStatistic{
			Name: d.q.asked[i].stat.Name(), Mechanism: other.mechanism(i), VarianceRatio: other.over(d, i, there, here),
		}
		view.Margin, _ = other.interval(i, whole, there)
		out.Statistics = append(out.Statistics, view)
	}
	return out
}

// otherName is the word for the other way.
func (d *design) otherName() string {
	if d.q.fixed() {
		return "rotating"
	}
	return "fixed"
}

// otherWay is this design with its budget spent the other way, over the same strata.
func (d *design) otherWay() (*design, error) {
	changed, text, sample := *d.q, *d.q.script, *d.q.script.Sample
	sample.Rotation = script.Fixed
	if d.q.fixed() {
		sample.Rotation = script.Rotating
	}
	text.Sample, changed.script = &sample, &text
	list, err := changed.reports()
	if err != nil {
		return nil, err
	}
	reports := changed.windows()
	if !changed.fixed() && len(list) > 0 {
		reports = list[len(list)-1]
	}
	if d.q.epsilon/uint64(reports) == 0 {
		return nil, &Infeasible{Reason: fmt.Sprintf("epsilon %g over %d windows leaves less than a millionth for each",
			float64(d.q.epsilon)/1e6, reports)}
	}
	if _, err := changed.sighted([]int64{reports}); err != nil {
		return nil, err
	}
	other := *d
	other.q, other.reports, other.epsilon = &changed, reports, d.q.epsilon/uint64(reports)
	other.lap = changed.windows() / reports
	if changed.fixed() {
		other.lap = 1
	}
	if a := changed.repeated(other.lap); a != nil {
		return nil, &Infeasible{Reason: "there is no " + a.stat.Kind + " over windows that hold several answers of one device"}
	}
	other.answers, err = changed.answers(other.epsilon, other.lap)
	return &other, err
}

// over is the variance of a statistic over that which another design gives it; nil when either is unknown. That of a ratio is
// the sum of its parts', whose scale is the same in both.
func (d *design) over(plan *design, i int, n, base []float64) *float64 {
	above, below := d.variance(i, whole, n), plan.variance(i, whole, base)
	known := above.known && below.known
	if d.q.asked[i].part != "" {
		b, a := d.variance(i+1, whole, n), plan.variance(i+1, whole, base)
		known = known && a.known && b.known
		above.variance, below.variance = above.variance+b.variance, below.variance+a.variance
	}
	if !known || !(below.variance > 0) {
		return nil
	}
	ratio := above.variance / below.variance
	return &ratio
}
