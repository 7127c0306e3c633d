package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/follow"
)

// round is the handovers of all shares at one mark.
type round struct {
	gathered  [][]gathered // by share
	positions []uint64     // in PARTIALS, of the last part of each share
	bytes     int64        // that gathered takes
}

// readChains puts the rounds behind the checkpoint into the queue, in order, until ctx ends.
func (e *Engine) readChains(ctx context.Context, queue chan<- message) error {
	stream, err := e.config.JetStream.Stream(ctx, broker.StreamPartials)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("engine: %s: %w", broker.StreamPartials, err)
	}
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	links := make([]chan link, e.config.Part.Shares)
	for share := range links {
		links[share] = make(chan link, e.ahead())
		from := uint64(e.newest[share])
		group.Go(func() { e.readChain(ctx, stream, share, from, links[share]) })
	}
	for previous := e.sequence; ; {
		m, err := nextRound(ctx, links, previous)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("engine: %s: %w", broker.StreamPartials, err)
		}
		if !e.reserve(ctx, &m) {
			return nil
		}
		select {
		case queue <- m:
			previous = m.sequence
		case <-ctx.Done():
			return nil
		}
	}
}

// link is a part of a handover and its position in PARTIALS, or why it can't be read.
type link struct {
	*handover
	position uint64
	err      error
}

// readChain puts the parts of a share behind a position into links, in order, until ctx ends.
func (e *Engine) readChain(ctx context.Context, stream jetstream.Stream, share int, from uint64, links chan<- link) {
	subjects := []string{broker.PartialSubject(share)}
	e.keepFollowing(ctx, stream, subjects, from, func(msg follow.Message) (bool, error) {
		l := link{position: msg.Position}
		l.handover, l.err = decodeHandover(msg.Data())
		if l.err == nil && (l.share != uint64(share) || l.shares != uint64(e.config.Part.Shares)) {
			l.err = fmt.Errorf("share %d of %d where %d of %d is expected", l.share, l.shares, share, e.config.Part.Shares)
		}
		select {
		case links <- l:
			return true, nil
		case <-ctx.Done():
			return false, nil
		}
	})
}

// nextRound gathers the handovers of all shares at the mark behind a position.
func nextRound(ctx context.Context, links []chan link, previous uint64) (message, error) {
	m := message{partition: broker.Partitions, round: &round{gathered: make([][]gathered, len(links)), positions: make([]uint64, len(links))}}
	for share, from := range links {
		for part, last := uint64(0), false; !last; part++ {
			var l link
			select {
			case l = <-from:
			case <-ctx.Done():
				return m, ctx.Err()
			}
			switch {
			case l.err != nil:
				return m, fmt.Errorf("share %d at %d: %w", share, l.position, l.err)
			case l.previous != previous || l.part != part || m.sequence > 0 && l.mark != m.sequence || m.markMs > 0 && l.markMs != m.markMs:
				return m, fmt.Errorf("share %d at %d: mark %d part %d follows %d, and part %d of the mark behind %d is expected", share, l.position,
					l.mark, l.part, l.previous, part, previous)
			}
			m.sequence, m.markMs, last = l.mark, l.markMs, l.last
			m.round.gathered[share] = append(m.round.gathered[share], l.gathered...)
			for i := range l.gathered {
				m.round.bytes += l.gathered[i].bytes()
			}
			m.round.positions[share] = l.position
		}
	}
	return m, nil
}

// merge adds what all shares have handed on at a mark, and makes the results of windows that all of them have closed by now or that
// have grown since. The caller holds mu.
func (e *Engine) merge(m *message, out *output) {
	e.beforeMark(m.markMs)
	if e.stale {
		return
	}
	var closed []late
	for share, list := range m.round.gathered {
		for i := range list {
			g := &list[i]
			k, known := e.kappas[g.ref]
			if !known {
				continue // deleted
			}
			w := e.addGathered(k, share, g, out)
			switch {
			case w == nil:
				e.metrics.refusedHandovers.Inc()
				e.config.Log.Error("engine: what a share has gathered fits no window", "share", share, "kappa", g.ref, "window", g.index)
			case w.revision > 0:
				e.lateFor(k, w)
			case w.closedBy == e.everybody():
				closed = append(closed, late{kappa: k, window: w})
			}
		}
	}
	for share, position := range m.round.positions {
		e.newest[share] = int64(position)
	}
	e.sequence, e.markMs = m.sequence, max(e.markMs, m.markMs)
	e.levelMs = e.markMs
	sortLate(closed)
	for _, c := range closed {
		if e.kappas[c.kappa.ref] != c.kappa {
			continue // deleted meanwhile
		}
		e.result(c.kappa, c.window, out)
		c.kappa.next = max(c.kappa.next, c.window.index+1)
		e.relieve()
	}
	e.revise(out)
	for _, ref := range e.order {
		e.drop(e.kappas[ref])
	}
}

// everybody is the bits of all shares.
func (e *Engine) everybody() uint64 { return ^uint64(0) >> (64 - e.config.Part.Shares) }

// addGathered puts what a share has gathered to its window; nil when there is none that it fits.
func (e *Engine) addGathered(k *kappa, share int, g *gathered, out *output) *window {
	w, known := k.windows[g.index]
	bit := uint64(1) << share
	if !known {
		p := k.byRevision(g.revision)
		if p == nil || !g.closes || g.index < k.oldest {
			return nil
		}
		start, _ := p.span(g.index)
		e.ask(false, start)
		if e.stale {
			return nil
		}
		w, out.opened = k.open(e.config.Frames, p, g.index)
		e.hold(k, w)
		e.keepFrame(k)
	}
	if !g.fits(w) || g.closes == (w.closedBy&bit != 0) {
		return nil
	}
	w.add(g)
	if !g.keeps {
		k.discard(w)
	}
	w.closedBy |= bit
	return w
}

// merged tells trimMerged up to where a checkpoint on disk covers the chains.
func (e *Engine) merged(positions []int64) {
	positions = slices.Clone(positions)
	for {
		select {
		case e.spent <- positions:
			return
		default:
		}
		select {
		case <-e.spent:
		default:
		}
	}
}

// trimMerged takes from PARTIALS what checkpoints on disk cover, until ctx ends. Nobody waits for it.
func (e *Engine) trimMerged(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case positions := <-e.spent:
			if err := e.trimChains(ctx, positions); err != nil && ctx.Err() == nil {
				e.metrics.retries.WithLabelValues("trim").Inc()
				e.config.Log.Warn("engine: trim; the next checkpoint tries again", "error", err)
			}
		}
	}
}

// trimChains takes what a checkpoint covers from PARTIALS. The newest part of each chain that was merged stays, so that a share finds its place.
func (e *Engine) trimChains(ctx context.Context, positions []int64) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	stream, err := e.config.JetStream.Stream(ctx, broker.StreamPartials)
	if err != nil {
		return err
	}
	for share, position := range positions {
		if position == 0 {
			continue
		}
		err := stream.Purge(ctx, jetstream.WithPurgeSubject(broker.PartialSubject(share)), jetstream.WithPurgeSequence(uint64(position)))
		if err != nil {
			return err
		}
	}
	return nil
}
