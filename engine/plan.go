package engine

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/account"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// scoresMost is the most codes whose scores are kept in a table.
const scoresMost = 1 << 18

// plan is one revision of a kappa's plan, ready to be applied. It never changes.
type plan struct {
	ref, name    string
	revision     uint32
	from         int64 // first window
	windowMs     int64
	graceMs      int64
	paused       bool
	changes      bool // results of a FIXED panel tell the change, see tellsChange
	keeps        bool // its single answers are kept for that, or since a window holds several of one device; clusters' totals are there anyway
	repeats      bool // the same devices answer again before others have had their turn
	salt         panel.Salt
	query        fleet.Query
	by           []string       // attributes of the strata
	clusteredBy  string         // attribute of the clusters; empty when devices are drawn
	gateways     bool           // gateways speak for the units of their clusters
	members      map[string]int // joined values of by → stratum
	strata       []string
	rotations    []panel.Rotation
	lapWindows   int64
	panes        int64 // that the window of a result spans: 1 without EVERY
	statistics   []statistic
	groupBy      []string
	confidence   float64
	epsilon      float64
	epsilonMicro privacy.Epsilon
	privacy      *quadratv1.Privacy
	spent        account.Account // what any one device can have spent
	combinations uint32          // of stratum, cell and cluster in the frame that it was drawn over; 0 when that isn't known
	cells        uint32          // in that frame
	panel        int64           // devices due in one window
}

// statistic is what one statistic's codes mean.
type statistic struct {
	name      string // in the stored rows; for a part of a ratio with the part's name behind it
	result    string // in results
	kind      string
	part      string // of a ratio
	mechanism string
	bounds    privacy.Bounds
	noise     float64       // variance of a score's noise
	noises    []float64     // where codes tell of it, what each code does, on average at least the variance; nil for others
	loose     float64       // by which part of the variance that may be too much, at most
	powers    survey.Powers // of a variance: how the noise moves the powers of a score
	scores    []float64     // score of each code; nil for the mechanism none
	least     int64         // mechanism none: the values that are possible
	most      int64
	bit       bool
	bins      *categories.Binning // of a histogram, a frequency or a quantile; nil for others
	// Of a plan whose gateways speak for units: how many values a part of a release has, and the variance of the noise in each,
	// in the unit of the scores.
	width    int
	sumNoise float64
}

// read gives the unbiased score of a value, or what it says of categories; then the score is 0. ok is false for a value that
// no device sends.
func (s *statistic) read(value int64) (score float64, set uint64, ok bool) {
	if s.bins != nil {
		set, ok = s.bins.Read(value)
		return 0, set, ok
	}
	score, ok = s.score(value)
	return score, 0, ok
}

// score gives the unbiased score of a code; ok is false for one that no device sends.
func (s *statistic) score(code int64) (score float64, ok bool) {
	if s.scores != nil {
		if uint64(code) >= uint64(len(s.scores)) {
			return 0, false
		}
		return s.scores[code], true
	}
	if code < s.least || code > s.most || s.bit && code != s.least && code != s.most {
		return 0, false
	}
	return privacy.Micro(code).Float64(), true
}

// noiseOf is what a code that has a score tells of its noise, and which of the statistic's noises that is.
func (s *statistic) noiseOf(code int64) (noise float64, shade int) {
	if s.noises == nil {
		return s.noise, 0
	}
	return s.noises[code], int(code)
}

// shades is how many noises a statistic has at most.
func (p *plan) shades() int {
	most := 1
	for i := range p.statistics {
		most = max(most, len(p.statistics[i].noises))
	}
	return most
}

// newPlan checks a revision and makes it ready.
func newPlan(r *quadratv1.PlanRevision) (*plan, error) { return newPlanOf(r, nil) }

