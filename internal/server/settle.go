package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/engine/member"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	// subjectSettle is where engines are asked for a checkpoint of every part that they have; each answers with how many those are.
	subjectSettle  = "quadrat.settle"
	settlePatience = 30 * time.Second
)

// answerSettle lets a member answer.
func answerSettle(conn *nats.Conn, m *member.Member) (*nats.Subscription, error) {
	return conn.Subscribe(subjectSettle, func(msg *nats.Msg) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), settlePatience)
			defer cancel()
			parts := len(m.Holds())
			if m.Checkpoint(ctx) == nil {
				_ = msg.Respond([]byte{byte(parts)}) // who asks has given up, otherwise
			}
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
	if err := d.conn.PublishRequest(subjectSettle, inbox, nil); err != nil {
		return fmt.Errorf("engines: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	for saved := 0; saved < d.parts; {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return fmt.Errorf("engines: checkpoints of %d of %d parts: %w", saved, d.parts, err)
		}
		if len(msg.Data) != 1 {
			return errors.New("engines: an answer that is none")
		}
		saved += int(msg.Data[0])
	}
	return nil
}
