package plan

import (
	"fmt"
	"math"

	"github.com/quadrat-dev/quadrat/query/script"
)

// design is a question with every choice made.
type design struct {
	q        *question
	strata   []stratum
	cells    []cell
	size     int // devices in the frame
	idBytes  int
	combined int    // combinations of stratum, cell and cluster
	reports  int64  // per device and period
	lap      int64  // windows
	epsilon  uint64 // of a report, in millionths
	answers  []answer
	exact    []int // devices due in each stratum in one window; nil when all of the frame take turns
	warnings []string
	absent   []string // a warning for each attribute that no device has
}

// answersLeast is how many reports a stratum must give to each statistic in a window.
const answersLeast = 2

// with starts a design with so many reports per device and period.
func (q *question) with(f *frame, reports int64) (*design, error) {
	d := &design{q: q, cells: f.cells, size: f.size, idBytes: f.idBytes, combined: f.combinations, reports: reports, lap: q.windows() / reports, absent: f.absent}
	if q.local() {
		d.epsilon = q.epsilon / uint64(reports)
		if d.epsilon == 0 {
			return nil, &Infeasible{
				Reason: fmt.Sprintf("epsilon %g over the %d reports of a period leaves less than a millionth for each",
					float64(q.epsilon)/1e6, reports),
				Options: []string{"ROTATING", "a longer window", "more epsilon"},
			}
		}
	}
	if q.fixed() || !q.local() {
		d.lap = 1
	}
	var err error
	d.answers, err = q.answers(d.epsilon, d.lap)
	if err != nil {
		return nil, err
	}
	d.strata = f.strata
	if floor := d.floor(); f.size > 0 {
		d.strata = collapseAll(f.strata, floor)
		if d.units() < floor {
			return nil, d.tooSmall(floor)
		}
	}
	return d, nil
}

// floor is how many devices, or clusters, a stratum needs for two answers to each statistic in each window of the lap.
func (d *design) floor() int {
	return int(min(int64(answersLeast*d.q.slots())*d.lap, math.MaxInt32))
}

// tooSmall is the error that even one stratum can't give two answers to each statistic.
func (d *design) tooSmall(floor int) error {
	if d.q.clustered() != "" {
		return d.tooFewClusters(floor)
	}
	e := &Infeasible{
		Reason: fmt.Sprintf("%s in the frame and %d are needed: %s with two reports each "+
			"in every window, and each device reports once in %s",
			plural(d.size, "device"), floor, d.q.slotsText(), plural(int(d.lap), "window")),
		BestPanel: int(int64(d.size) / d.lap),
		Options:   []string{fmt.Sprintf("%d devices in the frame", floor)},
	}
	each := int64(answersLeast * d.q.slots())
	for k := int64(2); k <= d.q.windows(); k++ {
		if d.lap > 1 && d.q.windows()%k == 0 && each*max(1, d.lap/k) <= int64(d.size) {
			e.Options = append(e.Options, d.q.windowText(d.q.windowMs*k))
			break
		}
	}
	if len(d.q.script.Select) > 1 {
		e.Options = append(e.Options, "fewer statistics")
	}
	return e
}

// design makes every choice for the frame.
func (q *question) design(f *frame) (*design, error) {
	q.size, q.together = f.size, f.together()
	list, err := q.reports()
	if err != nil {
		return nil, err
	}
	if !q.local() {
		list = []int64{1}
	}
	if list, err = q.sighted(list); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, &Infeasible{Reason: "epsilon is too small to be counted in millionths"}
	}
	sample := q.script.Sample
	if f.size == 0 {
		return q.empty(f, list[len(list)-1])
	}
	if sample.Size == script.All && sample.Clusters == nil {
		return q.with(f, list[len(list)-1])
	}
	if sample.Size == script.Margin {
		return q.reach(f, list)
	}
	return q.counted(f, list)
}

// empty is the plan of a kappa that waits for its first device.
func (q *question) empty(f *frame, reports int64) (*design, error) {
	if s := q.script.Sample; s.Size == script.Margin {
		return nil, &Infeasible{
			Reason:  fmt.Sprintf("no device in the frame yet, so no margin of %g can be promised", s.Number.Value),
			Options: []string{"SAMPLE ALL, which takes whoever joins"},
		}
	}
	d, err := q.with(f, reports)
	if err != nil {
		return nil, err
	}
	d.warnings = append(d.warnings, "no device in the frame yet")
	return d, nil
}

// most is how many devices, or clusters, of each stratum can be due in one window.
func (d *design) most() []int {
	out := make([]int, len(d.strata))
	for h, s := range d.strata {
		out[h] = int(int64(s.units) / d.lap)
	}
	return out
}

// panels is how many devices, or clusters, of each stratum are due in one window, on average over the lap.
func (d *design) panels() []float64 {
	out := make([]float64, len(d.strata))
	for h, s := range d.strata {
		if d.exact != nil {
			out[h] = float64(d.exact[h])
			continue
		}
		out[h] = float64(s.units) / float64(d.lap)
	}
	return out
}

// panel is how many devices are due in one window.
func (d *design) panel() int {
	sum := 0.0
	for h, n := range d.panels() {
		sum += d.strata[h].devices(n)
	}
	return int(math.Round(sum))
}
