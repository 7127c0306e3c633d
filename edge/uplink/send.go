package uplink

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/edge/spool"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// errRetry says that the intake is there but didn't store.
var errRetry = errors.New("intake: not stored now")

// send empties the spool for as long as there is a line.
func (u *Uplink) send(ctx context.Context, conn *nats.Conn) {
	pace := time.NewTicker(time.Second / time.Duration(u.config.BacklogPerSecond))
	defer pace.Stop()
	failures := 0
	for ctx.Err() == nil {
		e, backlog, ok := u.pick()
		if !ok || !u.up.Load() {
			await(ctx, u.wake, nil)
			continue
		}
		if backlog && !await(ctx, u.wake, pace.C) {
			continue
		}
		if err := u.request(ctx, conn, e); err == nil {
			failures = 0
			continue
		} else if ctx.Err() == nil {
			u.config.Log.Warn("report not answered, trying again", "cause", err)
		}
		rest(ctx, u.config.pause(failures))
		failures++
	}
}

// await waits for a tick, a wake-up or the end; it is true for a tick.
func await(ctx context.Context, wake <-chan struct{}, tick <-chan time.Time) bool {
	select {
	case <-tick:
		return true
	case <-wake:
	case <-ctx.Done():
	}
	return false
}

// pick chooses what to send: the oldest report made while the line is up, else the oldest of the backlog.
func (u *Uplink) pick() (e spool.Entry, backlog, ok bool) {
	e, ok, err := u.spool.Next(u.boundary.Load())
	if ok || err != nil {
		return e, false, ok && err == nil
	}
	e, ok, err = u.spool.Next(0)
	return e, true, ok && err == nil
}

// request sends one report and settles it by the answer.
func (u *Uplink) request(ctx context.Context, conn *nats.Conn, e spool.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, u.config.RequestTimeout)
	defer cancel()
	m, err := conn.RequestWithContext(ctx, wire.InSubject(u.config.Device), e.Bytes)
	if err != nil {
		return err
	}
	reply, err := wire.DecodeIntakeReply(m.Data)
	if err != nil {
		return err
	}
	switch reply.Status {
	case wire.Stored:
		return u.spool.Settle(e.ID, spool.Stored)
	case wire.Rejected:
		u.config.Log.Warn("report rejected by the intake")
		return u.spool.Settle(e.ID, spool.Rejected)
	case wire.Retry, wire.Unspecified:
	}
	return errRetry
}
