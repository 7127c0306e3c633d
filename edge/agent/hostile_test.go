package agent_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// feed turns bytes into the choices of a hostile server; it gives zeros at its end.
type feed struct{ b []byte }

func (f *feed) next() byte {
	if len(f.b) == 0 {
		return 0
	}
	x := f.b[0]
	f.b = f.b[1:]
	return x
}

func pick[T any](f *feed, from ...T) T { return from[int(f.next())%len(from)] }

// victim is a device under a policy, and what it has said.
type victim struct {
	t      *testing.T
	config agent.Config
	agent  *agent.Agent
	book   *ledger.Book
	minute int64 // the device's clock
	said   []said
	open   int // reports of the capability that its owner gives away
	kept   int // reports that rest on permanent answers, which cost nothing but the first time
}

// remembering notes what permanent answers cost, as if each were a report.
type remembering struct {
	*agent.Kept

	v *victim
}

func (r remembering) ReserveValue(c ledger.Charge, tag [ledger.TagBytes]byte) error {
	known := r.Remembers(tag)
	err := r.Kept.ReserveValue(c, tag)
	if err == nil && !known {
		length := c.Window.Milliseconds()
		r.v.said = append(r.v.said, said{c.Kappa, c.WindowStart.UnixMilli() / length, length, c.Epsilon.Micro()})
	}
	return err
}

// said is one report that left the device: in millionths and milliseconds.
type said struct {
	ref            string
	window, length int64
	epsilon        uint64
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	l := limits()
	l.Lifetime = 12_000_000
	book, err := ledger.NewBook(l)
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, book: book, minute: 29_000_000, config: agent.Config{
		Device:       "pi",
		Capabilities: []wire.Capability{{Name: "sense.temperature"}, {Name: "sense.open", Readings: []string{"temperature"}, Open: true}},
		Policy:       agent.Policy{Models: []string{agent.Local, agent.None}, Limits: l},
		Ledger:       book, Source: privacy.NewSeeded(1), Readings: &reading{value: 21_500_000},
	}}
	v.config.Memory = remembering{&agent.Kept{Book: book, Key: [privacy.SecretBytes]byte{1}}, v}
	v.restart()
	return v
}

// restart makes the device forget all plans, as one does that loses its power; its ledger stays.
func (v *victim) restart() {
	v.t.Helper()
	var err error
	if v.agent, err = agent.New(v.config); err != nil {
		v.t.Fatal(err)
	}
}

// usually returns the first, and one of the others every 32nd time: a plan in which all is odd is only ever refused.
func usually[T any](f *feed, first T, others ...T) T {
	if f.next()%32 != 31 {
		return first
	}
	return pick(f, others...)
}

