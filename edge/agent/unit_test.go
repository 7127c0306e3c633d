package agent_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// gateways is everyone, for the model gateway.
func gateways() *wire.DevicePlan {
	p := everyone()
	p.Model, p.ClusteredBy, p.GroupBy = agent.Gateway, agent.GatewayAttribute, []string{"floor"}
	return p
}

func unit(t *testing.T, gateway, name string) agent.Config {
	t.Helper()
	c := config(t, gateway+"-"+name)
	c.Gateway, c.Policy.Models = gateway, []string{agent.Gateway}
	return c
}

// The units of one gateway are due together, by the gateway's number; none of them reports by itself, and none is asked a
// window twice.
func TestUnitsAreAskedTogether(t *testing.T) {
	p := gateways()
	rotation := panel.Rotation{LapWindows: lap, Slots: 2, Origin: panel.Number(p.Strata[0].Origin), Last: p.Strata[0].Last}
	library := &agent.Library{}
	for i := range 60 {
		gateway := fmt.Sprint("g", i/3)
		c := unit(t, gateway, fmt.Sprint(i%3))
		c.Library = library
		a := start(t, c, p)
		number := panel.NumberOf(panel.Salt(p.Salt), "cluster:(all)\x00"+gateway)
		for w := range int64(2 * lap) {
			statistic, due := rotation.Due(number, w)
			q, outcome := a.Question(p.Ref, w)
			if (outcome == agent.Reported) != due || due && (q.Statistic != statistic || q.Revision != 1 || q.Stratum != 0) {
				t.Fatalf("unit %d, window %d: %v, %+v, want %v for %d", i, w, outcome, q, due, statistic)
			}
			if b, outcome, _ := a.Report(nil, p.Ref, w); len(b) > 0 || due && outcome != agent.RefusedModel {
				t.Fatalf("a unit spoke for itself: %v", outcome)
			}
			if !due {
				continue
			}
			a.Settle(p.Ref, w, agent.Reported)
			if _, outcome := a.Question(p.Ref, w); outcome != agent.Repeated {
				t.Fatalf("asked twice: %v", outcome)
			}
		}
	}
}

// A device that no gateway speaks for answers such a plan as one of the model local, if its policy takes part in that.
func TestWhoIsBehindNoGatewayRandomisesItself(t *testing.T) {
	p := gateways()
	a := start(t, config(t, "pi-7"), p)
	w, _ := a.NextDue(p.Ref, -1)
	b, outcome, err := a.Report(nil, p.Ref, w)
	if _, wrong := wire.DecodeRequest(b); outcome != agent.Reported || err != nil || wrong != nil {
		t.Fatal(outcome, err, wrong)
	}
	if q, outcome := a.Question("other", w); outcome != agent.Unknown {
		t.Fatal(q, outcome)
	}
	c := config(t, "pi-7")
	c.Policy.Models = []string{agent.Gateway}
	if _, outcome, _ := start(t, c, p).Report(nil, p.Ref, w); outcome != agent.RefusedModel {
		t.Fatal(outcome)
	}
	local := everyone()
	u := start(t, unit(t, "g", "1"), local)
	w, _ = u.NextDue(local.Ref, -1)
	if _, outcome := u.Question(local.Ref, w); outcome != agent.RefusedModel {
		t.Fatalf("a unit answers a local plan: %v", outcome)
	}
}

// The registry names the gateway; no device does.
func TestNobodyAnnouncesTheAttributeGateway(t *testing.T) {
	c := config(t, "pi")
	c.Attributes = map[string]string{agent.GatewayAttribute: "g"}
	if _, err := agent.New(c); !errors.Is(err, agent.ErrConfig) {
		t.Error(err)
	}
	a := start(t, unit(t, "g", "1"))
	h := a.Hello(time.Unix(0, 0))
	if _, said := h.Attributes[agent.GatewayAttribute]; said || h.Gateway != "g" || h.Device != "g-1" {
		t.Errorf("%+v", h)
	}
	for gateway, want := range map[string]agent.Standing{"g": agent.Takes, "h": agent.OutOfFrame} {
		p := gateways()
		p.Where = &attr.Predicate{Op: "=", Attribute: agent.GatewayAttribute, Values: []attr.Literal{{Text: gateway}}}
		for h := range start(t, unit(t, "g", "1"), p).Plans() {
			if h.Standing != want {
				t.Errorf("WHERE gateway = %s: %v", gateway, h.Standing)
			}
		}
	}
}

