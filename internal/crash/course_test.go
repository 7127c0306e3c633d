package crash_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

const (
	tick       = time.Second // of the course; the windows of all kappas end with one
	grace      = 200 * time.Millisecond
	ticks      = 5 // with reports
	ticksAfter = 3 // without, so that late reports are revised and the last windows close
	devices    = 24
)

// epoch is when the first window begins.
var epoch = time.UnixMilli(1_800_000_000_000).UTC()

var scripts = []string{
	`KAPPA warm AS SELECT mean(temperature), proportion(temperature > 26) FROM sense.temperature GROUP BY cooling
	 SAMPLE ALL STRATIFIED BY region ROTATING WINDOW 1s GRACE 200ms PRIVACY LOCAL EPSILON 4 PER 2s BETWEEN 10 AND 40`,
	`KAPPA plain AS SELECT mean(temperature) FROM sense.temperature
	 SAMPLE ALL STRATIFIED BY region WINDOW 2s GRACE 200ms PRIVACY NONE BETWEEN 10 AND 40`,
	`KAPPA hopping AS SELECT mean(temperature) FROM sense.temperature
	 SAMPLE ALL STRATIFIED BY region WINDOW 3s EVERY 1s GRACE 200ms PRIVACY LOCAL EPSILON 4 PER 2s BETWEEN 10 AND 40`,
}

// step is one thing that happens: a request, or, without a body, the clock moving to a moment and its mark.
type step struct {
	subject string
	body    []byte
	report  string // what the report is known by when it is one that must be counted once it is answered
	refused bool   // the answer is a rejection
	to      time.Time
	marked  bool // a mark is due then
}

// course is what happens in a round, the same whoever is killed.
type course struct {
	records []*quadratv1.KappaRecord
	steps   []step
	reports int // different ones that must be counted
}

// hellos is the fleet; part of it stands behind a gateway.
func hellos(random *rand.Rand) []*quadratv1.Hello {
	out := []*quadratv1.Hello{{Device: "gw"}}
	for i := range devices {
		h := &quadratv1.Hello{
			Device: fmt.Sprintf("d%d", i), Attributes: map[string]string{
				"region": []string{"asia", "europe"}[i%2], "cooling": []string{"air", "mixed"}[random.IntN(2)],
			},
			Capabilities: []*quadratv1.Capability{{Name: "sense.temperature", Open: true}},
			Limits:       &quadratv1.Limits{EpsilonMicro: 8e6, PeriodMs: 3.6e6, Models: []string{"local", "none"}},
		}
		if i%4 == 0 {
			h.Gateway = "gw"
		}
		out = append(out, h)
	}
	return out
}

// chart makes a course over the fleet of a registry.
func chart(w *rig, random *rand.Rand) *course {
	w.t.Helper()
	c := &course{}
	planner := service.NewFleetPlanner(w.registry, w.frames.Flush)
	for i, source := range scripts {
		ref, name := fmt.Sprintf("k%d", i+1), strings.Fields(source)[1]
		revision, err := planner.Plan(w.t.Context(), service.Draft{
			Script: source, Ref: ref, Name: name, Salt: []byte(fmt.Sprintf("salt-%011d", random.IntN(1000))), Revision: 1,
			Now: epoch.Add(-time.Millisecond),
		})
		if err != nil {
			w.t.Fatal(err)
		}
		c.records = append(c.records, &quadratv1.KappaRecord{
			Version: 1, Kappa: &quadratv1.Kappa{Ref: ref, Name: name, Created: timestamppb.New(epoch)},
			Revisions: []*quadratv1.PlanRevision{revision},
		})
	}
	var late []step
	for i := range ticks {
		end := epoch.Add(time.Duration(i+1) * tick)
		c.steps = append(c.steps, step{to: end})
		now := c.said(w, random, end)
		c.reports += len(now)
		now = append(now, noise(random, i)...)
		cut := len(now) / 8
		late, now = now[:cut], append(now[cut:], late...)
		now = append(now, now[:len(now)/4]...) // duplicates
		random.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
		c.steps = append(c.steps, now...)
		c.steps = append(c.steps, step{to: end.Add(grace), marked: true})
	}
	c.steps = append(c.steps, late...)
	for i := range ticksAfter {
		c.steps = append(c.steps, step{to: epoch.Add(time.Duration(ticks+i+1)*tick + grace), marked: true})
	}
	return c
}

