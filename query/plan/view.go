package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/script"
)

// cellsShown bounds the cells of a plan that people read; the largest are shown.
const cellsShown = 1000

// view makes what people read.
func (d *design) view(device *quadratv1.DevicePlan, opt Options) *quadratv1.Plan {
	s := d.q.script
	daily := 86_400_000 / float64(d.q.windowMs)
	perDay := daily / float64(d.lap)
	if d.exact != nil && d.size > 0 {
		perDay = daily * float64(d.panel()) / float64(d.size)
	}
	out := &quadratv1.Plan{
		Revision: opt.Revision, Name: s.Name.Text,
		From:       timestamppb.New(time.UnixMilli(opt.FromWindow * d.q.windowMs)),
		Population: uint32(d.size), Panel: uint32(d.panel()), LapWindows: uint32(d.lap),
		WindowSeconds: float64(d.q.windowMs*d.q.panes) / 1e3, GraceSeconds: s.Window.Grace.Value.Seconds(),
		Rotation: strings.ToLower(string(s.Sample.Rotation)), Allocation: d.allocation(),
		Privacy:             d.privacy(),
		Observer:            d.observer(),
		ReportsPerDeviceDay: perDay, BytesPerDeviceDay: perDay * float64(d.reportBytes(device)),
		EpsilonPerDeviceDay: d.perDay(perDay),
		Confidence:          d.q.confidence, GroupBy: device.GetGroupBy(),
		Combinations: uint32(d.combined), Cells: uint32(len(d.cells)),
	}
	if d.q.panes > 1 {
		out.Panes = uint32(d.q.panes)
	}
	panels := d.panels()
	out.SmallestBatch = d.smallestBatch(panels)
	for h, st := range d.strata {
		out.Strata = append(out.Strata, &quadratv1.StratumView{
			Name: st.name, Population: uint32(st.size), Panel: st.devices(panels[h]), Collapsed: st.parts,
		})
	}
	for i := range d.q.asked {
		if d.q.asked[i].leads() {
			out.Statistics = append(out.Statistics, d.statisticView(i, panels))
		}
	}
	out.Warnings = d.warn(panels)
	out.Alternative = d.alternative(panels)
	return out
}

func (d *design) allocation() string {
	s := d.q.script.Sample
	switch {
	case s.Size == script.All:
		return "all"
	case s.Allocate == "":
		return "proportional"
	case s.Allocate == script.Power:
		return fmt.Sprintf("power %g", s.Exponent.Value)
	}
	return strings.ToLower(string(s.Allocate))
}

func (d *design) privacy() *quadratv1.Privacy {
	var names []string
	for _, a := range d.answers {
		if !slices.Contains(names, a.mechanism) {
			names = append(names, a.mechanism)
		}
	}
	out := &quadratv1.Privacy{Model: none, Mechanism: strings.Join(names, ", "), Unit: "device", EpsilonToDate: new(0.0)}
	if d.q.local() {
		out.Model = "local"
		if d.q.gateway() {
			out.Model, out.Mechanism, out.Unit = "gateway", bothMechanisms(out.GetMechanism()), "device, or unit behind a gateway"
		}
		out.Delta = new(0.0) // every mechanism of the local model keeps pure epsilon, proven by its certificate
		out.EpsilonPerReport = float64(d.epsilon) / 1e6
		out.EpsilonPerPeriod = float64(d.q.epsilon) / 1e6
		out.Period = durationText(d.q.periodMs)
	}
	out.Observer = observed
	if d.q.gateway() {
		out.Observer = observedOfGateways
	}
	if d.q.kept() {
		out.EpsilonPerValue, out.EpsilonPerPeriod, out.Period = float64(d.q.value)/1e6, float64(d.ever())/1e6, everText
	}
	return out
}

// What an observer learns besides, as every result says it.
const (
	observed           = "which devices were due, which of them reported or were silent, for which window and statistic, and when"
	observedOfGateways = observed + "; of a gateway how many of its units had a reading"
)

