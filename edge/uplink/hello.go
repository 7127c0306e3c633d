package uplink

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/internal/wire"
)

// offsetWorth is a difference of the clocks that is worth a warning: windows would be reported late or early.
const offsetWorth = 2 * time.Second

// reasonMost bounds a server's words in the log.
const reasonMost = 200

// announce says hello when the line comes up, when a plan was missed, and every few minutes.
func (u *Uplink) announce(ctx context.Context, conn *nats.Conn) {
	failures := 0
	for u.wait(ctx, u.config.HelloEvery*3/4+jitter(u.config.HelloEvery/2)) {
		if !u.up.Load() {
			continue
		}
		again, err := u.round(ctx, conn)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			u.config.Log.Warn("hello failed", "cause", err)
			failures++
			rest(ctx, u.config.pause(failures-1))
			signal(u.hello)
		case again:
			rest(ctx, u.config.pause(0))
			signal(u.hello)
		default:
			failures = 0
		}
	}
}

// wait waits for a wanted hello or for the device's clock to go on by d; it is false when ctx has ended.
func (u *Uplink) wait(ctx context.Context, d time.Duration) bool {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	timeout := make(chan struct{})
	until := u.config.Clock.Now().Add(d)
	go func() {
		_ = u.config.Clock.WaitUntil(inner, until)
		close(timeout)
	}()
	select {
	case <-u.hello:
	case <-timeout:
	}
	cancel()
	<-timeout
	return ctx.Err() == nil
}

// round says hello for every speaker, one after another, so that the plans that the first one's answer brings are known when the next
// one speaks. A speaker that the server refuses keeps the others from nothing; a server that doesn't answer ends the round.
func (u *Uplink) round(ctx context.Context, conn *nats.Conn) (again bool, err error) {
	var refused error
	for speaker := range u.device.Speakers() {
		more, refusal, err := u.sayHello(ctx, conn, speaker)
		if err != nil {
			return false, err
		}
		if refused == nil {
			refused = refusal
		}
		again = again || more
	}
	return again, refused
}

// sayHello announces one speaker; refusal is what the device made of the answer.
func (u *Uplink) sayHello(ctx context.Context, conn *nats.Conn, speaker int) (again bool, refusal, err error) {
	ctx, cancel := context.WithTimeout(ctx, u.config.RequestTimeout)
	defer cancel()
	h := u.device.Hello(speaker)
	before := u.config.Clock.Now()
	m, err := conn.RequestWithContext(ctx, wire.HelloSubject(u.config.Device), h.Append(nil))
	if err != nil {
		return false, nil, err
	}
	after := u.config.Clock.Now()
	reply, err := wire.DecodeHelloReply(m.Data)
	if err != nil {
		return false, nil, err
	}
	u.compare(before.Add(after.Sub(before)/2), time.UnixMilli(reply.ServerTimeMs))
	if reply.Error != "" {
		u.config.Log.Warn("refused by the server", "device", h.Device, "reason", reply.Error[:min(len(reply.Error), reasonMost)])
	}
	again, refusal = u.device.ApplyReply(speaker, &reply)
	if refusal == nil {
		u.hellos.Add(1)
	}
	return again, refusal, nil
}

// compare notes how far the device's clock is from the server's. It moves neither.
func (u *Uplink) compare(own, server time.Time) {
	offset := own.Sub(server)
	u.offset.Store(int64(offset))
	if offset.Abs() > offsetWorth {
		u.config.Log.Warn("clock differs from the server's", "offset", offset.Round(time.Millisecond))
	}
}

// pause is how long to wait after so many failures in a row: doubling, bounded, and between a half and the whole of it.
func (c Config) pause(failures int) time.Duration {
	d := c.PauseLeast
	for range min(max(failures, 0), 30) {
		d = min(2*d, c.PauseMost)
	}
	return d/2 + jitter(d/2)
}

// jitter is between 0 and d. It decides about moments only, never about noise.
func jitter(d time.Duration) time.Duration { return rand.N(d + 1) }

// rest waits on the machine's clock: pauses of the network are no part of the device's time.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