// said is the reports of all windows that end at a moment: 9 of 10 devices that are due answer.
func (c *course) said(w *rig, random *rand.Rand, end time.Time) []step {
	var out []step
	for _, record := range c.records {
		p := record.GetRevisions()[0].GetDevice()
		if end.UnixMilli()%int64(p.GetWindowMs()) != 0 {
			continue
		}
		window := end.UnixMilli()/int64(p.GetWindowMs()) - 1
		for _, row := range w.registry.Frame(fleet.Query{Capability: p.GetCapability()}, end.Add(-time.Duration(p.GetWindowMs())*time.Millisecond)) {
			statistic, due := dueIn(w, p, row, window)
			if !due || random.IntN(10) == 0 {
				continue
			}
			out = append(out, reportOf(w, p, row, window, statistic, random))
		}
	}
	return out
}

// dueIn applies the panel rule.
func dueIn(w *rig, p *quadratv1.DevicePlan, row *fleet.Row, window int64) (statistic uint32, due bool) {
	for _, s := range p.GetStrata() {
		for _, m := range s.GetMembers() {
			if m.GetValues()[0] != row.Attributes["region"] {
				continue
			}
			rotation := panel.Rotation{
				LapWindows: p.GetLapWindows(), Slots: uint32(len(p.GetStatistics())), Origin: panel.Number(s.GetOrigin()), Last: s.GetLast(),
			}
			return rotation.Due(panel.NumberOf(panel.Salt(p.GetSalt()), row.ID), window)
		}
	}
	w.t.Fatalf("%s is in no stratum", row.ID)
	return 0, false
}

// reportOf is a device's request, or its gateway's.
func reportOf(w *rig, p *quadratv1.DevicePlan, row *fleet.Row, window int64, statistic uint32, random *rand.Rand) step {
	value := valueOf(w, p, p.GetStatistics()[statistic], random)
	out := step{
		subject: broker.PrefixIn + row.ID,
		report:  fmt.Sprintf("%s/%d/%016x", p.GetRef(), window*int64(p.GetWindowMs()), uint64(row.Key)),
	}
	if row.Key == 0 { // known to the server alone
		out.report = fmt.Sprintf("%s/%d/%s", p.GetRef(), window*int64(p.GetWindowMs()), row.ID)
	}
	if row.Gateway == "" {
		r := wire.Report{
			Device: row.ID, Kappa: p.GetRef(), Revision: p.GetRevision(), Window: window, Statistic: statistic, Value: value,
		}
		out.body = r.AppendRequest(nil)
		return out
	}
	out.subject = broker.PrefixIn + row.Gateway
	out.body = w.encode(&quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Batch{Batch: &quadratv1.GatewayBatch{
		Gateway: row.Gateway, Kappa: p.GetRef(), Revision: p.GetRevision(), Window: window,
		Device: []string{row.ID}, Statistic: []uint32{statistic}, Value: []int64{value},
	}}})
	return out
}

// valueOf is any code that the statistic's mechanism can put out.
func valueOf(w *rig, p *quadratv1.DevicePlan, s *quadratv1.StatisticPlan, random *rand.Rand) int64 {
	if s.GetMechanism() == "none" {
		return s.GetLoMicro() + random.Int64N(s.GetHiMicro()-s.GetLoMicro()+1)
	}
	epsilon, err := privacy.NewEpsilon(float64(p.GetEpsilonMicro()) / 1e6)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := mechanisms.ByName(s.GetMechanism(), epsilon)
	if err != nil {
		w.t.Fatal(err)
	}
	return random.Int64N(int64(m.Codes()))
}

// noise is requests of a tick that must be refused, each in its own way, and stop nobody. The window of the one from the future
// comes within the course: who is started again then must refuse it nevertheless.
func noise(random *rand.Rand, tickNumber int) []step {
	window := epoch.UnixMilli() / tick.Milliseconds()
	of := func(device, kappa string, revision uint32, window, value int64) step {
		r := wire.Report{Device: device, Kappa: kappa, Revision: revision, Window: window, Value: value}
		return step{subject: broker.PrefixIn + device, body: r.AppendRequest(nil)}
	}
	forged := of("d2", "k1", 1, window, 0)
	forged.subject, forged.refused = broker.PrefixIn+"d1", true
	whole := of("d1", "k1", 1, window, 0).body
	all := []step{
		forged,
		of("d1", "gone", 1, window, 0),   // unknown kappa
		of("d1", "k1", 7, window, 0),     // another revision
		of("d1", "k1", 1, window-1e6, 0), // expired
		of("d1", "k1", 1, window, 1<<40), // no code, or not due
		{subject: broker.PrefixIn + "d1", body: whole[:len(whole)-1], refused: true},     // truncated
		{subject: broker.PrefixIn + "d1", body: slices.Repeat(whole, 40), refused: true}, // oversized
		{subject: broker.PrefixIn + "d1", body: []byte("poison"), refused: true},
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return append(all[:3], of("d1", "k1", 1, window+int64(tickNumber)+2, 0), of("d3", "k1", 1, window+int64(tickNumber)+2, 0))
}
