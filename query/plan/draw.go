package plan

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// unboundedMicro stands for no bound: what clips to ±this clips nothing, and the span still fits in 64 bits.
const unboundedMicro = 4_000_000_000_000_000_000

// device makes what devices and engine follow.
func (d *design) device(opt Options) (*quadratv1.DevicePlan, error) {
	s := d.q.script
	where, err := predicate(s.Where.Attr())
	if err != nil {
		return nil, err
	}
	out := &quadratv1.DevicePlan{
		Ref: opt.Ref, Name: s.Name.Text, Revision: opt.Revision, PlanSetVersion: opt.PlanSetVersion,
		FromWindow: opt.FromWindow, WindowMs: uint64(d.q.windowMs), GraceMs: uint64(s.Window.Grace.Value.Milliseconds()),
		Salt: opt.Salt[:], Capability: s.From.Name(), Where: where, StratifiedBy: texts(s.Sample.Stratified),
		LapWindows: uint32(d.lap), Model: none, EpsilonMicro: d.epsilon, EpsilonPeriodMicro: d.q.epsilon,
		PeriodMs: uint64(d.q.periodMs), GroupBy: texts(s.GroupBy), Confidence: d.q.confidence,
		ClusteredBy: d.q.clustered(),
	}
	if d.q.local() {
		out.Model = "local"
	}
	if d.q.gateway() {
		out.Model = "gateway"
	}
	if d.q.kept() {
		out.EpsilonValueMicro, out.EpsilonPeriodMicro = d.q.value, d.ever()
		out.PeriodMs = uint64(ledger.PeriodMax.Milliseconds())
	}
	for i := range d.q.asked {
		p, err := d.statistic(i)
		if err != nil {
			return nil, err
		}
		out.Statistics = append(out.Statistics, p)
	}
	for h := range d.strata {
		p, err := d.draw(h, opt)
		if err != nil {
			return nil, err
		}
		out.Strata = append(out.Strata, p)
	}
	return out, nil
}

func (d *design) statistic(i int) (*quadratv1.StatisticPlan, error) {
	a := &d.q.asked[i]
	stat := a.stat
	out := &quadratv1.StatisticPlan{
		Name: a.name, Kind: stat.Kind, Part: a.part, Reading: a.arg.Reading.Text, Summary: stat.SummaryOf(a.arg),
		Comparison: stat.Comparison, Mechanism: d.answers[i].mechanism,
	}
	switch {
	case d.q.asked[i].bit:
		threshold, err := privacy.MicroOf(stat.Number.Value)
		if err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
		out.ThresholdMicro = int64(threshold)
	case d.q.bounded:
		out.LoMicro, out.HiMicro = int64(d.q.bounds.Lo), int64(d.q.bounds.Hi)
	default:
		out.LoMicro, out.HiMicro = -unboundedMicro, unboundedMicro
	}
	if stat.Binned() {
		out.Categories, out.ShareMicro = uint32(d.answers[i].bins), uint32(math.Round(a.share*1e6))
		if stat.Kind == "median" {
			out.Kind = "quantile"
		}
	}
	return out, nil
}

// draw cuts the arcs of one stratum.
func (d *design) draw(h int, opt Options) (*quadratv1.StratumPlan, error) {
	s := &d.strata[h]
	numbers := make([]panel.Number, 0, s.units)
	for value := range s.clusters {
		numbers = append(numbers, panel.NumberOfCluster(panel.Salt(opt.Salt), s.name, value, ""))
	}
	for _, list := range s.members {
		for _, id := range list {
			numbers = append(numbers, panel.NumberOf(panel.Salt(opt.Salt), id))
		}
	}
	panel.Sort(numbers)
	slots := d.q.slots()
	taking := s.units // all take turns
	if d.exact != nil {
		taking = d.exact[h] * int(d.lap)
	}
	sizes := panel.Partition(taking, int(d.lap)*slots)
	r, err := panel.Draw(numbers, d.origin(s.name, numbers, opt), uint32(d.lap), uint32(slots), sizes)
	if err != nil {
		return nil, fmt.Errorf("plan: stratum %s: %w", s.name, err)
	}
	out := &quadratv1.StratumPlan{Name: s.name, Origin: uint64(r.Origin), Last: r.Last}
	for _, v := range s.values {
		out.Members = append(out.Members, &quadratv1.AttributeValues{Values: v})
	}
	return out, nil
}

// origin is where the first arc of a stratum begins: at 0 the first time; with those who rested when a lap begins; where it
// was when a lap is drawn again half-way, and for FIXED panels.
func (d *design) origin(name string, numbers []panel.Number, opt Options) panel.Number {
	for _, s := range opt.Previous.GetStrata() {
		if s.GetName() != name {
			continue
		}
		r := Rotation(opt.Previous, s)
		if d.q.fixed() || opt.FromWindow%int64(opt.Previous.GetLapWindows()) != 0 {
			return r.Origin
		}
		return panel.Next(numbers, r)
	}
	return 0
}

// Rotation gives the arcs of a stratum of a plan in the form that decides who is due. It shares the plan's memory.
func Rotation(p *quadratv1.DevicePlan, s *quadratv1.StratumPlan) panel.Rotation {
	return panel.Rotation{
		LapWindows: p.GetLapWindows(), Slots: uint32(len(p.GetStatistics())),
		Origin: panel.Number(s.GetOrigin()), Last: s.GetLast(),
	}
}

// predicate gives the message of a condition; nil for none.
func predicate(p *attr.Predicate) (*quadratv1.Predicate, error) {
	if p == nil {
		return nil, nil
	}
	out := &quadratv1.Predicate{}
	if err := proto.Unmarshal(p.Append(nil), out); err != nil {
		return nil, fmt.Errorf("plan: where: %w", err)
	}
	return out, nil
}

func texts(names []script.Ident) []string {
	var out []string
	for _, n := range names {
		out = append(out, n.Text)
	}
	return out
}