// observer says what who watches the broker or the engine learns besides the randomised answers.
func (d *design) observer() []string {
	out := []string{
		"Who reported, for which window and which statistic, and when: the broker and the engine see the identity of every device that sends.",
		"Who was silent: a device that was due and sent nothing had no readings, was off, or its policy or its ledger refused; it also " +
			"counts these cases and says the counts when it announces itself.",
		"The attributes that a device announces are public.",
	}
	if !d.q.local() {
		return append(out, "The answers themselves: PRIVACY NONE adds no noise, so no epsilon bounds what they tell of a device.")
	}
	if d.q.kept() {
		out = append(out, "When a device's category changed, and whether it came back to an earlier one, in the course of several "+
			"reports: all reports about one category rest on one permanent answer. Epsilon is about which category it is.")
	}
	if d.q.gateway() {
		out = append(out,
			"How many units behind a gateway had a reading, in each cell: that is not hidden, as it isn't for a device that speaks for itself. "+
				"Which of them had one is hidden.",
			"Not from outside, but of the gateway itself: it holds the readings of its units in memory, and whoever runs it could read them.")
	}
	return append(out,
		"The size of a report tells nothing more: its length follows from the randomised answer in it, not from the reading.",
		"Stored reports carry a pseudonym of the device: the reports of one device can be told to be of one device.",
		"No amplification is claimed against who sees who answers: sampling and rotation hide nobody from the broker and the engine, so "+
			"epsilon is that of the device's own noise.",
	)
}

