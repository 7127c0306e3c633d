package agent

import (
	"math"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// The trust models that a device can take part in.
const (
	Local   = "local"   // the device randomises
	Gateway = "gateway" // the gateway adds noise to sums over the units behind it; who is behind none randomises
	None    = "none"    // nobody does; only for open capabilities
)

// GatewayAttribute is the attribute that plans see of a device behind a gateway. Nobody announces it.
const GatewayAttribute = "gateway"

// Plan is a plan made ready: its law checked, its mechanisms built. It is immutable and may be shared by any number of
// agents.
type Plan struct {
	wire       *wire.DevicePlan
	salt       panel.Salt
	rotations  []panel.Rotation
	strata     map[string]int32
	statistics []statistic
	price      mechanisms.Price // zero for the model none
}

// NewPlan makes a plan ready. It fails with wire.ErrPlan for one that breaks its law, asks for a mechanism that doesn't
// belong to its model or its statistic, or has an epsilon out of range. The plan must not be changed afterwards.
func NewPlan(w *wire.DevicePlan) (*Plan, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	p := &Plan{wire: w, salt: panel.Salt(w.Salt)}
	if err := p.setPrice(); err != nil {
		return nil, err
	}
	for i := range w.Statistics {
		s, err := newStatistic(w, i, p.price)
		if err != nil {
			return nil, err
		}
		p.statistics = append(p.statistics, s)
		if w.Model == Gateway && !p.summable(&w.Statistics[i], &s) {
			return nil, wire.ErrPlan
		}
	}
	p.strata = make(map[string]int32)
	for i := range w.Strata {
		s := &w.Strata[i]
		p.rotations = append(p.rotations, panel.Rotation{
			LapWindows: w.LapWindows, Slots: uint32(len(w.Statistics)), Origin: panel.Number(s.Origin), Last: s.Last,
		})
		for _, m := range s.Members {
			p.strata[key(m)] = int32(i)
		}
	}
	return p, nil
}

// setPrice checks model and epsilon: a charge of the first window must be one that a ledger can judge, and where categories have
// permanent answers the plan must tell what they cost.
func (p *Plan) setPrice() error {
	w := p.wire
	switch w.Model {
	case None:
		if w.EpsilonMicro != 0 || w.EpsilonValueMicro != 0 {
			return wire.ErrPlan
		}
		return nil
	case Local, Gateway:
		report, err := privacy.EpsilonOf(w.EpsilonMicro)
		if err != nil {
			return wire.ErrPlan
		}
		p.price = mechanisms.Price{Report: report, Value: privacy.Epsilon(w.EpsilonValueMicro)}
		if w.WindowMs > maxMs(ledger.WindowMax) || w.PeriodMs > maxMs(ledger.PeriodMax) ||
			w.EpsilonPeriodMicro < p.price.Charge().Micro() || p.charge(0).Validate() != nil {
			return wire.ErrPlan
		}
		return nil
	}
	return wire.ErrPlan
}

func maxMs(d time.Duration) uint64 { return uint64(d.Milliseconds()) }

// charge is what one report of a window costs, or the category that it is about.
func (p *Plan) charge(window int64) ledger.Charge {
	return ledger.Charge{
		Kappa:         p.wire.Ref,
		WindowStart:   time.UnixMilli(window * int64(p.wire.WindowMs)).UTC(),
		Window:        time.Duration(p.wire.WindowMs) * time.Millisecond,
		Epsilon:       p.price.Charge(),
		PlanPerPeriod: privacy.Epsilon(p.wire.EpsilonPeriodMicro),
		PlanPeriod:    time.Duration(p.wire.PeriodMs) * time.Millisecond,
	}
}

// inTime says that the window's end can be written in milliseconds.
func (p *Plan) inTime(window int64) bool {
	return window >= 0 && window < math.MaxInt64/int64(p.wire.WindowMs)
}

// stratum returns the stratum of a device, and false when it stands in none.
func (p *Plan) stratum(attributes map[string]string) (int32, bool) {
	if len(p.wire.StratifiedBy) == 0 {
		return 0, len(p.rotations) > 0
	}
	values := make([]string, len(p.wire.StratifiedBy))
	for i, a := range p.wire.StratifiedBy {
		values[i] = attributes[a]
	}
	i, ok := p.strata[key(values)]
	return i, ok
}

// number returns the permanent random number that decides when a device of a stratum is due: its cluster's, or its own when
// devices are drawn.
func (p *Plan) number(stratum int32, device string, attributes map[string]string) panel.Number {
	if p.wire.ClusteredBy == "" {
		return panel.NumberOf(p.salt, device)
	}
	return panel.NumberOfCluster(p.salt, p.wire.Strata[stratum].Name, attributes[p.wire.ClusteredBy], device)
}

// key joins attribute values so that different combinations differ: each one is preceded by its length.
func key(values []string) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteByte(byte(len(v) >> 8))
		b.WriteByte(byte(len(v)))
		b.WriteString(v)
	}
	return b.String()
}
