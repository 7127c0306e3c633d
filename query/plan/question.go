package plan

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/query/script"
)

// none is the trust model without noise, and its mechanism.
const none = "none"

// question is a script in numbers.
type question struct {
	script     *script.Script
	windowMs   int64 // of a pane with EVERY: to a device it is a window
	panes      int64 // in the window of a result
	periodMs   int64
	epsilon    uint64 // of a period, in millionths; of a report with PER VALUE; 0 for the model none
	value      uint64 // of all reports about one category, in millionths; 0 without PER VALUE
	bounds     privacy.Bounds
	bounded    bool
	confidence float64
	asked      []asked
	pilot      map[string]map[string]float64
	noise      map[uint64]units // by epsilon of a report; filled as needed
	known      []string         // mechanisms that all devices of the frame have named
	quantiles  map[int]float64  // of t by degrees of freedom; filled as needed
	size       int              // devices in the frame, once it is known
	together   float64          // devices that are drawn as one, on average, once it is known
}

// denominator is the part of a ratio that stands right behind its numerator.
const denominator = "denominator"

// asked is one question to a device: a statistic, or one of the two parts of a ratio.
type asked struct {
	stat *script.Statistic
	arg  script.Argument
	name string
	part string // "numerator" or, right behind it, "denominator"; empty for other statistics
	bit  bool   // proportion and count: a bit is randomised
	sum  bool   // total and count: scaled by the population
	bins int    // categories of a histogram or a frequency; 0 for others
	// share is that of a quantile, 0 for others.
	share float64
}

// leads tells whether the question stands for its statistic: all but the denominators do.
func (a *asked) leads() bool { return a.part != denominator }

// ask lists the questions of a statistic.
func (q *question) ask(stat *script.Statistic) []asked {
	if parts := stat.Parts(); parts != nil {
		var out []asked
		for i, p := range parts {
			out = append(out, asked{stat: stat, arg: stat.Args[i], name: p.Name, part: p.Word})
		}
		return out
	}
	one := asked{
		stat: stat, arg: stat.Args[0], name: stat.Name(),
		bit: stat.Kind == "proportion" || stat.Kind == "count",
		sum: stat.Kind == "total" || stat.Kind == "count",
	}
	if stat.Binned() {
		one.bins, one.share = q.binsOf(stat)
	}
	return []asked{one}
}

// units are how means, squares and bits are answered: the mechanisms' names and the noise variances of one report on the unit
// scale. Where that of a mean depends on the reading, it is the mean over the readings that are supposed.
type units struct {
	mean, square, bit float64
	meanName          string
	squareName        string
	bitName           string
	law               privacy.Powers // of the mechanism of squares, when it tells of them
}

// answer is how one statistic is answered, in its unit.
type answer struct {
	mechanism string
	spread    float64 // standard deviation that is supposed of one summary; 0 when nothing is known
	noise     float64 // noise variance of one report
	middle    float64 // mean that is supposed, for the totals of cells
	known     bool    // false when nothing is known of the spread, so that no margin can be predicted
	law       privacy.Powers
	bins      int     // of a histogram, a frequency or a quantile
	sumNoise  float64 // noise variance of a gateway's sum, with gateways
	bytes     int     // of a report over them
}

var errUnbound = errors.New("plan: the script is not bound")

func read(s *script.Script, opt Options) (*question, error) {
	if s.Sample == nil || s.Privacy == nil || s.Window.Grace == nil || s.Sample.Confidence == nil || s.Name.Text == "" {
		return nil, errUnbound
	}
	q := &question{
		script: s, windowMs: s.Window.Pane().Milliseconds(), panes: s.Window.Panes(), periodMs: script.DefaultPeriod.Milliseconds(),
		confidence: s.Sample.Confidence.Value, pilot: opt.Pilot, noise: map[uint64]units{},
		known: opt.Mechanisms, quantiles: map[int]float64{},
	}
	p := s.Privacy
	if p.Model != script.None {
		e, err := privacy.NewEpsilon(p.Epsilon.Value)
		if err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
		if p.PerValue {
			if err := q.keep(p, e); err != nil {
				return nil, err
			}
		} else {
			q.epsilon, q.periodMs = e.Micro(), p.Per.Value.Milliseconds()
		}
	}
	if p.Lo != nil {
		lo, errLo := privacy.MicroOf(p.Lo.Value)
		hi, errHi := privacy.MicroOf(p.Hi.Value)
		bounds, err := privacy.NewBounds(lo, hi)
		if err = errors.Join(errLo, errHi, err); err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
		q.bounds, q.bounded = bounds, true
	}
	for _, stat := range s.Select {
		q.asked = append(q.asked, q.ask(stat)...)
	}
	if s.Sample.Size == script.Margin && !q.bounded && !q.allBits() {
		n := s.Sample.Number
		return nil, &script.Error{
			Line: n.Pos.Line, Column: n.Pos.Column,
			Message: "MARGIN of a mean or total needs bounds, from which the spread is supposed",
			Hint:    "add BETWEEN lo AND hi behind PRIVACY NONE, or ask for n DEVICES",
		}
	}
	return q, nil
}

func (q *question) allBits() bool {
	for _, a := range q.asked {
		if !a.bit {
			return false
		}
	}
	return true
}

func (q *question) local() bool { return q.epsilon > 0 }

func (q *question) fixed() bool { return q.script.Sample.Rotation == script.Fixed }

// windows is how many windows make a period; the checker has seen to it that it is whole.
func (q *question) windows() int64 { return q.periodMs / q.windowMs }

// slots is the number of questions, of which a device answers one.
func (q *question) slots() int { return len(q.asked) }