// smallestBatch is how many reports are expected of the smallest combination of stratum and cell for a statistic in a window.
func (d *design) smallestBatch(panels []float64) float64 {
	least := math.Inf(1)
	for h, n := range d.each(panels) {
		s := &d.strata[h]
		if len(d.cells) == 0 && s.size > 0 {
			least = min(least, n*float64(s.size)/float64(s.units))
		}
		for c := range d.cells {
			if in := s.inCell(c); in > 0 {
				least = min(least, n*float64(in)/float64(s.units))
			}
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}

func (d *design) statisticView(i int, panels []float64) *quadratv1.StatisticView {
	n := d.each(panels)
	margin, reports := d.interval(i, whole, n)
	out := &quadratv1.StatisticView{
		Name: d.q.asked[i].stat.Name(), Mechanism: d.mechanism(i), Panel: reports, Margin: margin,
		AssumedStdDev: d.overallSpread(i), NoiseStdDev: math.Sqrt(d.meanNoise(i)),
	}
	for _, c := range d.shown() {
		m, r := d.interval(i, c, n)
		out.Cells = append(out.Cells, &quadratv1.CellView{
			Cell: d.cells[c].values, Population: uint32(d.cells[c].size), Panel: r, Margin: m,
		})
	}
	return out
}

// interval is margin for the view: nil when there will be no interval, which a margin of 0 can also stand for where all devices
// answer without noise.
func (d *design) interval(i, c int, n []float64) (margin *float64, reports float64) {
	half, reports := d.margin(i, c, n)
	if half == 0 && (d.q.asked[i].part != "" || !d.variance(i, c, n).known) {
		return nil, reports
	}
	return &half, reports
}

// overallSpread is the root mean square of the strata's supposed standard deviations, weighted by their devices.
func (d *design) overallSpread(i int) float64 {
	if len(d.strata) == 0 {
		return d.answers[i].spread
	}
	squares := 0.0
	for h, s := range d.strata {
		v := d.spread(i, h)
		squares += v * v * float64(s.size) / float64(d.size)
	}
	return math.Sqrt(squares)
}

// shown gives the cells that the plan shows, in order.
func (d *design) shown() []int {
	out := make([]int, len(d.cells))
	for c := range out {
		out[c] = c
	}
	if len(out) > cellsShown {
		slices.SortStableFunc(out, func(a, b int) int { return d.cells[b].size - d.cells[a].size })
		out = out[:cellsShown]
		slices.Sort(out)
	}
	return out
}

// warn gathers what the analyst should know.
func (d *design) warn(panels []float64) []string {
	out := append(slices.Clone(d.warnings), d.absent...)
	out = append(out, d.panesText()...)
	out = append(out, d.warnKept()...)
	out = append(out, d.warnClusters(panels)...)
	for _, s := range d.strata {
		if len(s.parts) > 0 {
			out = append(out, fmt.Sprintf("strata %s are one stratum: apart they can't give two %s to each statistic "+
				"in a window", strings.Join(s.parts, ", "), d.word()))
		}
	}
	allocate, blind := d.q.script.Sample.Allocate, len(d.q.pilot[d.q.asked[0].name]) == 0
	if blind && allocate == script.Neyman {
		out = append(out, "no standard deviations are known yet, so NEYMAN allocates as PROPORTIONAL")
	}
	if blind && allocate == script.Power {
		out = append(out, "no standard deviations are known yet, so POWER allocates by the strata's sizes alone")
	}
	n := d.each(panels)
	out = append(out, d.warnGateways()...)
	out = append(out, d.warnStates(n)...)
	for i, a := range d.answers {
		name := d.q.asked[i].stat.Name()
		switch {
		case !d.q.asked[i].leads():
		case d.q.asked[i].stat.Kind == kindDistribution:
			out = append(out, d.shapeText(i))
		case !a.known:
			out = append(out, name+" has no bounds, so no margin is predicted; add BETWEEN lo AND hi")
		case d.q.asked[i].stat.Kind == kindVariance:
			out = append(out, d.supposedOfSquares(i))
		case d.q.asked[i].part != "":
			out = append(out, d.supposed(i, n))
		case a.bins > 0:
			out = append(out, d.binnedText(i))
		}
	}
	rare := 0
	for c := range d.cells {
		if d.expected(c, n)*float64(d.q.panes) < answersLeast {
			rare++
		}
	}
	if rare > 0 {
		out = append(out, fmt.Sprintf("%d of %d cells will have fewer than two reports a window for each statistic", rare, len(d.cells)))
	}
	if len(d.cells) > cellsShown {
		out = append(out, fmt.Sprintf("the plan shows the %d largest of %d cells", cellsShown, len(d.cells)))
	}
	return out
}

// supposed says on what the margin of a ratio rests.
func (d *design) supposed(i int, n []float64) string {
	text := fmt.Sprintf("both means of %s are supposed to lie in the middle of the bounds, at %g",
		d.q.asked[i].stat.Name(), d.answers[i].middle)
	if m, _ := d.margin(i, whole, n); m == 0 && d.variance(i, whole, n).known && d.variance(i+1, whole, n).known {
		return text + ", which the noise doesn't tell from 0, so no margin is predicted; " +
			"a window whose denominator can't be told from 0 has no value"
	}
	return text
}

// reportBytes is the size of one encoded request with a report, an identity of average length and the largest code.
func (d *design) reportBytes(device *quadratv1.DevicePlan) int {
	ref := device.GetRef()
	if ref == "" {
		ref = "k00000"
	}
	length := 16
	if d.size > 0 {
		length = int(math.Round(float64(d.idBytes) / float64(d.size)))
	}
	value := device.GetStatistics()[0].GetHiMicro()
	if value == unboundedMicro {
		value = 1e9
	}
	if d.q.local() {
		value = 0
		for i, s := range device.GetStatistics() {
			if d.q.kept() {
				value = max(value, int64(s.GetCategories())-1) // the number of one category
				continue
			}
			if s.GetCategories() > 0 {
				value = max(value, math.MaxInt64>>(63-min(63, 8*d.answers[i].bytes)))
				continue
			}
			m, err := mechanisms.ByName(s.GetMechanism(), privacy.Epsilon(d.epsilon))
			if err == nil {
				value = max(value, int64(m.Codes())-1)
			}
		}
	}
	return proto.Size(&quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Report{Report: &quadratv1.Report{
		Device: strings.Repeat("x", length), Kappa: ref, Revision: max(1, device.GetRevision()),
		Window: device.GetFromWindow(), Statistic: uint32(len(device.GetStatistics()) - 1), Value: value,
	}}})
}
