package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
)

// chain is what a share knows of its own chain of handovers in PARTIALS.
type chain struct {
	known    bool   // what follows is what stands there
	sequence uint64 // of the newest message; 0 for none
	spot     spot   // of the newest part
}

// handed is a part of a handover that waits to be put into the chain.
type handed struct {
	spot
	previous uint64
	body     []byte
}

// hand takes out of a window what it has gathered, for the handover of the mark that is being counted.
func (e *Engine) hand(w *window, closes bool) { e.gathering = append(e.gathering, w.gather(closes)) }

// handOn closes the handover of a mark.
func (e *Engine) handOn(m *message, out *output) {
	if !e.shares() {
		return
	}
	p := e.config.Part
	h := handover{
		spot: spot{mark: m.sequence}, share: uint64(p.Share), shares: uint64(p.Shares), markMs: m.markMs, previous: e.marked,
		gathered: e.gathering,
	}
	for i, body := range encodeHandover(h) {
		e.config.Memory.Rows.Add(int64(len(body)))
		out.handed = append(out.handed, handed{spot: spot{mark: h.mark, part: uint64(i)}, previous: h.previous, body: body})
	}
	e.gathering, e.marked = e.gathering[:0], m.sequence
}

// emitHandovers puts what was handed on into the chain.
func (e *Engine) emitHandovers(ctx context.Context) error {
	out := &e.out
	for len(out.handed) > 0 {
		if err := e.persist(ctx, "handovers", func() error { return e.putHandover(ctx, &out.handed[0]) }); err != nil {
			return err
		}
		e.config.Memory.Rows.Give(int64(len(out.handed[0].body)))
		out.handed = out.handed[1:]
	}
	out.handed = nil
	return nil
}

// errChain says that PARTIALS doesn't hold the handover before one.
var errChain = errors.New("the handover before it is not in PARTIALS: put stream, checkpoints and stores back from one backup")

// putHandover puts a part into the chain, unless it stands there already: what it says is a function of the log, so whoever put it
// there put the same.
func (e *Engine) putHandover(ctx context.Context, h *handed) error {
	ctx, cancel := context.WithTimeout(ctx, e.patience())
	defer cancel()
	c := &e.chain
	if !c.known {
		if err := e.findChain(ctx); err != nil {
			return err
		}
	}
	if !c.spot.before(h.spot) {
		e.metrics.repeated.Inc()
		return nil
	}
	if h.part == 0 && c.spot.mark != h.previous {
		return fmt.Errorf("mark %d follows %d, the newest in the chain of share %d is %d: %w", h.mark, h.previous, e.config.Part.Share, c.spot.mark, errChain)
	}
	msg := nats.NewMsg(broker.PartialSubject(e.config.Part.Share))
	msg.Data = h.body
	ack, err := e.config.JetStream.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(c.sequence))
	if err != nil {
		c.known = false // it may be there, or another's
		return err
	}
	c.sequence, c.spot = ack.Sequence, h.spot
	e.metrics.handed.Inc()
	return nil
}

// findChain reads the newest part of the share's chain.
func (e *Engine) findChain(ctx context.Context) error {
	if e.partials == nil { // asked for once: a stream without a leader doesn't say what it is, but its replicas say what they hold
		stream, err := e.config.JetStream.Stream(ctx, broker.StreamPartials)
		if err != nil {
			return err
		}
		e.partials = stream
	}
	c := chain{known: true}
	m, err := e.partials.GetLastMsgForSubject(ctx, broker.PartialSubject(e.config.Part.Share))
	if err == nil {
		var h *handover
		if h, err = decodeHandover(m.Data); err == nil {
			c.sequence, c.spot = m.Sequence, h.spot
		}
	} else if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = nil
	}
	if err == nil {
		e.chain = c
	}
	return err
}