// plan is anything that a hostile server could write into a plan.
func (v *victim) plan(f *feed) *wire.DevicePlan {
	const huge = math.MaxUint64
	lap, statistics := pick[uint32](f, 1, 1, 2, 6), 1+int(f.next()%2)
	p := &wire.DevicePlan{
		Ref: pick(f, "a", "b", "c"), Name: "x", Revision: usually[uint32](f, 1+uint32(f.next()%3), 0, math.MaxUint32),
		PlanSetVersion: usually[uint64](f, 1+uint64(f.next()%4), 0, huge),
		WindowMs:       usually[uint64](f, pick[uint64](f, minute, minute, 2*minute, minute/2), 100, 7*24*60*minute, 0, huge),
		FromWindow:     usually(f, 0, v.minute, v.minute+2, math.MaxInt64, -1), GraceMs: usually[uint64](f, 5000, huge),
		Paused: f.next()%32 == 31, Salt: make([]byte, usually(f, 16, 0, 15)),
		Capability: usually(f, "sense.temperature", "sense.open", "sense.other"), LapWindows: lap,
		Model: usually(f, agent.Local, agent.None, "gateway", ""),
		EpsilonMicro: usually[uint64](f, pick[uint64](f, 1_000_000, 500_000, 2_000_000, 4_000_000, 1),
			4_000_001, 12_000_000, 20_000_000, 20_000_001, 1<<63, huge, 0),
		EpsilonPeriodMicro: usually[uint64](f, 1_000_000_000_000, 4_000_000, 500_000, huge, 0),
		PeriodMs:           usually[uint64](f, pick[uint64](f, lapMs, minute, 1), 365*24*60*minute, huge, 0),
	}
	last := make([]uint64, int(lap)*statistics)
	for i := range last {
		last[i] = math.MaxUint64/uint64(len(last))*uint64(i+1) - 1
	}
	last[len(last)-1] = huge
	p.Strata = []wire.StratumPlan{{Name: "(all)", Last: last}}
	for range statistics {
		p.Statistics = append(p.Statistics, wire.StatisticPlan{
			Name: "s", Kind: usually(f, "mean", "total", "variance", "raw", "proportion"), Reading: usually(f, "temperature", "door"),
			Summary: usually(f, "avg", "last", "count", "raw"), Comparison: usually(f, "", ">", "="),
			ThresholdMicro: usually[int64](f, 20_000_000, math.MinInt64),
			Mechanism:      usually(f, pick(f, "hybrid", "duchi"), "warner", "none", "off"),
			LoMicro:        usually[int64](f, 10_000_000, 40_000_000, math.MinInt64), HiMicro: usually[int64](f, 40_000_000, 10_000_000, math.MaxInt64),
		})
	}
	if f.next()%4 == 3 { // a plan that asks for categories
		for i := range p.Statistics {
			s := &p.Statistics[i]
			s.Kind, s.Mechanism = pick(f, "histogram", "frequency", "quantile", "distribution"), usually(f, pick(f, "subset", "square-wave"), "grr", "oue", "olh", "hybrid", "none")
			s.Categories = usually[uint32](f, pick[uint32](f, 2, 31, 30, 200), 0, 1, 1024, 1025, math.MaxUint32)
			s.ShareMicro = usually[uint32](f, 500_000, 0, 1_000_000, math.MaxUint32)
		}
	}
	if f.next()%8 == 7 { // a plan that asks for permanent answers
		p.EpsilonValueMicro = usually[uint64](f, pick[uint64](f, 1_000_000, 2_000_000, 500_000), 0, 20_000_001, huge)
		for i := range p.Statistics {
			s := &p.Statistics[i]
			s.Kind, s.Mechanism, s.Categories = usually(f, "histogram", "mean", "quantile"), usually(f, "memo", "subset", "none"), pick[uint32](f, 2, 8, 64)
		}
	}
	if f.next()%8 == 7 { // a plan that wants readings without noise
		p.Model, p.EpsilonMicro = agent.None, 0
		p.Capability = pick(f, "sense.temperature", "sense.open")
		for i := range p.Statistics {
			p.Statistics[i].Mechanism = agent.None
		}
	}
	return p
}

const lapMs = lap * minute

// message lets the device hear one message, over the wire.
func (v *victim) message(f *feed) {
	v.t.Helper()
	version := pick[uint64](f, 1, 2, 3, 0, math.MaxUint64)
	if f.next()%2 == 0 {
		b := &wire.PlanBroadcast{PlanSetVersion: version, PreviousVersion: pick[uint64](f, 1, 0, 2, math.MaxUint64), Deleted: pick(f, "", "", "a", "b")}
		if f.next()%8 != 7 {
			b.Plan = v.plan(f)
		}
		if got, err := wire.DecodePlanBroadcast(b.Append(nil)); err == nil {
			v.agent.ApplyBroadcast(&got)
		}
		return
	}
	r := &wire.HelloReply{PlanSetVersion: version, ServerTimeMs: pick[int64](f, 0, math.MaxInt64, -1), Error: pick(f, "", "", "", "go away")}
	for range f.next() % 4 {
		r.Plans = append(r.Plans, v.plan(f))
	}
	for range f.next() % 4 {
		r.Live = append(r.Live, pick(f, "a", "b", "c"))
	}
	if f.next()%2 == 0 {
		r.Live = []string{"a", "b", "c"}
	}
	if got, err := wire.DecodeHelloReply(r.Append(nil)); err == nil {
		_, _ = v.agent.ApplyReply(&got)
	}
}

