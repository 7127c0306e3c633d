package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/engine/member"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	// subjectSettle is where engines are asked for a checkpoint of every part that they have but for those that the message names, apart by
	// spaces. Each answers with the name of a part once it is made.
	subjectSettle  = "quadrat.settle"
	settlePatience = 30 * time.Second
	// settleAgain is when the parts that are missing are asked for again: one that went from hand to hand when it was asked for was heard by nobody.
	settleAgain = time.Second
)

// answerSettle lets a member answer.
func answerSettle(conn *nats.Conn, m *member.Member) (*nats.Subscription, error) {
	return conn.Subscribe(subjectSettle, func(msg *nats.Msg) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), settlePatience)
			defer cancel()
			m.Checkpoint(ctx, strings.Fields(string(msg.Data)), func(part string) {
				_ = msg.Respond([]byte(part)) // who asks has given up, otherwise
			})
		}()
	})
}

// distant is the engines of a cluster, as a process that only answers callers sees them. They learn of kappas from PLANS.
type distant struct {
	conn  *nats.Conn
	parts int // all shares, and the merger
}

// Check tells what an engine would say to a record.
func (distant) Check(record *quadratv1.KappaRecord) error { return engine.Check(record) }

// Apply and Remove do nothing.
func (distant) Apply(*quadratv1.KappaRecord) error { return nil }

// Remove does nothing.
func (distant) Remove(string) {}

// Checkpoint returns once all parts have made a checkpoint.
func (d distant) Checkpoint(ctx context.Context) error {
	inbox := d.conn.NewRespInbox()
	sub, err := d.conn.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("engines: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // it fails only where the connection is gone
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	saved := map[string]bool{}
	for len(saved) < d.parts {
		if err := d.conn.PublishRequest(subjectSettle, inbox, []byte(strings.Join(slices.Sorted(maps.Keys(saved)), " "))); err != nil {
			return fmt.Errorf("engines: %w", err)
		}
		if err := d.hear(ctx, sub, saved); err != nil {
			return fmt.Errorf("engines: checkpoints of %d of %d parts: %w", len(saved), d.parts, err)
		}
	}
	return nil
}

// hear takes answers until all parts have answered or it is time to ask again.
func (d distant) hear(ctx context.Context, sub *nats.Subscription, saved map[string]bool) error {
	hearing, cancel := context.WithTimeout(ctx, settleAgain)
	defer cancel()
	for len(saved) < d.parts {
		msg, err := sub.NextMsgWithContext(hearing)
		switch {
		case err == nil:
			saved[string(msg.Data)] = true
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			return nil
		default:
			return err
		}
	}
	return nil
}