// newPlanOf is newPlan with scores from shared tables; nil for some of its own.
func newPlanOf(r *quadratv1.PlanRevision, shared *tables) (*plan, error) {
	d := r.GetDevice()
	encoded, err := proto.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	checked, err := wire.DecodeDevicePlan(encoded)
	if err == nil {
		err = checked.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if !(d.GetConfidence() > 0 && d.GetConfidence() < 1) {
		return nil, errors.New("plan: confidence is not between 0 and 1")
	}
	p := &plan{
		ref: d.GetRef(), name: d.GetName(), revision: d.GetRevision(), from: d.GetFromWindow(),
		windowMs: int64(d.GetWindowMs()), graceMs: int64(d.GetGraceMs()), paused: d.GetPaused(),
		repeats: r.GetPlan().GetRotation() == "fixed", salt: panel.Salt(d.GetSalt()), by: d.GetStratifiedBy(),
		clusteredBy: d.GetClusteredBy(), lapWindows: int64(d.GetLapWindows()), panes: max(1, int64(r.GetPlan().GetPanes())), groupBy: d.GetGroupBy(), confidence: d.GetConfidence(),
		epsilon: privacy.Micro(d.GetEpsilonMicro()).Float64(), epsilonMicro: privacy.Epsilon(d.GetEpsilonMicro()), members: map[string]int{},
	}
	p.combinations, p.cells, p.panel = r.GetPlan().GetCombinations(), r.GetPlan().GetCells(), int64(r.GetPlan().GetPanel())
	p.privacy = privacyOf(d, r.GetPlan().GetPrivacy())
	p.gateways = d.GetModel() == fleet.ModelGateway
	if p.gateways && p.clusteredBy != fleet.GatewayAttribute {
		return nil, errors.New("plan: gateways speak for their units only where they are drawn: the clusters must be by gateway")
	}
	p.query = fleet.Query{Capability: d.GetCapability(), Readings: readingsOf(d), Model: d.GetModel(), Where: checked.Where}
	if err := p.compileStrata(d); err != nil {
		return nil, err
	}
	if err := p.compileStatistics(d, shared); err != nil {
		return nil, err
	}
	p.changes = p.tellsChange(r.GetPlan().GetRotation() == "fixed")
	p.keeps = p.clusteredBy == "" && (p.changes || p.overlaps())
	return p, nil
}

// turn is after how many windows a device answers the same statistic again.
func (p *plan) turn() int64 { return p.lapWindows * int64(len(p.statistics)) }

// turnOf is after how many windows a device answers a statistic again; the two parts of a ratio count as one question.
func (p *plan) turnOf(statistic int) int64 {
	if p.statistics[statistic].kind == kindRatio {
		return p.lapWindows
	}
	return p.turn()
}

// overlaps tells whether the window of a result holds several answers of one device to a statistic whose scores are put together.
func (p *plan) overlaps() bool {
	return p.panes > p.turn() && slices.ContainsFunc(p.statistics, func(s statistic) bool { return scales(s.kind) != 0 })
}

// needs is how many of the newest closed windows the next ones need the single answers of.
func (p *plan) needs() int64 {
	if p.panes > 1 {
		return p.panes - 1
	}
	return int64(len(p.statistics))
}

// readingsOf is the readings that a device needs, to be in the frame.
func readingsOf(d *quadratv1.DevicePlan) []string {
	var readings []string
	for _, s := range d.GetStatistics() {
		if !slices.Contains(readings, s.GetReading()) {
			readings = append(readings, s.GetReading())
		}
	}
	return readings
}

// privacyOf takes what the planner says of privacy, or says it from the plan of the devices.
func privacyOf(d *quadratv1.DevicePlan, said *quadratv1.Privacy) *quadratv1.Privacy {
	if said != nil {
		return proto.Clone(said).(*quadratv1.Privacy)
	}
	out := &quadratv1.Privacy{
		Model: d.GetModel(), Unit: "device", Period: spell(d.GetPeriodMs()),
		EpsilonPerReport: privacy.Micro(d.GetEpsilonMicro()).Float64(),
		EpsilonPerPeriod: privacy.Micro(d.GetEpsilonPeriodMicro()).Float64(),
	}
	if value := d.GetEpsilonValueMicro(); value > 0 {
		out.EpsilonPerValue, out.Period = privacy.Micro(value).Float64(), "ever"
	}
	if d.GetModel() != "none" {
		out.Delta = new(0.0)
	}
	if d.GetModel() == fleet.ModelGateway {
		out.Unit = "device, or unit behind a gateway"
	}
	return out
}

// spell writes a duration in its largest whole unit up to hours.
func spell(ms uint64) string {
	for _, unit := range []struct {
		ms   uint64
		name string
	}{{3_600_000, "h"}, {60_000, "m"}, {1_000, "s"}} {
		if ms >= unit.ms && ms%unit.ms == 0 {
			return fmt.Sprint(ms/unit.ms, unit.name)
		}
	}
	return fmt.Sprint(ms, "ms")
}

func (p *plan) compileStrata(d *quadratv1.DevicePlan) error {
	slots := uint32(len(d.GetStatistics()))
	for i, s := range d.GetStrata() {
		rotation := panel.Rotation{
			LapWindows: d.GetLapWindows(), Slots: slots, Origin: panel.Number(s.GetOrigin()), Last: s.GetLast(),
		}
		if err := rotation.Validate(); err != nil {
			return fmt.Errorf("plan: stratum %q: %w", s.GetName(), err)
		}
		p.strata = append(p.strata, s.GetName())
		p.rotations = append(p.rotations, rotation)
		p.repeats = p.repeats || repeats(rotation)
		for _, m := range s.GetMembers() {
			key := join(m.GetValues())
			if _, taken := p.members[key]; taken {
				return fmt.Errorf("plan: stratum %q: its devices belong to another one too", s.GetName())
			}
			p.members[key] = i
		}
	}
	if len(p.by) == 0 && len(p.strata) > 0 {
		p.members[""] = 0
	}
	return nil
}

// repeats tells whether laps are repeated so often while others rest that a running mean of their windows is less certain
// than independent windows would make it. One lap of L windows asks the share c of a stratum's N devices; the mean over K
// such laps has the sampling variance (1−c)S²/(cN), whatever K is, and that of K·L independent panels (1−c/L)S²/(cNK).
func repeats(r panel.Rotation) bool {
	lap, laps := float64(r.LapWindows), 1.0
	if r.LapWindows < panel.TurnWindows {
		laps = math.Ceil(panel.TurnWindows / lap)
	}
	const circle = 1 << 64
	share := (float64(r.Last[len(r.Last)-1]) + 1) / circle
	return r.Rests() && laps*(1-share) > 1-share/lap
}

func (p *plan) compileStatistics(d *quadratv1.DevicePlan, shared *tables) error {
	for _, s := range d.GetStatistics() {
		if !slices.Contains(p.query.Readings, s.GetReading()) && s.GetReading() != "" {
			p.query.Readings = append(p.query.Readings, s.GetReading())
		}
		compiled, err := newStatisticOf(s, priceOf(d), shared)
		if err != nil {
			return fmt.Errorf("plan: statistic %q: %w", s.GetName(), err)
		}
		if p.clusteredBy != "" && !compiled.inClusters() {
			return fmt.Errorf("plan: statistic %q: a %s can't be run with clusters", s.GetName(), compiled.kind)
		}
		if p.gateways {
			if err := compiled.takeSums(privacy.Epsilon(d.GetEpsilonMicro())); err != nil {
				return fmt.Errorf("plan: statistic %q: %w", s.GetName(), err)
			}
		}
		if slices.Contains(mechanisms.Announced(), compiled.mechanism) && !slices.Contains(p.query.Mechanisms, compiled.mechanism) {
			p.query.Mechanisms = append(p.query.Mechanisms, compiled.mechanism)
		}
		p.statistics = append(p.statistics, compiled)
	}
	return p.pairRatios()
}

// newStatistic checks a statistic and makes it ready.
func newStatistic(s *quadratv1.StatisticPlan, price mechanisms.Price) (statistic, error) {
	return newStatisticOf(s, price, nil)
}

// newStatisticOf is newStatistic with scores from shared tables; nil for one of its own.
func newStatisticOf(s *quadratv1.StatisticPlan, price mechanisms.Price, shared *tables) (statistic, error) {
	out := statistic{
		name: s.GetName(), result: s.GetName(), kind: s.GetKind(), part: s.GetPart(), mechanism: s.GetMechanism(),
	}
	bins, err := categories.New(s, price)
	if err != nil {
		return out, err
	}
	if bins != nil {
		out.bins = bins
		return out, nil
	}
	if price.Value > 0 {
		return out, fmt.Errorf("a %s has no permanent answers, and the plan charges for them", out.kind)
	}
	switch out.kind {
	case "mean", "total", kindRatio, kindVariance:
	case "proportion", "count":
		out.bit = true
	default:
		return out, fmt.Errorf("kind %q can't be run", out.kind)
	}
	bounds := privacy.Bounds{Lo: privacy.Micro(s.GetLoMicro()), Hi: privacy.Micro(s.GetHiMicro())}
	out.bounds = bounds
	if out.mechanism == "none" {
		out.least, out.most = int64(bounds.Lo), int64(bounds.Hi)
		if out.bit {
			out.least, out.most = 0, 1_000_000
		} else if bounds.Validate() != nil {
			out.least, out.most = -1<<62, 1<<62
		}
		return out, nil
	}
	if !out.bit {
		if err := bounds.Validate(); err != nil {
			return out, err
		}
	}
	m, err := mechanisms.ByName(out.mechanism, price.Report)
	if err != nil {
		return out, err
	}
	if m.Codes() > scoresMost || out.bit && m.Levels() != 1 {
		return out, fmt.Errorf("mechanism %q does not fit the statistic", out.mechanism)
	}
	if out.kind == kindVariance {
		if out.powers, err = powersOf(m, bounds); err != nil {
			return out, err
		}
	}
	return out, shared.score(&out, price.Report, m)
}

// span gives start and end of a window in milliseconds from the UTC epoch.
func (p *plan) span(index int64) (start, end int64) {
	return index * p.windowMs, (index + 1) * p.windowMs
}

// stratumOf gives the stratum of a device, or −1 for one whose values stand in none.
func (p *plan) stratumOf(attributes map[string]string, scratch []string) int {
	if i, ok := p.members[join(valuesOf(attributes, p.by, scratch))]; ok {
		return i
	}
	return -1
}

// valuesOf picks attribute values in order; a missing one is empty.
func valuesOf(attributes map[string]string, names, into []string) []string {
	into = into[:0]
	for _, n := range names {
		into = append(into, attributes[n])
	}
	return into
}

// join makes one key of values that hold no NUL.
func join(values []string) string { return strings.Join(values, "\x00") }

// cellOf writes values as a cell, with the word for missing ones.
func cellOf(names, values []string) map[string]string {
	cell := make(map[string]string, len(names))
	for i, n := range names {
		cell[n] = values[i]
		if values[i] == "" {
			cell[n] = attr.Missing
		}
	}
	return cell
}
