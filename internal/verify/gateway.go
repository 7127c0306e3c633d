//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package verify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"math/big"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/edge/gateway"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/central"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// A gateway's releases take some thirty times as long as a report: fewer are drawn, and they tell less of ε.
const (
	releasesForLaw   = 20 // of so many draws one
	releasesForBound = 10
	releasesLeast    = 8_000
	blindReleases    = 0.4
)

// household is the release code of a real gateway with three units, and a ledger that grants everything.
type household struct {
	voice  collector.Voice
	plan   *wire.DevicePlan
	window int64
}

// released is a kind of statistic that gateways answer.
type released struct {
	name        string
	plan        wire.StatisticPlan
	sensitivity int64
	// sums are what a release has before noise when the units read far above the bounds, far below, and 17.5.
	sums []int64
}

func releases() []released {
	const lo, hi = int64(tails), int64(heads)
	return []released{
		{"gateway, mean", wire.StatisticPlan{Kind: "mean", Mechanism: "hybrid", LoMicro: lo, HiMicro: hi}, hi - lo, []int64{hi - lo + 7_500_000}},
		{"gateway, proportion", wire.StatisticPlan{Kind: "proportion", Mechanism: "warner", Comparison: ">", ThresholdMicro: 25_000_000}, 1, []int64{1}},
		{"gateway, histogram", wire.StatisticPlan{Kind: "histogram", Mechanism: "subset", LoMicro: lo, HiMicro: hi, Categories: 4}, 2, []int64{1, 1, 0, 1}},
	}
}

// grants is a ledger without an end.
type grants struct{}

func (grants) Reserve(ledger.Charge) error { return nil }

func newHousehold(of released, e privacy.Epsilon) (*household, error) {
	rotation, err := panel.Draw(nil, 0, 1, 1, make([]int, 1))
	if err != nil {
		return nil, err
	}
	statistic := of.plan
	statistic.Name, statistic.Reading, statistic.Summary = of.name, "temperature", "avg"
	h := &household{plan: &wire.DevicePlan{
		Ref: "aaaaaa", Name: "audit", Revision: 1, PlanSetVersion: 1, WindowMs: uint64(window.Milliseconds()), Salt: make([]byte, 16),
		Capability: "sense.temperature", LapWindows: 1, Model: agent.Gateway, ClusteredBy: agent.GatewayAttribute,
		EpsilonMicro: e.Micro(), EpsilonPeriodMicro: uint64(privacy.MaxBudget), PeriodMs: uint64(window.Milliseconds()),
		Strata:     []wire.StratumPlan{{Name: "(all)", Origin: uint64(rotation.Origin), Last: rotation.Last}},
		Statistics: []wire.StatisticPlan{statistic},
	}}
	limits := ledger.Limits{PerPeriod: privacy.MaxBudget, Period: window, Lifetime: privacy.MaxBudget}
	config := &collector.Config{
		Role: collector.RoleGateway, Device: "house", Policy: agent.Policy{Models: []string{agent.Gateway}, Limits: limits},
	}
	for _, name := range []string{"a", "b", "c"} {
		config.Units = append(config.Units, collector.Unit{Name: name, Capabilities: []wire.Capability{{Name: "sense.temperature"}}})
	}
	if h.voice, err = gateway.NewCrew(collector.Given{Config: config, Ledger: grants{}, Session: 1, Random: rand.Reader}); err != nil {
		return nil, err
	}
	for speaker := range h.voice.Speakers() {
		reply := &wire.HelloReply{PlanSetVersion: 1, Plans: []*wire.DevicePlan{h.plan}, Live: []string{h.plan.Ref}}
		if _, err := h.voice.ApplyReply(speaker, reply, time.UnixMilli(0)); err != nil {
			return nil, err
		}
	}
	h.voice.Listen(0)
	return h, nil
}

// readings are what the units tell the gateway in a window, five of them each: far outside the bounds for the first two.
var readings = map[string]privacy.Micro{"a": 1_000_000_000_000, "b": -1_000_000_000_000, "c": 17_500_000}