// slotsText counts the slots in words: a ratio takes two.
func (q *question) slotsText() string {
	if q.slots() > len(q.script.Select) {
		return plural(q.slots(), "statistic") + " (a ratio counts twice)"
	}
	return plural(q.slots(), "statistic")
}

// unitNoise gives the noise of a report with so much epsilon.
func (q *question) unitNoise(epsilonMicro uint64) (units, error) {
	if u, ok := q.noise[epsilonMicro]; ok {
		return u, nil
	}
	u := units{meanName: none, squareName: none, bitName: none}
	if epsilonMicro > 0 {
		e, err := privacy.EpsilonOf(epsilonMicro)
		if err != nil {
			return units{}, err
		}
		mean, err := q.forMean(e)
		if err != nil {
			return units{}, err
		}
		square, err := mechanisms.ForEvery(e)
		if err != nil {
			return units{}, err
		}
		bit, err := mechanisms.ForBit(e)
		if err != nil {
			return units{}, err
		}
		u = units{
			mean: supposedNoise(mean), square: square.NoiseVariance(), bit: bit.NoiseVariance(),
			meanName: mean.Name(), squareName: square.Name(), bitName: bit.Name(),
		}
		if powered, ok := square.(privacy.Powered); ok {
			u.law, _ = powered.Powers()
		}
	}
	q.noise[epsilonMicro] = u
	return u, nil
}

// forMean is the mechanism of a mean, total or ratio that all devices of the frame know.
func (q *question) forMean(e privacy.Epsilon) (privacy.Mechanism, error) {
	m, err := mechanisms.ForMean(e)
	if err == nil && slices.Contains(mechanisms.Announced(), m.Name()) && !slices.Contains(q.known, m.Name()) {
		return mechanisms.ForEvery(e)
	}
	return m, err
}

// supposedNoise is the variance of the noise of a report, averaged over the readings that are supposed: normal about the middle of
// the bounds with a deviation of an eighth of the span. Up to the crossing, where it falls from the middle to the ends by a part that
// no plan is made for, it is the largest.
func supposedNoise(m privacy.Mechanism) float64 {
	graded, ok := m.(privacy.Graded)
	if !ok {
		return m.NoiseVariance()
	}
	const parts = 128
	sum, weights := 0.0, 0.0
	for i := range parts {
		at := (float64(i) + 0.5) / parts
		z := (at - 0.5) * spreadPerSpan
		weight := math.Exp(-z * z / 2)
		sum += weight * graded.VarianceAt(uint32(at*float64(m.Levels())))
		weights += weight
	}
	return sum / weights
}

// spreadPerSpan is the standard deviation that is supposed of a bounded summary: an eighth of the span, as for a normal
// population with bounds four deviations from its middle: bounds that are to clip nobody are set wide.
const spreadPerSpan = 8

// answers says how every statistic is answered when a report costs so much and a lap has so many windows.
func (q *question) answers(epsilonMicro uint64, lap int64) ([]answer, error) {
	u, err := q.unitNoise(epsilonMicro)
	if err != nil {
		return nil, err
	}
	out := make([]answer, len(q.asked))
	for i, a := range q.asked {
		switch {
		case a.bit:
			out[i] = answer{mechanism: u.bitName, spread: 0.5, noise: u.bit, middle: 0.5, known: true}
		case a.stat.Binned():
			if out[i], err = q.binned(&a, epsilonMicro, q.expected(lap)); err != nil {
				return nil, err
			}
		case q.bounded:
			span := (q.bounds.Hi - q.bounds.Lo).Float64()
			out[i] = answer{
				mechanism: u.meanName, spread: span / spreadPerSpan, noise: q.bounds.Variance(u.mean),
				middle: q.bounds.Lo.Float64() + span/2, known: true,
			}
			if a.stat.Kind == kindVariance {
				out[i].mechanism, out[i].noise, out[i].law = u.squareName, q.bounds.Variance(u.square), u.law
			}
		default:
			out[i] = answer{mechanism: u.meanName}
		}
		if q.gateway() && !a.stat.Binned() {
			if out[i].sumNoise, err = q.sumNoise(&a, epsilonMicro); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// reportsMax bounds how many reports per device and period are considered.
const reportsMax = 1000

// reports gives the numbers of reports per device and period that are worth considering, least first, the best one last.
// A lap of fewer windows has larger panels, but each report gets less epsilon: the best m minimises
// (S² + V(ε/m))/m, over several statistics the product of these. m divides the windows of a period.
func (q *question) reports() ([]int64, error) {
	windows := q.windows()
	if q.fixed() {
		return []int64{windows}, nil
	}
	best, least, list := 0, math.Inf(1), []int64{}
	for m := int64(1); m <= min(windows, reportsMax); m++ {
		if windows%m != 0 || q.epsilon/uint64(m) == 0 || m > 1 && !q.apart(windows/m) || m > 1 && q.blind(q.epsilon/uint64(m)) != nil {
			continue
		}
		answers, err := q.answers(q.epsilon/uint64(m), windows/m)
		if err != nil {
			return nil, err
		}
		cost := 1.0
		for i, a := range answers {
			spread, noise := a.spread*a.spread, a.noise
			if q.asked[i].stat.Kind == kindVariance {
				spread, noise = q.squares(a.spread, a.noise, a.law)
			}
			cost *= (spread + noise) / float64(m)
		}
		list = append(list, m)
		if cost < least {
			best, least = len(list), cost
		}
		if cost > 100*least {
			break
		}
	}
	return list[:best], nil
}

// durationText prints milliseconds in the largest of h, m, s and ms that divides them.
func durationText(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	for _, u := range []struct {
		span time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d%u.span == 0 {
			return fmt.Sprintf("%d%s", d/u.span, u.name)
		}
	}
	return fmt.Sprintf("%dms", ms)
}
