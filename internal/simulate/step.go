package simulate

import (
	"context"
	"time"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// idle is how long Run waits for a first kappa before it looks again, in the fleet's time.
const idle = 200 * time.Millisecond

// Run follows every kappa until ctx ends or, when Config.Windows is set, until that many windows of every kappa have
// been answered. It returns nil in the second case.
func (f *Fleet) Run(ctx context.Context) error {
	for !f.finished() {
		if err := f.rest(ctx); err != nil {
			return err
		}
		if _, err := f.Step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rest waits for the end of the next window, or for a plan: the first window of a new kappa may end before it.
func (f *Fleet) rest(ctx context.Context) error {
	next, ok := f.NextEnd()
	if !ok {
		next = f.config.Clock.Now().Add(idle)
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- f.config.Clock.WaitUntil(inner, next) }()
	select {
	case err := <-ended:
		return err
	case <-f.news:
		return ctx.Err()
	}
}

// finished says whether every kappa, and there is one, has had its windows.
func (f *Fleet) finished() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.config.Windows == 0 || len(f.kappas) == 0 {
		return false
	}
	for _, p := range f.kappas {
		if p.done < f.config.Windows {
			return false
		}
	}
	return true
}

// NextEnd is when the next window that is to be reported ends; false while there is no kappa. With Config.Windows set,
// kappas that have had theirs no longer count.
func (f *Fleet) NextEnd() (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, p := f.earliest()
	if p == nil {
		return time.Time{}, false
	}
	return time.UnixMilli((p.next + 1) * p.windowMs).UTC(), true
}

// earliest is the kappa whose next window ends first, by reference among equals, because ledgers want charges in the
// order of time; nil when there is none. The caller holds the lock.
func (f *Fleet) earliest() (string, *progress) {
	var first *progress
	var name string
	for ref, p := range f.kappas {
		if f.over(p) {
			continue
		}
		end := (p.next + 1) * p.windowMs
		if first == nil || end < (first.next+1)*first.windowMs || end == (first.next+1)*first.windowMs && ref < name {
			name, first = ref, p
		}
	}
	return name, first
}

func (f *Fleet) over(p *progress) bool { return f.config.Windows > 0 && p.done >= f.config.Windows }

// Step reports every window that has ended by now, and returns when all of it has been answered. It returns how many
// reports there were.
func (f *Fleet) Step(ctx context.Context) (int, error) {
	now := f.config.Clock.Now()
	if err := f.renew(ctx, now); err != nil {
		return 0, err
	}
	var out []letter
	f.mu.Lock()
	for ref, p := f.earliest(); p != nil && (p.next+1)*p.windowMs <= now.UnixMilli(); ref, p = f.earliest() {
		out = f.collect(out, ref, p.next)
		out = f.release(out, ref, p.next, p.windowMs)
		p.next++
		p.done++
	}
	f.mu.Unlock()
	return len(out), f.each(ctx, len(out), func(ctx context.Context, i int) error {
		status, err := f.send(ctx, out[i].device, out[i].request)
		f.mu.Lock()
		defer f.mu.Unlock()
		switch status {
		case wire.Stored:
			f.summary.Answered++
			f.summary.Heard += int64(out[i].units)
		case wire.Rejected:
			f.summary.Rejected++
		case wire.Unspecified, wire.Retry:
		}
		return err
	})
}

// letter is a report on its way.
type letter struct {
	device  string
	request []byte
	units   int // that it speaks for
}

// collect asks every device about a window; the caller holds the lock.
func (f *Fleet) collect(out []letter, ref string, window int64) []letter {
	for i, d := range f.devices {
		if _, due := d.DueAt(ref, window); !due {
			continue
		}
		f.summary.Due++
		if f.offline[i] {
			f.summary.Silent++
			continue
		}
		request, outcome, _ := d.Report(nil, ref, window)
		switch {
		case outcome == agent.Reported:
			out = append(out, letter{device: d.Device(), request: request, units: 1})
		case outcome.Refused():
			f.summary.Refused++
		}
	}
	return out
}

// renew lets the devices say hello again that have not done so for long, or all of them when a broadcast was missed.
func (f *Fleet) renew(ctx context.Context, now time.Time) error {
	f.mu.Lock()
	missed, all := f.missed, len(f.config.Places)
	f.missed = false
	share := float64(now.Sub(f.round)) / float64(f.config.HelloEvery)
	from, to := f.hellos, min(all, int(share*float64(all)))
	if share >= 1 {
		f.round, f.hellos = now, 0
	} else {
		f.hellos = max(from, to)
	}
	f.mu.Unlock()
	if missed {
		from, to = 0, all
	}
	if to <= from {
		return nil
	}
	return f.hello(ctx, from, to, nil)
}