// release lets a window pass in which the units have readings, those of the first one as given, and returns the noisy sums.
func (h *household) release(first privacy.Micro) ([]int64, error) {
	h.window++
	for i := range int64(5) {
		for name, value := range map[string]privacy.Micro{"a": first, "b": readings["b"], "c": readings["c"]} {
			h.voice.Add(collector.Reading{
				Unit: name, Capability: "sense.temperature", Reading: "temperature", AtMs: h.window*window.Milliseconds() + i, Value: value,
			})
		}
	}
	request, outcome, err := h.voice.Report(nil, h.plan.Ref, h.window)
	if err != nil || outcome != agent.Reported {
		return nil, errors.Join(fmt.Errorf("gateway: %v", outcome), err)
	}
	_, _, n := protowire.ConsumeTag(request)
	content, m := protowire.ConsumeBytes(request[max(n, 0):])
	if n < 0 || m < 0 {
		return nil, errors.New("gateway: the request can't be read")
	}
	r, err := wire.DecodeRelease(content)
	if err != nil || len(r.Parts) != 1 {
		return nil, errors.Join(errors.New("gateway: a release of one part is expected"), err)
	}
	return r.Parts[0].Values, nil
}

// gatewayLaws proves that the exponents of the law never exceed ε, as fractions. The draw itself is not certified.
func gatewayLaws() (Check, error) {
	began := time.Now()
	grid, err := epsilons(10_000, 100_000, 500_000, 1_000_000, 4_000_000, 20_000_000)
	if err != nil {
		return Check{}, err
	}
	laws, broken := 0, ""
	for _, sensitivity := range []int64{1, 2, 1000, 30_000_000, 1 << 40, 1<<40 + 1, 1 << 48} {
		for _, e := range grid {
			noise, err := central.New(sensitivity, e)
			if err != nil {
				return Check{}, err
			}
			laws++
			if worst := exponent(sensitivity, e, noise.Granularity()); worst.Cmp(fraction(e)) > 0 {
				broken = fmt.Sprintf("; at sensitivity %d and ε = %v the exponent is %s", sensitivity, e, worst.FloatString(9))
			}
		}
	}
	return Check{
		Layer: Certificate, Mechanism: "gateway", Epsilon: grid[0].String() + "…" + grid[len(grid)-1].String(),
		Checked: fmt.Sprintf("%d laws of the noise: exponents as fractions; its draw is the library's and has no certificate%s", laws, broken),
		Verdict: verdict(broken == ""), Seconds: time.Since(began).Seconds(),
	}, nil
}

// fraction is an ε as one.
func fraction(e privacy.Epsilon) *big.Rat { return big.NewRat(int64(e.Micro()), 1_000_000) }

// exponent is the largest loss of two sums that differ by the sensitivity Δ or less, with noise on a grid of steps g, of which k have a
// probability in proportion to e^(−|k|·gε/(Δ+g)): sums lie Δ/g steps apart, and one more where they are rounded to the grid.
func exponent(sensitivity int64, e privacy.Epsilon, grid float64) *big.Rat {
	span, g := new(big.Rat).SetInt64(sensitivity), new(big.Rat).SetFloat64(grid)
	steps := new(big.Rat).Quo(span, g)
	if grid >= 1 {
		steps.SetInt(new(big.Int).Quo(steps.Num(), steps.Denom()))
		steps.Add(steps, big.NewRat(1, 1))
	}
	rate := new(big.Rat).Mul(g, fraction(e))
	return steps.Mul(steps, rate.Quo(rate, span.Add(span, g)))
}

// gatewayDraws holds the noise of releases against the law, with units that read far outside the bounds and more than once: whatever they
// do, each gives one number within the bounds.
func gatewayDraws(ctx context.Context, c Config) ([]Check, error) {
	const e = privacy.Epsilon(1_000_000)
	var out []Check
	for _, of := range releases() {
		began := time.Now()
		c.begin(Distribution, of.name)
		law, err := central.New(of.sensitivity, e)
		if err != nil {
			return nil, err
		}
		h, err := newHousehold(of, e)
		if err != nil {
			return nil, err
		}
		n, cells, stop := c.Draws/releasesForLaw, newCells(law, of.sensitivity, e), stopper(ctx)
		for range n {
			if err := stop(); err != nil {
				return nil, err
			}
			values, err := h.release(readings["a"])
			if err != nil {
				return nil, err
			}
			if len(values) != len(of.sums) {
				return nil, fmt.Errorf("%s: %d sums", of.name, len(values))
			}
			for k, v := range values {
				cells.add(v - of.sums[k])
			}
		}
		var w worst
		w.add(cells.fit().PValue, "noise")
		out = append(out, w.check(of.name, e, fmt.Sprintf("%d releases of units that read outside the bounds: χ² of what is left of the sums against the law", n), began))
	}
	return out, nil
}