// questions are one of each kind, with the exact contributions of readings at, between and beyond the bounds.
func TestContributions(t *testing.T) {
	const lo, hi = 10_000_000, 40_000_000
	for name, c := range map[string]struct {
		statistic wire.StatisticPlan
		sum       agent.Sum
		want      map[privacy.Micro]int64
	}{
		"mean": {
			wire.StatisticPlan{Kind: "mean", Mechanism: "hybrid", LoMicro: lo, HiMicro: hi},
			agent.Sum{Span: hi - lo, Number: true},
			map[privacy.Micro]int64{
				lo: 0, hi: hi - lo, 21_537_191: 11_537_191, lo - 1: 0, hi + 1: hi - lo, math.MinInt64: 0, math.MaxInt64: hi - lo,
			},
		},
		"proportion": {
			wire.StatisticPlan{Kind: "proportion", Mechanism: "warner", Comparison: ">", ThresholdMicro: 20_000_000},
			agent.Sum{Span: 1},
			map[privacy.Micro]int64{20_000_000: 0, 20_000_001: 1, math.MaxInt64: 1, math.MinInt64: 0},
		},
		"histogram": {
			wire.StatisticPlan{Kind: "histogram", Mechanism: "subset", LoMicro: lo, HiMicro: hi, Categories: 3},
			agent.Sum{Categories: 3},
			map[privacy.Micro]int64{lo: 0, 19_999_999: 0, 20_000_000: 1, hi: 2, math.MinInt64: 0, math.MaxInt64: 2},
		},
	} {
		p := gateways()
		c.statistic.Name, c.statistic.Reading, c.statistic.Summary = "s", "temperature", "avg"
		rotation, err := panel.Draw(nil, 0, lap, 1, make([]int, lap))
		if err != nil {
			t.Fatal(err)
		}
		p.Strata[0].Origin, p.Strata[0].Last = uint64(rotation.Origin), rotation.Last
		p.Statistics = []wire.StatisticPlan{c.statistic}
		r := &reading{}
		config := unit(t, "g", "1")
		config.Readings = r
		a := start(t, config, p)
		w, _ := a.NextDue(p.Ref, -1)
		q, outcome := a.Question(p.Ref, w)
		if outcome != agent.Reported || q.Sum() != c.sum {
			t.Fatalf("%s: %v, %+v", name, outcome, q.Sum())
		}
		for x, want := range c.want {
			r.value = x
			if got, ok := a.Contribution(&q, w); !ok || got != want {
				t.Errorf("%s of %d: %d, want %d", name, x, got, want)
			}
		}
		r.silent = true
		if _, ok := a.Contribution(&q, w); ok {
			t.Errorf("%s: an answer without a reading", name)
		}
	}
}

// What a gateway can't answer with sums that 64 bits hold, or at all, is no plan.
func TestPlansThatNoGatewayCanAnswer(t *testing.T) {
	for name, change := range map[string]func(*wire.DevicePlan){
		"ratio":    func(p *wire.DevicePlan) { p.Statistics[0].Kind = "ratio" },
		"variance": func(p *wire.DevicePlan) { p.Statistics[0].Kind = "variance" },
		"devices":  func(p *wire.DevicePlan) { p.ClusteredBy = "" },
		"clusters": func(p *wire.DevicePlan) { p.ClusteredBy = "building" },
		"wide":     func(p *wire.DevicePlan) { p.Statistics[0].HiMicro = p.Statistics[0].LoMicro + 1<<52 + 1 },
		"loud": func(p *wire.DevicePlan) {
			p.Statistics[0].HiMicro, p.EpsilonMicro = p.Statistics[0].LoMicro+1<<50, 31_000
			p.Statistics[0].Mechanism = "duchi"
		},
		"no noise":  func(p *wire.DevicePlan) { p.EpsilonMicro = 0 },
		"no bounds": func(p *wire.DevicePlan) { p.Statistics[0].HiMicro = p.Statistics[0].LoMicro },
	} {
		p := gateways()
		change(p)
		if _, err := agent.NewPlan(p); !errors.Is(err, wire.ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := gateways()
	p.Statistics[0].Mechanism = "duchi"
	p.Statistics[0].HiMicro, p.EpsilonMicro = p.Statistics[0].LoMicro+1<<50, 32_000
	if _, err := agent.NewPlan(p); err != nil {
		t.Error(err)
	}
}
