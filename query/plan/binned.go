package plan

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/central"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/subset"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey"
)

// binsOf gives the categories of a histogram or a frequency, and the share of a quantile.
func (q *question) binsOf(stat *script.Statistic) (bins int, share float64) {
	switch stat.Kind {
	case "histogram":
		return int(stat.Number.Value), 0
	case kindDistribution:
		if stat.Number == nil {
			return 0, 0
		}
		return int(stat.Number.Value), 0
	case "frequency":
		n, _ := q.bounds.Wholes()
		return int(n), 0
	case "median":
		return 0, 0.5
	}
	return 0, stat.Number.Value
}

// binned says how a statistic of categories is answered. A histogram and a frequency are predicted for a category that an
// even share of the devices has. A quantile is predicted for a normal population whose deviation is what is supposed of a
// mean's: the distribution function's error over the density there. Its bins suit the reports that are expected of a window.
func (q *question) binned(a *asked, epsilonMicro uint64, reports float64) (answer, error) {
	if a.stat.Kind == kindDistribution {
		return q.shaped(epsilonMicro)
	}
	if a.share == 0 {
		how, name, bytes, err := q.reportOf(epsilonMicro, a.bins)
		if err != nil {
			return answer{}, err
		}
		even := 1 / float64(a.bins)
		released, err := q.countNoise(epsilonMicro, a.bins, 1)
		return answer{
			mechanism: name, spread: math.Sqrt(even * (1 - even)), noise: how.Noise(even), middle: even, known: true, bins: a.bins,
			bytes: bytes, sumNoise: released,
		}, err
	}
	span := (q.bounds.Hi - q.bounds.Lo).Float64()
	deviation := span / spreadPerSpan
	z := distuv.UnitNormal.Quantile(a.share)
	slope := deviation / distuv.UnitNormal.Prob(z)
	for bins := quantileBinsLeast; ; bins *= 2 {
		how, name, bytes, err := setOf(epsilonMicro, bins)
		if err != nil {
			return answer{}, err
		}
		below := min(bins-1, max(1, int(math.Round(float64(bins)*(0.5+z/spreadPerSpan)))))
		noise := how.BelowNoise(below, a.share)
		released, err := q.countNoise(epsilonMicro, bins, below)
		if err != nil {
			return answer{}, err
		}
		spread := a.share * (1 - a.share)
		if bins == quantileBinsMost || fine(bins, (q.least(noise, released)+spread*q.alike())/reports) {
			return answer{
				mechanism: name, spread: math.Sqrt(spread) * slope, noise: noise * slope * slope, sumNoise: released * slope * slope,
				middle: q.bounds.Lo.Float64() + span/2 + z*deviation, known: true, bins: bins, bytes: bytes,
			}, nil
		}
	}
}

// countNoise is the variance of the noise in so many of a release's counts together, of all of which the sum is known; 0 without
// gateways.
func (q *question) countNoise(epsilonMicro uint64, bins, together int) (float64, error) {
	if !q.gateway() {
		return 0, nil
	}
	noise, err := central.New(changedCounts, privacy.Epsilon(epsilonMicro))
	if err != nil {
		return 0, fmt.Errorf("plan: %w", err)
	}
	j, k := float64(together), float64(bins)
	return noise.Variance() * j * (1 - j/k), nil
}

// changedCounts is how many counts of a release one unit changes when its category does.
const changedCounts = 2

// least is the noise of one unit where there is least of it: of a device of its own, or of one of a gateway's units, as many as there are on
// average.
func (q *question) least(device, released float64) float64 {
	if !q.gateway() {
		return device
	}
	return min(device, released/max(1, q.together))
}

// alike is by how much clusters of the mean size make the spread of a share larger.
func (q *question) alike() float64 { return 1 + max(0, q.together-1)*intraCluster }

// binnedText says on what the margin of a statistic of categories rests.
func (d *design) binnedText(i int) string {
	a, name := d.answers[i], d.q.asked[i].stat.Name()
	if d.q.asked[i].share == 0 {
		return fmt.Sprintf("the margin of %s is that of a category with an even share, 1/%d", name, a.bins)
	}
	return fmt.Sprintf("%s rests on %d bins of %.4g, within which it is interpolated; its margin supposes a normal population "+
		"with a standard deviation of %.4g", name, a.bins,
		(d.q.bounds.Hi-d.q.bounds.Lo).Float64()/float64(a.bins), (d.q.bounds.Hi-d.q.bounds.Lo).Float64()/spreadPerSpan)
}

// quantileBinsLeast is the least number of bins of a quantile; it doubles up to the most.
const (
	quantileBinsLeast = 8
	quantileBinsMost  = 64
)

// fine tells whether so many bins are fine enough for a quantile, given the variance of the estimated share below it. More bins
// make more noise (a report's set tells less of each), fewer make the straight line within a bin wrong: by h²/8 times the
// density's slope, at most 0.242/s² for a normal population of deviation s, here an eighth of the bounds. That may be a
// tenth of the standard error.
func fine(bins int, variance float64) bool {
	h := spreadPerSpan / float64(bins)
	return h*h/8*0.242 <= 0.1*math.Sqrt(variance)
}

// reportsSupposed is how many reports a window is taken to have while the fleet is not known.
const reportsSupposed = 1000

// expected is how many reports a statistic has in the window of a result at most: all devices of the frame in a lap of so many windows, or
// those that were asked for.
func (q *question) expected(lap int64) float64 {
	sample, due := q.script.Sample, float64(q.size)/float64(lap)
	switch {
	case q.size == 0:
		return reportsSupposed
	case sample.Clusters != nil:
		due = min(due, sample.Clusters.Value*max(1, q.together))
	case sample.Size == script.Devices:
		due = min(due, sample.Number.Value)
	case sample.Size == script.Percent:
		due = min(due, float64(q.size)*sample.Number.Value/100)
	}
	return max(1, float64(q.panes)*due/float64(q.slots()))
}

// reportOf is the mechanism of least error for so many categories whose reports travel, its name, and the bytes of a report.
func reportOf(epsilonMicro uint64, categories int) (how survey.Pure, name string, bytes int, err error) {
	if epsilonMicro == 0 {
		return survey.Pure{Truth: 1}, none, 2, nil
	}
	e, err := privacy.EpsilonOf(epsilonMicro)
	if err != nil {
		return survey.Pure{}, "", 0, err
	}
	m, err := mechanisms.ForReport(e, uint32(categories))
	if err != nil {
		return survey.Pure{}, "", 0, err
	}
	return survey.Pure{Truth: m.Rates().Truth, Other: m.Rates().Other}, m.Name(), m.Bytes(), nil
}

// setOf is subset selection for the bins of a quantile, its name, and the bytes of a report.
func setOf(epsilonMicro uint64, categories int) (how survey.Subset, name string, bytes int, err error) {
	if epsilonMicro == 0 {
		return survey.Subset{Categories: categories, Size: 1, Include: 1}, none, 1, nil
	}
	e, err := privacy.EpsilonOf(epsilonMicro)
	if err != nil {
		return survey.Subset{}, "", 0, err
	}
	m, err := subset.New(e, uint32(categories))
	if err != nil {
		return survey.Subset{}, "", 0, err
	}
	return survey.Subset{Categories: categories, Size: int(m.Size()), Include: m.Rates().Truth}, subset.Name, m.Bytes(), nil
}