// cells counts noise between edges, which are symmetric about 0.
type cells struct {
	edges    []int64 // ascending, above 0
	share    []float64
	observed []float64
}

// newCells makes cells of about equal probability.
func newCells(law central.Noise, sensitivity int64, e privacy.Epsilon) *cells {
	const quarter = 10 // cells on either side
	scale := float64(sensitivity) / e.Float64()
	c := &cells{}
	for i := 1; i <= quarter; i++ {
		edge := int64(math.Ceil(-scale * math.Log(1-float64(i)/(quarter+1))))
		if len(c.edges) == 0 || edge > c.edges[len(c.edges)-1] {
			c.edges = append(c.edges, edge)
		}
	}
	c.share = []float64{1 - 2*law.Beyond(c.edges[0])}
	for i, edge := range c.edges {
		p := law.Beyond(edge)
		if i+1 < len(c.edges) {
			p -= law.Beyond(c.edges[i+1])
		}
		c.share = append(c.share, p, p)
	}
	c.observed = make([]float64, len(c.share))
	return c
}

// add counts noise: the cell about 0 first, then each pair of cells, the one above 0 first.
func (c *cells) add(noise int64) {
	at := 0
	for at < len(c.edges) && max(noise, -noise) >= c.edges[at] {
		at++
	}
	switch {
	case at == 0:
		c.observed[0]++
	case noise > 0:
		c.observed[2*at-1]++
	default:
		c.observed[2*at]++
	}
}

func (c *cells) fit() audit.Result {
	n := 0.0
	for _, k := range c.observed {
		n += k
	}
	expected := make([]float64, len(c.share))
	for i, p := range c.share {
		expected[i] = n * p
	}
	return audit.ChiSquare(c.observed, expected)
}

// gatewayBounds audits releases as an attacker who knows all units but one would, whose readings are far above the bounds or far below.
func gatewayBounds(ctx context.Context, c Config) ([]Check, error) {
	const e = privacy.Epsilon(1_000_000)
	var out []Check
	for _, of := range releases() {
		c.begin(LowerBound, of.name)
		h, err := newHousehold(of, e)
		if err != nil {
			return nil, err
		}
		draw := func(first privacy.Micro) audit.Draw {
			return func() (uint64, error) {
				values, err := h.release(first)
				if err != nil {
					return 0, err
				}
				return of.output(values), nil
			}
		}
		p := pair{draw(readings["a"]), draw(readings["b"]), outputs, blindReleases}
		check, err := p.bound(ctx, LowerBound, of.name, e, max(releasesLeast, c.Draws/releasesForBound))
		if err != nil {
			return nil, err
		}
		out = append(out, check)
	}
	return out, nil
}

// outputs is the number of outputs that a release becomes for the audit.
const outputs = 1 << 8

// output is what an attacker makes of a release: a sum of numbers in steps of a quarter of the sensitivity, and of a count, or the first
// and the last one, where it lies about the two places that it may have without noise. Beyond them the ratio stays what it is. The
// second unit is in the first category.
func (r released) output(values []int64) uint64 {
	clip := func(v, from, to int64) uint64 { return uint64(min(max(v, from), to) - from) }
	switch {
	case len(values) > 1:
		return 4*clip(values[0], 0, 3) + clip(values[len(values)-1], -1, 2)
	case r.sensitivity > 1:
		return clip(int64(math.Floor(4*float64(values[0])/float64(r.sensitivity))), -outputs/2, outputs/2-1)
	}
	return clip(values[0], -1, 2)
}
