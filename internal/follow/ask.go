package follow

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// askPatience is for the answer to a question, however often it is asked.
	askPatience = 3 * time.Second
	// askAgain is when a question that nobody has answered is asked again. A group of servers that has no leader is silent, and one that died
	// has taken the question with it.
	askAgain = 250 * time.Millisecond
)

// ask asks until there is an answer, which may be that to an earlier asking, or ctx ends. The question must be one that may be asked twice.
func ask(ctx context.Context, conn *nats.Conn, subject string, question []byte) (*nats.Msg, error) {
	inbox := conn.NewInbox()
	answers, err := conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer answers.Unsubscribe() //nolint:errcheck // it fails only where the connection is gone
	for {
		if err := conn.PublishRequest(subject, inbox, question); err != nil {
			return nil, err
		}
		msg, err := hear(ctx, answers)
		if err == nil || !errors.Is(err, nats.ErrTimeout) {
			return msg, err
		}
	}
}

// hear waits for an answer until it is time to ask again, which is ErrTimeout, or ctx has ended.
func hear(ctx context.Context, answers *nats.Subscription) (*nats.Msg, error) {
	hearing, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	for {
		msg, err := answers.NextMsgWithContext(hearing)
		switch {
		case err == nil:
			return msg, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case hearing.Err() != nil:
			return nil, nats.ErrTimeout
		case !errors.Is(err, nats.ErrNoResponders): // nobody is there yet
			return nil, err
		}
	}
}
