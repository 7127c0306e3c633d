package collector

import (
	"context"
	"errors"
	"maps"
	"math/bits"
	"time"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/sensor"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// sense reads one sensor at its interval. A sensor that fails is logged once until it works again.
func (c *Collector) sense(ctx context.Context, s *Sensor, source sensor.Sensor) {
	log := c.parts.Log.With("capability", s.Capability, "reading", s.Reading)
	next := c.parts.Clock.Now()
	well := true
	for c.parts.Clock.WaitUntil(ctx, next) == nil {
		now := c.parts.Clock.Now()
		value, err := source.Read(ctx, now)
		switch {
		case err == nil:
			c.Add(Reading{Unit: s.Unit, Capability: s.Capability, Reading: s.Reading, AtMs: now.UnixMilli(), Value: value})
			well = true
		case errors.Is(err, sensor.ErrEnd):
			log.Info("the replay has ended")
			return
		case !errors.Is(err, sensor.ErrNone) && well && ctx.Err() == nil:
			log.Warn("sensor gives no reading", "cause", err)
			well = false
		}
		next = next.Add(s.Interval)
		if behind := c.parts.Clock.Now(); next.Before(behind) {
			next = behind
		}
	}
}

// task is the next window to look at.
type task struct {
	ref    string
	window int64
	end    int64 // of the window, in milliseconds
	at     time.Time
}

// report looks at each window in which the device is due, once it has ended, until ctx ends.
func (c *Collector) report(ctx context.Context) {
	for ctx.Err() == nil {
		t, ok := c.next()
		look := c.parts.Clock.Now().Add(waitMost)
		if ok && t.at.Before(look) {
			look = t.at
		}
		if c.waitFor(ctx, look) && ok && look.Equal(t.at) {
			c.make(t)
		}
	}
}

// waitMost is how long the collector sleeps at a stretch: the clock of a board without a battery jumps when it is first
// set, and a moment that was years away is then near.
const waitMost = time.Minute

// waitFor waits until the moment; it is false when the plans changed or ctx ended first.
func (c *Collector) waitFor(ctx context.Context, at time.Time) bool {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	reached := make(chan bool, 1)
	go func() { reached <- c.parts.Clock.WaitUntil(inner, at) == nil }()
	select {
	case ok := <-reached:
		return ok
	case <-c.news:
	case <-ctx.Done():
	}
	cancel()
	<-reached
	return false
}

// lookBack is how many windows behind the current one are still looked at after a pause: as many as the buffer keeps.
const lookBack = 3

// next finds the earliest window to look at.
func (c *Collector) next() (best task, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.parts.Clock.Now().UnixMilli()
	for h := range c.voice.Plans() {
		p := h.Plan
		length := int64(p.WindowMs)
		current := max(now, 0) / length
		after := max(c.cursors[p.Ref]/length-1, current-lookBack)
		window, due := c.voice.NextDue(p.Ref, after)
		if !due {
			continue
		}
		end := (window + 1) * length
		t := task{ref: p.Ref, window: window, end: end, at: time.UnixMilli(end + c.delay(p)).UTC()}
		if !ok || t.at.Before(best.at) {
			best, ok = t, true
		}
	}
	return best, ok
}

// delayMost bounds how long a device waits after a window's end, in milliseconds.
const delayMost = 2000

// delay spreads the devices' reports over a part of the grace, so that a fleet doesn't speak at once. It depends on the
// identity alone, never on a reading, and is the same for every window.
func (c *Collector) delay(p *wire.DevicePlan) int64 {
	number := panel.NumberOf(panel.Salt{'d', 'e', 'l', 'a', 'y'}, c.parts.Config.Device)
	part, _ := bits.Mul64(uint64(number), min(p.GraceMs/4, delayMost))
	return int64(part)
}

// make reports one window, if there is something to report, and spools it.
func (c *Collector) make(t task) {
	c.mu.Lock()
	c.cursors[t.ref] = t.end
	request, outcome, err := c.voice.Report(make([]byte, 0, wire.RequestMost), t.ref, t.window)
	c.log(t.ref, outcome, err)
	c.mu.Unlock()
	if outcome != agent.Reported {
		return
	}
	if _, err := c.spool.Append(request); err != nil {
		c.parts.Log.Error("report lost", "kappa", t.ref, "cause", err)
		return
	}
	c.uplink.Wake()
}

// log says once why the device doesn't answer a kappa, until it does again; the caller holds the lock.
func (c *Collector) log(ref string, outcome agent.Outcome, err error) {
	if outcome == agent.Reported {
		maps.DeleteFunc(c.told, func(s silence, _ bool) bool { return s.ref == ref })
		return
	}
	if c.told[silence{ref, outcome}] {
		return
	}
	c.told[silence{ref, outcome}] = true
	args := []any{"kappa", ref, "why", outcome.String()}
	if outcome == agent.RefusedEpsilon {
		args = append(args, c.price(ref)...)
	}
	if err != nil {
		args = append(args, "cause", err)
	}
	if outcome == agent.LedgerFailed || outcome == agent.EntropyFailed || outcome == agent.RefusedSecret {
		c.parts.Log.Error("silent", args...)
		return
	}
	c.parts.Log.Info("silent", args...)
}

// price says what a report of a kappa costs, or a category, and what the owner allows.
func (c *Collector) price(ref string) (args []any) {
	limits := c.parts.Config.Policy.Limits
	for h := range c.voice.Plans() {
		if h.Plan.Ref == ref {
			costs := "report_costs"
			if h.Plan.EpsilonValueMicro > 0 {
				costs = "category_costs"
			}
			args = []any{costs, charge(h.Plan), "policy_allows", min(limits.PerPeriod, limits.Lifetime)}
		}
	}
	return args
}