// run lets a minute pass and the device report what it is due for: as the collector asks it, and windows besides that no
// collector would ask for.
func (v *victim) run(f *feed) {
	v.t.Helper()
	v.minute++
	v.config.Readings.(*reading).value = 20_500_000 + privacy.Micro(v.minute/5%7)*1_000_000
	for _, ref := range []string{"a", "b", "c"} {
		windows := []int64{v.minute, pick(f, 0, v.minute-1, v.minute+1, math.MaxInt64, -1)}
		if w, ok := v.agent.NextDue(ref, v.minute-2); ok {
			windows = append(windows, w, w)
		}
		for _, w := range windows {
			v.report(ref, w)
		}
	}
}

func (v *victim) report(ref string, window int64) {
	v.t.Helper()
	b, outcome, _ := v.agent.Report(nil, ref, window)
	if outcome != agent.Reported {
		return
	}
	r, err := wire.DecodeRequest(b)
	if err != nil {
		v.t.Fatal(err)
	}
	for h := range v.agent.Plans() {
		if h.Plan.Ref != r.Kappa || h.Plan.Revision != r.Revision {
			continue
		}
		if h.Plan.Model == agent.None {
			if h.Plan.Capability != "sense.open" {
				v.t.Fatalf("a reading of %s left without noise", h.Plan.Capability)
			}
			v.open++
			return
		}
		if h.Plan.Statistics[r.Statistic].Mechanism == agent.None {
			v.t.Fatal("a plan has switched the noise off")
		}
		if h.Plan.EpsilonValueMicro > 0 {
			v.kept++
			return
		}
		v.said = append(v.said, said{r.Kappa, r.Window, int64(h.Plan.WindowMs), h.Plan.EpsilonMicro})
		return
	}
	v.t.Fatalf("a report of %s that no plan asks for", ref)
}

// law holds what was said against the policy, and against the ledger.
func (v *victim) law() {
	v.t.Helper()
	l := v.config.Policy.Limits
	total := uint64(0)
	for i, first := range v.said {
		total += first.epsilon
		from, sum := first.window*first.length, uint64(0)
		for j, x := range v.said {
			if at := x.window * x.length; at >= from && at-from < l.Period.Milliseconds() {
				sum += x.epsilon
			}
			if i != j && x.ref == first.ref && x.window*x.length == from {
				v.t.Fatalf("%+v and %+v are about one window", first, x)
			}
		}
		if sum > l.PerPeriod.Micro() {
			v.t.Fatalf("ε %d within a period from %d, of %d", sum, from, l.PerPeriod.Micro())
		}
	}
	if total > l.Lifetime.Micro() || total != v.book.Spent().Epsilon.Micro() {
		v.t.Fatalf("ε %d in a life of %d, the ledger says %d", total, l.Lifetime.Micro(), v.book.Spent().Epsilon.Micro())
	}
}

// hostile plays a whole server from bytes.
func hostile(t *testing.T, b []byte) *victim {
	t.Helper()
	v, f := newVictim(t), &feed{b}
	for len(f.b) > 0 {
		switch f.next() % 8 {
		case 0, 1, 2:
			v.message(f)
		case 3:
			v.restart()
		default:
			v.run(f)
		}
	}
	for range 5 {
		v.run(f)
	}
	v.law()
	return v
}

// No server raises a device's limits, whatever it says in whatever order.
func TestNoServerRaisesTheLimits(t *testing.T) {
	reports, open, kept, exhausted, refused := 0, 0, 0, 0, uint32(0)
	for seed := range uint64(1500) {
		random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
		b := make([]byte, 1500)
		_, _ = random.Read(b)
		v := hostile(t, b)
		reports, open, kept = reports+len(v.said), open+v.open, kept+v.kept
		if v.book.Spent().Epsilon >= 8_000_000 {
			exhausted++
		}
		refused += v.agent.Count(agent.RefusedEpsilon) + v.agent.Count(agent.RefusedPeriod) + v.agent.Count(agent.RefusedLifetime)
	}
	if reports < 1500 || open < 100 || kept < 500 || exhausted < 100 || refused < 1500 {
		t.Errorf("%d reports, %d open ones and %d of permanent answers, %d devices that gave most of their life, %d refusals: the server isn't hostile enough", reports, open, kept, exhausted, refused)
	}
}

// FuzzServer looks for a server that does.
func FuzzServer(f *testing.F) {
	for seed := range byte(4) {
		random := rand.NewChaCha8([32]byte{seed, 77})
		b := make([]byte, 400)
		_, _ = random.Read(b)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4000 {
			return
		}
		hostile(t, b)
	})
}
